import contextlib
import errno
import gc
import io
import os
import socket
import threading

import pytest

from gruvi_cffi import Cancelled, get_hub, sleep, spawn
from gruvi_cffi.socket import Socket, create_connection, create_server, fromfd, socketpair
from gruvi_cffi.threads import find as find_hub

TIMEOUT = 20


def until(condition):
    for _ in range(10_000):
        if condition():
            return
        sleep(0.001)
    raise AssertionError('it did not happen')


@pytest.fixture
def pair():
    one, two = socketpair()
    one.settimeout(TIMEOUT)
    two.settimeout(TIMEOUT)
    yield one, two
    one.close()
    two.close()


@pytest.fixture
def server():
    with create_server(('127.0.0.1', 0)) as made:
        made.settimeout(TIMEOUT)
        yield made


def echo(sock):
    with sock:
        while True:
            data = sock.recv(65536)
            if not data:
                break
            sock.sendall(data)


def test_it_is_a_socket(pair):
    assert isinstance(pair[0], socket.socket)
    assert pair[0].family == socket.AF_UNIX
    assert 'Socket' in repr(pair[0])
    assert pair[0].getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM


def test_a_call_waits_and_the_others_go_on(pair):
    fiber = spawn(pair[0].recv, 10)
    sleep(0.001)
    assert fiber.alive
    pair[1].sendall(b'spam')
    assert fiber.result(TIMEOUT) == b'spam'


def test_clients_and_a_server(server):
    address = server.getsockname()

    def serve():
        for _ in range(20):
            sock, peer = server.accept()
            assert sock.getpeername() == peer
            spawn(echo, sock)

    def ask(number):
        with create_connection(address, TIMEOUT) as sock:
            assert sock.gettimeout() == TIMEOUT
            data = bytes([number]) * 300_000
            sender = spawn(sock.sendall, data)
            got = bytearray()
            while len(got) < len(data):
                got += sock.recv(65536)
            sender.result(TIMEOUT)
            assert got == data
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(1) == b''

    fibers = [spawn(serve), *[spawn(ask, number) for number in range(20)]]
    for fiber in fibers:
        fiber.result(TIMEOUT)


def test_names_are_looked_up(server):
    port = server.getsockname()[1]
    accepted = spawn(server.accept)
    with Socket(socket.AF_INET) as sock:
        sock.connect(('localhost', port))
        assert sock.getpeername() == ('127.0.0.1', port)
    accepted.result(TIMEOUT)[0].close()
    with Socket(socket.AF_INET) as sock, pytest.raises(socket.gaierror):
        sock.connect(('nonesuch.invalid', 80))


def test_nobody_listens(server):
    address = server.getsockname()
    server.close()
    with pytest.raises(ConnectionRefusedError):
        create_connection(address)
    with Socket() as sock:
        with pytest.raises(ConnectionRefusedError):
            sock.connect(address)
    with Socket() as sock:
        assert sock.connect_ex(address) == errno.ECONNREFUSED


def test_a_unix_socket_whose_backlog_is_full(tmp_path):
    path = str(tmp_path / 'socket')
    with Socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as stack:
        listener.bind(path)
        listener.listen(0)
        late = stack.enter_context(Socket(socket.AF_UNIX))
        late.settimeout(0)
        while late.connect_ex(path) == 0:
            late = stack.enter_context(Socket(socket.AF_UNIX))
            late.settimeout(0)
        with pytest.raises(BlockingIOError):
            late.connect(path)
        late.settimeout(0.02)
        with pytest.raises(socket.timeout):
            late.connect(path)
        assert late.connect_ex(path) == errno.EAGAIN
        late.settimeout(TIMEOUT)
        connecting = spawn(late.connect, path)
        sleep(0.01)
        assert connecting.alive
        listener.accept()[0].close()
        connecting.result(TIMEOUT)
        assert late.getpeername() == path


