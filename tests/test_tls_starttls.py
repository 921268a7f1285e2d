"""TLS that begins, and ends, in the middle of a connection; and TLS within TLS."""

import socket

import pytest
from certificates import client_context, server_context
from tlsserving import KINDS, connected, echo, half_close, serving

from gruvi_cffi import Event, StreamProtocol, Timeout, get_hub, sleep, spawn, start_tls
from gruvi_cffi.connect import open_socket
from gruvi_cffi.errors import (
    CertificateError,
    StreamError,
    TlsError,
    TlsTruncated,
    TransportError,
)
from gruvi_cffi.ssl import TlsTransport, as_context


def upgrading(context):
    """Return a handler that speaks like SMTP until STARTTLS."""

    def handler(stream, transport, protocol):
        stream.write(b'220 hello\n')
        while line := stream.readline():
            if line == b'STARTTLS\n':
                stream.write(b'220 go ahead\n')
                stream.start_tls(context, server_side=True)
            else:
                state = b'tls' if transport.tls else b'plain'
                stream.write(b'250 %s %s' % (state, line))

    return handler


def test_both_ends_go_on_with_tls(server_kind, client_kind):
    handler = upgrading(server_context(server_kind))
    with serving(handler, False) as address, connected(address, False, None) as stream:
        assert stream.readline() == b'220 hello\n'
        stream.write(b'one\nSTARTTLS\n')
        assert stream.readline() == b'250 plain one\n'
        assert stream.readline() == b'220 go ahead\n'
        assert stream.transport.tls is None
        stream.start_tls(client_context(client_kind), server_hostname='localhost')
        assert stream.transport.tls.version() == 'TLSv1.3'
        stream.write(b'two\n')
        assert stream.readline() == b'250 tls two\n'


def test_the_name_is_that_which_was_connected_to(client_kind):
    handler = upgrading(server_context())
    with serving(handler, False) as address:
        with connected(('localhost', address[1]), False, None) as stream:
            stream.readline()
            stream.write(b'STARTTLS\n')
            stream.readline()
            stream.start_tls(client_context(client_kind))
            assert stream.transport.tls.server_hostname == 'localhost'


def test_what_was_sent_before_is_not_taken_for_what_is_secure(server_kind, client_kind):
    """CVE-2011-0411: commands behind STARTTLS in one segment."""
    handler = upgrading(server_context(server_kind))
    with serving(handler, False) as address, connected(address, False, None) as stream:
        stream.readline()
        stream.write(b'STARTTLS\nDELETE everything\n')
        stream.readline()
        with pytest.raises(TransportError):
            stream.start_tls(client_context(client_kind), server_hostname='localhost')


def test_the_beginning_of_tls_that_was_read_already(server_kind, client_kind):
    """The server speaks first in TLS, together with its last plain line."""
    server, client = server_context(server_kind), client_context(client_kind)

    def handler(stream, transport, protocol):
        stream.readline()
        spawn(stream.start_tls, client, server_hostname='localhost')  # roles as one likes
        stream.write(b'OK\n')

    def acting(stream, transport, protocol):
        stream.write(b'go\n')
        # The hello is here already when this begins.
        line = stream.readline()
        while not len(stream.buffer):
            sleep(0)
        stream.start_tls(server, server_side=True)
        seen.append((line, transport.tls.version()))

    seen = []

    def reader(stream, transport, protocol):
        assert stream.readline() == b'go\n'
        transport.write(b'OK\n')
        stream.start_tls(client, server_hostname='localhost')

    with serving(reader, False) as address, connected(address, False, None) as stream:
        acting(stream, stream.transport, None)
    assert seen == [(b'OK\n', 'TLSv1.3')]


def test_a_certificate_that_is_not_trusted_ends_the_connection(client_kind):
    handler = upgrading(server_context())
    with serving(handler, False) as address, connected(address, False, None) as stream:
        stream.readline()
        stream.write(b'STARTTLS\n')
        stream.readline()
        with pytest.raises(CertificateError):
            stream.start_tls(
                client_context(client_kind, trusted='other'), server_hostname='localhost'
            )
        with pytest.raises(TlsError):
            stream.read()
        with pytest.raises(TlsError):
            stream.write(b'x')


def test_wrong_arguments_leave_the_connection_as_it_was():
    with serving(echo, False) as address, connected(address, False, None) as stream:
        stream.write(b'hello')
        stream.buffer.wait_for_data()
        with pytest.raises(ValueError, match='other side'):
            stream.start_tls(server_context())
        with pytest.raises(ValueError, match='ssl must be'):
            stream.start_tls(False)
        with pytest.raises(TypeError, match='ssl must be'):
            stream.start_tls('context')
        assert stream.read(5) == b'hello'


def test_a_closed_connection_gets_no_tls():
    with serving(echo, False) as address, connected(address, False, None) as stream:
        transport = stream.transport
        stream.close()
        with pytest.raises(StreamError):
            stream.start_tls(client_context())
        with pytest.raises(TransportError):
            start_tls(transport, client_context(), server_hostname='localhost')


