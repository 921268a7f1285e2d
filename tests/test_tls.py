"""TLS connections: both engines at both ends, over real sockets."""

import contextlib
import os
import socket
import ssl

import pytest
from certificates import (
    authority,
    certificate,
    chain_of,
    client_context,
    key_of,
    only,
    server_context,
)
from tlsserving import KINDS, connected, echo, half_close, serving

from gruvi_cffi import (
    StreamServer,
    create_connection,
    create_server,
    limits,
    sleep,
    spawn,
)
from gruvi_cffi.errors import ConnectTimeout, TlsError, TlsTruncated, TransportError
from gruvi_cffi.protocols import Protocol
from gruvi_cffi.ssl import SslTransport, TlsContext, TlsInfo, TlsTransport
from gruvi_cffi.transports import Transport
from gruvi_cffi.transports.tlsinfo import as_dict

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(params=VERSIONS, ids=lambda version: version.name)
def version(request):
    return request.param


def test_both_engines_understand_each_other(server_kind, client_kind, version):
    server, client = server_context(server_kind, version=version), client_context(client_kind)
    with serving(echo, server) as address, connected(address, client) as stream:
        stream.write(b'hello')
        assert stream.read(5) == b'hello'
        assert stream.transport.get_extra_info('tls_version').replace('.', '_') == version.name


def test_it_may_be_a_unix_socket(tmp_path):
    path = str(tmp_path / 'socket')
    with serving(echo, server_context(), path):
        with connected(path, client_context()) as stream:
            stream.write(b'hello')
            assert stream.read(5) == b'hello'


def test_much_data_both_ways_at_once(server_kind, client_kind, version, long):
    size = long(2 << 20, 20 << 20)
    data = os.urandom(size)
    received = []

    def handler(stream, transport, protocol):
        writer = spawn(stream.write, data)
        received.append(stream.read(size))
        writer.result()

    server, client = server_context(server_kind, version=version), client_context(client_kind)
    with serving(handler, server) as address, connected(address, client) as stream:
        writer = spawn(stream.write, data)
        assert stream.read(size) == data
        writer.result()
        assert stream.read() == b''
    assert received == [data]


def test_a_peer_that_does_not_read_holds_up_the_writer(server_kind, client_kind):
    server, client = server_context(server_kind), client_context(client_kind)
    written = 0

    def handler(stream, transport, protocol):
        nonlocal written
        while True:
            stream.write(bytes(65536))
            written += 65536

    with serving(handler, server) as address, connected(address, client) as stream:
        stream.read(1)
        before = -1
        while before != written:
            before = written
            _turns(50)
        # What both sockets and our buffers hold, which is not without end.
        assert written < 32 << 20


def _turns(count):
    for _ in range(count):
        sleep(0)


def test_what_is_known_about_it(server_kind, client_kind):
    seen = {}

    def handler(stream, transport, protocol):
        seen['server'] = transport.get_extra_info('ssl_object')
        seen['version'] = transport.tls.version()
        stream.read1()

    server, client = server_context(server_kind), client_context(client_kind)
    with serving(handler, server) as address, connected(address, client) as stream:
        info = stream.transport.get_extra_info('ssl_object')
        assert isinstance(info, TlsInfo)
        assert stream.transport.get_extra_info('sslcontext') is client
        assert stream.transport.get_extra_info('sslctx') is client
        assert stream.transport.get_extra_info('compression') is None
        assert stream.transport.get_extra_info('cipher')[1] == 'TLSv1.3'
        assert stream.transport.get_extra_info('server_hostname') == 'localhost'
        names = stream.transport.get_extra_info('peercert')['subjectAltName']
        assert ('DNS', 'localhost') in names
        assert ('IP Address', '127.0.0.1') in names
        assert info.getpeercert(binary_form=True)[:1] == b'\x30'
        assert not info.server_side
        assert info.get_channel_binding('tls-unique')
        stream.write(b'x')
    assert seen['version'] == 'TLSv1.3'


def test_the_certificate_is_told_as_the_standard_library_does():
    cert = certificate('a.example', '*.b.example', '127.0.0.1', '::1', 'me@example.com')
    with serving(echo, server_context(cert=cert)) as address:
        with connected(address, client_context('stdlib'), 'a.example') as stream:
            theirs = stream.transport._layer.engine.object.getpeercert()
            der = stream.transport.tls.getpeercert(binary_form=True)
    assert as_dict(der) == theirs


@pytest.mark.parametrize('binding', ['tls-unique', 'tls-server-end-point', 'tls-exporter'])
def test_both_ends_have_the_same_channel_binding(binding, version):
    seen = []

    def handler(stream, transport, protocol):
        seen.append(transport.tls.get_channel_binding(binding))
        stream.write(b'x')

    with serving(handler, server_context(version=version)) as address:
        with connected(address, client_context()) as stream:
            stream.read(1)
            assert seen == [stream.transport.tls.get_channel_binding(binding)]
            assert seen[0]


