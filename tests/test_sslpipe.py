"""SslPipe: two of them, coupled by hand; and the names of sslcompat."""

import ssl
import sys

import pytest
from certificates import certificate, client_context, only, server_context
from tlsserving import KINDS

from gruvi_cffi import sslcompat
from gruvi_cffi.errors import CertificateError, TlsError, TlsTruncated
from gruvi_cffi.ssl import SslPipe, create_default_context

PYPY = sys.implementation.name == 'pypy'
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(params=VERSIONS, ids=lambda version: version.name)
def pipes(request, server_kind, client_kind):
    """A client and a server, which have not said anything yet."""
    server = SslPipe(server_context(server_kind, version=request.param), True)
    return SslPipe(client_context(client_kind), False, 'localhost'), server


def bounce(client, server, to_server=(), to_client=()):
    """Take record data to and fro until there is none; return what both were told."""
    heard = {client: [], server: []}
    here, there, data, back = client, server, list(to_server), list(to_client)
    while data or back:
        made = back
        for each in data:
            records, appdata = there.feed_ssldata(each)
            made += records
            heard[there] += appdata
        here, there, data, back = there, here, made, []
    return heard[client], heard[server]


def shake_hands(client, server):
    done = []
    assert server.do_handshake(lambda: done.append(server)) == []
    hello = client.do_handshake(lambda: done.append(client))
    assert len(hello) == 1
    assert hello[0]
    bounce(client, server, hello)
    assert set(done) == {client, server}


def send(sender, receiver, data):
    records, offset = sender.feed_appdata(data)
    assert offset == len(data)
    heard = []
    for each in records:
        answer, appdata = receiver.feed_ssldata(each)
        assert answer == []
        heard += appdata
    return b''.join(heard)


def test_without_tls_everything_passes(pipes):
    client, server = pipes
    for pipe in pipes:
        assert not pipe.wrapped
        assert not pipe.need_ssldata
        assert pipe.ssl_object is None
        assert pipe.feed_ssldata(b'') == ([], [])
        assert pipe.feed_ssldata(b'plain') == ([], [b'plain'])
        assert pipe.feed_appdata(b'plain', 2) == ([b'ain'], 5)
        assert pipe.feed_appdata(b'') == ([], 0)
        pipe.feed_eof()
        with pytest.raises(RuntimeError, match='no TLS'):
            pipe.shutdown()
    assert send(client, server, b'plain') == b'plain'


def test_a_handshake_and_data(pipes):
    client, server = pipes
    shake_hands(client, server)
    for pipe in pipes:
        assert pipe.wrapped
        assert not pipe.need_ssldata
        assert pipe.context is pipe.ssl_object.context
        with pytest.raises(RuntimeError, match='already'):
            pipe.do_handshake()
    unique = [pipe.ssl_object.get_channel_binding('tls-unique') for pipe in pipes]
    kinds = {type(pipe.context) for pipe in pipes}
    if PYPY and len(kinds) == 2:
        assert all(unique)  # PyPy's ssl takes the message of the other end
    else:
        assert unique[0] == unique[1]
    for size in (1, 16384, 200_000):
        assert send(client, server, b'x' * size) == b'x' * size
        assert send(server, client, b'y' * size) == b'y' * size
    records, _ = client.feed_appdata(memoryview(b'spam and eggs'), 9)
    assert b'spam' not in records[0]
    assert server.feed_ssldata(records[0])[1] == [b'eggs']


def test_what_comes_octet_by_octet(pipes):
    client, server = pipes
    server.do_handshake()
    data = client.do_handshake()
    here, there = client, server
    while data:
        made = []
        for each in b''.join(data):
            made += there.feed_ssldata(bytes([each]))[0]
        here, there, data = there, here, made
    assert client.wrapped
    assert server.wrapped
    heard = []
    for each in client.feed_appdata(b'hello')[0][0]:
        heard += server.feed_ssldata(bytes([each]))[1]
    assert heard == [b'hello']


def test_nothing_is_written_while_the_peer_has_to_say_something(pipes):
    client, server = pipes
    server.do_handshake()
    hello = client.do_handshake()
    for pipe in pipes:
        assert pipe.need_ssldata
        assert pipe.feed_appdata(b'early') == ([], 0)
        assert pipe.need_ssldata
        with pytest.raises(RuntimeError, match='no TLS to be ended'):
            pipe.shutdown()
    bounce(client, server, hello)
    assert send(client, server, b'early') == b'early'
    client.shutdown()
    assert client.feed_appdata(b'late') == ([], 0)
    assert client.need_ssldata