@pytest.mark.parametrize('port', [None, '80', 1.5, 70_000])
def test_a_port_that_is_none_is_what_the_standard_library_says(port):
    with socket.socket() as theirs, pytest.raises((TypeError, OverflowError)) as caught:
        theirs.connect(('127.0.0.1', port))
    with Socket() as ours, pytest.raises(caught.type):
        ours.connect(('127.0.0.1', port))


def test_addresses_that_are_no_names():
    with Socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.connect(('<broadcast>', 9))
        assert sock.getpeername() == ('255.255.255.255', 9)
    with Socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for wrong in ((), ('127.0.0.1',), 'localhost', None):
            with pytest.raises((TypeError, ValueError)):  # the latter is PyPy's
                sock.connect(wrong)


def test_the_scope_of_an_address_is_kept():
    # Nobody has this one, but without its scope it would make no sense.
    scope = socket.getaddrinfo('fe80::1%lo', 9)[0][4][3]
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as theirs:
        code = theirs.connect_ex(('fe80::1', 9, 0, scope))
    assert code != errno.EINVAL
    for address in (('fe80::1%lo', 9), ('fe80::1', 9, 0, scope)):
        with Socket(socket.AF_INET6, socket.SOCK_DGRAM) as ours:
            assert ours.connect_ex(address) == code


def test_create_connection_as_in_the_standard_library(server):
    address = server.getsockname()
    socket.setdefaulttimeout(7)
    try:
        for arguments, timeout in (((), 7), ((None,), None), ((3,), 3)):
            with create_connection(address, *arguments) as sock:
                assert sock.gettimeout() == timeout
    finally:
        socket.setdefaulttimeout(None)
    with create_connection(address, source_address=('127.0.0.1', 0)) as sock:
        assert sock.getpeername() == address
    with pytest.raises(socket.gaierror):
        create_connection(address, family=socket.AF_INET6)


def test_all_errors_of_create_connection(server):
    address = server.getsockname()
    server.close()
    with pytest.raises(Exception, match='create_connection failed') as caught:
        create_connection(address, all_errors=True)
    assert [type(error) for error in caught.value.exceptions] == [ConnectionRefusedError]


def test_one_that_nobody_closes_leaves_nothing():
    def forget():
        one, two = socketpair()
        spawn(one.recv, 1).cancel()
        sleep(0)
        two.close()

    before = len(get_hub().loop.handles)
    with pytest.warns(ResourceWarning):
        forget()
        until(lambda: (gc.collect(), len(get_hub().loop.handles) <= before)[1])


@pytest.mark.parametrize(
    'call',
    [
        lambda sock: sock.recv(1),
        lambda sock: sock.recv_into(bytearray(1)),
        lambda sock: sock.recvfrom(1),
        lambda sock: sock.recvfrom_into(bytearray(1)),
        lambda sock: sock.recvmsg(1),
        lambda sock: sock.recvmsg_into([bytearray(1)]),
        lambda sock: sock.sendall(bytes(10_000_000)),
        lambda sock: [sock.send(bytes(100_000)) for _ in range(100)],
        lambda sock: [sock.sendmsg([bytes(100_000)]) for _ in range(100)],
        lambda sock: sock.sendfile(io.BytesIO(bytes(10_000_000))),
    ],
    ids=range(10),
)
def test_timeouts(pair, call):
    pair[0].settimeout(0.005)
    with pytest.raises(socket.timeout):
        call(pair[0])
    pair[0].setblocking(False)
    with pytest.raises(BlockingIOError):
        call(pair[0])
    assert not pair[0].getblocking()


def test_timeouts_of_a_server(server):
    server.settimeout(0.005)
    with pytest.raises(socket.timeout):
        server.accept()
    server.settimeout(0)
    with pytest.raises(BlockingIOError):
        server.accept()
    for wrong in (-1, float('nan')):
        with pytest.raises(ValueError):
            server.settimeout(wrong)


