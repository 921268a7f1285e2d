"""What can be done with files by name, as in os, os.path and shutil."""

from __future__ import annotations

import errno
import os
import stat as _stat
from collections.abc import Iterator
from typing import Any

from .. import limits
from .._native import fs as native
from .._native.fs import FsCall, FsRequest, Path
from ..hub import switchpoint
from .requests import error_of, run

_FILE_MODE = 0o666

# Of libuv's uv_dirent_type_t.
_FILE, _DIR, _LINK, _UNKNOWN = 1, 2, 3, 0


class DirEntry:
    """An entry of a folder, as of ``os.scandir()``; asking it for its status waits."""

    __slots__ = ('_type', 'name', 'path')

    def __init__(self, folder: str, name: str, kind: int) -> None:
        self.name = name
        self.path = os.path.join(folder, name)
        self._type = kind

    def __repr__(self) -> str:
        return f'<DirEntry {self.name!r}>'

    def __fspath__(self) -> str:
        return self.path

    @switchpoint
    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return what is known about it."""
        return stat(self.path) if follow_symlinks else lstat(self.path)

    @switchpoint
    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether it is a folder."""
        return self._is(_DIR, _stat.S_ISDIR, follow_symlinks)

    @switchpoint
    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether it is a regular file."""
        return self._is(_FILE, _stat.S_ISREG, follow_symlinks)

    @switchpoint
    def is_symlink(self) -> bool:
        """Return whether it is a symbolic link."""
        return self._is(_LINK, _stat.S_ISLNK, False)

    def _is(self, kind: int, test: Any, follow_symlinks: bool) -> bool:
        if self._type != _UNKNOWN and not (follow_symlinks and self._type == _LINK):
            return self._type == kind
        try:
            return bool(test(self.stat(follow_symlinks=follow_symlinks).st_mode))
        except FileNotFoundError:
            return False


# Looking.


def result_of(status: dict[str, int]) -> os.stat_result:
    """Return what libuv knows about a file as the os module has it."""
    names = ('mode', 'ino', 'dev', 'nlink', 'uid', 'gid', 'size')
    times = [status[name] for name in ('atime', 'mtime', 'ctime')]
    more = {
        'st_blksize': status['blksize'],
        'st_blocks': status['blocks'],
        'st_rdev': status['rdev'],
    }
    for name, time in zip(('atime', 'mtime', 'ctime'), times):
        more[f'st_{name}_ns'] = time
        if hasattr(os.stat_result, f'nsec_{name}'):  # of which PyPy makes the other
            more[f'nsec_{name}'] = time % 10**9
    floats = {f'st_{name}': time / 1e9 for name, time in zip(('atime', 'mtime', 'ctime'), times)}
    whole = [time // 10**9 for time in times]
    return os.stat_result([*(status[name] for name in names), *whole], {**floats, **more})


def _status(request: FsRequest, result: int) -> os.stat_result:
    return result_of(request.take_status())


@switchpoint
def stat(path: Path, *, timeout: float | None = None) -> os.stat_result:
    """Return what is known about the file *path*, links followed."""
    found: os.stat_result = run(FsCall(native.STAT, path), timeout, _status)
    return found


@switchpoint
def lstat(path: Path, *, timeout: float | None = None) -> os.stat_result:
    """Return what is known about *path*, also if it is a link."""
    found: os.stat_result = run(FsCall(native.LSTAT, path), timeout, _status)
    return found


@switchpoint
def exists(path: Path, *, timeout: float | None = None) -> bool:
    """Return whether there is something of that name."""
    try:
        stat(path, timeout=timeout)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


@switchpoint
def isfile(path: Path, *, timeout: float | None = None) -> bool:
    """Return whether it is a regular file."""
    try:
        return _stat.S_ISREG(stat(path, timeout=timeout).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


@switchpoint
def isdir(path: Path, *, timeout: float | None = None) -> bool:
    """Return whether it is a folder."""
    try:
        return _stat.S_ISDIR(stat(path, timeout=timeout).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


@switchpoint
def access(path: Path, mode: int, *, timeout: float | None = None) -> bool:
    """Return whether it may be used like that: os.R_OK, os.W_OK, os.X_OK or os.F_OK."""
    try:
        run(FsCall(native.ACCESS, path, b=mode), timeout)
    except OSError:
        return False
    return True


@switchpoint
def scandir(path: Path = '.', *, timeout: float | None = None) -> Iterator[DirEntry]:
    """Return the entries of a folder, in no order."""
    folder = os.fsdecode(path)

    def entries(request: FsRequest, result: int) -> Iterator[DirEntry]:
        return iter([DirEntry(folder, *entry) for entry in request.take_entries()])

    found: Iterator[DirEntry] = run(FsCall(native.SCANDIR, path), timeout, entries)
    return found


@switchpoint
def listdir(path: Path = '.', *, timeout: float | None = None) -> list[str]:
    """Return the names in a folder, in no order."""
    return [entry.name for entry in scandir(path, timeout=timeout)]


def _path(request: FsRequest, result: int) -> str:
    return request.take_path()


@switchpoint
def readlink(path: Path, *, timeout: float | None = None) -> str:
    """Return what a symbolic link leads to."""
    return str(run(FsCall(native.READLINK, path), timeout, _path))


@switchpoint
def realpath(path: Path, *, timeout: float | None = None) -> str:
    """Return the absolute path, without links, of what is there."""
    return str(run(FsCall(native.REALPATH, path), timeout, _path))


# Changing.


@switchpoint
def mkdir(path: Path, mode: int = 0o777, *, timeout: float | None = None) -> None:
    """Make a folder."""
    run(FsCall(native.MKDIR, path, b=mode), timeout)


@switchpoint
def makedirs(path: Path, mode: int = 0o777, exist_ok: bool = False) -> None:
    """Make a folder, and those that lead to it."""
    head = os.path.dirname(os.fsdecode(path).rstrip('/'))
    try:
        mkdir(path, mode)
    except FileExistsError:
        if not (exist_ok and isdir(path)):
            raise
    except FileNotFoundError:
        if not head or head == os.fsdecode(path):
            raise
        makedirs(head, exist_ok=True)
        makedirs(path, mode, exist_ok)


@switchpoint
def rmdir(path: Path, *, timeout: float | None = None) -> None:
    """Remove an empty folder."""
    run(FsCall(native.RMDIR, path), timeout)


@switchpoint
def unlink(path: Path, *, timeout: float | None = None) -> None:
    """Remove a file."""
    run(FsCall(native.UNLINK, path), timeout)


remove = unlink


@switchpoint
def rename(path: Path, other: Path, *, timeout: float | None = None) -> None:
    """Give *path* the name *other*; a file of that name is replaced."""
    run(FsCall(native.RENAME, path, other), timeout)


replace = rename


@switchpoint
def symlink(target: Path, link: Path, *, timeout: float | None = None) -> None:
    """Make a symbolic *link* that leads to *target*."""
    run(FsCall(native.SYMLINK, target, link), timeout)


@switchpoint
def link(path: Path, other: Path, *, timeout: float | None = None) -> None:
    """Give the file *path* another name, too."""
    run(FsCall(native.LINK, path, other), timeout)


@switchpoint
def chmod(path: Path, mode: int, *, timeout: float | None = None) -> None:
    """Set the permissions."""
    run(FsCall(native.CHMOD, path, b=mode), timeout)


@switchpoint
def chown(path: Path, user: int, group: int, *, timeout: float | None = None) -> None:
    """Set the owner, by ids; -1 leaves one."""
    run(FsCall(native.CHOWN, path, a=user, b=group), timeout)


@switchpoint
def utime(path: Path, accessed: float, modified: float, *, timeout: float | None = None) -> None:
    """Set when it was used, in seconds since 1970."""
    run(FsCall(native.UTIME, path, accessed=accessed, modified=modified), timeout)


@switchpoint
def copyfile(
    path: Path, other: Path, *, exclusive: bool = False, timeout: float | None = None
) -> None:
    """Copy a file; with *exclusive* only to where none is. The kernel does it, if it can."""
    run(FsCall(native.COPY, path, other, a=1 if exclusive else 0), timeout)


@switchpoint
def truncate(path: Path, length: int) -> None:
    """Make a file *length* bytes long."""
    fd = open_descriptor(path, os.O_WRONLY, 0)
    try:
        run(FsCall(native.TRUNCATE, fd=fd, offset=length))
    finally:
        os.close(fd)


@switchpoint
def mkdtemp(prefix: Path, *, timeout: float | None = None) -> str:
    """Make a folder of our own whose name begins with *prefix*, and return its name."""
    return str(run(FsCall(native.MKDTEMP, os.fsencode(prefix) + b'XXXXXX'), timeout, _path))


@switchpoint
def mkstemp(prefix: Path, *, timeout: float | None = None) -> tuple[int, str]:
    """Make a file of our own whose name begins with *prefix*; return a descriptor, and its name."""

    def both(request: FsRequest, result: int) -> tuple[int, str]:
        return result, request.take_path()

    found: tuple[int, str] = run(
        FsCall(native.MKSTEMP, os.fsencode(prefix) + b'XXXXXX'), timeout, both
    )
    return found


# Whole files.


def open_descriptor(path: Path, flags: int, mode: int, timeout: float | None = None) -> int:
    """Open *path* as ``os.open()``, and return the descriptor. This is a switch point."""
    return int(run(FsCall(native.OPEN, path, a=flags | os.O_CLOEXEC, b=mode), timeout))


@switchpoint
def read_bytes(path: Path, *, limit: int = limits.FILE_SIZE, timeout: float | None = None) -> bytes:
    """Return all of a file, which may have *limit* bytes at most.

    :raises OSError: EFBIG if it has more.
    """
    data: bytes = run(
        FsCall(native.READ_FILE, path, a=limit),
        timeout,
        lambda request, size: request.take_bytes(size),
    )
    return data


@switchpoint
def read_text(
    path: Path,
    encoding: str = 'utf-8',
    errors: str = 'strict',
    *,
    limit: int = limits.FILE_SIZE,
    timeout: float | None = None,
) -> str:
    """Return all of a file as text, with every kind of line end as a newline."""
    text = read_bytes(path, limit=limit, timeout=timeout).decode(encoding, errors)
    return text.replace('\r\n', '\n').replace('\r', '\n')


@switchpoint
def write_bytes(path: Path, data: Any, *, timeout: float | None = None) -> int:
    """Make *data* all there is in a file; return how many bytes that is.

    :raises TypeError: *data* is no bytes-like object.
    """
    with memoryview(data) as view:
        raw = view.tobytes()
    if len(raw) >= 2**31:
        raise error_of(errno.EFBIG, path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    call = FsCall(native.WRITE_FILE, path, data=raw, length=len(raw), a=flags, b=_FILE_MODE)
    return int(run(call, timeout))


@switchpoint
def write_text(
    path: Path,
    text: str,
    encoding: str = 'utf-8',
    errors: str = 'strict',
    *,
    timeout: float | None = None,
) -> int:
    """Make *text* all there is in a file; return how many characters that is."""
    write_bytes(path, text.encode(encoding, errors), timeout=timeout)
    return len(text)
