import errno
import os
import shutil
import stat
import subprocess
import sys

import pytest

from gruvi_cffi import Cancelled, Timeout, blocking, fs, get_hub, getaddrinfo, sleep, spawn
from gruvi_cffi._native.fs import FsRequest


def until(condition):
    for _ in range(10_000):
        if condition():
            return
        sleep(0.001)
    raise AssertionError('it did not happen')


@pytest.fixture
def path(tmp_path):
    made = tmp_path / 'file'
    made.write_bytes(b'spam\r\n')
    return made


def test_status(path, tmp_path):
    os.symlink('file', tmp_path / 'link')
    for mine, theirs in ((fs.stat, os.stat), (fs.lstat, os.lstat)):
        for name in (path, tmp_path / 'link', os.fsencode(path), tmp_path):
            got, other = mine(name), theirs(name)
            assert tuple(got) == tuple(other)
            for field in ('st_atime', 'st_mtime_ns', 'st_ctime', 'st_blocks', 'st_blksize'):
                assert getattr(got, field) == pytest.approx(getattr(other, field), abs=1e-6)


def test_questions(path, tmp_path):
    os.symlink('nonesuch', tmp_path / 'link')
    for name in (path, tmp_path, tmp_path / 'link', tmp_path / 'nonesuch', path / 'below'):
        assert fs.exists(name) == os.path.exists(name)
        assert fs.isfile(name) == os.path.isfile(name)
        assert fs.isdir(name) == os.path.isdir(name)
        assert fs.access(name, os.R_OK) == os.access(name, os.R_OK)


def test_folders(tmp_path):
    fs.mkdir(tmp_path / 'a', 0o700)
    assert stat.S_IMODE(os.stat(tmp_path / 'a').st_mode) == 0o700
    fs.makedirs(tmp_path / 'a' / 'b' / 'c')
    fs.makedirs(tmp_path / 'a' / 'b' / 'c', exist_ok=True)
    for wrong in (fs.mkdir, fs.makedirs):
        with pytest.raises(FileExistsError):
            wrong(tmp_path / 'a')
    (tmp_path / 'a' / 'file').write_text('')
    os.symlink('b', tmp_path / 'a' / 'link')
    assert sorted(fs.listdir(tmp_path / 'a')) == ['b', 'file', 'link']
    entries = {entry.name: entry for entry in fs.scandir(tmp_path / 'a')}
    for entry in os.scandir(tmp_path / 'a'):
        mine = entries[entry.name]
        assert os.fspath(mine) == entry.path
        for name in ('is_dir', 'is_file', 'is_symlink'):
            assert getattr(mine, name)() == getattr(entry, name)()
        assert mine.is_dir(follow_symlinks=False) == entry.is_dir(follow_symlinks=False)
        assert mine.stat().st_ino == entry.stat().st_ino
    with pytest.raises(OSError) as caught:
        fs.rmdir(tmp_path / 'a')
    assert caught.value.errno == errno.ENOTEMPTY
    fs.rmdir(tmp_path / 'a' / 'b' / 'c')


def test_names(path, tmp_path):
    fs.rename(path, tmp_path / 'other')
    fs.link(tmp_path / 'other', path)
    assert os.stat(path).st_nlink == 2
    fs.symlink('other', tmp_path / 'link')
    assert fs.readlink(tmp_path / 'link') == 'other'
    assert fs.realpath(tmp_path / 'link') == os.path.realpath(tmp_path / 'other')
    fs.copyfile(path, tmp_path / 'copy')
    assert (tmp_path / 'copy').read_bytes() == b'spam\r\n'
    with pytest.raises(FileExistsError):
        fs.copyfile(path, tmp_path / 'copy', exclusive=True)
    fs.replace(tmp_path / 'copy', path)
    fs.unlink(tmp_path / 'link')
    fs.remove(path)
    assert fs.listdir(tmp_path) == ['other']


def test_what_is_known_about_a_file_can_be_changed(path):
    fs.chmod(path, 0o600)
    fs.chown(path, -1, os.getgid())
    fs.truncate(path, 2)
    fs.utime(path, 1e9, 1.5e9)
    status = os.stat(path)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert (status.st_atime, status.st_mtime) == (1e9, 1.5e9)
    assert path.read_bytes() == b'sp'


def test_files_of_our_own(tmp_path):
    folder = fs.mkdtemp(tmp_path / 'folder-')
    assert os.path.isdir(folder) and folder.startswith(str(tmp_path / 'folder-'))
    fd, name = fs.mkstemp(tmp_path / 'file-')
    os.close(fd)
    assert os.path.isfile(name) and name.startswith(str(tmp_path / 'file-'))


@pytest.mark.parametrize('size', [0, 1, 65535, 65536, 3_000_000])
def test_whole_files(path, size):
    data = os.urandom(size)
    assert fs.write_bytes(path, data) == size
    assert path.read_bytes() == data == fs.read_bytes(path)
    assert fs.read_bytes(path, limit=size) == data
    if size:
        with pytest.raises(OSError) as caught:
            fs.read_bytes(path, limit=size - 1)
        assert caught.value.errno == errno.EFBIG


