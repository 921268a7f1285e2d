import errno
import fcntl
import os
import socket

import pytest

from gruvi_cffi import Cancelled, Timeout, get_hub, sleep, spawn
from gruvi_cffi.poll import READABLE, WRITABLE, MultiPoll, Poller, wait_readable, wait_writable


@pytest.fixture
def pair():
    one, two = socket.socketpair()
    one.setblocking(False)
    yield one, two
    one.close()
    two.close()


@pytest.fixture(params=['poller', 'hub'])
def poller(request):
    if request.param == 'hub':
        yield get_hub().poll
    else:
        made = Poller(get_hub().loop)
        yield made
        made.close()


def fill(sock):
    try:
        while True:
            sock.send(bytes(65536))
    except BlockingIOError:
        pass


# Waiting.


def test_what_is_ready_is_not_waited_for(pair):
    wait_writable(pair[0])
    pair[1].send(b'x')
    wait_readable(pair[0], 20)
    wait_readable(pair[0].fileno(), 20)
    assert pair[0].recv(10) == b'x'


def test_what_becomes_ready_later(pair):
    fiber = spawn(wait_readable, pair[0])
    sleep(0.001)
    assert fiber.alive
    pair[1].send(b'x')
    fiber.result(20)


def test_many_fibers_wait_for_one(pair):
    readers = [spawn(wait_readable, pair[0], 20) for _ in range(10)]
    fill(pair[0])
    writers = [spawn(wait_writable, pair[0], 20) for _ in range(10)]
    sleep(0.001)
    pair[1].send(b'x')
    for fiber in readers:
        fiber.result(20)
    assert all(fiber.alive for fiber in writers)
    pair[1].setblocking(False)
    while any(fiber.alive for fiber in writers):
        try:
            pair[1].recv(1 << 20)
        except BlockingIOError:
            pass
        sleep(0)


def test_nothing_comes(pair):
    with pytest.raises(Timeout):
        wait_readable(pair[0], 0.001)
    fill(pair[0])
    with pytest.raises(Timeout):
        wait_writable(pair[0], 0)


def test_a_wait_that_is_cancelled(pair):
    fiber = spawn(wait_readable, pair[0])
    sleep(0)
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.result(20)


def test_the_peer_goes_away(pair):
    fiber = spawn(wait_readable, pair[0])
    sleep(0)
    pair[1].close()
    fiber.result(20)
    assert pair[0].recv(1) == b''


def test_both_ends_of_a_pipe():
    reader, writer = os.pipe()
    try:
        wait_writable(writer, 20)
        os.write(writer, b'x')
        wait_readable(reader, 20)
    finally:
        os.close(reader)
        os.close(writer)


def test_a_number_that_is_used_again(pair):
    """What was closed behind our back is neither waited for nor in the way of its successor."""
    number = fcntl.fcntl(pair[0], fcntl.F_DUPFD, 300)
    fiber = spawn(wait_readable, number)
    sleep(0.001)
    one, two = socket.socketpair()
    try:
        os.dup2(one.fileno(), number)  # closes what it was
        with pytest.raises(Timeout):
            wait_readable(number, 0.001)
        two.send(b'x')
        wait_readable(number, 20)
        assert fiber.alive
        pair[1].send(b'x')
        fiber.result(20)
    finally:
        os.close(number)
        one.close()
        two.close()


@pytest.mark.parametrize('wait', [wait_readable, wait_writable])
def test_what_cannot_be_waited_for(wait, tmp_path):
    with open(tmp_path / 'file', 'w') as file, pytest.raises(OSError) as caught:
        wait(file)
    assert caught.value.errno == errno.EPERM
    with pytest.raises(OSError) as caught:
        wait(file.fileno() if not file.closed else 999)
    assert caught.value.errno == errno.EBADF
    for wrong in ('file', 1.5, None, True):
        with pytest.raises(TypeError, match='file descriptor'):
            wait(wrong)
    with pytest.raises(ValueError, match='timeout'):
        wait(0, -1)


# Callbacks.


