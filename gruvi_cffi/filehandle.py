"""What no event loop can wait for, as a stream handle: regular files, /dev/null and their like.

    read_start(), write() ---> a thread of the I/O pool ---> the hub ---> on_data() ...

There is at most one read and one write under way. A short write to a regular file is made at once:
that is a copy into the system's memory, and takes a hundredth of the time that a thread does.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn, Optional

from . import limits
from ._native.stream import Address, Buffer, StreamHandle
from .errors import TransportError
from .futures import get_io_pool
from .hub import Hub
from .timers import Timer

_ids = itertools.count(-1, -1)  # those of C are positive


class _File:
    """A descriptor that is closed when nobody uses it any more, in whatever thread."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._users = 1
        self._lock = threading.Lock()

    def take(self) -> None:
        """Use it once more."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """Use it no more."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
        os.close(self.fd)


def _read(fd: int) -> bytes:
    return os.read(fd, limits.FILE_CHUNK)


def _write_all(fd: int, pieces: list[bytes]) -> int:
    left = memoryview(b''.join(pieces))
    size = len(left)
    while left:
        left = left[os.write(fd, left) :]
    return size


class FileHandle(StreamHandle):
    """A stream handle that threads read and write. It takes over *fd*.

    A read or write that is under way when it is closed goes on, and what it brings is dropped.
    """

    __slots__ = (
        '_above', '_ended', '_file', '_high', '_hub', '_is_regular', '_low', '_queue', '_size',
        '_target', '_timer', '_under_way', '_wants_read',
    )  # fmt: skip

    def __init__(self, hub: Hub, fd: int) -> None:
        self._attach(hub.loop, next(_ids))
        self.put = self._put
        self._hub = hub
        self._file = _File(fd)
        self._is_regular = stat.S_ISREG(os.fstat(fd).st_mode)
        self._queue: deque[bytes] = deque()
        self._size = 0  # bytes that were not written yet
        self._high = self._low = limits.WRITE_HIGH
        self._above = False
        self._under_way: set[Callable[..., object]] = set()
        self._wants_read = False
        self._ended = False
        self._target: Any = None  # where the next read goes, if that was said
        self._timer: Optional[Timer] = None

    def fileno(self) -> int:
        if self.closed:
            raise TransportError.from_errno(errno.EBADF, 'get the file descriptor')
        return self._file.fd

    # Writing.

    def write(self, data: Buffer) -> int:
        raw = bytes(data)
        return self._put(self.id, raw, len(raw))

    def _put(self, _: int, data: bytes, size: int) -> int:
        if size and self._is_regular and not self._size and size <= limits.FILE_CHUNK:
            data = self._write_now(data)
            size = len(data)
        if size:
            self._queue.append(data)
            self._size += size
            self._above = self._above or self._size > self._high
            self._write_on()
        return self._size

    def _write_now(self, data: bytes) -> bytes:
        """Write, and return what was not taken; what is wrong, the thread will say."""
        try:
            return data[os.write(self._file.fd, data) :]
        except OSError:
            return data

    def _write_on(self) -> None:
        if self._queue and _write_all not in self._under_way:
            pieces = list(self._queue)
            self._queue.clear()
            self._submit(_write_all, self._written, pieces)

    def _written(self, size: int) -> None:
        self._size -= size
        self._write_on()
        if self._flushing:
            if not self._size:
                self.abort()
        elif not self.closed and self._above and self._size <= self._low:
            self._above = False
            self.owner.handle_drain()

    def write_eof(self) -> None:
        """Do nothing: a file has no EOF but its end."""

    @property
    def write_queue_size(self) -> int:
        return self._size

    def set_watermarks(self, high: int, low: int) -> None:
        self._high, self._low = high, low

    # Reading.

    def read_start(self) -> None:
        self._wants_read = True
        self._read_on()

    def read_stop(self) -> None:
        self._wants_read = False

    def read_into(self, buffer: memoryview | bytearray | None) -> None:
        self._target = buffer

    def _read_on(self) -> None:
        idle = _read not in self._under_way
        if self._wants_read and idle and not self._ended and not self.closed:
            self._submit(_read, self._got)

    def _got(self, data: bytes) -> None:
        if self.closed:
            return
        if data:
            self._deliver(data)
            self._read_on()
        else:
            self._ended = True
            self.owner.handle_eof()

    def _deliver(self, data: bytes) -> None:
        target, self._target = self._target, None
        if target is None:
            self.on_data(data)
            return
        with memoryview(target) as whole, whole.cast('B') as view:
            count = min(len(data), len(view))
            view[:count] = data[:count]
        self.owner.handle_read_into(count)
        if count < len(data):
            self.on_data(data[count:])

    # The threads.

    def _submit(self, call: Callable[..., Any], report: Callable[[Any], None], *args: Any) -> None:
        """Have a thread call ``call(fd, *args)``, and the hub ``report(result)``."""
        self._under_way.add(call)
        self._file.take()
        get_io_pool().submit(self._run, call, report, args)

    def _run(
        self, call: Callable[..., Any], report: Callable[[Any], None], args: tuple[Any, ...]
    ) -> None:
        try:
            result = call(self._file.fd, *args)
        except OSError as error:
            doing = 'read' if call is _read else 'write'
            report = self._fail
            result = TransportError.from_errno(error.errno or errno.EIO, doing)
        finally:
            self._file.release()
        try:
            self._hub.run_callback(self._done, call, partial(report, result))
        except RuntimeError:
            pass  # the hub was closed, and we with it

    def _done(self, call: Callable[..., Any], report: Callable[[], object]) -> None:
        self._under_way.discard(call)
        self.loop.defer(self, report)

    def _fail(self, error: TransportError) -> None:
        self._size = 0
        if self._flushing:
            self.abort()
        elif not self.closed:
            self.owner.handle_error(error)

    # The end.

    def set_deadline(self, which: int, seconds: float | None) -> None:
        """Have ``handle_timeout(which)`` called in *seconds*, unless it is closed by then."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None:
            self._timer = self._hub.call_later(seconds, self._expired, which)

    def _expired(self, which: int) -> None:
        if not self.closed or self._flushing:
            self.owner.handle_timeout(which)

    def close(self) -> None:
        if self.closed:
            return
        if not self._size:
            self.abort()
            return
        self._flushing = True
        self._shut()

    def abort(self) -> None:
        """Close now, and drop what is queued. Doing so again does nothing."""
        if self.closed and not self._flushing:
            return
        self._flushing = False
        self._shut()
        self._queue.clear()
        self.set_deadline(0, None)
        self._file.release()
        self.loop.defer(self, self._report_closed)

    def _shut(self) -> None:
        self._target = None
        super()._shut()

    def _report_closed(self) -> None:
        del self.loop.handles[self.id]
        if self.owner is not None:
            self.owner.handle_closed()

    # What only sockets can do.

    def listen(self, backlog: int) -> NoReturn:
        raise TransportError.from_errno(errno.ENOTSOCK, 'listen')

    def _name(self, peer: int, doing: str) -> Address:
        raise TransportError.from_errno(errno.ENOTSOCK, doing)