def test_not_after_the_peers_end():
    def half(stream, transport, protocol):
        stream.write_eof()
        stream.read()

    with serving(half, False) as address, connected(address, False, None) as stream:
        assert stream.read() == b''
        with pytest.raises(TransportError):
            stream.start_tls(client_context(), server_hostname='localhost')


def test_not_while_it_begins():
    with serving(echo, False) as address, connected(address, False, None) as stream:
        transport = stream.transport
        transport.start_tls(client_context(), server_hostname='localhost')
        with pytest.raises(TransportError):
            transport.start_tls(client_context(), server_hostname='localhost')
        transport.abort()


def test_who_gives_up_closes_the_connection(client_kind):
    with serving(lambda *args: args[0].read(), False) as address:
        with connected(address, False, None) as stream:
            context = client_context(client_kind)
            with pytest.raises(Timeout):
                stream.start_tls(context, server_hostname='localhost', timeout=0.05)
            assert stream.transport.is_closing()


# And the end of TLS.


def closing_tls(context):
    """Return a handler that ends TLS at b'CLEAR\\n', and starts it again at STARTTLS."""

    def handler(stream, transport, protocol):
        transport.close_on_unwrap = False  # the peer may end it before we do
        while line := stream.readline():
            if line == b'CLEAR\n':
                if transport.tls:
                    transport.unwrap()
                transport.write(b'250 clear\n')
            elif line == b'STARTTLS\n':
                stream.write(b'220 go ahead\n')
                stream.start_tls(context, server_side=True)
            else:
                stream.write(b'%s %s' % (b'tls' if transport.tls else b'plain', line))

    return handler


def test_tls_ends_and_begins_again(server_kind, client_kind):
    server, client = server_context(server_kind), client_context(client_kind)
    with serving(closing_tls(server), server) as address, connected(address, client) as stream:
        for _ in range(3):
            stream.write(b'one\n')
            assert stream.readline() == b'tls one\n'
            stream.write(b'CLEAR\n')
            stream.transport.unwrap()
            assert stream.readline() == b'250 clear\n'
            assert stream.transport.tls is None
            stream.write(b'two\n')
            assert stream.readline() == b'plain two\n'
            stream.write(b'STARTTLS\n')
            assert stream.readline() == b'220 go ahead\n'
            stream.start_tls(client, server_hostname='localhost')


# TLS within TLS.


@pytest.mark.parametrize('inner', ['ours', 'stdlib'])
def test_tls_within_tls(server_kind, client_kind, inner):
    inner_server, inner_client = server_context(inner), client_context(inner)

    def handler(stream, transport, protocol):
        assert stream.readline() == b'more\n'
        stream.start_tls(inner_server, server_side=True)
        echo(stream, transport, protocol)

    server, client = server_context(server_kind), client_context(client_kind)
    data = bytes(range(256)) * 1024
    with serving(handler, server) as address, connected(address, client) as stream:
        stream.write(b'more\n')
        stream.start_tls(inner_client, server_hostname='localhost')
        writer = spawn(stream.write, data)
        assert stream.read(len(data)) == data
        writer.result()
        assert stream.transport.tls.version() == 'TLSv1.3'


@pytest.mark.parametrize('inner', KINDS)
def test_tls_within_tls_that_is_cut(client_kind, inner):
    """The end of the outer one tells the inner one, which was not ended."""

    def handler(stream, transport, protocol):
        stream.start_tls(server_context(inner), server_side=True)
        stream.write(b'some')
        stream.read(1)
        half_close(transport)
        stream.read()

    with serving(handler, server_context()) as address:
        with connected(address, client_context(client_kind)) as stream:
            stream.start_tls(client_context(inner))
            assert stream.read(4) == b'some'
            stream.write(b'x')
            with pytest.raises(TlsTruncated):
                stream.read()


def test_a_peer_that_ends_tls_has_ended_the_connection(server_kind, client_kind):
    server, client = server_context(server_kind), client_context(client_kind)
    with serving(closing_tls(server), server) as address, connected(address, client) as stream:
        stream.write(b'CLEAR\n')
        assert stream.read() == b''


def test_a_transport_may_outlive_the_peers_tls(client_kind):
    """As Gruvi's SslTransport, with close_on_unwrap=False."""
    context = server_context()
    with serving(closing_tls(context), context) as address:
        handle = open_socket(get_hub().loop, socket.create_connection(address))
        context = as_context(client_context(client_kind), server_side=False)
        transport = TlsTransport(handle, context, False, 'localhost', close_on_unwrap=False)
        protocol = StreamProtocol()
        secured = Event()
        transport.start(protocol, lambda error: secured.set())
        secured.wait()
        protocol.stream.write(b'CLEAR\n')
        assert protocol.stream.readline() == b'250 clear\n'
        assert transport.tls is None
        protocol.stream.write(b'two\n')
        assert protocol.stream.readline() == b'plain two\n'
        protocol.stream.close()


def test_without_tls_there_is_nothing_to_be_ended():
    with serving(echo, False) as address, connected(address, False, None) as stream:
        with pytest.raises(TransportError, match='no TLS'):
            stream.transport.unwrap()