def test_a_callback_is_called_for_as_long_as_it_is_ready(pair, poller):
    calls = []
    fd = pair[0].fileno()
    handle = poller.add_callback(fd, READABLE, lambda *args: calls.append(args))
    sleep(0.001)
    assert calls == []
    pair[1].send(b'x')
    while len(calls) < 3:
        sleep(0)
    assert set(calls) == {(fd, READABLE)}
    pair[0].recv(1)
    sleep(0.001)
    calls.clear()
    sleep(0.001)
    assert calls == []
    poller.remove_callback(fd, handle)


def test_callbacks_get_what_they_asked_for_in_order(pair, poller):
    calls = []
    fd = pair[0].fileno()
    handles = [
        poller.add_callback(
            fd, events, lambda fd, events, number=number: calls.append((number, events))
        )
        for number, events in enumerate([WRITABLE, READABLE | WRITABLE, READABLE, 0])
    ]
    pair[1].send(b'x')
    while len(calls) < 3 or calls[-3][1] != WRITABLE:
        sleep(0)
    assert calls[-3:] == [(0, WRITABLE), (1, READABLE | WRITABLE), (2, READABLE)]
    poller.update_callback(fd, handles[1], 0)
    poller.update_callback(fd, handles[0], 0)
    sleep(0.001)
    calls.clear()
    while not calls:
        sleep(0)
    assert set(calls) == {(2, READABLE)}
    for handle in handles:
        poller.remove_callback(fd, handle)
    calls.clear()
    sleep(0.001)
    assert calls == []


def test_one_that_was_removed_by_another_is_not_called(pair, poller):
    calls = []
    fd = pair[0].fileno()

    def first(*args):
        calls.append(1)
        for handle in handles:
            poller.remove_callback(fd, handle)

    handles = [poller.add_callback(fd, WRITABLE, first)]
    handles.append(poller.add_callback(fd, WRITABLE, lambda *args: calls.append(2)))
    while not calls:
        sleep(0)
    sleep(0.001)
    assert calls == [1]


def test_one_that_raises_does_not_keep_the_others_from_it(pair, poller, caplog):
    calls = []
    fd = pair[0].fileno()
    handles = [
        poller.add_callback(fd, WRITABLE, lambda *args: 1 / 0),
        poller.add_callback(fd, WRITABLE, lambda *args: calls.append(1)),
    ]
    while not calls:
        sleep(0)
    for handle in handles:
        poller.remove_callback(fd, handle)
    assert 'ZeroDivisionError' in caplog.text


def test_many_descriptors(poller):
    pairs = [socket.socketpair() for _ in range(50)]
    calls = set()
    handles = [
        poller.add_callback(one.fileno(), READABLE, lambda fd, events: calls.add(fd))
        for one, _ in pairs
    ]
    for _, two in pairs:
        two.send(b'x')
    while len(calls) < 50:
        sleep(0)
    for (one, two), handle in zip(pairs, handles):
        poller.remove_callback(one.fileno(), handle)
        one.close()
        two.close()


def test_callbacks_of_a_number_that_is_used_again(poller):
    one, two = socket.socketpair()
    number = fcntl.fcntl(one, fcntl.F_DUPFD, 300)
    calls = []
    old = poller.add_callback(number, READABLE, lambda *args: calls.append('old'))
    three, four = socket.socketpair()
    os.dup2(three.fileno(), number)
    new = poller.add_callback(number, READABLE, lambda *args: calls.append('new'))
    four.send(b'x')
    while not calls:
        sleep(0)
    assert set(calls) == {'new'}
    poller.remove_callback(number, new)
    poller.remove_callback(number, old)
    os.close(number)
    for sock in (one, two, three, four):
        sock.close()


def test_what_makes_no_sense(pair, poller):
    fd = pair[0].fileno()
    with pytest.raises(ValueError, match='READABLE'):
        poller.add_callback(fd, 8, print)
    handle = poller.add_callback(fd, 0, print)
    for call in (poller.remove_callback, lambda fd, handle: poller.update_callback(fd, handle, 0)):
        with pytest.raises(ValueError, match='no such callback'):
            call(fd, object())
        with pytest.raises(ValueError, match='no such callback'):
            call(fd + 1, handle)
    with pytest.raises(ValueError, match='READABLE'):
        poller.update_callback(fd, handle, 4)
    poller.remove_callback(fd, handle)
    with pytest.raises(ValueError, match='no such callback'):
        poller.remove_callback(fd, handle)
    with pytest.raises(OSError):
        poller.add_callback(999, READABLE, print)