def test_the_end_and_what_is_behind_it(pipes):
    """TLS, then plain text, and TLS once more."""
    client, server = pipes
    for _ in range(2):
        shake_hands(client, server)
        done = []
        goodbye = client.shutdown(lambda: done.append('client'))
        assert len(goodbye) == 1
        assert server.feed_ssldata(goodbye[0]) == ([], [b''])
        answer = server.shutdown(lambda: done.append('server'))
        assert done == ['server']
        assert not server.wrapped
        assert server.ssl_object is None
        assert client.feed_ssldata(answer[0] + b'plain') == ([], [b'', b'plain'])
        assert done == ['server', 'client']
        assert client.ssl_object is None
        assert send(client, server, b'plain') == b'plain'


def test_what_was_behind_the_end_before_we_had_answered(pipes):
    client, server = pipes
    shake_hands(client, server)
    goodbye = client.shutdown()[0]
    assert server.feed_ssldata(goodbye + b'plain') == ([], [b''])
    server.shutdown()
    assert server.feed_ssldata(b' text') == ([], [b'plain text'])


def test_both_end_it_at_once(pipes):
    client, server = pipes
    shake_hands(client, server)
    heard = bounce(client, server, client.shutdown(), server.shutdown())
    assert heard == ([b''], [b''])
    assert client.ssl_object is server.ssl_object is None


def test_what_was_sent_before_the_end_still_comes(pipes):
    client, server = pipes
    shake_hands(client, server)
    data, _ = server.feed_appdata(b'late')
    goodbye = client.shutdown()
    assert client.feed_ssldata(data[0])[1] == [b'late']
    server.feed_ssldata(goodbye[0])
    client.feed_ssldata(server.shutdown()[0])
    assert client.ssl_object is None


def test_the_end_of_the_record_data(pipes):
    """Without a close_notify before it, somebody may have cut it."""
    client, server = pipes
    shake_hands(client, server)
    server.feed_ssldata(client.shutdown()[0])
    server.feed_eof()
    with pytest.raises(TlsTruncated):
        client.feed_eof()


@pytest.mark.parametrize('kind', KINDS)
def test_a_handshake_that_fails(kind):
    client = SslPipe(client_context(kind, trusted='somebody else'), False, 'localhost')
    server = SslPipe(server_context(), True)
    told = []
    server.do_handshake(told.append)
    hello = client.do_handshake(told.append)
    with pytest.raises(CertificateError):
        bounce(client, server, hello)
    assert isinstance(told[0], CertificateError)
    alert = client.shutdown()
    with pytest.raises(TlsError, match='alert'):
        server.feed_ssldata(alert[0])
    assert len(told) == 2
    with pytest.raises(TlsError):
        client.feed_ssldata(b'')
    with pytest.raises(TlsError):
        client.feed_appdata(b'x')


def test_servers_of_several_names():
    context = create_default_context(True)
    context.set_server_names({'one.example': server_context(cert=certificate('one.example'))})
    client = SslPipe(client_context(), False, 'one.example')
    shake_hands(client, SslPipe(context, True))
    assert client.ssl_object.getpeercert()['subjectAltName'] == (('DNS', 'one.example'),)


def test_sessions_are_resumed():
    client, server = client_context(), only(server_context(), ssl.TLSVersion.TLSv1_3)
    reused = []
    for _ in range(2):
        pipe = SslPipe(client, False, 'localhost')
        shake_hands(pipe, SslPipe(server, True))
        reused.append(pipe.ssl_object.session_reused)
    assert reused == [False, True]


def test_wrong_arguments():
    with pytest.raises(TypeError, match='TlsContext'):
        SslPipe('context', False)
    with pytest.raises(ValueError, match='other side'):
        SslPipe(client_context(), True)
    with pytest.raises(ValueError, match='server_hostname'):
        SslPipe(client_context(), False).do_handshake()


def test_the_names_of_sslcompat():
    incoming, outgoing = sslcompat.MemoryBIO(), sslcompat.MemoryBIO()
    context = sslcompat.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    pipe = sslcompat.wrap_bio(context, incoming, outgoing, server_hostname='localhost')
    with pytest.raises(ssl.SSLWantReadError):
        pipe.do_handshake()
    incoming.write(b'HTTP/1.1 400 Bad Request\r\n')
    with pytest.raises(ssl.SSLError) as caught:
        pipe.do_handshake()
    assert sslcompat.get_reason(caught.value) == 'WRONG_VERSION_NUMBER'
    assert sslcompat.get_reason(OSError()) is None
    assert sslcompat.CertificateError is ssl.CertificateError
