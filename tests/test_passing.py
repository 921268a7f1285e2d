import array
import gc
import os
import socket
import subprocess
import sys

import pytest

from gruvi_cffi import (
    Protocol,
    StreamProtocol,
    TransportError,
    create_connection,
    create_server,
    limits,
    sleep,
)  # fmt: skip

CLOSED_FD = 987_654


class Taker(Protocol):
    """Notes what comes, and which descriptor with it."""

    def __init__(self):
        super().__init__()
        self.got = []
        self.lost = False
        self.takes = True

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.got.append(data)
        while self.takes:
            fd = self.transport.take_fd()
            if fd is None:
                break
            self.got.append(fd)

    def connection_lost(self, exc):
        self.lost = True


@pytest.fixture
def pair():
    """Two transports that pass descriptors to each other, and their protocols."""
    ends = [create_connection(Taker, each, ipc=True) for each in socket.socketpair()]
    yield ends
    for transport, protocol in ends:
        for fd in protocol.got:
            if isinstance(fd, int):
                os.close(fd)
        transport.abort()


def until(condition):
    while not condition():
        sleep(0)


def name_of(fd):
    return os.readlink(f'/proc/self/fd/{fd}')


def test_a_file_travels(pair, tmp_path):
    (ours, _), (_, theirs) = pair
    with open(tmp_path / 'file', 'w+') as file:
        ours.write(b'spam', file)
    until(lambda: len(theirs.got) == 2)
    assert theirs.got[0] == b'spam'
    os.write(theirs.got[1], b'eggs')
    assert (tmp_path / 'file').read_bytes() == b'eggs'
    assert not os.get_inheritable(theirs.got[1])


def test_it_works_both_ways(pair):
    (ours, mine), (theirs, _) = pair
    theirs.write(b'x', 0)
    until(lambda: len(mine.got) == 2)
    assert os.fstat(mine.got[1]).st_ino == os.fstat(0).st_ino
    assert ours.take_fd() is None


def test_many_travel_in_order_with_the_data(pair, tmp_path):
    (ours, _), (_, theirs) = pair
    folders = [tmp_path / str(number) for number in range(300)]
    for number, folder in enumerate(folders):
        folder.mkdir()
        fd = os.open(folder, os.O_RDONLY)
        ours.write(b'%d;' % number)
        ours.write(b'*' * (number % 7 + 1), fd)
        os.close(fd)
    until(lambda: sum(isinstance(each, int) for each in theirs.got) == 300)
    names = [name_of(each) for each in theirs.got if isinstance(each, int)]
    assert names == [str(folder) for folder in folders]
    wanted = b''.join(b'%d;%b' % (number, b'*' * (number % 7 + 1)) for number in range(300))
    until(
        lambda: len(b''.join(each for each in theirs.got if isinstance(each, bytes))) == len(wanted)
    )
    assert b''.join(each for each in theirs.got if isinstance(each, bytes)) == wanted


def test_a_large_write_takes_its_descriptor_along(pair):
    (ours, _), (_, theirs) = pair
    data = os.urandom(3_000_000)
    ours.write(data, 0)
    ours.write_eof()
    until(lambda: theirs.lost)
    assert b''.join(each for each in theirs.got if isinstance(each, bytes)) == data
    assert [type(each) for each in theirs.got].count(int) == 1


def test_what_nobody_takes_stops_the_reading_and_is_closed_in_the_end(pair, caplog):
    (ours, _), (transport, theirs) = pair
    theirs.takes = False
    before = len(os.listdir('/proc/self/fd'))
    for _ in range(3 * limits.PASSED_FDS):
        ours.write(b'x', 0)
    for _ in range(50):
        sleep(0)
    assert sum(map(len, theirs.got)) < 2 * limits.PASSED_FDS
    assert 'nobody takes' in caplog.text
    transport.abort()
    ours.abort()
    until(lambda: theirs.lost)
    gc.collect()
    assert len(os.listdir('/proc/self/fd')) <= before


