import io
import os

import pytest
from streaming import in_thread, pair, receive_all

from gruvi_cffi import (
    Cancelled,
    IncompleteRead,
    Stream,
    StreamError,
    Timeout,
    TransportError,
    limits,
    sleep,
    spawn,
)

BLOB = os.urandom(1 << 20)


def test_the_reading_methods():
    with pair() as (stream, theirs):
        theirs.sendall(b'spam\neggs\n\nrest')
        theirs.close()
        assert stream.read(2) == b'sp'
        assert stream.readline() == b'am\n'
        assert stream.peek() == b'eggs\n\nrest'
        assert stream.readline(2) == b'eg'
        assert stream.readuntil(b's\n\n') == b'gs\n\n'
        assert stream.readexactly(2) == b're'
        assert stream.read1(1) == b's'
        assert stream.read(0) == stream.readexactly(0) == stream.readline(0) == b''
        assert stream.read() == b't'
        assert stream.read() == stream.read1() == stream.readline() == b''


def test_iteration_and_readlines():
    with pair() as (stream, theirs):
        theirs.sendall(b'a\nb\nc\nd\ne')
        theirs.close()
        assert next(stream) == b'a\n'
        assert stream.readlines(3) == [b'b\n', b'c\n']
        assert list(stream) == [b'd\n', b'e']


def test_readexactly_and_readuntil_tell_what_there_was():
    for call in (lambda stream: stream.readexactly(10), lambda stream: stream.readuntil(b'\n')):
        with pair() as (stream, theirs):
            theirs.sendall(b'spam')
            theirs.close()
            with pytest.raises(IncompleteRead) as caught:
                call(stream)
            assert caught.value.partial == b'spam'
            assert isinstance(caught.value, EOFError)


def test_a_line_that_is_too_long_is_an_error_and_stays(monkeypatch):
    monkeypatch.setattr(limits, 'LINE_LIMIT', 10)
    with pair() as (stream, theirs):
        theirs.sendall(b'0123456789\n')
        with pytest.raises(StreamError, match=r"no delimiter b'\\n' in 9 bytes"):
            stream.readuntil(limit=9)
        with pytest.raises(StreamError, match='in 10 bytes'):
            stream.readline()
        assert stream.read(11) == b'0123456789\n'


@pytest.mark.parametrize('size', [1, 5, 4096, 1 << 17])
def test_readinto(size):
    with pair() as (stream, theirs):
        with in_thread(lambda: (theirs.sendall(BLOB), theirs.close())):
            pieces = []
            buffer = bytearray(size)
            while sum(map(len, pieces)) < min(len(BLOB), size * 50):
                count = stream.readinto(buffer)
                pieces.append(bytes(buffer[:count]))
            pieces.append(stream.read())
        assert b''.join(pieces) == BLOB
        assert stream.readinto(buffer) == 0


def test_readinto_and_other_reads_in_turns():
    with pair() as (stream, theirs):
        buffer = bytearray(4)
        for _ in range(3):
            reader = spawn(stream.readinto, buffer)
            sleep(0)
            theirs.sendall(b'spam and eggs')
            assert reader.result(10) == 4
            assert stream.readexactly(9) == b' and eggs'
            assert buffer == b'spam'


@pytest.mark.parametrize('call', [
    lambda stream: stream.read(10),
    lambda stream: stream.read1(10),
    lambda stream: stream.readexactly(10),
    lambda stream: stream.readline(),
    lambda stream: stream.readuntil(b'!'),
    lambda stream: stream.readinto(bytearray(10)),
    lambda stream: stream.peek(),
    lambda stream: stream.readlines(),
    next,
    lambda stream: stream.read(),
])  # fmt: skip
@pytest.mark.parametrize('how', ['cancelled', 'timed out', 'cancelled as data comes'])
def test_a_read_that_is_given_up_leaves_the_stream_in_step(call, how):
    with pair(timeout=0.01 if how == 'timed out' else None) as (stream, theirs):
        fiber = spawn(call, stream)
        sleep(0)
        sleep(0)
        if how == 'cancelled as data comes':
            theirs.sendall(b'spam')
            fiber.cancel()
        elif how == 'cancelled':
            fiber.cancel()
        with pytest.raises((Cancelled, Timeout)):
            fiber.result(10)
        if how != 'cancelled as data comes':
            theirs.sendall(b'spam')
        stream.timeout = 10
        assert stream.readexactly(4) == b'spam'


