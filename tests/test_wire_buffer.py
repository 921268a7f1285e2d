import sys

import pytest

from gruvi_cffi.wire.buffer import ByteBuffer

TEXT = b'spam\r\neggs\r\n\r\nham'


def fed(data, size):
    buffer = ByteBuffer()
    for at in range(0, len(data), size):
        buffer.feed_data(data[at : at + size])
    return buffer


cut_anywhere = pytest.mark.parametrize('size', range(1, len(TEXT) + 1))


@cut_anywhere
@pytest.mark.parametrize('piece', [1, 2, 5, 100])
def test_what_is_taken_does_not_depend_on_how_it_was_fed(size, piece):
    buffer = fed(TEXT, size)
    taken = []
    while buffer:
        taken.append(buffer.take(piece))
    assert taken == [TEXT[at : at + piece] for at in range(0, len(TEXT), piece)]


@cut_anywhere
@pytest.mark.parametrize('delim', [b'\n', b'\r\n', b'\r\n\r\n', b'm'])
def test_a_delimiter_is_found_wherever_it_is_cut(size, delim):
    buffer = ByteBuffer()
    for at in range(0, len(TEXT), size):
        buffer.feed_data(TEXT[at : at + size])
        assert buffer.find(delim) == TEXT[: at + size].find(delim)


@cut_anywhere
def test_delimiters_are_found_one_after_the_other(size):
    buffer = fed(TEXT, size)
    lines = []
    while True:
        at = buffer.find(b'\r\n')
        if at < 0:
            break
        lines.append(buffer.take(at + 2))
    assert lines == [b'spam\r\n', b'eggs\r\n', b'\r\n']
    assert buffer.take(100) == b'ham'


def test_a_chunk_that_fits_is_passed_on_uncopied():
    chunk = bytes(1000)
    buffer = ByteBuffer()
    buffer.feed_data(chunk)
    assert buffer.take_chunk(1000) is chunk
    assert buffer.take_chunk() == b''


def test_a_chunk_that_is_too_large_comes_in_parts():
    buffer = fed(b'abcdefg', 4)
    assert buffer.take_chunk(3) == b'abc'
    assert len(buffer) == 4
    assert buffer.peek_chunk() == b'd'
    assert buffer.take_chunk() == b'd'
    assert buffer.take_chunk(9) == b'efg'


def test_what_is_put_back_comes_first():
    buffer = fed(b'abcd', 2)
    assert buffer.take(3) == b'abc'
    buffer.put_back(b'bc')
    buffer.put_back(b'')
    assert len(buffer) == 3
    assert buffer.find(b'cd') == 1
    assert buffer.take(9) == b'bcd'


@pytest.mark.parametrize('chunks', [1, 63, 64, 65, 300])
def test_any_number_of_chunks_comes_out_in_order(chunks):
    buffer = ByteBuffer()
    for _ in range(2):
        for number in range(chunks):
            buffer.feed_data(b'%d,' % number)
        buffer.take(2)
        buffer.put_back(b'0,')
        taken = [buffer.take_chunk() for _ in range(chunks)]
        assert taken == [b'%d,' % number for number in range(chunks)]
        assert not buffer


@pytest.mark.skipif(sys.implementation.name != 'cpython', reason='nobody knows sizes on PyPy')
def test_a_buffer_that_is_mostly_empty_weighs_little():
    buffer = ByteBuffer()
    for _ in range(3):
        buffer.feed_data(b'spam')
        buffer.take_chunk()
    assert sys.getsizeof(buffer) + sys.getsizeof(buffer._chunks) < 300  # a deque has 600 alone


class Counting(bytes):
    """Bytes that count how often they are searched."""

    searches = 0

    def find(self, *args):
        Counting.searches += 1
        return super().find(*args)


def test_a_line_that_comes_byte_by_byte_is_searched_once():
    buffer = ByteBuffer()
    Counting.searches = 0
    for _ in range(1000):
        buffer.feed_data(Counting(b'x'))
        assert buffer.find(b'\n') == -1
    assert Counting.searches == 1000