def test_all_ways_to_receive(pair):
    buffer = bytearray(10)
    pair[1].sendall(b'spam')
    assert pair[0].recv(2, socket.MSG_PEEK) == b'sp'
    assert pair[0].recvfrom(1)[0] == b's'
    assert pair[0].recv_into(buffer, 1) == 1
    assert pair[0].recvfrom_into(memoryview(buffer)[1:], 1)[0] == 1
    assert pair[0].recvmsg(10)[0] == b'm'
    assert buffer[:2] == b'pa'
    assert pair[1].sendmsg([b'eg', b'gs']) == 4
    assert pair[0].recvmsg_into([buffer])[0] == 4
    assert buffer[:4] == b'eggs'


def test_datagrams():
    with Socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        with Socket(socket.AF_INET, socket.SOCK_DGRAM) as two:
            one.bind(('127.0.0.1', 0))
            two.bind(('127.0.0.1', 0))
            waiting = spawn(one.recvfrom, 100)
            sleep(0.001)
            two.sendto(b'spam', one.getsockname())
            assert waiting.result(TIMEOUT) == (b'spam', two.getsockname())


def test_a_datagram_to_a_name():
    with Socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(('127.0.0.1', 0))
        one.settimeout(TIMEOUT)
        port = one.getsockname()[1]
        assert one.sendto(b'spam', ('localhost', port)) == 4
        assert one.sendto(b'eggs', 0, ('localhost', port)) == 4
        assert [one.recv(10), one.recv(10)] == [b'spam', b'eggs']
        with pytest.raises(TypeError):
            one.sendto(b'spam')


def test_waiting_goes_on_behind_an_error():
    with Socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(('127.0.0.1', 0))
        address = gone.getsockname()
    with Socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(TIMEOUT)
        sock.connect(address)
        fiber = spawn(sock.recv, 10)
        sleep(0.001)
        sock.send(b'x')
        with pytest.raises(ConnectionRefusedError):
            fiber.result(TIMEOUT)
        fiber = spawn(sock.recv, 10)
        sleep(0.001)
        with Socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(address)
            peer.sendto(b'spam', sock.getsockname())
        assert fiber.result(TIMEOUT) == b'spam'


def test_nobody_starves_beside_one_that_never_has_to_wait(pair):
    def talk_to_itself():
        for rounds in range(10_000):
            pair[0].sendall(b'x')
            pair[1].recv(1)
            if not other.alive:
                return rounds
        return None

    other = spawn(lambda: [sleep(0) for _ in range(5)])
    assert spawn(talk_to_itself).result(TIMEOUT) > 1


def test_who_is_cancelled_while_others_have_their_turn_has_taken_nothing(pair, monkeypatch):
    monkeypatch.setattr('gruvi_cffi.limits.SOCKET_CALLS', 1)
    pair[1].sendall(b'x')
    fiber = spawn(pair[0].recv, 1)
    sleep(0)
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.result(TIMEOUT)
    assert pair[0].recv(1) == b'x'


def test_a_thread_that_never_waits_gets_no_hub(pair, monkeypatch):
    monkeypatch.setattr('gruvi_cffi.limits.SOCKET_CALLS', 1)
    hubs = []

    def run():
        pair[1].sendall(b'x')
        hubs.append(find_hub())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert hubs == [None]
    assert pair[0].recv(1) == b'x'


def test_files(pair, tmp_path):
    (tmp_path / 'file').write_bytes(b'0123456789' * 50_000)
    with open(tmp_path / 'file', 'rb') as file:
        sender = spawn(pair[0].sendfile, file, 10, 300_000)
        got = bytearray()
        while len(got) < 300_000:
            got += pair[1].recv(65536)
        assert sender.result(TIMEOUT) == 300_000
        assert got == b'0123456789' * 30_000
        assert file.tell() == 300_010


def test_a_file_object_over_it(pair):
    with pair[0].makefile('rwb') as one, pair[1].makefile('r', encoding='utf-8') as two:
        reader = spawn(two.readline)
        sleep(0.001)
        one.write('später\n'.encode())
        one.flush()
        assert reader.result(TIMEOUT) == 'später\n'
        pair[1].sendall(b'a\nb\nc')
        pair[1].shutdown(socket.SHUT_WR)
        assert list(one) == [b'a\n', b'b\n', b'c']


