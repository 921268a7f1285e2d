import pytest
from streaming import pair

from gruvi_cffi import Cancelled, StreamError, limits, sleep, spawn


def test_lines_that_were_read_ahead_survive_a_write():
    with pair() as (stream, theirs):
        text = stream.wrap()
        theirs.sendall(b'one\ntwo\nthree\n')
        for line in ('one\n', 'two\n', 'three\n'):
            assert text.readline() == line
            text.write(line.upper())
            sleep(0)
        assert theirs.recv(100) == b'ONE\nTWO\nTHREE\n'


def test_characters_may_be_cut_anywhere():
    with pair() as (stream, theirs):
        text = stream.wrap('utf-8')
        reader = spawn(text.read, 4)
        for byte in 'äö€!'.encode():
            theirs.sendall(bytes([byte]))
            sleep(0)
            sleep(0)
        assert reader.result(10) == 'äö€!'


@pytest.mark.parametrize('encoding', ['utf-16', 'utf-32', 'latin-1', 'utf-8-sig'])
def test_encodings_with_a_state(encoding):
    with pair() as (stream, theirs):
        text = stream.wrap(encoding, newline='')
        text.write('eins\n')
        text.write('zwei\n')
        text.write_eof()
        sleep(0)
        assert theirs.recv(100) == 'eins\nzwei\n'.encode(encoding)
        theirs.sendall('drei\nvier'.encode(encoding))
        theirs.close()
        assert list(text) == ['drei\n', 'vier']


@pytest.mark.parametrize(
    ('newline', 'lines'),
    [
        (None, ['a\n', 'b\n', 'c\n', 'd']),
        ('', ['a\r\n', 'b\r', 'c\n', 'd']),
        ('\n', ['a\r\n', 'b\rc\n', 'd']),
        ('\r', ['a\r', '\nb\r', 'c\nd']),
        ('\r\n', ['a\r\n', 'b\rc\nd']),
    ],
)
@pytest.mark.parametrize('whole', [True, False])
def test_line_ends_are_those_of_open(newline, lines, whole):
    raw = b'a\r\nb\rc\nd'
    with pair() as (stream, theirs):
        text = stream.wrap(newline=newline)
        if whole:
            theirs.sendall(raw)
            theirs.close()
            assert text.readlines() == lines
            return
        reader = spawn(text.readlines)
        for byte in raw:
            theirs.sendall(bytes([byte]))
            sleep(0)
            sleep(0)
        theirs.close()
        assert reader.result(10) == lines


@pytest.mark.parametrize(
    ('newline', 'sent'), [(None, b'a\nb'), ('', b'a\nb'), ('\r\n', b'a\r\nb'), ('\r', b'a\rb')]
)
def test_line_ends_that_are_written(newline, sent):
    with pair() as (stream, theirs):
        assert stream.wrap(newline=newline).write('a\nb') == 3
        sleep(0)
        assert theirs.recv(10) == sent


def test_reading_parts():
    with pair() as (stream, theirs):
        text = stream.wrap()
        theirs.sendall(b'spam\neggs\n')
        theirs.close()
        assert text.readline(2) == 'sp'
        assert text.read(4) == 'am\neg'[:4]
        assert text.readlines(1) == ['ggs\n']
        assert text.read() == text.readline() == ''


@pytest.mark.parametrize('call', [lambda text: text.readline(), lambda text: text.read(9)])
def test_a_read_that_is_cancelled_takes_nothing_out(call):
    with pair() as (stream, theirs):
        text = stream.wrap()
        theirs.sendall(b'spam')
        reader = spawn(call, text)
        sleep(0.01)
        reader.cancel()
        with pytest.raises(Cancelled):
            reader.result()
        theirs.sendall(b' and eggs\n')
        assert text.readline() == 'spam and eggs\n'


def test_bytes_that_are_no_text():
    with pair() as (stream, theirs):
        text = stream.wrap('ascii')
        theirs.sendall(b'\xff\n')
        with pytest.raises(UnicodeDecodeError):
            text.readline()
        with pytest.raises(UnicodeEncodeError):
            text.write('ä')
        with pytest.raises(TypeError, match='need a str, not bytes'):
            text.write(b'spam')


def test_a_tail_that_is_no_character_is_an_error_at_the_end():
    with pair() as (stream, theirs):
        theirs.sendall('ä'.encode()[:1])
        theirs.close()
        with pytest.raises(UnicodeDecodeError):
            stream.wrap().read()


def test_a_line_that_is_too_long(monkeypatch):
    monkeypatch.setattr(limits, 'LINE_LIMIT', 5)
    with pair() as (stream, theirs):
        theirs.sendall(b'0123456789\n')
        with pytest.raises(StreamError, match='in 5 characters'):
            stream.wrap().readline()


def test_closing_closes_the_stream():
    with pair() as (stream, theirs):
        with stream.wrap() as text:
            assert text.readable()
            assert text.writable()
        assert text.closed
        assert stream.closed
        assert theirs.recv(1) == b''


def test_what_makes_no_sense_is_refused():
    with pair() as (stream, _theirs):
        with pytest.raises(LookupError):
            stream.wrap('no-such-encoding')
        with pytest.raises(ValueError, match='need a newline'):
            stream.wrap(newline='x')


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-16'])
def test_what_is_no_text_is_in_the_way_and_nothing_else_is_lost(encoding):
    bad = b'\xff' if encoding == 'utf-8' else b'\x00\xdc'
    after = 'next\n'.encode('utf-16-le' if encoding == 'utf-16' else encoding)
    with pair() as (stream, theirs):
        text = stream.wrap(encoding)
        theirs.sendall('gööd\n'.encode(encoding) + bad + after)
        assert text.readline() == 'gööd\n'
        for _ in range(2):
            with pytest.raises(UnicodeDecodeError):
                text.readline()
        assert stream.readexactly(len(bad)) == bad
        assert text.readline() == 'next\n'


def test_a_character_that_is_cut_off_at_the_end_is_no_text():
    with pair() as (stream, theirs):
        text = stream.wrap()
        theirs.sendall(b'a\xc3')
        theirs.close()
        with pytest.raises(UnicodeDecodeError):
            text.read()
