"""Servers: what they listen on, whom they accept, and how they end."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
import tempfile

import pytest
from transporting import Recorder

from gruvi_cffi import limits
from gruvi_cffi._native.pipe import PipeHandle
from gruvi_cffi._native.tcp import TcpHandle
from gruvi_cffi.endpoints import Server
from gruvi_cffi.errors import Cancelled, TransportError
from gruvi_cffi.fibers import spawn
from gruvi_cffi.hub import get_hub, sleep
from gruvi_cffi.protocols import Protocol


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


def family_of(host):
    return socket.AF_INET6 if ':' in host else socket.AF_INET


@pytest.fixture
def server():
    server = Server(Echo)
    yield server
    server.close(0)


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix='g') as folder:
        yield folder


@pytest.fixture
def connect():
    """Connect plain sockets."""
    with contextlib.ExitStack() as stack:

        def connect(address):
            family = socket.AF_UNIX if isinstance(address, str) else family_of(address[0])
            client = stack.enter_context(socket.socket(family))
            client.settimeout(30)
            client.connect(address)
            return client

        yield connect


def receive(client, size):
    """Return *size* bytes from the server, which runs in this thread."""
    client.setblocking(False)
    received = b''

    def enough():
        nonlocal received
        with contextlib.suppress(BlockingIOError):
            data = client.recv(size - len(received))
            received += data
            return not data or len(received) == size
        return False

    until(enough)
    return received


def echoes(client):
    client.send(b'spam')
    return receive(client, 4) == b'spam'


# Listening.


def test_it_serves_many(server, connect):
    server.listen(('127.0.0.1', 0))
    clients = [connect(server.addresses[0]) for _ in range(50)]
    for number, client in enumerate(clients):
        client.send(b'%3d' % number)
    for number, client in enumerate(clients):
        assert receive(client, 3) == b'%3d' % number
    assert len(server.connections) == 50
    assert len(list(server.connections)) == 50
    for transport, protocol in server.connections:
        assert protocol.transport is transport


def test_it_listens_on_several_addresses(server, connect, folder):
    server.listen(('127.0.0.1', 0))
    server.listen(f'{folder}/socket')
    server.listen(('::1', 0))
    assert len(server.addresses) == 3
    for address in server.addresses:
        assert echoes(connect(address))


def test_each_address_of_a_host_is_bound_with_the_same_port(server, connect):
    server.listen(('localhost', 0))
    assert len({address[1] for address in server.addresses}) == 1
    for address in server.addresses:
        assert echoes(connect(address))


@pytest.mark.parametrize('host', ['', None])
def test_no_host_means_all_addresses_of_both_families(server, connect, host):
    server.listen((host, 0))
    hosts = {address[0] for address in server.addresses}
    assert hosts == {'0.0.0.0', '::'}
    port = server.addresses[0][1]
    assert echoes(connect(('127.0.0.1', port)))
    assert echoes(connect(('::1', port)))


def test_a_port_that_is_taken_in_one_family_alone(server, connect, monkeypatch):
    taken = []
    bind = TcpHandle.bind

    def bind_too_late(handle, host, port, **options):
        if port and not taken:
            taken.append(socket.create_server((host, port), family=family_of(host)))
        bind(handle, host, port, **options)

    monkeypatch.setattr(TcpHandle, 'bind', bind_too_late)
    server.listen(('', 0))
    taken[0].close()
    ports = {address[1] for address in server.addresses}
    assert len(server.addresses) == len(ports) == 2
    for address in server.addresses:
        assert echoes(connect(('::1' if ':' in address[0] else '127.0.0.1', address[1])))


def test_a_bound_socket_or_descriptor_or_handle_will_do(server, connect, folder):
    first = socket.socket()
    first.bind(('127.0.0.1', 0))
    second = socket.create_server(('127.0.0.1', 0))
    handle = PipeHandle(get_hub().loop)
    handle.bind(f'{folder}/socket')
    server.listen(first)
    server.listen(second.detach())
    server.listen(handle)
    assert first.fileno() == -1
    for address in server.addresses:
        assert echoes(connect(address))


def test_two_servers_share_a_port(server, connect):
    server.listen(('127.0.0.1', 0), reuse_port=True)
    other = Server(Echo)
    other.listen(server.addresses[0], reuse_port=True)
    clients = [connect(server.addresses[0]) for _ in range(30)]
    assert all(echoes(client) for client in clients)
    assert len(server.connections) + len(other.connections) == 30
    assert len(other.connections) > 0
    other.close(0)


def test_an_address_in_use(server, folder):
    for address in (('127.0.0.1', 0), f'{folder}/socket', '\0' + folder):
        server.listen(address)
        with pytest.raises(TransportError, match='could not bind to') as raised:
            server.listen(server.addresses[-1])
        assert raised.value.errno == errno.EADDRINUSE
    assert len(server.addresses) == 3


def test_an_address_that_is_not_ours(server):
    with pytest.raises(TransportError, match=r'could not bind to 192\.0\.2\.1:0') as raised:
        server.listen(('192.0.2.1', 0))
    assert raised.value.errno == errno.EADDRNOTAVAIL
    assert server.addresses == []


def test_one_address_of_several_that_is_not_ours_is_left_out(server, connect, monkeypatch, caplog):
    system = socket.getaddrinfo

    def look_up(node, service, *rest):
        return system('192.0.2.1', service, *rest) + system('127.0.0.1', service, *rest)

    monkeypatch.setattr(socket, 'getaddrinfo', look_up)
    server.listen(('many.test', 0))
    assert [address[0] for address in server.addresses] == ['127.0.0.1']
    assert '192.0.2.1:0' in caplog.text
    assert echoes(connect(server.addresses[0]))


@pytest.mark.parametrize('address', [None, 1.5, True, ['host', 80]])
def test_what_is_no_address(server, address):
    with pytest.raises(TypeError, match='need a name'):
        server.listen(address)


def test_a_socket_without_an_address_cannot_listen(server):
    with socket.socket() as unbound, pytest.raises(ValueError, match='bound'):
        server.listen(unbound)


def test_a_connected_socket_cannot_listen(server):
    ours, theirs = socket.socketpair()
    with theirs, pytest.raises(TransportError):
        server.listen(ours)
    assert server.addresses == []


# The name of a Unix socket.


def test_the_name_of_a_unix_socket_is_removed(server, folder, connect):
    path = f'{folder}/socket'
    server.listen(path)
    assert echoes(connect(path))
    server.close()
    assert os.listdir(folder) == []
    server.listen(path)
    assert echoes(connect(path))


def test_a_name_that_somebody_else_has_bound_meanwhile_stays(server, folder):
    path = f'{folder}/socket'
    server.listen(path)
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        server.close()
        assert os.listdir(folder) == ['socket']


def test_a_name_that_was_removed_is_no_error(server, folder):
    server.listen(f'{folder}/socket')
    os.unlink(f'{folder}/socket')
    server.close()


def test_a_relative_name_is_removed_wherever_we_are(server, folder, monkeypatch):
    monkeypatch.chdir(folder)
    server.listen('socket')
    monkeypatch.chdir('/')
    server.close()
    assert os.listdir(folder) == []


# Accepting.


def test_more_than_max_connections_are_accepted_and_closed(server, connect):
    server.max_connections = 2
    server.listen(('127.0.0.1', 0))
    welcome = [connect(server.addresses[0]) for _ in range(2)]
    assert all(echoes(client) for client in welcome)
    too_many = connect(server.addresses[0])
    assert receive(too_many, 1) == b''
    assert len(server.connections) == 2
    welcome[0].close()
    until(lambda: len(server.connections) == 1)
    assert echoes(connect(server.addresses[0]))


def test_the_hooks_come_before_the_protocol(connect):
    calls = []

    class Hooked(Server):
        def connection_made(self, transport, protocol):
            assert (transport, protocol) in self.connections
            calls.append(('server made', protocol.calls[:]))

        def connection_lost(self, transport, protocol, exc=None):
            assert (transport, protocol) not in self.connections
            calls.append(('server lost', protocol.calls[:], exc))

    server = Hooked(Echo)
    server.listen(('127.0.0.1', 0))
    connect(server.addresses[0]).close()
    until(lambda: len(calls) == 2)
    assert calls == [('server made', []), ('server lost', ['made', 'eof'], None)]
    server.close()


def test_connection_lost_is_told_why(connect):
    errors = []

    class Hooked(Server):
        def connection_lost(self, transport, protocol, exc=None):
            errors.append(exc)

    server = Hooked(Recorder)
    server.listen(('127.0.0.1', 0))
    client = connect(server.addresses[0])
    until(lambda: server.connections)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
    client.close()
    until(lambda: errors)
    assert isinstance(errors[0], ConnectionResetError)
    server.close()


@pytest.mark.parametrize('where', ['factory', 'hook', 'protocol'])
def test_a_connection_that_cannot_be_served_is_closed(connect, caplog, where):
    failing = True

    def fail(place):
        if failing and place == where:
            raise ValueError(f'no {place}')

    class Fragile(Echo):
        def connection_made(self, transport):
            super().connection_made(transport)
            fail('protocol')

    class Hooked(Server):
        def connection_made(self, transport, protocol):
            fail('hook')

    def factory():
        fail('factory')
        return Fragile()

    server = Hooked(factory)
    server.listen(('127.0.0.1', 0))
    client = connect(server.addresses[0])
    with pytest.raises(ConnectionResetError):
        receive(client, 1)
    assert f'ValueError: no {where}' in caplog.text
    until(lambda: not server.connections)
    failing = False
    assert echoes(connect(server.addresses[0]))
    server.close(0)


def test_protocols_of_ours_learn_the_timeout(connect):
    server = Server(Protocol, timeout=7)
    server.listen(('127.0.0.1', 0))
    connect(server.addresses[0])
    until(lambda: server.connections)
    ((_, protocol),) = server.connections
    assert protocol._timeout == 7
    server.close(0)


def test_without_descriptors_accepting_pauses_and_says_so_once(server, connect, caplog):
    server.listen(('127.0.0.1', 0))
    clients = [connect(server.addresses[0]) for _ in range(3)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        until(lambda: caplog.records)
        sleep(0.25)  # it tries again every 100 ms
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert all(echoes(client) for client in clients)
    (record,) = caplog.records
    assert record.levelname == 'WARNING'
    assert 'too many open files' in record.getMessage()
    assert f'127.0.0.1:{server.addresses[0][1]}' in record.getMessage()


# Closing.


def test_close_stops_accepting_and_closes_connections(server, connect):
    server.listen(('127.0.0.1', 0))
    client = connect(server.addresses[0])
    assert echoes(client)
    ((_, protocol),) = server.connections
    server.close()
    assert protocol.calls[-1] == ('lost', None)
    assert len(server.connections) == 0
    assert client.recv(1) == b''
    with pytest.raises(ConnectionRefusedError):
        connect(server.addresses[0])
    server.close()


def test_a_closed_server_can_listen_again(server, connect):
    server.listen(('127.0.0.1', 0))
    address = server.addresses[0]
    server.close()
    server.listen(address)
    assert server.addresses == [address, address]
    assert echoes(connect(address))


def test_nobody_who_was_accepted_is_forgotten(server, connect):
    server.listen(('127.0.0.1', 0))
    clients = [connect(server.addresses[0]) for _ in range(20)]
    sleep(0)
    server.close()
    for client in clients:
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b''


class Generous(Recorder):
    def connection_made(self, transport):
        super().connection_made(transport)
        transport.write(bytes(10_000_000))


def test_close_waits_until_everything_was_sent(connect):
    server = Server(Generous)
    server.listen(('127.0.0.1', 0))
    client = connect(server.addresses[0])
    until(lambda: server.connections)
    fiber = spawn(server.close)
    sleep(0)
    assert len(receive(client, 10_000_000)) == 10_000_000
    fiber.join()
    assert client.recv(1) == b''


def test_close_aborts_those_who_take_longer_than_its_timeout(connect):
    server = Server(Generous)
    server.listen(('127.0.0.1', 0))
    connect(server.addresses[0])
    until(lambda: server.connections)
    ((_, protocol),) = server.connections
    server.close(timeout=0.02)
    assert protocol.calls[-1] == ('lost', None)
    assert len(server.connections) == 0


def test_without_a_timeout_each_connection_has_its_own(connect, monkeypatch):
    monkeypatch.setattr(limits, 'FLUSH_TIMEOUT', 0.02)
    server = Server(Generous)
    server.listen(('127.0.0.1', 0))
    connect(server.addresses[0])
    until(lambda: server.connections)
    ((_, protocol),) = server.connections
    server.close()
    assert isinstance(protocol.error, TimeoutError)


def test_a_cancelled_close_aborts(connect):
    server = Server(Generous)
    server.listen(('127.0.0.1', 0))
    connect(server.addresses[0])
    until(lambda: server.connections)
    fiber = spawn(server.close)
    sleep(0)
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.result()
    until(lambda: not server.connections)


@pytest.mark.parametrize('turns', range(5))
def test_a_server_can_be_cancelled_while_it_closes(connect, turns):
    server = Server(Echo)
    server.listen(('127.0.0.1', 0))
    clients = [connect(server.addresses[0]) for _ in range(3)]
    until(lambda: len(server.connections) == 3)
    protocols = [protocol for _, protocol in server.connections]
    fiber = spawn(server.close)
    for _ in range(turns):
        sleep(0)
    fiber.cancel()
    fiber.join()
    server.close()
    assert [protocol.lost for protocol in protocols] == [True] * 3
    for client in clients:
        with contextlib.suppress(ConnectionResetError):  # it was aborted
            assert client.recv(1) == b''


def test_stop_listening_leaves_the_connections(server, connect):
    server.listen(('127.0.0.1', 0))
    client = connect(server.addresses[0])
    assert echoes(client)
    server.stop_listening()
    with pytest.raises(ConnectionRefusedError):
        connect(server.addresses[0])
    assert echoes(client)


def test_a_server_that_never_listened_closes():
    Server(Echo).close()


def test_a_socket_that_others_may_listen_on_stays_non_blocking(server):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        server.listen(os.dup(listener.fileno()))
        server.close()
        assert not os.get_blocking(listener.fileno())  # or they would wait in accept()
