"""Nothing that Python can pass to the C core crashes it; a code comes back."""

import random
import socket
import threading

import pytest
from gruvi_cffi._gv import ffi, lib  # noqa: TID251 - the functions of C are what is tested

from gruvi_cffi._native.loop import Loop
from gruvi_cffi._native.pipe import PipeHandle
from gruvi_cffi._native.poll import PollHandle
from gruvi_cffi._native.stream import StreamHandle
from gruvi_cffi._native.tcp import TcpHandle
from gruvi_cffi.errors import TransportError

BUFFER = ffi.new('char[]', 4096)


@pytest.fixture
def loop():
    loop = Loop(ring_records=16, arena_bytes=8192, read_limit=4096)
    yield loop
    for handle in list(loop.handles.values()):
        handle.abort()
    while loop.handles:
        loop.poll(100)
    loop.close()


def calls(chance, handle_id):
    """Return calls of the core, all with arguments that make little sense."""
    number = chance.choice([-(2**62), -1, 0, 1, 3, 4096, 2**40, 2**62])
    small = chance.choice([-(2**31), -1, 0, 1, 2, 3, 65535, 2**31 - 1])
    size = chance.choice([-1, 0, 1, 100, 4096])
    data = chance.choice([BUFFER, ffi.NULL])
    host = chance.choice([b'127.0.0.1', b'::1', b'', b'no host', b'1.2.3.4.5'])
    fd = chance.choice([-1, 1 << 20, 2**31 - 1])
    flag = chance.choice([0, 1])
    return [
        lambda loop: lib.gv_handle_close(loop, handle_id),
        lambda loop: lib.gv_handle_fileno(loop, handle_id),
        lambda loop: lib.gv_stream_write(loop, handle_id, data, size),
        lambda loop: lib.gv_stream_lend(loop, handle_id, data, size),
        lambda loop: lib.gv_stream_write_eof(loop, handle_id),
        lambda loop: lib.gv_stream_pending(loop, handle_id),
        lambda loop: lib.gv_stream_watermarks(loop, handle_id, number, small),
        lambda loop: lib.gv_stream_read_start(loop, handle_id),
        lambda loop: lib.gv_stream_read_stop(loop, handle_id),
        lambda loop: lib.gv_stream_deadline(loop, handle_id, small, number),
        lambda loop: lib.gv_stream_close(loop, handle_id),
        lambda loop: lib.gv_stream_abort(loop, handle_id),
        lambda loop: lib.gv_stream_listen(loop, handle_id, small),
        lambda loop: lib.gv_stream_name(loop, handle_id, flag, ffi.new('gv_address *')),
        lambda loop: lib.gv_tcp_new(loop, 1000),
        lambda loop: lib.gv_tcp_bind(loop, handle_id, host, small, 0, 0, 3),
        lambda loop: lib.gv_tcp_open(loop, handle_id, fd),
        lambda loop: lib.gv_tcp_nodelay(loop, handle_id, small),
        lambda loop: lib.gv_tcp_keepalive(loop, handle_id, flag, 2**32 - 1),
        lambda loop: lib.gv_pipe_bind(loop, handle_id, BUFFER, size if size > 107 else -1),
        lambda loop: lib.gv_pipe_connect(loop, handle_id, b'/no/such/socket', 15),
        lambda loop: lib.gv_pipe_open(loop, handle_id, fd),
        lambda loop: lib.gv_poll_new(loop, fd),
        lambda loop: lib.gv_poll_start(loop, handle_id, small),
    ]


@pytest.mark.parametrize('seed', range(20))
def test_calls_at_random(loop, seed):
    chance = random.Random(seed)
    handles = []
    peers = []
    for _ in range(2000):
        if chance.random() < 0.02:
            ours, theirs = socket.socketpair()
            peers.append(theirs)
            handle = PipeHandle(loop)
            handle.open(ours.detach())
            handles.append(handle)
        elif chance.random() < 0.02:
            handles.append(TcpHandle(loop, chance.choice([0, socket.AF_INET, socket.AF_INET6])))
        known = [handle.id for handle in handles]
        ids = [0, -1, 1, 2**63 - 1, -(2**63), *known, *(one + (1 << 32) for one in known)]
        result = chance.choice(calls(chance, chance.choice(ids)))(loop._ptr)
        assert isinstance(result, int)
        if chance.random() < 0.05:
            for handle in handles:
                handle.owner = Silent()
            loop.poll(0)
    for peer in peers:
        peer.close()


class Silent:
    def __getattr__(self, name):
        return lambda *args: None


@pytest.mark.parametrize('call', calls(random.Random(1), 1))
def test_another_thread_gets_a_code(loop, call):
    results = []
    thread = threading.Thread(target=lambda: results.append(call(loop._ptr)))
    thread.start()
    thread.join()
    assert results == [lib.GV_ETHREAD]


@pytest.mark.parametrize('call', calls(random.Random(1), 1))
def test_a_closed_loop_gives_a_code(call):
    loop = Loop()
    loop.close()
    loop.wake()
    assert call(loop._ptr) == lib.UV_EBADF


def opened(loop):
    ours, theirs = socket.socketpair()
    handle = PipeHandle(loop)
    handle.open(ours.detach())
    handle.owner = Silent()
    return handle, theirs


def test_a_stale_id_is_noticed_when_its_slot_is_used_again(loop):
    first, theirs = opened(loop)
    theirs.close()
    first.abort()
    while loop.handles:
        loop.poll(100)
    loop.poll(0)
    second, theirs = opened(loop)
    theirs.close()
    assert second.id != first.id
    slot = (1 << lib.GV_SLOT_BITS) - 1
    assert second.id & slot == first.id & slot
    for method in (first.write_eof, first.read_start, first.fileno, first.getsockname):
        with pytest.raises(TransportError, match='bad file descriptor'):
            method()


def test_what_comes_in_the_wrong_order_is_refused(loop):
    handle = TcpHandle(loop, socket.AF_INET)
    handle.owner = Silent()
    for method in (handle.read_start, handle.write_eof, lambda: handle.write(b'x')):
        with pytest.raises(TransportError, match='not connected'):
            method()
    listener = socket.create_server(('127.0.0.1', 0))
    handle.connect(*listener.getsockname())
    with pytest.raises(BlockingIOError):
        handle.connect(*listener.getsockname())
    with pytest.raises(TransportError):
        handle.listen(1)
    listener.close()


def test_after_write_eof_and_close_nothing_is_written(loop):
    handle, theirs = opened(loop)
    handle.write_eof()
    with pytest.raises(BrokenPipeError):
        handle.write(b'x')
    handle.close()
    handle.close()
    handle.abort()
    with pytest.raises(TransportError):
        handle.write(b'x')
    theirs.close()


def test_the_wrong_kind_of_handle_is_refused(loop):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        poll = PollHandle(loop, ours.fileno())
        poll.owner = Silent()
        with pytest.raises(TransportError, match='invalid argument'):
            StreamHandle.write_eof(poll)
        stream, other = opened(loop)
        other.close()
        with pytest.raises(TransportError, match='invalid argument'):
            TcpHandle.set_nodelay(stream, True)