def test_only_one_fiber_at_a_time_reads_a_file_object(pair):
    with pair[0].makefile('rb') as file:
        first = spawn(file.readline)
        sleep(0.001)
        with pytest.raises(RuntimeError, match=r'reentrant|lock'):
            file.readline()
        pair[1].sendall(b'spam\n')
        assert first.result(TIMEOUT) == b'spam\n'


def test_closing_wakes_who_waits(pair):
    fibers = [spawn(pair[0].recv, 1) for _ in range(3)]
    sleep(0.001)
    pair[0].close()
    for fiber in fibers:
        with pytest.raises(OSError) as caught:
            fiber.result(TIMEOUT)
        assert caught.value.errno == errno.EBADF
    assert pair[1].recv(1) == b''
    with pytest.raises(OSError):
        pair[0].recv(1)


def test_a_call_that_is_cancelled(pair):
    fiber = spawn(pair[0].recv, 1)
    sleep(0.001)
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.result(TIMEOUT)
    pair[1].sendall(b'x')
    assert pair[0].recv(1) == b'x'


def test_detached_and_duplicated(pair):
    with (
        pair[0].dup() as copy,
        fromfd(pair[0].fileno(), socket.AF_UNIX, socket.SOCK_STREAM) as other,
    ):
        assert copy.gettimeout() == TIMEOUT
        pair[1].sendall(b'ab')
        assert copy.recv(1) + other.recv(1) == b'ab'
    spawn(pair[0].recv, 1).cancel()
    sleep(0)
    fd = pair[0].detach()
    assert pair[0].fileno() == -1
    os.write(fd, b'x')
    os.close(fd)
    assert pair[1].recv(1) == b'x'
    assert pair[1].recv(1) == b''


def test_a_forked_child_goes_on_with_a_socket_its_parent_waits_for(pair):
    waiting = spawn(pair[0].recv, 1)
    sleep(0.001)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            sleeper = spawn(lambda: (sleep(0.01), pair[1].sendall(b'x')))
            code = 0 if pair[0].recv(1) == b'x' else 2
            sleeper.join()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    waiting.cancel()
    with pytest.raises(Cancelled):
        waiting.result(TIMEOUT)


def test_a_socket_goes_to_another_thread(pair):
    waiting = spawn(pair[0].recv, 1)
    sleep(0.001)
    refused = []

    def refuse():
        with pytest.raises(RuntimeError, match='another thread'):
            pair[0].recv(1)
        refused.append(True)
        get_hub().close()

    thread = threading.Thread(target=refuse)
    thread.start()
    thread.join()
    assert refused
    pair[1].sendall(b'x')
    assert waiting.result(TIMEOUT) == b'x'
    got = []

    def run():
        got.append(pair[0].recv(1))
        get_hub().close()

    thread = threading.Thread(target=run)
    thread.start()
    sleep(0.01)
    pair[1].sendall(b'y')
    thread.join()
    assert got == [b'y']
    pair[1].sendall(b'z')
    assert pair[0].recv(1) == b'z'


def test_a_socket_whose_hub_closes_at_the_moment_it_is_let_go(pair, monkeypatch):
    hubs = []
    waited = threading.Event()
    closing = threading.Event()

    def run():
        hubs.append(get_hub())
        pair[0].recv(1)  # it waits, in its thread's hub
        waited.set()
        closing.wait(TIMEOUT)
        get_hub().close()

    thread = threading.Thread(target=run)
    thread.start()
    while pair[0]._readiness is None:
        sleep(0)
    pair[1].sendall(b'x')
    assert waited.wait(TIMEOUT)
    is_alive = hubs[0].is_alive

    def alive_until_now():
        alive = is_alive()
        if threading.current_thread() is threading.main_thread():
            closing.set()
            thread.join()
        return alive

    monkeypatch.setattr(hubs[0], 'is_alive', alive_until_now)
    pair[0].close()
    assert not thread.is_alive()
