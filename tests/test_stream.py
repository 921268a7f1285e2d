"""StreamClient and StreamServer, over TCP and Unix sockets."""

import contextlib
import gc
import os
import socket

import pytest
from streaming import in_thread, receive_all

from gruvi_cffi import (
    Cancelled,
    ProtocolError,
    StreamClient,
    StreamServer,
    Timeout,
    TransportError,
    limits,
    sleep,
    spawn,
)


def echo(stream, transport, protocol):
    while True:
        data = stream.read1(1 << 16)
        if not data:
            return
        stream.write(data)


@pytest.fixture(params=['tcp', 'unix'])
def address(request, tmp_path):
    return ('127.0.0.1', 0) if request.param == 'tcp' else str(tmp_path / 'socket')


@pytest.fixture
def serve():
    """Start a server, close it at the end, and return its address."""
    servers = []

    def start(handler, address=('127.0.0.1', 0), **options):
        server = StreamServer(handler, **options)
        servers.append(server)
        server.listen(address)
        return server

    yield start
    for server in servers:
        server.close(timeout=5)


@pytest.fixture
def connect():
    """Connect a client, and close it at the end."""
    clients = []

    def start(server, **options):
        client = StreamClient(**options)
        clients.append(client)
        client.connect(server.addresses[0])
        return client

    yield start
    for client in clients:
        client.close(timeout=5)


def test_lines_are_echoed(serve, connect, address):
    client = connect(serve(echo, address))
    client.write(b'spam\n')
    assert client.readline() == b'spam\n'
    client.writelines([b'a\n', b'b\n'])
    client.write_eof()
    assert client.readlines() == [b'a\n', b'b\n']
    assert client.read() == b''


def test_a_megabyte_is_echoed_by_two_fibers(serve, connect, address):
    client = connect(serve(echo, address))
    blob = os.urandom(1 << 20)

    def write():
        for at in range(0, len(blob), 7777):
            client.write(blob[at : at + 7777])
        client.write_eof()

    writer = spawn(write)
    assert client.read() == blob
    writer.result()


def test_an_answer_may_follow_the_end_of_the_question(serve):
    def handler(stream, transport, protocol):
        question = stream.read()
        stream.write(question[::-1])

    server = serve(handler)
    with socket.create_connection(server.addresses[0], 10) as theirs:
        theirs.sendall(b'spam')
        theirs.shutdown(socket.SHUT_WR)
        with in_thread(receive_all, theirs) as received:
            while not received:
                sleep(0.001)
    assert received == [b'maps']


def test_all_that_was_written_arrives_although_the_handler_returns(serve, connect):
    blob = os.urandom(3 << 20)
    client = connect(serve(lambda stream, transport, protocol: stream.write(blob)))
    assert client.read() == blob


def test_a_handler_that_fails_is_logged_and_the_connection_closed(serve, connect, caplog):
    client = connect(serve(lambda stream, transport, protocol: 1 / 0))
    assert client.read() == b''
    assert 'ZeroDivisionError' in caplog.text


def test_a_hundred_readers_that_do_not_read_cost_no_more_than_their_marks(serve):
    transports = []

    def pour(stream, transport, protocol):
        transports.append(transport)
        while True:
            stream.write(bytes(10_000))

    address = serve(pour).addresses[0]
    clients = [socket.create_connection(address) for _ in range(100)]
    try:
        full = []
        while len(full) < 100:  # every handler waits, and has done so for some turns
            sleep(0.001)
            full = [each for each in transports if each.get_write_buffer_size() > limits.WRITE_HIGH]
        for _ in range(50):
            sleep(0)
        sizes = [each.get_write_buffer_size() for each in transports]
        assert max(sizes) <= limits.WRITE_HIGH + 10_000
    finally:
        for client in clients:
            client.close()


def test_a_hundred_readers_that_are_slow_leave_memory_flat(serve):
    def pour(stream, transport, protocol):
        while True:
            stream.write(bytes(10_000))

    address = serve(pour).addresses[0]
    clients = [socket.create_connection(address) for _ in range(100)]
    try:
        for client in clients:
            client.setblocking(False)

        def read_a_little():
            for client in clients:
                with contextlib.suppress(BlockingIOError):
                    client.recv(4096)
            sleep(0)

        for _ in range(200):
            read_a_little()
        gc.collect()
        before = resident()
        for _ in range(1000):
            read_a_little()
        gc.collect()
        assert resident() - before < 8 << 20  # 100 more writes for each would be 95 MiB
    finally:
        for client in clients:
            client.close()


def resident():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def test_a_handler_is_cancelled_when_the_connection_is_lost(serve, connect):
    ended = []

    def handler(stream, transport, protocol):
        try:
            sleep(None)
        except Cancelled as error:
            ended.append(str(error))
            raise

    client = connect(serve(handler))
    while not ended:
        sleep(0.001)
        if client.transport is not None:
            client.transport.abort()
    assert ended == ['the connection is lost']


def test_stream_close_returns_to_the_handler(serve, connect):
    steps = []

    def handler(stream, transport, protocol):
        stream.write(b'bye')
        stream.close()
        sleep(0)
        steps.append('after close')

    client = connect(serve(handler))
    assert client.read() == b'bye'
    while not steps:
        sleep(0)


def test_the_timeout_of_the_server_is_that_of_its_streams(serve, connect):
    def handler(stream, transport, protocol):
        try:
            stream.read1()
        except Timeout:
            stream.write(b'too late')

    assert connect(serve(handler, timeout=0.01)).read() == b'too late'


def test_the_timeout_of_the_client_is_that_of_its_stream(serve, connect):
    client = connect(serve(echo), timeout=0.05)
    with pytest.raises(Timeout):
        client.read1()


def test_no_more_than_max_connections(serve, connect):
    server = serve(echo)
    server.max_connections = 2
    clients = [connect(server) for _ in range(2)]
    for client in clients:
        client.write(b'x')
        assert client.read1() == b'x'
    assert connect(server).read1() == b''
    assert len(server.connections) == 2


def test_a_client_that_is_not_connected_says_so():
    with pytest.raises(ProtocolError, match='not connected'):
        StreamClient().read()


def test_a_client_can_connect_again(serve):
    server = serve(echo)
    client = StreamClient()
    for _ in range(2):
        client.connect(server.addresses[0])
        client.write(b'spam')
        assert client.read1() == b'spam'
        client.close()
    assert client.transport is None


def test_closing_the_server_ends_handlers_and_connections(serve, connect):
    ended = []

    def handler(stream, transport, protocol):
        try:
            echo(stream, transport, protocol)
            sleep(None)
        finally:
            ended.append(True)

    server = serve(handler)
    client = connect(server)
    client.write(b'x')
    client.read1()
    server.close()
    assert ended == [True]
    assert client.read1() == b''


def test_a_reset_is_an_error_once_what_came_before_was_read(serve, connect):
    def handler(stream, transport, protocol):
        stream.write(b'spam')
        stream.read1()
        transport.abort()

    client = connect(serve(handler))
    client.write(b'x')
    with pytest.raises(TransportError) as caught:
        assert client.stream.readexactly(4) == b'spam'
        client.read1()
    assert isinstance(caught.value, ConnectionResetError)