def test_whole_files_whose_size_the_system_does_not_know():
    with open('/proc/self/cmdline', 'rb') as file:
        assert fs.read_bytes('/proc/self/cmdline') == file.read()
    with pytest.raises(OSError) as caught:
        fs.read_bytes('/dev/zero', limit=200_000)
    assert caught.value.errno == errno.EFBIG


def test_text(path):
    assert fs.read_text(path) == 'spam\n'
    assert fs.write_text(path, 'größer\n') == 7
    assert path.read_bytes() == 'größer\n'.encode()
    assert fs.read_text(path, 'latin-1') == 'grÃ¶Ã\x9fer\n'
    for wrong in ('text', 5, None):
        with pytest.raises(TypeError):
            fs.write_bytes(path, wrong)
    fs.write_bytes(path, b'\xff')
    with pytest.raises(UnicodeDecodeError):
        fs.read_text(path)


@pytest.mark.parametrize(
    'call',
    [fs.stat, fs.lstat, fs.listdir, fs.unlink, fs.rmdir, fs.readlink, fs.realpath, fs.read_bytes],
    ids=lambda call: call.__name__,
)
def test_errors_name_the_file(call, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        call(tmp_path / 'nonesuch')
    assert caught.value.filename == tmp_path / 'nonesuch'
    with pytest.raises(ValueError, match='NUL'):
        call('a\0b')
    with pytest.raises(TypeError):
        call(5)
    with pytest.raises(ValueError, match='timeout'):
        call(tmp_path, timeout=-1)


def test_errors_name_both_files(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        fs.rename(tmp_path / 'one', tmp_path / 'two')
    assert caught.value.filename2 == tmp_path / 'two'


def test_a_thousand_at_once(tmp_path):
    def one(number):
        name = tmp_path / str(number)
        fs.write_text(name, str(number))
        assert fs.read_text(name) == str(number)
        fs.unlink(name)

    fibers = [spawn(one, number) for number in range(1000)]
    for fiber in fibers:
        fiber.result(60)
    assert os.listdir(tmp_path) == []


def test_requests_that_are_given_up(tmp_path):
    os.mkfifo(tmp_path / 'fifo')
    # More than there are threads: some are never begun.
    fibers = [spawn(fs.read_bytes, tmp_path / 'fifo') for _ in range(12)]
    sleep(0.01)
    for fiber in fibers:
        fiber.cancel()
    for fiber in fibers:
        with pytest.raises(Cancelled):
            fiber.result(20)
    with pytest.raises(Timeout):
        fs.read_bytes(tmp_path / 'fifo', timeout=0.01)
    # Those that wait in open() come to the end of it; the others were never begun.
    os.close(os.open(tmp_path / 'fifo', os.O_WRONLY))
    until(lambda: not any(isinstance(h, FsRequest) for h in get_hub().loop.handles.values()))


def test_files_names_and_blocking_calls_do_not_hold_up_each_other(tmp_path):
    os.mkfifo(tmp_path / 'fifo')
    stuck = [spawn(fs.read_bytes, tmp_path / 'fifo') for _ in range(4)]  # all threads of libuv
    sleep(0.01)
    assert blocking(int, '5') == 5
    assert getaddrinfo('localhost', 80)
    fd = os.open(tmp_path / 'fifo', os.O_WRONLY)
    os.close(fd)
    for fiber in stuck:
        fiber.cancel()
        fiber.join(20)
    shutil.rmtree(tmp_path)


def test_a_hub_that_closes_waits_for_its_files(tmp_path):
    program = """
import os, sys, threading
from gruvi_cffi import fs, get_hub, spawn, sleep

os.mkfifo(sys.argv[1])
spawn(fs.read_bytes, sys.argv[1])
sleep(0.01)
threading.Timer(0.1, lambda: os.close(os.open(sys.argv[1], os.O_WRONLY))).start()
get_hub().close()
print('closed')
"""
    done = subprocess.run(
        [sys.executable, '-c', program, str(tmp_path / 'fifo')],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ('closed\n', '')


def test_a_hub_whose_files_never_end_closes_nevertheless(tmp_path):
    program = """
import os, sys
from gruvi_cffi import fs, get_hub, limits, spawn, sleep

limits.CLOSE_SECONDS = 0.05
os.mkfifo(sys.argv[1])
spawn(fs.read_bytes, sys.argv[1])
sleep(0.01)
get_hub().close()
print('closed')
os.close(os.open(sys.argv[1], os.O_WRONLY))
"""
    done = subprocess.run(
        [sys.executable, '-c', program, str(tmp_path / 'fifo')],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.stdout == 'closed\n'
    assert done.stderr == '1 operations on files did not end with their hub\n'
