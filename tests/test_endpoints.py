"""Connecting to all kinds of addresses, and the client that does."""

from __future__ import annotations

import os
import pathlib
import socket
import tempfile

import pytest
from transporting import Recorder

from gruvi_cffi._native.tcp import TcpHandle
from gruvi_cffi.connect import open_socket
from gruvi_cffi.endpoints import Client, Server, create_connection, create_server
from gruvi_cffi.errors import Cancelled, TransportError
from gruvi_cffi.fibers import spawn
from gruvi_cffi.hub import get_hub, sleep
from gruvi_cffi.protocols import Protocol
from gruvi_cffi.transports import Transport


class Echo(Recorder):
    def data_received(self, data):
        super().data_received(data)
        self.transport.write(data)


def until(condition):
    for _ in range(5000):
        if condition():
            return
        sleep(0.001)
    raise AssertionError('it did not happen')


def closed(transport):
    transport.abort()
    until(lambda: transport.closed)


@pytest.fixture
def server():
    server = Server(Echo)
    yield server
    server.close(0)


@pytest.fixture
def folder():
    # The name of a Unix socket must be short.
    with tempfile.TemporaryDirectory(prefix='g') as folder:
        yield folder


@pytest.fixture(params=['IPv4', 'IPv6', 'name', 'path', 'bytes', 'abstract', 'pathlike'])
def address(request, folder, server):
    """The address of a server, in all forms."""
    where = {
        'IPv4': ('127.0.0.1', 0),
        'IPv6': ('::1', 0),
        'name': ('localhost', 0),
        'path': f'{folder}/socket',
        'bytes': f'{folder}/socket'.encode(),
        'abstract': '\0' + folder,
        'pathlike': pathlib.Path(folder, 'socket'),
    }[request.param]
    server.listen(where)
    if isinstance(where, tuple):
        return where[0], server.addresses[0][1]
    return where


def exchange(transport, protocol):
    transport.write(b'spam')
    until(lambda: protocol.received == b'spam')
    closed(transport)


def test_connecting(address):
    transport, protocol = create_connection(Recorder, address)
    assert isinstance(transport, Transport)
    assert protocol.calls == ['made']
    assert protocol.transport is transport
    exchange(transport, protocol)
    assert protocol.error is None


def test_the_names_agree(server, address):
    transport, _ = create_connection(Recorder, address)
    until(lambda: server.connections)
    ((other, _),) = server.connections
    assert transport.get_extra_info('peername') == other.get_extra_info('sockname')
    assert transport.get_extra_info('sockname') == other.get_extra_info('peername')
    assert transport.get_extra_info('peername') in server.addresses
    closed(transport)


def test_the_host_is_the_server_hostname(server):
    server.listen(('localhost', 0))
    _, port = server.addresses[0][:2]
    for given, known in ((None, 'localhost'), ('example.org', 'example.org')):
        transport, _ = create_connection(Recorder, ('localhost', port), server_hostname=given)
        assert transport.get_extra_info('server_hostname') == known
        until(lambda: server.connections)
        ((other, _),) = server.connections
        assert other.get_extra_info('server_hostname') is None
        closed(transport)
        until(lambda: not server.connections)


def test_small_pieces_are_sent_at_once(server):
    server.listen(('127.0.0.1', 0))
    transport, _ = create_connection(Recorder, server.addresses[0])
    until(lambda: server.connections)
    ((other, _),) = server.connections
    for end in (transport, other):
        view = end.get_extra_info('socket')
        assert view.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    closed(transport)


# What is open already.


def test_a_socket_of_pythons_is_taken_over():
    ours, theirs = socket.socketpair()
    with theirs:
        transport, protocol = create_connection(Recorder, ours)
        assert ours.fileno() == -1
        theirs.send(b'spam')
        until(lambda: protocol.received == b'spam')
        closed(transport)
        assert theirs.recv(1) == b''


def test_a_tcp_socket_of_pythons_is_a_tcp_connection(server):
    server.listen(('127.0.0.1', 0))
    ours = socket.create_connection(server.addresses[0])
    transport, protocol = create_connection(Recorder, ours)
    assert isinstance(transport.get_extra_info('handle'), TcpHandle)
    assert transport.get_extra_info('peername') == server.addresses[0]
    exchange(transport, protocol)


def test_descriptors_of_a_pipe_are_taken_over():
    reading, writing = os.pipe()
    reader, protocol = create_connection(Recorder, reading, mode='r')
    writer, _ = create_connection(Recorder, writing, mode='w')
    writer.write(b'spam')
    writer.close()
    until(lambda: reader.closed)
    assert protocol.calls == ['made', b'spam', 'eof', ('lost', None)]


