import builtins
import gc
import os
import random
import threading

import pytest

from gruvi_cffi import Cancelled, Timeout, fs, get_hub, sleep, spawn
from gruvi_cffi.fs import files


def until(condition):
    for _ in range(10_000):
        if condition():
            return
        sleep(0.001)
    raise AssertionError('it did not happen')


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'file'


def both(path, work):
    """Return what *work* does with our open() and with the built-in one, errors included."""
    outcomes = []
    for open_ in (fs.open, builtins.open):
        path.write_bytes(b'first\r\nsecond\nth\xc3\xa4rd\rlast')
        try:
            outcome = work(open_)
        except (OSError, ValueError) as error:
            outcome = type(error), str(error) if isinstance(error, ValueError) else error.errno
        outcomes.append((outcome, path.read_bytes()))
    assert outcomes[0] == outcomes[1]
    return outcomes[0]


MODES = ['r', 'rb', 'r+', 'rb+', 'w', 'wb', 'w+', 'w+b', 'a', 'ab', 'a+', 'a+b', 'rt', 'x', 'xb']


@pytest.mark.parametrize('mode', MODES)
def test_every_mode_is_that_of_the_built_in_open(path, mode):
    def work(open_):
        with open_(path, mode) as file:
            seen = [file.readable(), file.writable(), file.seekable(), file.name, file.closed]
            for name, args in (
                ('tell', ()),
                ('read', (3,)),
                ('write', (b'new' if 'b' in mode else 'new',)),
                ('flush', ()),
                ('seek', (0,)),
                ('read', ()),
                ('truncate', (4,)),
            ):
                try:
                    seen.append(getattr(file, name)(*args))
                except OSError:  # of PyPy's not always an io.UnsupportedOperation
                    seen.append(OSError)
        return [*seen, file.closed]

    both(path, work)


@pytest.mark.parametrize(
    'args',
    [
        ('',), ('rw',), ('z',), ('rbt',), ('+',), ('rr',), ('rb', -1, 'utf-8'),
        ('rb', -1, None, None, '\n'), ('r', 0),
    ],
)  # fmt: skip
def test_modes_that_make_no_sense(path, args):
    path.write_bytes(b'')
    with pytest.raises(ValueError):
        builtins.open(path, *args)
    with pytest.raises(ValueError):
        fs.open(path, *args)


@pytest.mark.parametrize('newline', [None, '', '\n', '\r', '\r\n'])
def test_lines_are_those_of_the_built_in_open(path, newline):
    def work(open_):
        with open_(path, encoding='utf-8', newline=newline) as file:
            lines = [file.readline(), *file]
        with open_(path, 'a', encoding='utf-8', newline=newline) as file:
            file.writelines(['a\n', 'b\r\n', 'ö'])
        return lines, file.encoding

    both(path, work)


@pytest.mark.parametrize('buffering', [-1, 0, 1, 7, 100_000])
@pytest.mark.parametrize('seed', range(4))
def test_whatever_is_done_in_whatever_order(path, buffering, seed):
    def work(open_):
        chance = random.Random(seed)
        seen = []
        with open_(path, 'r+b', buffering if buffering != 1 else -1) as file:
            for _ in range(200):
                size = chance.randrange(50)
                name, *args = chance.choice(
                    [
                        ('read', size),
                        ('write', bytes([size]) * size),
                        ('seek', size),
                        ('seek', -min(size, 10), os.SEEK_END),
                        ('tell',),
                        ('readline',),
                        ('readinto', bytearray(size)),
                        ('truncate', 100 + size),
                        ('flush',),
                        ('readlines', size),
                    ]
                )
                try:
                    seen.append((name, getattr(file, name)(*args), args))
                except OSError as error:
                    seen.append((name, error.errno))
        return seen

    both(path, work)


def test_text_has_positions(path):
    def work(open_):
        with open_(path, 'r+', encoding='utf-8') as file:
            file.readline()
            place = file.tell()
            rest = file.read()
            file.seek(place)
            again = file.read()
            file.write('end')
        return rest == again, rest

    assert both(path, work)[0][0] is True


def test_errors_are_those_of_the_built_in_open(path, tmp_path):
    for args in (
        (tmp_path / 'nonesuch',),
        (tmp_path,),
        (tmp_path, 'w'),
        (path / 'below', 'w'),
        (tmp_path / 'file', 'x'),
    ):
        both(path, lambda open_, args=args: open_(*args).close())
    with pytest.raises(FileNotFoundError) as caught:
        fs.open(tmp_path / 'nonesuch')
    assert caught.value.filename == os.fspath(tmp_path / 'nonesuch')
    with pytest.raises(LookupError):
        fs.open(path, encoding='nonesuch')
    with pytest.raises(ValueError, match='NUL'):
        fs.open('a\0b')


def test_a_file_that_is_closed(path):
    path.write_bytes(b'x')
    file = fs.open(path)
    file.close()
    file.close()
    for call in (file.read, file.readline, file.tell, file.fileno, file.flush, file.__enter__):
        with pytest.raises(ValueError):
            call()
    assert 'closed' in repr(file)


def test_a_descriptor(path):
    path.write_bytes(b'spam')
    fd = os.open(path, os.O_RDONLY)
    with fs.open(fd, 'rb') as file:
        assert file.fileno() == fd
        assert file.read() == b'spam'
    with pytest.raises(OSError):
        os.fstat(fd)
    fd = os.open(path, os.O_RDONLY)
    with pytest.raises(LookupError):
        fs.open(fd, encoding='nonesuch')
    os.close(fd)


