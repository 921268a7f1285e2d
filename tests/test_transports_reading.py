"""The way from a handle to a protocol."""

from __future__ import annotations

import contextlib

import pytest
from transporting import Ground, Recorder

from gruvi_cffi.errors import TransportError
from gruvi_cffi.transports import Transport


@pytest.fixture
def ground():
    ground = Ground()
    yield ground
    ground.close()


class Buffered(Recorder):
    """Takes what comes in a buffer of *size* bytes."""

    def __init__(self, size=1000, **kwargs):
        super().__init__(**kwargs)
        self.buffer = bytearray(size)
        self.hints = []

    def get_buffer(self, sizehint):
        self.hints.append(sizehint)
        return self.buffer

    def buffer_updated(self, nbytes):
        self.calls.append(bytes(self.buffer[:nbytes]))
        self.buffer.append(0)  # fails while anybody has it exported
        self.buffer.pop()


@pytest.fixture(params=[Recorder, Buffered, lambda: Buffered(7)], ids=['plain', 'buffered', 'tiny'])
def protocol(request):
    return request.param()


def numbers(size):
    return b''.join(b'%d,' % number for number in range(size))


def test_data_arrives(ground, protocol):
    _, theirs = ground.start(protocol)
    theirs.send(b'spam\0eggs')
    ground.until(lambda: len(protocol.received) == 9)
    assert protocol.received == b'spam\0eggs'


def test_much_data_arrives_in_order(ground, protocol):
    _, theirs = ground.start(protocol)
    data = numbers(2000)
    for start in range(0, len(data), 600):
        theirs.send(data[start : start + 600])
        ground.turns(1)
    theirs.close()
    ground.until(lambda: protocol.lost)
    assert protocol.received == data


def test_nothing_comes_while_reading_is_paused(ground, protocol):
    transport, theirs = ground.start(protocol)
    transport.pause_reading()
    transport.pause_reading()
    assert not transport.is_reading()
    theirs.send(b'spam')
    theirs.close()
    ground.turns()
    assert protocol.calls == ['made']
    transport.resume_reading()
    transport.resume_reading()
    assert transport.is_reading()
    assert protocol.calls == ['made']
    ground.until(lambda: transport.closed)
    assert protocol.received == b'spam'
    assert protocol.calls[-2:] == ['eof', ('lost', None)]


class Rival(Recorder):
    """Pauses the other when it gets something."""

    def data_received(self, data):
        super().data_received(data)
        self.other.transport.pause_reading()


class BufferedRival(Buffered):
    def buffer_updated(self, nbytes):
        super().buffer_updated(nbytes)
        self.other.transport.pause_reading()


@pytest.mark.parametrize('rival', [Rival, BufferedRival])
def test_what_the_batch_still_holds_is_held_back_in_order(ground, rival):
    one, two = rival(), rival()
    one.other, two.other = two, one
    _, to_one = ground.start(one)
    _, to_two = ground.start(two)
    to_one.send(b'first,')
    to_two.send(b'first,')
    to_one.close()
    to_two.close()
    ground.until(lambda: one.received or two.received)
    ground.turns()
    paused = two if one.received else one
    assert paused.received == b''
    assert paused.calls == ['made']
    paused.transport.resume_reading()
    assert paused.calls == ['made']
    ground.until(lambda: paused.lost)
    assert paused.calls == ['made', b'first,', 'eof', ('lost', None)]


def test_what_is_held_comes_before_what_is_new(ground):
    one, two = Rival(), Rival()
    one.other, two.other = two, one
    _, to_one = ground.start(one)
    _, to_two = ground.start(two)
    to_one.send(b'old,')
    to_two.send(b'old,')
    ground.until(lambda: one.received or two.received)
    paused, sender = (two, to_two) if one.received else (one, to_one)
    sender.send(b'new')
    paused.transport.resume_reading()
    ground.until(lambda: len(paused.received) == 7)
    assert paused.received == b'old,new'


def test_a_protocol_that_pauses_again_gets_one_piece_at_a_time(ground):
    class OneByOne(Buffered):
        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            self.transport.pause_reading()

    protocol = OneByOne(3)
    transport, theirs = ground.start(protocol)
    theirs.send(b'abcdefgh')
    for pieces in range(1, 4):
        ground.until(lambda: len(protocol.calls) == pieces + 1)
        ground.turns()
        assert len(protocol.calls) == pieces + 1
        transport.resume_reading()
    ground.turns()
    assert protocol.calls == ['made', b'abc', b'def', b'gh']