def test_an_unknown_channel_binding_is_refused():
    with serving(echo, server_context()) as address:
        with connected(address, client_context()) as stream:
            with pytest.raises(ValueError, match='tls-odd'):
                stream.transport.tls.get_channel_binding('tls-odd')


# Clients that have certificates.


def mutual(kind, mode):
    context = server_context(kind)
    context.verify_mode = mode
    context.load_verify_locations(cadata=authority('ours').cert_pem.bytes().decode())
    return context


def test_a_client_with_a_certificate(server_kind, client_kind, version):
    seen = []

    def handler(stream, transport, protocol):
        seen.append(transport.get_extra_info('peercert')['subjectAltName'])
        stream.write(b'x')

    client = only(client_context(client_kind), version)
    if client_kind == 'ours':
        cert = certificate('me@example.com')
        client.load_cert_chain(chain_of(cert), key_of(cert))
    else:
        certificate('me@example.com').configure_cert(client)
    with serving(handler, mutual(server_kind, ssl.CERT_REQUIRED)) as address:
        with connected(address, client) as stream:
            stream.read(1)
    assert seen == [(('email', 'me@example.com'),)]


@pytest.mark.parametrize('mode', [ssl.CERT_REQUIRED, ssl.CERT_OPTIONAL])
def test_a_client_without_a_certificate(server_kind, mode, version):
    client = only(client_context(), version)
    with serving(echo, mutual(server_kind, mode)) as address:
        if mode == ssl.CERT_OPTIONAL:
            with connected(address, client) as stream:
                stream.write(b'x')
                assert stream.read(1) == b'x'
            return
        with pytest.raises(TlsError, match=r'certificate required|handshake failure'):
            with connected(address, client) as stream:  # of TLS 1.3 it is only told afterwards
                stream.read(1)


def test_a_client_with_a_certificate_of_somebody_else(server_kind):
    cert = certificate('me@example.com', authority_name='other')
    client = client_context()
    client.load_cert_chain(chain_of(cert), key_of(cert))
    with serving(echo, mutual(server_kind, ssl.CERT_REQUIRED)) as address:
        with pytest.raises(TlsError, match='unknown ca'):
            with connected(address, client) as stream:
                stream.read(1)


# How it ends.


def test_the_end_is_an_end(server_kind, client_kind):
    def handler(stream, transport, protocol):
        stream.write(b'all')

    with serving(handler, server_context(server_kind)) as address:
        with connected(address, client_context(client_kind)) as stream:
            assert stream.read() == b'all'


def test_an_end_that_was_not_announced_is_a_truncation(server_kind, client_kind):
    def handler(stream, transport, protocol):
        stream.write(b'some')
        stream.read(1)
        half_close(transport)
        stream.read()

    with serving(handler, server_context(server_kind)) as address:
        with connected(address, client_context(client_kind)) as stream:
            assert stream.read(4) == b'some'
            stream.write(b'x')
            with pytest.raises(TlsTruncated):
                stream.read()


def test_eof_cannot_be_written(server_kind):
    context = client_context(server_kind)
    with serving(echo, server_context()) as address, connected(address, context) as stream:
        assert not stream.transport.can_write_eof()
        with pytest.raises(TransportError, match='TLS'):
            stream.transport.write_eof()


class Notes(Protocol):
    """Notes what it is told."""

    def __init__(self):
        self.notes = []

    def connection_made(self, transport):
        self.notes.append('made')
        transport.write(b'hello')
        transport.close()

    def eof_received(self):
        self.notes.append('eof')

    def connection_lost(self, exc):
        self.notes.append(('lost', exc))


def test_who_closes_at_once_has_still_sent_everything(server_kind, client_kind):
    protocols = []

    def factory():
        protocols.append(Notes())
        return protocols[-1]

    server = create_server(factory, ('localhost', 0), ssl=server_context(server_kind))
    with connected(server.addresses[0], client_context(client_kind)) as stream:
        assert stream.read() == b'hello'
    server.close()
    assert protocols[0].notes == ['made', ('lost', None)]


def test_a_protocol_that_fails_in_connection_made_fails_the_connect(client_kind):
    class Failing(Protocol):
        def connection_made(self, transport):
            raise LookupError('not this')

    with serving(echo, server_context()) as address:
        with pytest.raises(LookupError, match='not this'):
            create_connection(
                Failing, address, ssl=client_context(client_kind), server_hostname='localhost'
            )


# Peers that do not speak TLS, or not at all.


def test_a_silent_server(client_kind, monkeypatch):
    def silent(stream, transport, protocol):
        stream.read()

    with serving(silent, False) as address:
        with pytest.raises(ConnectTimeout):
            with connected(address, client_context(client_kind), timeout=0.1):
                pass
        monkeypatch.setattr(limits, 'TLS_HANDSHAKE_TIMEOUT', 0.1)
        with pytest.raises(ConnectTimeout):
            with connected(address, client_context(client_kind)):
                pass