def test_a_large_file_comes_back(path):
    data = os.urandom(20_000_000)
    with fs.open(path, 'wb') as file:
        assert file.write(data) == len(data)
        file.fsync()
        file.fsync(data_only=True)
        assert file.stat().st_size == len(data)
    with fs.open(path, 'rb') as file:
        assert file.read() == data


@pytest.fixture
def reads(monkeypatch):
    """What each request to read has asked for, and what it has brought."""
    plain = files._RawFile._read
    found = []

    def read(self, size):
        data = plain(self, size)
        found.append((size, len(data)))
        return data

    monkeypatch.setattr(files._RawFile, '_read', read)
    return found


LARGEST = 1 << 20


@pytest.mark.parametrize('size', [0, 1, LARGEST - 1, LARGEST, LARGEST + 1, 2 * LARGEST + 5])
def test_all_that_is_left_comes_with_as_few_requests_as_can_be(path, reads, size):
    data = random.Random(size).randbytes(size)
    path.write_bytes(data)
    with fs.open(path, 'rb', buffering=0) as file:
        assert file.read() == data
        assert len(reads) == size // LARGEST + 1
        assert file.read() == b''
        file.seek(size // 2)
        assert file.read() == data[size // 2 :]


@pytest.mark.parametrize('size', [0, 10, 1001, 300_000, 3 * LARGEST])
def test_a_file_that_changes_before_it_is_read(path, reads, monkeypatch, size):
    path.write_bytes(b'x' * 1000)
    plain = files._RawFile._read

    def read(self, asked):
        if not reads:
            path.write_bytes(b'y' * size)
        return plain(self, asked)

    monkeypatch.setattr(files._RawFile, '_read', read)
    with fs.open(path, 'rb') as file:
        assert file.read() == b'y' * size


@pytest.mark.parametrize('size', [0, 1000])
def test_a_read_that_brings_less_is_not_the_end(path, monkeypatch, size):
    # As in /proc, where files have 0 bytes, and in some file systems of the user's.
    data = bytes(range(250)) * 4
    path.write_bytes(data)
    plain, fstat = files._RawFile._read, os.fstat

    def lie(fd):
        return os.stat_result((*fstat(fd)[:6], size, *fstat(fd)[7:10]))

    monkeypatch.setattr(files._RawFile, '_read', lambda self, asked: plain(self, min(asked, 300)))
    monkeypatch.setattr(os, 'fstat', lie)
    with fs.open(path, 'rb') as file:
        assert file.read() == data


def test_two_fibers_and_one_file(path):
    with fs.open(path, 'w+') as file:
        lines = [f'{number} {"x" * 1000}\n' for number in range(200)]
        fibers = [spawn(file.writelines, lines[number::4]) for number in range(4)]
        for fiber in fibers:
            fiber.result(20)
        file.seek(0)
        readers = [spawn(file.readlines, 20_000) for _ in range(30)]
        got = [line for fiber in readers for line in fiber.result(20)]
    assert sorted(got) == sorted(lines)


def test_the_others_go_on(path):
    os.mkfifo(path)
    opener = spawn(fs.open, path)
    turns = 0
    while turns < 100:
        sleep(0)
        turns += 1
    assert opener.alive
    with builtins.open(path, 'w') as peer:
        file = opener.result(20)
        reader = spawn(file.read)
        sleep(0.001)
        peer.write('spam')
    assert reader.result(20) == 'spam'
    file.close()


def test_opening_takes_too_long(path):
    os.mkfifo(path)
    with pytest.raises(Timeout):
        fs.open(path, timeout=0.01)
    fiber = spawn(fs.open, path)
    sleep(0.001)
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.result(20)
    # Let them end: what they open is closed again.
    os.close(os.open(path, os.O_WRONLY))
    until(lambda: not get_hub().loop.handles or len(get_hub().loop.handles) <= 1)


def test_one_that_nobody_closes_is_written_and_closed(path):
    def forget():
        fs.open(path, 'w').write('spam')

    with pytest.warns(ResourceWarning, match='unclosed file'):
        forget()
        gc.collect()
        until(lambda: path.read_text() == 'spam')


def test_from_two_threads(path):
    path.write_text('spam')
    got = []

    def run():
        for _ in range(50):
            with fs.open(path) as file:
                got.append(file.read())
        get_hub().close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    until(lambda: not any(thread.is_alive() for thread in threads))
    assert got == ['spam'] * 100


def test_parse_knows_all_modes():
    for mode in MODES:
        flags = files._parse(mode)
        assert flags[1] or flags[2]


def test_what_comes_next_can_be_seen_before(path):
    def work(open_):
        with open_(path, 'rb') as file:
            return file.read(2), file.peek(), file.read(3)

    both(path, work)


def test_who_is_cancelled_while_it_closes_leaves_no_descriptor(path, tmp_path):
    """Not even if no thread had time for that yet."""
    os.mkfifo(tmp_path / 'fifo')
    path.write_bytes(b'spam')
    file = fs.open(path, 'rb')
    number = file.fileno()
    waiting = [spawn(fs.open, tmp_path / 'fifo', 'rb') for _ in range(8)]  # all threads, and more
    sleep(0)
    closing = spawn(file.close)
    sleep(0)
    closing.cancel()
    with pytest.raises(Cancelled):
        closing.result(20)
    writer = os.open(tmp_path / 'fifo', os.O_RDWR)
    for fiber in waiting:
        fiber.result(20).close()
    until(lambda: not os.path.exists(f'/proc/self/fd/{number}'))
    os.close(writer)