def test_a_connected_handle_is_taken_over():
    ours, theirs = socket.socketpair()
    with theirs:
        handle = open_socket(get_hub().loop, ours)
        transport, protocol = create_connection(Recorder, handle)
        assert transport.get_extra_info('handle') is handle
        theirs.send(b'spam')
        until(lambda: protocol.received == b'spam')
        with pytest.raises(TransportError, match='belongs to <Transport open'):
            create_connection(Recorder, handle)
        assert handle.owner is transport
        closed(transport)


@pytest.mark.parametrize('mode', ['x', None])
def test_a_mode_that_is_none_leaves_nothing(server, mode):
    server.listen(('127.0.0.1', 0))
    with pytest.raises(ValueError, match='mode'):
        create_connection(Recorder, server.addresses[0], mode=mode)


@pytest.mark.parametrize(
    'address', [('127.0.0.1', 1.5), ('127.0.0.1', True), ('::1', 1, 0), ('::1', 1, 0, 0, 0), (1, 2)]
)
def test_what_is_no_ip_address(server, address):
    with pytest.raises(TypeError):
        create_connection(Recorder, address)
    with pytest.raises(TypeError):
        server.listen(address)
    with pytest.raises(TypeError):
        create_connection(Recorder, ('127.0.0.1', 1), local_address=address)


@pytest.mark.parametrize('port', [65536, -1, '65536', b'102993'])
def test_what_is_no_port(server, port):
    with pytest.raises((ValueError, TransportError)):
        create_connection(Recorder, ('127.0.0.1', port))
    with pytest.raises((ValueError, TransportError)):
        server.listen(('127.0.0.1', port))


@pytest.mark.parametrize('timeout', [-5, float('nan')])
def test_what_is_no_timeout(timeout):
    with pytest.raises(ValueError, match='timeout'):
        Client(Recorder, timeout)
    with pytest.raises(ValueError, match='timeout'):
        create_connection(Recorder, ('127.0.0.1', 1), timeout=timeout)


@pytest.mark.parametrize('address', [None, 1.5, True, ['host', 80], object()])
def test_what_is_no_address(address):
    with pytest.raises(TypeError, match='need a name'):
        create_connection(Recorder, address)


def test_a_closed_descriptor():
    with pytest.raises(TransportError, match='file descriptor 9999') as raised:
        create_connection(Recorder, 9999)
    assert raised.value.errno == 9


def test_a_closed_socket():
    closed_socket = socket.socket()
    closed_socket.close()
    with pytest.raises(TransportError, match='file descriptor -1'):
        create_connection(Recorder, closed_socket)


def test_a_regular_file_stays_the_callers():
    with tempfile.TemporaryFile() as file:
        with pytest.raises(PermissionError):
            create_connection(Recorder, file.fileno(), mode='r')
        file.write(b'still open')


def test_a_datagram_socket_stays_the_callers():
    for family in (socket.AF_INET, socket.AF_UNIX):
        with socket.socket(family, socket.SOCK_DGRAM) as given:
            with pytest.raises(ValueError, match='need a stream socket'):
                create_connection(Recorder, given)
            assert given.fileno() >= 0


def test_a_socket_that_is_not_connected():
    given = socket.socket()
    with pytest.raises(TransportError):
        create_connection(Recorder, given)


# Protocols.


def test_a_factory_that_raises(server):
    def factory():
        raise ValueError('no protocol')

    server.listen(('127.0.0.1', 0))
    with pytest.raises(ValueError, match='no protocol'):
        create_connection(factory, server.addresses[0])


def test_connection_made_that_raises(server):
    class Broken(Recorder):
        def connection_made(self, transport):
            raise ValueError('no use')

    protocol = Broken()
    server.listen(('127.0.0.1', 0))
    with pytest.raises(ValueError, match='no use'):
        create_connection(lambda: protocol, server.addresses[0])
    until(lambda: protocol.lost)
    assert isinstance(protocol.error, ValueError)


def test_connection_made_must_not_switch(server):
    class Impatient(Recorder):
        def connection_made(self, transport):
            sleep(0)

    server.listen(('127.0.0.1', 0))
    with pytest.raises(AssertionError, match='switchpoint sleep'):
        create_connection(Impatient, server.addresses[0])


def test_a_protocol_of_ours_learns_the_timeout(server):
    server.listen(('127.0.0.1', 0))
    transport, protocol = create_connection(Protocol, server.addresses[0], timeout=7)
    assert protocol._timeout == 7
    closed(transport)
    transport, protocol = create_connection(lambda: Protocol(timeout=3), server.addresses[0])
    assert protocol._timeout == 3
    closed(transport)