def test_silent_clients_are_dropped(server_kind, monkeypatch):
    monkeypatch.setattr(limits, 'TLS_HANDSHAKE_TIMEOUT', 0.1)
    with serving(echo, server_context(server_kind)) as address:
        with connected(address, False) as stream:
            with pytest.raises(ConnectionResetError):
                stream.read()


def test_there_are_only_so_many_handshakes_at_once(server_kind, monkeypatch):
    monkeypatch.setattr(limits, 'TLS_HANDSHAKES', 2)
    context = server_context(server_kind)
    with serving(echo, context) as address, contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connected(address, False)) for _ in range(2)]
        waiting = spawn(_speak, address)
        _turns(100)
        assert waiting.alive
        silent[0].close()
        assert waiting.result() == b'hello'


def _speak(address):
    with connected(address, client_context()) as stream:
        stream.write(b'hello')
        return stream.read(5)


def test_a_server_closes_in_spite_of_silent_clients(server_kind):
    server = StreamServer(echo)
    server.listen(('localhost', 0), ssl=server_context(server_kind))
    with connected(server.addresses[0], False) as stream:
        _turns(20)
        server.close()
        with pytest.raises(ConnectionResetError):
            stream.read()


@pytest.mark.parametrize('kind', KINDS)
def test_a_server_that_does_not_speak_tls(kind):
    def plain(stream, transport, protocol):
        stream.write(b'220 this is something else\r\n')
        stream.read()

    with serving(plain, False) as address:
        with pytest.raises(TlsError, match=r'version|record|packet'):
            with connected(address, client_context(kind)):
                pass


def test_a_client_that_does_not_speak_tls(server_kind):
    made = []

    def handler(stream, transport, protocol):
        made.append(stream)

    with serving(handler, server_context(server_kind)) as address:
        with connected(address, False) as stream:
            stream.write(b'hello, I speak no TLS at all\r\n' * 4)
            with contextlib.suppress(ConnectionResetError):
                stream.read()
    assert made == []


# Wrong arguments.


def test_contexts_that_cannot_be_used():
    server = StreamServer(echo)
    with pytest.raises(ValueError, match='certificate'):
        server.listen(('localhost', 0), ssl=True)
    with pytest.raises(ValueError, match='clients'):
        server.listen(('localhost', 0), ssl=client_context())
    with pytest.raises(ValueError, match='SSLContext'):
        server.listen(('localhost', 0), ssl=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    with pytest.raises(ValueError, match='no certificate'):
        server.listen(('localhost', 0), ssl=TlsContext(server_side=True))
    with pytest.raises(TypeError, match='ssl must be'):
        server.listen(('localhost', 0), ssl='certificate.pem')
    assert server.addresses == []
    with serving(echo, server_context()) as address:
        with pytest.raises(ValueError, match='servers'):
            with connected(address, server_context()):
                pass
        with pytest.raises(ValueError, match='both directions'):
            create_connection(Protocol, address, ssl=True, mode='r')


def test_a_name_is_needed_to_be_checked(tmp_path, client_kind):
    path = str(tmp_path / 'socket')
    with serving(echo, server_context(), path):
        with pytest.raises(ValueError, match='server_hostname'):
            with connected(path, client_context(client_kind), None):
                pass


def test_descriptors_cannot_be_passed_over_it(tmp_path):
    server = StreamServer(echo)
    with pytest.raises(ValueError, match='passed'):
        server.listen(str(tmp_path / 'socket'), ssl=server_context(), ipc=True)


@pytest.mark.parametrize(
    ('context', 'error'),
    [
        ('yes', TypeError),
        (1, TypeError),
        (server_context(), ValueError),
        (server_context('stdlib'), ValueError),
    ],
    ids=['str', 'int', 'ours', 'stdlib'],
)
def test_nothing_is_connected_for_what_is_no_context(context, error):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        listener.setblocking(False)
        with pytest.raises(error):
            create_connection(Protocol, listener.getsockname(), ssl=context)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_transports_take_either_kind_of_context(server_kind, client_kind):
    """As they are, without a word in between."""

    def handler(stream, transport, protocol):
        transport.start_tls(server_context(server_kind), True)
        assert stream.read(1) == b'x'
        stream.write(b'y')

    with serving(handler, False) as address:
        with connected(address, False) as stream:
            with pytest.raises(TypeError, match='need a TlsContext'):
                stream.transport.start_tls('context')
            stream.transport.start_tls(client_context(client_kind), False, 'localhost')
            stream.write(b'x')
            assert stream.read(1) == b'y'


def test_a_function_chooses_a_context_for_each_connection():
    handles = []

    def choose(handle):
        handles.append(handle)
        return server_context()

    with serving(echo, choose) as address:
        for count in (1, 2):
            with connected(address, lambda handle: client_context()) as stream:
                stream.write(b'x')
                assert stream.read(1) == b'x'
                assert len(handles) == count


def test_the_transport_has_gruvis_name_too():
    assert SslTransport is TlsTransport
    assert issubclass(TlsTransport, Transport)