def test_what_was_not_taken_comes_when_it_is(pair):
    (ours, _), (transport, theirs) = pair
    theirs.takes = False
    for _ in range(3 * limits.PASSED_FDS):
        ours.write(b'x', 0)
    taken = 0
    while taken < 3 * limits.PASSED_FDS:
        fd = transport.take_fd()
        if fd is None:
            sleep(0)
        else:
            os.close(fd)
            taken += 1
    until(lambda: sum(map(len, theirs.got)) == 3 * limits.PASSED_FDS)


def test_what_cannot_be_passed(pair):
    (ours, _), _ = pair
    with pytest.raises(TypeError, match='need a descriptor'):
        ours.write(b'x', 'spam')
    with pytest.raises(TransportError, match=f'pass file descriptor {CLOSED_FD}'):
        ours.write(b'x', CLOSED_FD)
    with pytest.raises(ValueError, match='a byte of data'):
        ours.write(b'', 0)
    ours.write(b'x')  # it is still good
    ours.abort()
    with pytest.raises(TransportError):
        ours.write(b'x', 0)


def test_only_where_it_was_asked_for():
    one, other = socket.socketpair()
    transport, _ = create_connection(Protocol, one)
    for call in (lambda: transport.write(b'x', 0), transport.take_fd):
        with pytest.raises(ValueError, match='ipc=True'):
            call()
    transport.abort()
    other.close()
    with pytest.raises(ValueError, match='Unix sockets'):
        create_server(Protocol, ('localhost', 0), ipc=True)
    with socket.create_server(('localhost', 0)) as listener:
        with pytest.raises(ValueError, match='Unix sockets'):
            create_connection(Protocol, listener.getsockname()[:2], ipc=True)


def test_a_connection_that_another_process_has_accepted(tmp_path):
    """A process accepts, and passes the connection to our server."""
    answered = []

    class Greeter(Protocol):
        def connection_made(self, transport):
            transport.write(b'hello')
            transport.close()

    class Front(Taker):
        takes = False

        def data_received(self, data):
            for _ in data:
                server.accept_connection(self.transport)
            answered.append(data)

        def __init__(self):
            super().__init__()
            self.takes = False

    server = create_server(Greeter)
    front = create_server(Front, str(tmp_path / 'socket'), ipc=True)
    program = """
import array, socket, sys
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
with socket.socket(socket.AF_UNIX) as back:
    back.connect(sys.argv[1])
    for _ in range(3):
        connection, _ = listener.accept()
        fds = array.array('i', [connection.fileno()]).tobytes()
        back.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        connection.close()
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, '-S', '-c', program, str(tmp_path / 'socket')],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        port = int(process.stdout.readline())
        for _ in range(3):
            _, protocol = create_connection(StreamProtocol, ('127.0.0.1', port))
            assert protocol.stream.read() == b'hello'
            protocol.stream.close()
        process.stdin.close()
    assert b''.join(answered) == b'xxx'
    front.close()
    server.close()


def test_a_connection_that_is_none(tmp_path, pair):
    (ours, _), (transport, theirs) = pair
    server = create_server(Protocol)
    theirs.takes = False
    with pytest.raises(TransportError, match='no descriptor was passed'):
        server.accept_connection(transport)
    (tmp_path / 'file').write_bytes(b'')
    with open(tmp_path / 'file') as file:
        ours.write(b'x', file)
    until(lambda: theirs.got)
    with pytest.raises(TransportError):
        server.accept_connection(transport)
    one, other = socket.socketpair()
    server.accept_connection(one)
    assert len(server.connections) == 1
    other.close()
    server.close(0)


def test_what_another_program_passes():
    """Several descriptors in one message, and more data than that."""
    one, other = socket.socketpair()
    _, protocol = create_connection(Taker, one, ipc=True)
    fds = array.array('i', [0, 1, 2]).tobytes()
    other.sendmsg([b'spam'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    other.sendall(b'eggs')
    other.close()
    until(lambda: protocol.lost)
    taken = [each for each in protocol.got if isinstance(each, int)]
    assert [os.fstat(each).st_ino for each in taken] == [os.fstat(each).st_ino for each in range(3)]
    for each in taken:
        os.close(each)
    assert b''.join(each for each in protocol.got if isinstance(each, bytes)) == b'spameggs'