def test_a_timeout_can_be_given_for_one_call():
    with pair(timeout=10) as (stream, _theirs):
        with pytest.raises(Timeout, match=r'0\.001 seconds'):
            stream.read1(timeout=0.001)


def test_write_and_writelines_keep_the_order():
    with pair() as (stream, theirs), in_thread(receive_all, theirs) as received:
        stream.write(b'small')
        stream.write(BLOB)
        stream.write(bytearray(b'array'))
        stream.write(memoryview(BLOB)[5:])
        stream.writelines([b'a', b'b', b'c'])
        stream.write_eof()
        sleep(0)
        stream.close()
    assert received == [b'small' + BLOB + b'array' + BLOB[5:] + b'abc']


def test_a_peer_that_does_not_read_makes_writers_wait():
    with pair() as (stream, theirs):
        stream.write(BLOB)
        writers = [spawn(stream.write, b'spam'), spawn(stream.write, b'eggs')]
        sleep(0.01)
        assert all(writer.alive for writer in writers)
        with pytest.raises(Timeout):
            stream.write(b'ham', timeout=0.001)
        with in_thread(receive_all, theirs) as received:
            for writer in writers:
                writer.result(10)
            stream.drain()
            stream.close()
    assert received == [BLOB + b'spameggs']


def test_a_writer_that_waits_is_told_that_the_connection_broke():
    with pair() as (stream, theirs):
        stream.write(BLOB)
        writer = spawn(stream.write, b'spam')
        sleep(0)
        theirs.close()
        with pytest.raises(TransportError):
            writer.result(10)
        with pytest.raises(TransportError):
            stream.write(b'spam')


def test_a_writer_that_is_cancelled_has_written_nothing():
    with pair() as (stream, theirs):
        stream.write(BLOB)
        writer = spawn(stream.write, b'spam')
        sleep(0)
        writer.cancel()
        with pytest.raises(Cancelled):
            writer.result()
        with in_thread(receive_all, theirs) as received:
            stream.write(b'eggs')
            stream.close()
    assert received == [BLOB + b'eggs']


@pytest.mark.parametrize('call', [
    lambda stream: stream.read(1), lambda stream: stream.readline(), lambda stream: stream.read1(),
    lambda stream: stream.write(b''), lambda stream: stream.write_eof(), next,
])  # fmt: skip
def test_a_closed_stream_refuses_everything_but_close_and_flush(call):
    with pair() as (stream, _theirs):
        stream.close()
        assert stream.closed
        stream.close()
        stream.flush()
        with pytest.raises(StreamError, match='is closed'):
            call(stream)


def test_the_mode_is_kept_to():
    reader, writer = Stream(None, 'r'), Stream(None, 'w')
    assert (reader.readable(), reader.writable()) == (True, False)
    assert (writer.readable(), writer.writable()) == (False, True)
    assert writer.buffer is None
    with pytest.raises(StreamError, match='not for reading'):
        writer.read()
    with pytest.raises(StreamError, match='not for writing'):
        reader.write_eof()
    with pytest.raises(ValueError, match="need a mode of 'r', 'w' or 'rw'"):
        Stream(None, 'a')


def test_without_a_transport_it_reads_what_its_buffer_is_fed():
    stream = Stream(None)
    stream.buffer.feed(b'spam')
    assert stream.read(4) == b'spam'
    assert isinstance(stream, io.BufferedIOBase)


def test_it_has_the_methods_of_io_streams():
    with pair() as (stream, _):
        for each in (stream, stream.wrap()):
            assert not each.seekable() and not each.isatty()
            for method, *args in (['fileno'], ['tell'], ['seek', 0], ['truncate'], ['detach']):
                with pytest.raises(io.UnsupportedOperation, match=method):
                    getattr(each, method)(*args)


def test_a_closed_stream_is_neither_wrapped_nor_entered():
    with pair() as (stream, _):
        stream.close()
        with pytest.raises(StreamError, match='closed'):
            stream.wrap()
        with pytest.raises(StreamError, match='closed'), stream:
            pass


def test_another_thread_cannot_close_it():
    with pair() as (stream, theirs):
        errors = []

        def close():
            try:
                stream.close()
            except RuntimeError as error:
                errors.append(str(error))

        with in_thread(close):
            pass
        assert 'another thread' in errors[0]
        assert not stream.closed
        theirs.sendall(b'spam')
        assert stream.read(4) == b'spam'


@pytest.mark.parametrize('timeout', [-1.5, float('nan')])
def test_a_timeout_that_is_none(timeout):
    with pair() as (stream, _), pytest.raises(ValueError, match='timeout'):
        stream.timeout = timeout