def test_pausing_in_connection_made(ground):
    class Patient(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()

    protocol = Patient()
    transport, theirs = ground.start(protocol)
    theirs.send(b'spam')
    ground.turns()
    assert protocol.calls == ['made']
    transport.resume_reading()
    ground.until(lambda: protocol.received)


def test_closing_in_data_received_ends_it(ground):
    class Closing(Buffered):
        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            self.transport.close()

    protocol = Closing(2)
    transport, theirs = ground.start(protocol)
    theirs.send(b'abcdef')
    ground.until(lambda: transport.closed)
    assert protocol.calls == ['made', b'ab', ('lost', None)]


def test_what_is_held_is_dropped_when_the_transport_closes(ground):
    one, two = Rival(), Rival()
    one.other, two.other = two, one
    _, to_one = ground.start(one)
    _, to_two = ground.start(two)
    to_one.send(b'old,')
    to_two.send(b'old,')
    ground.until(lambda: one.received or two.received)
    paused = two if one.received else one
    paused.transport.resume_reading()
    paused.transport.close()
    ground.until(lambda: paused.lost)
    assert paused.calls == ['made', ('lost', None)]


def test_pausing_and_resuming_when_it_is_closed_does_nothing(ground):
    transport, _ = ground.start(Recorder())
    transport.close()
    transport.pause_reading()
    transport.resume_reading()
    ground.until(lambda: transport.closed)
    transport.resume_reading()
    transport.pause_reading()
    assert not transport.is_reading()


@pytest.mark.parametrize('method', ['pause_reading', 'resume_reading'])
def test_reading_cannot_be_steered_before_the_start(ground, method):
    handle, _ = ground.pair()
    transport = Transport(handle)
    assert not transport.is_reading()
    with pytest.raises(TransportError, match='not started'):
        getattr(transport, method)()


@pytest.mark.parametrize('method', ['pause_reading', 'resume_reading'])
def test_what_only_writes_does_not_read(ground, method):
    protocol = Recorder()
    transport, theirs = ground.start(protocol, mode='w')
    theirs.send(b'spam')
    ground.turns()
    assert protocol.calls == ['made']
    assert not transport.is_reading()
    with pytest.raises(TransportError, match='not for reading'):
        getattr(transport, method)()


def test_a_clean_eof_closes(ground, protocol):
    transport, theirs = ground.start(protocol)
    theirs.close()
    ground.until(lambda: transport.closed)
    assert protocol.calls == ['made', 'eof', ('lost', None)]


def test_a_true_eof_received_keeps_the_connection_half_open(ground):
    protocol = Recorder(keep_open=True)
    transport, theirs = ground.start(protocol)
    theirs.shutdown(1)
    ground.until(lambda: 'eof' in protocol.calls)
    ground.turns()
    assert not transport.is_closing()
    transport.write(b'answer')
    assert ground.receive(theirs, 6) == b'answer'
    transport.close()
    ground.until(lambda: transport.closed)
    assert protocol.calls == ['made', 'eof', ('lost', None)]


# Changing the protocol.


@pytest.mark.parametrize('first', [Recorder, Buffered])
@pytest.mark.parametrize('second', [Recorder, Buffered])
def test_another_protocol_takes_over(ground, first, second):
    one, two = first(), second()
    transport, theirs = ground.start(one)
    theirs.send(b'one')
    ground.until(lambda: one.received)
    transport.set_protocol(two)
    assert transport.get_protocol() is two
    theirs.send(b'two')
    theirs.close()
    ground.until(lambda: transport.closed)
    assert one.calls == ['made', b'one']
    assert two.calls == [b'two', 'eof', ('lost', None)]


def test_another_protocol_takes_over_while_reading_is_paused(ground):
    one, two = Recorder(), Buffered()
    transport, theirs = ground.start(one)
    transport.pause_reading()
    theirs.send(b'two')
    ground.turns()
    transport.set_protocol(two)
    ground.turns()
    assert two.calls == []
    transport.resume_reading()
    ground.until(lambda: two.received)
    assert one.calls == ['made']


@pytest.mark.parametrize('second', [Recorder, lambda: Buffered(5)], ids=['plain', 'buffered'])
def test_another_protocol_takes_over_in_the_middle_of_the_data(ground, second):
    class Upgrading(Buffered):
        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            self.transport.set_protocol(two)

    one, two = Upgrading(3), second()
    _transport, theirs = ground.start(one)
    theirs.send(b'onetwotwo')
    ground.until(lambda: len(two.received) == 6)
    assert one.calls == ['made', b'one']
    assert two.received == b'twotwo'


@pytest.mark.parametrize('kinds', [(Recorder, Buffered), (Buffered, Recorder)])
def test_whoever_gets_what_was_read_for_another_gets_all_of_it(ground, kinds):
    """The batch may hold what was read into the buffer of the protocol before."""
    first, second = kinds

    class Swapper(Recorder):
        def data_received(self, data):
            for transport, successor in ((to_swap[0], after[0]), (to_swap[1], after[1])):
                transport.set_protocol(successor)

    before, after = [first(), first()], [second(), second()]
    swapper = Swapper()
    to_swap = []
    one, to_one = ground.start(before[0])
    _, to_swapper = ground.start(swapper)
    two, to_two = ground.start(before[1])
    to_swap += [one, two]
    for sender in (to_one, to_swapper, to_two):
        sender.send(b'data')
    ground.until(lambda: all(b.received + a.received == b'data' for b, a in zip(before, after)))


# A protocol with a buffer.


def test_an_empty_buffer_ends_the_connection(ground, caplog):
    protocol = Buffered(0)
    transport, theirs = ground.start(Recorder())
    theirs.send(b'spam')
    try:
        transport.set_protocol(protocol)
    except RuntimeError as error:
        assert 'empty buffer' in str(error)
    ground.until(lambda: transport.closed)
    assert isinstance(protocol.error, RuntimeError)


def test_get_buffer_that_raises_later_ends_the_connection(ground, caplog):
    class Broken(Buffered):
        def get_buffer(self, sizehint):
            if self.received:
                raise ValueError('no more')
            return super().get_buffer(sizehint)

    protocol = Broken()
    transport, theirs = ground.start(protocol)
    theirs.send(b'spam')
    ground.until(lambda: protocol.received)
    with contextlib.suppress(BrokenPipeError):  # the next buffer may have been asked for already
        theirs.send(b'eggs')
    ground.until(lambda: transport.closed)
    assert isinstance(protocol.error, ValueError)
    assert 'no more' in caplog.text


def test_buffer_updated_that_raises_ends_the_connection(ground, caplog):
    class Broken(Buffered):
        def buffer_updated(self, nbytes):
            raise ValueError('no use')

    protocol = Broken()
    transport, theirs = ground.start(protocol)
    theirs.send(b'spam')
    ground.until(lambda: transport.closed)
    assert isinstance(protocol.error, ValueError)
    assert 'no use' in caplog.text


def test_hints_are_minus_one_or_a_size(ground):
    protocol = Buffered()
    _transport, theirs = ground.start(protocol)
    theirs.send(b'spam')
    ground.until(lambda: protocol.received)
    assert set(protocol.hints) <= {-1, 4}


def test_a_buffer_of_another_format_will_do(ground):
    class Typed(Buffered):
        def get_buffer(self, sizehint):
            return memoryview(self.buffer).cast('c')

        def buffer_updated(self, nbytes):
            self.calls.append(bytes(self.buffer[:nbytes]))

    protocol = Typed()
    _transport, theirs = ground.start(protocol)
    theirs.send(b'spam')
    ground.until(lambda: protocol.received == b'spam')


# Streams, which say for each read where it goes.


def test_one_read_goes_where_it_was_asked_to(ground):
    protocol = Recorder()
    transport, theirs = ground.start(protocol)
    if not transport.can_read_into:
        return
    buffer = bytearray(10)
    sizes = []
    transport.read_into(memoryview(buffer), sizes.append)
    theirs.send(b'spam')
    ground.until(lambda: sizes)
    assert buffer[: sizes[0]] == b'spam'
    theirs.send(b'eggs')
    ground.until(lambda: protocol.received)
    assert protocol.received == b'eggs'


def test_reading_into_can_be_taken_back(ground):
    protocol = Recorder()
    transport, theirs = ground.start(protocol)
    if not transport.can_read_into:
        return
    buffer = bytearray(10)
    transport.read_into(memoryview(buffer), protocol.calls.append)
    transport.read_into(None)
    theirs.send(b'spam')
    ground.until(lambda: protocol.received == b'spam')
    assert buffer == bytes(10)