def test_a_foreign_protocol_is_left_alone(server):
    server.listen(('127.0.0.1', 0))
    transport, protocol = create_connection(Recorder, server.addresses[0], timeout=7)
    assert not hasattr(protocol, '_timeout')
    closed(transport)


# The client.


@pytest.fixture
def port(server):
    server.listen(('127.0.0.1', 0))
    return server.addresses[0]


def test_a_client_connects_and_closes(port):
    client = Client(Recorder)
    assert client.transport is None
    assert client.protocol is None
    client.close()
    for _ in range(2):
        client.connect(port)
        protocol = client.protocol
        assert protocol.transport is client.transport
        client.transport.write(b'spam')
        until(lambda: protocol.received == b'spam')
        client.close()
        assert protocol.calls[-1] == ('lost', None)
        assert client.transport is None
        assert client.protocol is None


def test_a_client_connects_once_at_a_time(port):
    client = Client(Recorder)
    one, two = (spawn(client.connect, port) for _ in range(2))
    with pytest.raises(RuntimeError, match='connected already'):
        two.result()
    one.result()
    with pytest.raises(RuntimeError, match='connected already'):
        client.connect(port)
    client.close()


def test_a_client_that_could_not_connect_can_try_again(port, folder):
    client = Client(Recorder)
    with pytest.raises(FileNotFoundError):
        client.connect(f'{folder}/missing')
    client.connect(port)
    client.close()


def test_a_client_whose_connection_was_lost_can_connect_again(server, port):
    client = Client(Recorder)
    client.connect(port)
    until(lambda: server.connections)
    ((other, _),) = server.connections
    other.close()
    until(lambda: client.transport.closed)
    assert client.protocol.calls[-2:] == ['eof', ('lost', None)]
    client.connect(port)
    assert client.protocol.calls == ['made']
    client.close()


def test_closing_a_client_waits_until_everything_was_sent():
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    client = Client(Recorder)
    client.connect(ours)
    client.transport.write(bytes(1_000_000))
    fiber = spawn(client.close)
    received = 0

    def take():
        nonlocal received
        try:
            received += len(theirs.recv(1 << 20))
        except BlockingIOError:
            assert fiber.alive
        return received == 1_000_000

    until(take)
    fiber.join()
    assert theirs.recv(1) == b''
    theirs.close()


def test_closing_a_client_takes_no_longer_than_its_timeout():
    ours, theirs = socket.socketpair()
    with theirs:
        client = Client(Recorder)
        client.connect(ours)
        client.transport.write(bytes(10_000_000))
        protocol = client.protocol
        client.close(timeout=0.01)
        assert protocol.calls[-1] == ('lost', None)


def test_a_cancelled_close_aborts():
    ours, theirs = socket.socketpair()
    with theirs:
        client = Client(Recorder)
        client.connect(ours)
        client.transport.write(bytes(10_000_000))
        protocol = client.protocol
        fiber = spawn(client.close)
        sleep(0)
        fiber.cancel()
        with pytest.raises(Cancelled):
            fiber.result()
        until(lambda: protocol.lost)


@pytest.mark.parametrize('turns', range(7))
def test_a_client_can_be_cancelled_at_any_moment(address, turns):
    client = Client(Recorder)

    def go():
        client.connect(address)
        client.close()

    fiber = spawn(go)
    for _ in range(turns):
        sleep(0)
    fiber.cancel()
    fiber.join()
    client.close()
    client.connect(address)
    client.transport.write(b'spam')
    until(lambda: client.protocol.received == b'spam')
    client.close()


def test_the_timeout_of_a_client_is_that_of_its_protocol(port):
    client = Client(Protocol, timeout=7)
    assert client.timeout == 7
    client.connect(port)
    assert client.protocol._timeout == 7
    client.close()
    client.connect(port, timeout=8)
    assert client.protocol._timeout == 8
    client.close()


def test_create_server(folder):
    server = create_server(Echo, f'{folder}/socket', timeout=3)
    assert server.addresses == [f'{folder}/socket']
    assert server.timeout == 3
    transport, protocol = create_connection(Recorder, f'{folder}/socket')
    exchange(transport, protocol)
    server.close()
    assert create_server(Echo).addresses == []


def test_nothing_is_open_afterwards(server, port):
    before = set(get_hub().loop.handles)
    client = Client(Recorder)
    client.connect(port)
    client.close()
    until(lambda: not server.connections)
    sleep(0)
    assert set(get_hub().loop.handles) == before
