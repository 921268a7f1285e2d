"""StreamBuffer without a transport, or with a recorder in its place."""

import pytest

from gruvi_cffi import Cancelled, StreamBuffer, Timeout, TransportError, sleep, spawn


class Recorder:
    def __init__(self, error=None):
        self.calls = []
        self.error = error

    def pause_reading(self):
        self.calls.append('pause')

    def resume_reading(self):
        self.calls.append('resume')
        if self.error:
            raise self.error


def test_a_chunk_that_is_there_comes_at_once():
    buffer = StreamBuffer()
    buffer.feed(b'spam')
    assert buffer.get_chunk(2) == b'sp'
    assert buffer.get_buffer_size() == 2
    assert buffer.get_chunk(2) == b'am'


def test_a_reader_waits_until_all_is_there():
    buffer = StreamBuffer()
    fiber = spawn(buffer.get_chunk, 6)
    for piece in (b'sp', b'am', b'eggs'):
        sleep(0)
        assert fiber.alive
        buffer.feed(piece)
    assert fiber.result() == b'spameg'
    assert buffer.get_chunk(2) == b'gs'


def test_reading_stops_behind_the_delimiter():
    buffer = StreamBuffer()
    fiber = spawn(buffer.get_chunk, -1, b'\r\n')
    for piece in (b'spam\r', b'\neggs'):
        sleep(0)
        buffer.feed(piece)
    assert fiber.result() == b'spam\r\n'
    assert buffer.get_chunk(3, b'\n') == b'egg'


def test_all_up_to_the_end():
    buffer = StreamBuffer()
    fiber = spawn(buffer.get_chunk)
    sleep(0)
    buffer.feed(b'spam')
    sleep(0)
    assert fiber.alive
    buffer.feed_eof()
    assert fiber.result() == b'spam'
    assert buffer.eof
    assert buffer.get_chunk(10) == b''


def test_data_comes_before_the_error_which_stays():
    buffer = StreamBuffer()
    buffer.feed(b'spam')
    buffer.feed_error(ValueError('broken'))
    assert buffer.error is None
    assert buffer.get_chunk(10) == b'spam'
    assert isinstance(buffer.error, ValueError)
    for _ in range(2):
        with pytest.raises(ValueError, match='broken'):
            buffer.get_chunk(10)


def test_an_error_may_be_a_class():
    buffer = StreamBuffer()
    buffer.feed_error(RuntimeError)
    with pytest.raises(RuntimeError):
        buffer.get_chunk(1)


def test_eof_wins_over_an_error():
    buffer = StreamBuffer()
    buffer.feed_error(ValueError())
    buffer.feed_eof()
    assert buffer.get_chunk(1) == b''
    assert buffer.error is None


def test_an_error_wakes_the_reader():
    buffer = StreamBuffer()
    fiber = spawn(buffer.get_chunk, 1)
    sleep(0)
    buffer.feed_error(ValueError)
    with pytest.raises(ValueError):
        fiber.result()


def test_two_readers_at_once_are_refused():
    buffer = StreamBuffer()
    fiber = spawn(buffer.get_chunk, 4)
    sleep(0)
    buffer.feed(b'sp')
    with pytest.raises(RuntimeError, match='another fiber is already reading'):
        buffer.get_chunk(1)
    buffer.feed(b'am')
    with pytest.raises(RuntimeError, match='another fiber is already reading'):
        buffer.read_chunk()
    assert fiber.result() == b'spam'


@pytest.mark.parametrize('how', ['cancel', 'timeout'])
def test_one_who_gives_up_takes_nothing_out(how):
    buffer = StreamBuffer(timeout=0.01 if how == 'timeout' else None)
    buffer.feed(b'spam')
    fiber = spawn(buffer.get_chunk, 10)
    sleep(0)
    if how == 'cancel':
        fiber.cancel()
    with pytest.raises(Cancelled if how == 'cancel' else Timeout):
        fiber.result()
    assert buffer.get_chunk(4) == b'spam'


def test_reading_pauses_above_the_high_mark_and_resumes_at_the_low_one():
    transport = Recorder()
    buffer = StreamBuffer(transport)
    buffer.set_buffer_limits(10, 4)
    buffer.feed(bytes(10))
    assert transport.calls == []
    buffer.feed(bytes(2))
    assert transport.calls == ['pause']
    buffer.get_chunk(7)
    assert transport.calls == ['pause']
    buffer.get_chunk(1)
    assert transport.calls == ['pause', 'resume']


def test_a_reader_who_wants_more_than_the_high_mark_gets_it():
    transport = Recorder()
    buffer = StreamBuffer(transport)
    buffer.set_buffer_limits(10)
    buffer.feed(bytes(11))
    fiber = spawn(buffer.get_chunk, 100)
    sleep(0)
    assert transport.calls == ['pause', 'resume']
    buffer.feed(bytes(100))
    assert len(fiber.result()) == 100
    assert buffer.get_buffer_size() == 11
    assert transport.calls == ['pause', 'resume', 'pause']


def test_what_was_read_can_be_taken_although_the_transport_is_closed():
    buffer = StreamBuffer(Recorder(error=TransportError('closed')))
    buffer.set_buffer_limits(4)
    buffer.feed(b'spam and eggs')
    assert buffer.get_chunk(13) == b'spam and eggs'


@pytest.mark.parametrize('limits', [(-1, None), (4, 5)])
def test_limits_that_make_no_sense_are_refused(limits):
    with pytest.raises(ValueError, match='need 0 <= low <= high'):
        StreamBuffer().set_buffer_limits(*limits)
