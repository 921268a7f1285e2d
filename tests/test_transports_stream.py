"""Writing, closing behind what was written, and what is known about a connection."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

import pytest
from transporting import Ground, Recorder

from gruvi_cffi import limits
from gruvi_cffi._native.pipe import PipeHandle
from gruvi_cffi.errors import TransportError
from gruvi_cffi.transports import Transport, TransportSocket


@pytest.fixture
def ground():
    ground = Ground()
    yield ground
    ground.close()


class Foreign(asyncio.Protocol):
    """A protocol as asyncio knows them."""

    def __init__(self):
        self.errors = []

    def connection_lost(self, exc):
        self.errors.append(exc)


# Writing.


@pytest.mark.parametrize(
    'data', [b'spam', bytearray(b'spam'), memoryview(b'spam'), memoryview(b's.p.a.m')[::2]]
)
def test_anything_with_bytes_can_be_written(ground, data):
    transport, theirs = ground.start(Recorder())
    transport.write(data)
    assert ground.receive(theirs, 4) == b'spam'


@pytest.mark.parametrize('data', ['text', 1, None, ['spam']])
def test_anything_else_cannot_be_written(ground, data):
    transport, theirs = ground.start(Recorder())
    with pytest.raises(TypeError, match=type(data).__name__):
        transport.write(data)
    transport.write(b'spam')
    assert ground.receive(theirs, 4) == b'spam'


def test_writing_nothing_is_no_error(ground):
    transport, theirs = ground.start(Recorder())
    transport.write(b'')
    transport.write(b'spam')
    assert transport.get_write_buffer_size() == 4
    assert ground.receive(theirs, 4) == b'spam'
    assert transport.get_write_buffer_size() == 0


@pytest.mark.parametrize('size', [100, 100_000])
def test_what_was_written_does_not_change_with_the_buffer(ground, size):
    transport, theirs = ground.start(Recorder())
    data = bytearray(b'x' * size)
    transport.write(b'y' * 1_000_000)
    transport.write(data)
    data[:] = b'z' * size
    assert ground.receive(theirs, 1_000_000 + size)[1_000_000:] == b'x' * size


def test_large_and_small_writes_keep_their_order(ground):
    transport, theirs = ground.start(Recorder())
    pieces = [b'%d,' % number * (1 if number % 3 else 50_000) for number in range(30)]
    for piece in pieces[:15]:
        transport.write(piece)
    transport.writelines(pieces[15:])
    expected = b''.join(pieces)
    assert ground.receive(theirs, len(expected)) == expected


def test_writelines_takes_any_iterable(ground):
    transport, theirs = ground.start(Recorder())
    transport.writelines(piece for piece in (b'sp', bytearray(b'a'), memoryview(b'm')))
    assert ground.receive(theirs, 4) == b'spam'


def test_write_eof_follows_what_was_written(ground):
    protocol = Recorder()
    transport, theirs = ground.start(protocol)
    data = bytes(1_000_000)
    transport.write(data)
    assert transport.can_write_eof()
    transport.write_eof()
    transport.write_eof()
    assert len(ground.receive(theirs, len(data) + 1)) == len(data)
    theirs.send(b'answer')
    ground.until(lambda: protocol.received == b'answer')
    assert not transport.is_closing()


# What cannot be written, and who is told.


def test_writing_before_the_start_is_refused(ground):
    handle, _ = ground.pair()
    transport = Transport(handle)
    for refused in (lambda: transport.write(b'x'), transport.write_eof):
        with pytest.raises(TransportError, match='not started'):
            refused()


def test_writing_while_it_closes_is_refused(ground):
    transport, theirs = ground.start(Recorder())
    transport.write(b'spam')
    transport.close()
    for refused in (lambda: transport.write(b'x'), transport.write_eof):
        with pytest.raises(TransportError, match='is closing'):
            refused()
    assert ground.receive(theirs, 5) == b'spam'


def test_writing_after_the_end_is_refused(ground):
    transport, _ = ground.start(Recorder())
    transport.abort()
    ground.until(lambda: transport.closed)
    with pytest.raises(TransportError, match='was closed'):
        transport.write(b'x')


def test_writing_after_write_eof_is_refused_and_breaks_nothing(ground):
    protocol = Recorder()
    transport, theirs = ground.start(protocol)
    transport.write_eof()
    with pytest.raises(TransportError, match='after write_eof'):
        transport.write(b'x')
    theirs.send(b'answer')
    ground.until(lambda: protocol.received == b'answer')


def test_what_only_reads_does_not_write(ground):
    transport, _ = ground.start(Recorder(), mode='r')
    for refused in (lambda: transport.write(b'x'), transport.write_eof):
        with pytest.raises(TransportError, match='not for writing'):
            refused()


def test_writing_to_a_broken_connection_says_what_broke_it(ground):
    protocol = Recorder(keep_open=True)
    transport, theirs = ground.start(protocol)
    theirs.close()
    with pytest.raises(BrokenPipeError) as first:
        transport.write(bytes(100_000))
    with pytest.raises(BrokenPipeError) as second:
        transport.write(b'x')
    assert second.value.uv_errno == first.value.uv_errno
    assert protocol.calls == ['made']
    ground.until(lambda: transport.closed)
    assert isinstance(protocol.error, BrokenPipeError)


def test_a_small_write_to_a_broken_connection_is_reported_later(ground):
    protocol = Recorder(keep_open=True)
    transport, theirs = ground.start(protocol, mode='w')
    theirs.close()
    transport.write(b'x')
    ground.until(lambda: transport.closed)
    assert isinstance(protocol.error, BrokenPipeError)


def test_what_a_protocol_of_asyncio_writes_too_late_is_dropped(ground):
    protocol = Foreign()
    transport, theirs = ground.start(protocol)
    transport.close()
    transport.write(b'x')
    transport.writelines([b'x'])
    transport.write_eof()
    ground.until(lambda: transport.closed)
    transport.write(b'x')
    assert theirs.recv(1) == b''
    assert protocol.errors == [None]


def test_what_a_protocol_of_asyncio_writes_to_a_broken_connection_is_dropped(ground):
    protocol = Foreign()
    transport, theirs = ground.start(protocol)
    theirs.close()
    transport.write(bytes(100_000))
    transport.write(b'x')
    ground.until(lambda: transport.closed)
    assert [isinstance(error, BrokenPipeError) for error in protocol.errors] == [True]


# Flow control.


def test_above_the_high_mark_the_protocol_is_paused_once(ground):
    protocol = Recorder()
    transport, theirs = ground.start(protocol)
    assert transport.get_write_buffer_limits() == (limits.WRITE_HIGH // 2, limits.WRITE_HIGH)
    size = 0
    while protocol.calls == ['made']:
        assert transport.get_write_buffer_size() <= limits.WRITE_HIGH
        transport.write(bytes(1000))
        size += 1000
        if not size % 50_000:
            ground.turns(1)
    assert transport.get_write_buffer_size() > limits.WRITE_HIGH
    transport.write(bytes(1000))
    assert protocol.calls == ['made', 'pause']
    assert len(ground.receive(theirs, size + 1000)) == size + 1000
    ground.turns()
    assert protocol.calls == ['made', 'pause', 'resume']


def test_between_the_marks_nothing_changes(ground):
    protocol = Recorder()
    transport, _theirs = ground.start(protocol)
    transport.set_write_buffer_limits(high=4000, low=10)
    transport.write(bytes(4000))
    assert protocol.calls == ['made']
    transport.write(b'x')
    assert protocol.calls == ['made', 'pause']
    ground.turns(1)
    assert protocol.calls == ['made', 'pause', 'resume']


def test_resuming_waits_for_the_low_mark(ground):
    protocol = Recorder()
    transport, theirs = ground.start(protocol)
    transport.set_write_buffer_limits(high=10_000, low=0)
    theirs.setblocking(False)
    transport.write(bytes(2_000_000))
    left = 2_000_000
    while left:
        assert ('resume' in protocol.calls) == (transport.get_write_buffer_size() == 0)
        with contextlib.suppress(BlockingIOError):
            left -= len(theirs.recv(50_000))
        ground.turns(1)
    ground.turns()
    assert protocol.calls == ['made', 'pause', 'resume']


def test_a_huge_write_is_neither_split_nor_refused(ground):
    protocol = Recorder()
    transport, theirs = ground.start(protocol)
    data = os.urandom(1000) * 20_000
    transport.write(data)
    assert protocol.calls == ['made', 'pause']
    assert transport.get_write_buffer_size() > 19_000_000
    assert ground.receive(theirs, len(data)) == data
    assert protocol.calls == ['made', 'pause', 'resume']


@pytest.mark.parametrize(
    ('given', 'limits_'),
    [
        ({}, (limits.WRITE_HIGH // 2, limits.WRITE_HIGH)),
        ({'high': 1000}, (500, 1000)),
        ({'high': 1000, 'low': 1000}, (1000, 1000)),
        ({'high': 0}, (0, 0)),
        ({'low': 7}, (7, limits.WRITE_HIGH)),
        ({'low': 2 * limits.WRITE_HIGH}, (2 * limits.WRITE_HIGH, 2 * limits.WRITE_HIGH)),
    ],
)
@pytest.mark.parametrize('started', [True, False])
def test_the_marks_can_be_set(ground, given, limits_, started):
    handle, _ = ground.pair()
    transport = Transport(handle)
    if started:
        transport.start(Recorder())
    transport.set_write_buffer_limits(**given)
    assert transport.get_write_buffer_limits() == limits_


@pytest.mark.parametrize('given', [{'high': 1, 'low': 2}, {'high': -1}, {'low': -1}])
def test_marks_that_make_no_sense_are_refused(ground, given):
    transport, _ = ground.start(Recorder())
    with pytest.raises(ValueError, match='need 0 <= low <= high'):
        transport.set_write_buffer_limits(**given)


def test_marks_that_are_set_before_the_start_hold(ground):
    handle, _theirs = ground.pair()
    transport = Transport(handle)
    transport.set_write_buffer_limits(high=0)
    protocol = Recorder()
    transport.start(protocol)
    transport.write(b'x')
    assert protocol.calls == ['made', 'pause']
    ground.turns(1)
    assert protocol.calls == ['made', 'pause', 'resume']


# Closing.


@pytest.mark.parametrize('kind', ['unix', 'tcp'])
def test_close_sends_what_was_written(ground, kind):
    protocol = Recorder()
    transport, theirs = ground.start(protocol, kind)
    data = bytes(5_000_000)
    transport.write(data)
    transport.close()
    assert ground.receive(theirs, len(data) + 1) == data
    ground.until(lambda: transport.closed)
    assert protocol.error is None


def test_nothing_is_received_once_it_closes(ground):
    protocol = Recorder()
    transport, theirs = ground.start(protocol)
    transport.write(bytes(5_000_000))
    transport.close()
    theirs.send(b'too late')
    ground.turns()
    assert protocol.received == b''
    transport.abort()


def test_a_peer_that_never_reads_cannot_hold_a_close(ground, monkeypatch):
    monkeypatch.setattr(limits, 'FLUSH_TIMEOUT', 0.05)
    protocol = Recorder()
    transport, _ = ground.start(protocol, 'tcp')
    transport.write(bytes(20_000_000))
    transport.close()
    ground.until(lambda: transport.closed)
    assert isinstance(protocol.error, TimeoutError)
    assert str(protocol.error).startswith('could not send what was queued')


def test_abort_ends_a_close_that_takes_long(ground):
    protocol = Recorder()
    transport, _ = ground.start(protocol)
    transport.write(bytes(20_000_000))
    transport.close()
    ground.turns()
    assert not transport.closed
    transport.abort()
    ground.until(lambda: transport.closed)
    assert protocol.error is None


# What is known about it.


def test_names_of_tcp(ground):
    transport, theirs = ground.start(Recorder(), 'tcp')
    assert transport.get_extra_info('peername') == theirs.getsockname()
    assert transport.get_extra_info('sockname') == theirs.getpeername()


def test_names_of_an_unnamed_unix_socket(ground):
    transport, _ = ground.start(Recorder())
    assert transport.get_extra_info('peername') == ''
    assert transport.get_extra_info('sockname') == ''


@pytest.mark.parametrize('how', ['close', 'abort', 'peer'])
def test_the_names_are_known_to_the_end(ground, how):
    class Curious(Recorder):
        def connection_lost(self, exc):
            self.calls.append(self.transport.get_extra_info('peername'))
            self.calls.append(self.transport.get_extra_info('sockname'))

    protocol = Curious()
    transport, theirs = ground.start(protocol, 'tcp')
    names = [theirs.getsockname(), theirs.getpeername()]
    theirs.close() if how == 'peer' else getattr(transport, how)()
    ground.until(lambda: transport.closed)
    assert protocol.calls[-2:] == names
    assert transport.get_extra_info('peername') == names[0]


def test_what_is_not_known_is_the_default(ground):
    transport, _ = ground.start(Recorder(), 'tcp')
    assert transport.get_extra_info('cipher') is None
    assert transport.get_extra_info('cipher', 'none') == 'none'
    assert transport.get_extra_info('server_hostname', 'nobody') == 'nobody'
    assert transport.get_extra_info('pipe', 'none') == 'none'
    assert transport.get_extra_info('unix_creds', 'none') == 'none'


def test_what_is_known_of_a_closed_one(ground):
    transport, _ = ground.start(Recorder())
    transport.abort()
    ground.until(lambda: transport.closed)
    for name in ('handle', 'socket', 'pipe', 'unix_creds'):
        assert transport.get_extra_info(name, 'gone') == 'gone'


def test_the_handle_and_the_hostname(ground):
    handle, _ = ground.pair()
    transport = Transport(handle, server_hostname='example.org')
    assert transport.get_extra_info('handle') is handle
    assert transport.get_extra_info('pipe') is handle
    assert transport.get_extra_info('server_hostname') == 'example.org'


def test_the_credentials_of_the_peer(ground):
    transport, _ = ground.start(Recorder())
    assert transport.get_extra_info('unix_creds') == (os.getpid(), os.getuid(), os.getgid())


def test_a_pipe_has_no_credentials(ground):
    reading, writing = os.pipe()
    handle = PipeHandle(ground.loop)
    handle.open(reading)
    protocol = Recorder()
    transport = Transport(handle, mode='r')
    transport.start(protocol)
    assert transport.get_extra_info('unix_creds', 'none') == 'none'
    assert isinstance(transport.get_extra_info('socket'), TransportSocket)
    os.write(writing, b'spam')
    os.close(writing)
    ground.until(lambda: transport.closed)
    assert protocol.calls == ['made', b'spam', 'eof', ('lost', None)]


def test_a_socketpair_in_asyncio_style(ground):
    """Two transports of one loop talk to each other."""

    class Counter(Recorder):
        def data_received(self, data):
            super().data_received(data)
            if int(data) < 100:
                self.transport.write(b'%d' % (int(data) + 1))
            else:
                self.transport.close()

    one, two = Counter(), Counter()
    for ours, protocol in zip(socket.socketpair(), (one, two)):
        handle = PipeHandle(ground.loop)
        handle.open(ours.detach())
        Transport(handle).start(protocol)
    one.transport.write(b'1')
    ground.until(lambda: one.lost and two.lost)
    assert len(one.calls) + len(two.calls) == 100 + 2 + 2 + 1
