"""File objects with the conventions of the built-in open().

    File --- a lock ---> io.TextIOWrapper, io.BufferedReader ... ---> _RawFile ---> requests

The standard library buffers and decodes; only the bottom is ours. Its objects must not be entered
by two fibers, so each call of a File takes a lock.
"""

from __future__ import annotations

import io
import os
import stat
import warnings
import weakref
from collections.abc import Iterable, Iterator
from typing import Any, Optional

from .._native import fs as native
from .._native.fs import FsCall, Path
from ..hub import switchpoint
from ..sync import RLock
from .functions import open_descriptor, result_of
from .requests import run

_LARGEST = 1 << 20  # bytes of one request
_GROWTH = 1 << 16  # bytes that are asked for beyond what a file was thought to have


class _RawFile(io.RawIOBase):
    """An open file. Its methods are switch points, once ``blocking`` is set they are not."""

    def __init__(self, fd: int, name: Any, mode: str, reads: bool, writes: bool) -> None:
        self._fd = fd
        self.name = name
        self.mode = mode
        self._reads = reads
        self._writes = writes
        self.blocking = False  # nobody owns it any more: a finalizer writes the rest

    def readable(self) -> bool:
        return self._reads

    def writable(self) -> bool:
        return self._writes

    def seekable(self) -> bool:
        try:
            os.lseek(self.fileno(), 0, os.SEEK_CUR)
        except OSError:
            return False
        return True

    def fileno(self) -> int:
        if self.closed:
            raise ValueError('the file is closed')
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self.fileno())

    def readinto(self, buffer: Any) -> int:
        with memoryview(buffer) as whole, whole.cast('B') as view:
            data = self._read(min(len(view), _LARGEST))
            view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        # What is as long as it says needs no second read, and trip to a thread, to see its end: the
        # first one asked for a byte more. Files in /proc say 0, and bring what they like.
        status = os.fstat(self.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
            return super().readall()
        position = self.tell()
        pieces = []
        while True:
            left = status.st_size - position
            size = min(left + 1, _LARGEST) if left > 0 else _GROWTH
            pieces.append(self._read(size))
            position += len(pieces[-1])
            if not pieces[-1] or (len(pieces[-1]) < size and position >= status.st_size):
                return b''.join(pieces)

    def _read(self, size: int) -> bytes:
        if self.blocking:
            return os.read(self.fileno(), size)
        call = FsCall(native.READ, fd=self.fileno(), length=size)
        data: bytes = run(call, None, lambda request, count: request.take_bytes(count))
        return data

    def write(self, buffer: Any) -> int:
        with memoryview(buffer) as whole, whole.cast('B') as view:
            data = view[:_LARGEST].tobytes()
        if self.blocking:
            return os.write(self.fileno(), data)
        return int(run(FsCall(native.WRITE, fd=self.fileno(), data=data, length=len(data))))

    # The position is the kernel's; to set it takes no time.

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return os.lseek(self.fileno(), offset, whence)

    def tell(self) -> int:
        return os.lseek(self.fileno(), 0, os.SEEK_CUR)

    def truncate(self, size: int | None = None) -> int:
        size = self.tell() if size is None else size
        run(FsCall(native.TRUNCATE, fd=self.fileno(), offset=size))
        return size

    def give_back(self) -> None:
        """Leave the descriptor to whoever has it."""
        super().close()

    def close(self) -> None:
        if self.closed:
            return
        fd = self._fd
        super().close()
        if self.blocking:
            os.close(fd)
        else:
            run(FsCall(native.CLOSE, fd=fd))


class File:
    """An open file. Made by ``open()``; its methods are those of the built-in file objects.

    All that reads, writes or closes is a switch point. Several fibers may use it: one waits for the
    other. One that is collected without ``close()`` is closed with a ResourceWarning.
    """

    def __init__(self, raw: _RawFile, file: Any) -> None:
        self._raw = raw
        self._file = file
        self._lock = RLock()
        self._finalizer = weakref.finalize(self, _give_up, raw, file)
        self._finalizer.atexit = False

    def __repr__(self) -> str:
        state = 'closed' if self.closed else 'open'
        return f'<File {state} name={self.name!r} mode={self.mode!r}>'

    @property
    def name(self) -> Any:
        return self._raw.name

    @property
    def mode(self) -> str:
        return self._raw.mode

    @property
    def closed(self) -> bool:
        return bool(self._file.closed)

    @property
    def encoding(self) -> str | None:
        """That of a text file."""
        return getattr(self._file, 'encoding', None)

    @property
    def newlines(self) -> Any:
        """The line ends that a text file has had so far."""
        return getattr(self._file, 'newlines', None)

    def fileno(self) -> int:
        """Return the descriptor."""
        return int(self._raw.fileno())

    def readable(self) -> bool:
        """Return whether it can be read."""
        return bool(self._file.readable())

    def writable(self) -> bool:
        """Return whether it can be written."""
        return bool(self._file.writable())

    def seekable(self) -> bool:
        """Return whether it has positions."""
        return bool(self._file.seekable())

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return bool(self._file.isatty())

    def _call(self, name: str, *args: Any) -> Any:
        with self._lock:
            return getattr(self._file, name)(*args)

    @switchpoint
    def read(self, size: int | None = -1) -> Any:
        """Return *size* bytes or characters, fewer only at the end; all if it is negative."""
        return self._call('read', size)

    @switchpoint
    def read1(self, size: int = -1) -> bytes:
        """Return what is there, or comes with one request; bytes only."""
        data: bytes = self._call('read1', size)
        return data

    @switchpoint
    def peek(self, size: int = 0) -> bytes:
        """Return what comes next without taking it, as it was read ahead; buffered bytes only."""
        data: bytes = self._call('peek', size)
        return data

    @switchpoint
    def readinto(self, buffer: Any) -> int:
        """Read into *buffer*, and return how many bytes; bytes only."""
        return int(self._call('readinto', buffer))

    @switchpoint
    def readline(self, size: int = -1) -> Any:
        """Return a line with its end, or *size* of it."""
        return self._call('readline', size)

    @switchpoint
    def readlines(self, hint: int = -1) -> list[Any]:
        """Return the lines, up to more than *hint* bytes or characters together."""
        lines: list[Any] = self._call('readlines', hint)
        return lines

    @switchpoint
    def write(self, data: Any) -> int:
        """Write *data*; return how many bytes or characters it has."""
        return int(self._call('write', data))

    @switchpoint
    def writelines(self, lines: Iterable[Any]) -> None:
        """Write all of *lines*; no line ends are added."""
        self._call('writelines', lines)

    @switchpoint
    def flush(self) -> None:
        """Give what is buffered to the system."""
        self._call('flush')

    @switchpoint
    def fsync(self, *, data_only: bool = False, timeout: float | None = None) -> None:
        """Flush, and wait until the disk has it; with *data_only* not what is known about it."""
        self.flush()
        kind = native.FDATASYNC if data_only else native.FSYNC
        run(FsCall(kind, fd=self.fileno()), timeout)

    @switchpoint
    def stat(self, *, timeout: float | None = None) -> os.stat_result:
        """Return what is known about the file."""
        found: os.stat_result = run(
            FsCall(native.FSTAT, fd=self.fileno()),
            timeout,
            lambda request, result: result_of(request.take_status()),
        )
        return found

    @switchpoint
    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position, and return it."""
        return int(self._call('seek', offset, whence))

    @switchpoint
    def tell(self) -> int:
        """Return the position."""
        return int(self._call('tell'))

    @switchpoint
    def truncate(self, size: int | None = None) -> int:
        """Make it *size* bytes long, or end where the position is."""
        return int(self._call('truncate', size))

    @switchpoint
    def close(self) -> None:
        """Flush and close. Doing so again does nothing."""
        self._call('close')
        self._finalizer.detach()

    def __enter__(self) -> File:
        if self.closed:
            raise ValueError('the file is closed')
        return self

    @switchpoint
    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()

    def __iter__(self) -> Iterator[Any]:
        return self

    @switchpoint
    def __next__(self) -> Any:
        """Return the next line.

        :raises StopIteration: there is none.
        """
        line = self.readline()
        if not line:
            raise StopIteration
        return line


def _give_up(raw: _RawFile, file: Any) -> None:
    raw.blocking = True
    if not file.closed:
        warnings.warn(f'unclosed file {raw.name!r}', ResourceWarning, source=raw, stacklevel=2)
        file.close()


@switchpoint
def open(  # noqa: A001 - as the built-in one
    file: Path | int,
    mode: str = 'r',
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    *,
    timeout: float | None = None,
) -> File:
    """Open *file*, a path or a descriptor, which is taken over; as the built-in ``open()`` does.

    Without an *encoding* text is UTF-8. *timeout*, in seconds, is for the opening.

    :raises OSError: it cannot be opened.
    :raises Timeout: it was not open in time (a FIFO without a peer).
    :raises ValueError: the mode, or what is given beside it, makes no sense.
    """
    flags, reads, writes, binary = _parse(mode)
    if binary and not (encoding is None and errors is None and newline is None):
        raise ValueError('encoding, errors and newline are for text')
    if buffering == 0 and not binary:
        raise ValueError('text cannot be unbuffered')
    taken = isinstance(file, int)
    if isinstance(file, int):
        fd = int(file)
    else:
        file = os.fspath(file)
        fd = open_descriptor(file, flags, 0o666, timeout)
    raw = _RawFile(fd, file, mode, reads, writes)
    try:
        if not taken and stat.S_ISDIR(os.fstat(fd).st_mode):
            raise IsADirectoryError(21, os.strerror(21), file)
        if 'a' in mode and raw.seekable():
            raw.seek(0, os.SEEK_END)
        return File(raw, _layers(raw, binary, buffering, encoding, errors, newline))
    except BaseException:
        raw.give_back()
        if not taken:
            os.close(fd)
        raise


_FLAGS = {
    'r': 0,
    'w': os.O_CREAT | os.O_TRUNC,
    'a': os.O_CREAT | os.O_APPEND,
    'x': os.O_CREAT | os.O_EXCL,
}


def _parse(mode: str) -> tuple[int, bool, bool, bool]:
    """Return the flags for opening, whether it reads and writes, and whether it is for bytes."""
    kinds = [letter for letter in mode if letter in _FLAGS]
    if (
        len(kinds) != 1
        or len(set(mode)) != len(mode)
        or set(mode) - set('rwaxbt+')
        or {'b', 't'} <= set(mode)
    ):
        raise ValueError(f'invalid mode: {mode!r}')
    both = '+' in mode
    reads, writes = both or kinds[0] == 'r', both or kinds[0] != 'r'
    way = os.O_RDWR if both else os.O_RDONLY if reads else os.O_WRONLY
    return way | _FLAGS[kinds[0]], reads, writes, 'b' in mode


def _layers(
    raw: Any,
    binary: bool,
    buffering: int,
    encoding: Optional[str],
    errors: Optional[str],
    newline: Optional[str],
) -> Any:
    if buffering == 0:
        return raw
    size = buffering if buffering > 1 else 65536
    buffered: Any
    if raw.readable() and raw.writable():
        buffered = io.BufferedRandom(raw, size)
    else:
        buffered = io.BufferedReader(raw, size) if raw.readable() else io.BufferedWriter(raw, size)
    if binary:
        return buffered
    return io.TextIOWrapper(buffered, encoding or 'utf-8', errors, newline, buffering == 1)