def test_one_that_is_closed(pair):
    poller = Poller(get_hub().loop)
    fd = pair[0].fileno()
    calls = []
    handle = poller.add_callback(fd, WRITABLE, lambda *args: calls.append(1))
    poller.close()
    poller.close()
    sleep(0.001)
    assert calls == []
    for call in (
        lambda: poller.add_callback(fd, READABLE, print),
        lambda: poller.remove_callback(fd, handle),
        lambda: poller.update_callback(fd, handle, 0),
    ):
        with pytest.raises(RuntimeError, match='closed'):
            call()


def test_a_multipoll_alone(pair):
    poll = MultiPoll(get_hub().loop, pair[0].fileno())
    calls = []
    handle = poll.add_callback(WRITABLE, lambda *args: calls.append(args))
    while not calls:
        sleep(0)
    assert calls[0] == (pair[0].fileno(), WRITABLE)
    poll.update_callback(handle, 0)
    poll.remove_callback(handle)
    poll.close()
    for call in (poll.remove_callback, lambda handle: poll.update_callback(handle, 0)):
        with pytest.raises(RuntimeError, match='closed'):
            call(handle)
    with pytest.raises(RuntimeError, match='closed'):
        poll.add_callback(READABLE, print)


def test_what_is_closed_behind_a_watch_is_closed_at_once(pair):
    """A watch has a duplicate, which must not keep the connection open."""
    fiber = spawn(wait_readable, pair[0])
    sleep(0)
    fiber.cancel()
    fiber.join(20)
    pair[0].close()
    pair[1].setblocking(False)
    assert pair[1].recv(1) == b''


# Errors, and what is closed while somebody waits.


@pytest.fixture
def refused():
    """A datagram socket whose peer is gone, and what brings the peer back and sends something."""
    gone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    gone.bind(('127.0.0.1', 0))
    address = gone.getsockname()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(address)
        gone.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:

            def come_back(data):
                peer.bind(address)
                peer.sendto(data, sock.getsockname())

            yield sock, come_back


def test_an_error_is_reported_and_what_comes_behind_it_too(refused, poller):
    sock, come_back = refused
    seen = []

    def ready(fd, events):
        try:
            seen.append(sock.recv(10))
        except OSError as error:
            seen.append(error.errno)

    handle = poller.add_callback(sock.fileno(), READABLE, ready)
    sock.send(b'x')
    while not seen:
        sleep(0)
    come_back(b'spam')
    while len(seen) < 2:
        sleep(0)
    assert seen == [errno.ECONNREFUSED, b'spam']
    poller.remove_callback(sock.fileno(), handle)


def test_an_error_ends_a_wait(refused):
    sock, _ = refused
    fiber = spawn(wait_readable, sock)
    sleep(0.001)
    sock.send(b'x')
    fiber.result(20)
    with pytest.raises(ConnectionRefusedError):
        sock.recv(10)


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr('gruvi_cffi.limits.POLL_RECHECK', 0.001)


def test_one_that_is_closed_while_a_fiber_waits(pair, often):
    number = fcntl.fcntl(pair[0], fcntl.F_DUPFD, 300)
    fiber = spawn(wait_readable, number)
    sleep(0.01)
    assert fiber.alive
    os.close(number)
    with pytest.raises(OSError, match=f'descriptor {number}, which was closed') as caught:
        fiber.result(20)
    assert caught.value.errno == errno.EBADF


def test_one_that_becomes_another_while_a_fiber_waits(pair, often):
    number = fcntl.fcntl(pair[0], fcntl.F_DUPFD, 300)
    fiber = spawn(wait_readable, number)
    sleep(0.01)
    os.dup2(pair[1].fileno(), number)
    with pytest.raises(OSError, match='was closed'):
        fiber.result(20)
    os.close(number)


def test_a_wait_leaves_no_timer(pair, often):
    hub = get_hub()
    before = len(hub.timers.heap)
    for _ in range(100):
        wait_writable(pair[0])
    sleep(0.01)
    assert len(hub.timers.heap) <= before + 1
