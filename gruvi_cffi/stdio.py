"""Standard input, output and error, as streams for fibers.

    from gruvi_cffi import stdio

    for line in stdio.stdin:
        stdio.stdout.write(line.upper())

``stdin``, ``stdout`` and ``stderr`` are text streams like those of ``sys``, with the same
encodings; the bytes are in their ``buffer``. Each hub makes its own when it is first asked for
them. They may be terminals, pipes, sockets or files. The descriptors 0, 1 and 2 stay open, and
blocking for all who share them: terminals, and on Linux pipes, are opened anew. Sockets cannot be,
and are non-blocking until the streams are closed.

Reading takes no more than what one read brings, and only while a fiber waits, so that a child
process may read the rest. What ``sys.stdin`` has read ahead is not seen here. A write returns when
the system has taken everything; what ``print()`` has left in ``sys.stdout`` leaves before.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from ._native.pipe import PipeHandle
from ._native.stream import Buffer, StreamHandle
from ._native.tty import TtyHandle, reopen
from .bytestream import Stream
from .errors import TransportError
from .filehandle import FileHandle
from .hub import Hub, get_hub, switchpoint
from .stream import StreamProtocol
from .streambuffer import StreamBuffer
from .textstream import TextStream
from .transports import Transport

__all__ = ['raw_mode', 'stderr', 'stdin', 'stdout', 'window_size']

stdin: TextStream
stdout: TextStream
stderr: TextStream

_NAMES = {'stdin': 0, 'stdout': 1, 'stderr': 2}


def __getattr__(name: str) -> TextStream:
    if name not in _NAMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    hub = get_hub()
    streams: dict[str, TextStream] = hub.data.setdefault('gruvi:stdio', {})
    if name not in streams:
        streams[name] = _open(hub, name)
    return streams[name]


# Terminals.


@contextmanager
def raw_mode(stream: Any, mode: str = 'raw') -> Iterator[None]:
    """Have the terminal of *stream* in raw mode in this block; before and after it is as it was.

    *stream* is a stream or a transport. In raw mode each key comes at once, and nothing is shown
    for it; Ctrl-C is the character ``'\\x03'`` and no signal. The *mode* 'io' also leaves the
    output as it is: ``'\\n'`` goes down and not to the left.

    :raises TransportError: it is no terminal.
    """
    handle = _terminal(stream)
    before = handle.mode
    handle.set_mode(mode)
    try:
        yield
    finally:
        try:
            handle.set_mode(before)
        except TransportError:
            pass  # it was closed, and did so itself, or has hung up


def window_size(stream: Any) -> os.terminal_size:
    """Return the (columns, lines) of the terminal of *stream*, which may be a transport too.

    They are 0 if nobody has said how large the window is. SIGWINCH comes when they change.

    :raises TransportError: it is no terminal.
    """
    return os.terminal_size(_terminal(stream).get_winsize())


def _terminal(stream: Any) -> TtyHandle:
    below = stream.buffer if isinstance(stream, TextStream) else stream
    transport = getattr(below, 'transport', below)
    handle = transport.get_extra_info('handle')
    if not isinstance(handle, TtyHandle):
        raise TransportError.from_errno(errno.ENOTTY, f'use {stream!r} as a terminal')
    return handle


# Making the streams.


class _Input(StreamBuffer):
    """A buffer that is only filled while a reader waits, and not beyond what that needs."""

    __slots__ = ()

    def __init__(self, transport: Any, timeout: float | None = None) -> None:
        super().__init__(transport, timeout)
        self._high = self._low = -1  # so nothing at all is too much
        self._adjust()

    def _wait_for_data(self, timeout: float | None) -> None:
        self.wait_until(self.__len__, 1, timeout)


class _StandardStream(Stream):
    """A stream over one of the standard streams, *twin* of that of ``sys`` with this name."""

    __slots__ = ('_twin',)

    def __init__(self, transport: Any, mode: str, twin: str) -> None:
        super().__init__(transport, mode, autoclose=True)
        self._twin = twin
        if self._buffer is not None:
            self._buffer = _Input(transport)

    @switchpoint
    def write(self, data: Buffer, timeout: float | None = -1) -> None:
        """Write all of *data*, and wait until the system has taken it.

        :raises Timeout: it did not take it in time; what is left leaves later.
        :raises TransportError: nobody reads it.
        """
        _flush(self._twin)
        super().write(data, timeout)
        self.drain(timeout)


def _flush(twin: str) -> None:
    """Let what was printed go first."""
    printed = getattr(sys, twin)
    if printed is not None and not printed.closed:
        printed.flush()


class _Protocol(StreamProtocol):
    def __init__(self, mode: str, twin: str) -> None:
        super().__init__()
        self._mode = mode
        self._twin = twin

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._stream = stream = _StandardStream(transport, self._mode, self._twin)
        transport.set_write_buffer_limits(0)
        if stream.buffer is not None:
            self.data_received = stream.buffer.feed  # type: ignore[method-assign]


def _open(hub: Hub, name: str) -> TextStream:
    twin = getattr(sys, f'__{name}__')
    if twin is None:  # its number may be anything by now
        raise TransportError.from_errno(errno.EBADF, f'open {name}')
    mode = 'r' if name == 'stdin' else 'w'
    handle, restore = _handle_for(hub, _NAMES[name])
    transport = Transport(handle, mode=mode)
    transport.add_close_callback(restore)
    protocol = _Protocol(mode, name)
    transport.start(protocol)
    return protocol.stream.wrap(twin.encoding, twin.errors)


def _handle_for(hub: Hub, fd: int) -> tuple[StreamHandle, Callable[[], None]]:
    """Return a handle for what *fd* stands for, and what is to be done once it was closed."""
    is_terminal = os.isatty(fd)
    kind = os.fstat(fd).st_mode
    if not (is_terminal or stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)):
        return FileHandle(hub, os.dup(fd)), _do_nothing
    copy = reopen(fd)
    restore: Callable[[], None] = _do_nothing
    if copy is None:
        copy = os.dup(fd)
        restore = _unblock(fd)
    # Not as TCP, which would be reset when the hub is closed, and what was written be lost.
    handle: TtyHandle | PipeHandle
    handle = TtyHandle(hub.loop) if is_terminal else PipeHandle(hub.loop)
    try:
        handle.open(copy)
    except BaseException:
        handle.abort()
        os.close(copy)
        restore()
        raise
    return handle, restore


def _do_nothing() -> None:
    pass


# What cannot be opened anew is non-blocking until the last of its streams is closed: device and
# inode -> how many there are, and whether it was blocking.
_unblocked: dict[tuple[int, int], tuple[int, bool]] = {}
_lock = threading.Lock()


def _unblock(fd: int) -> Callable[[], None]:
    """Make *fd* non-blocking, and return what makes it as it was."""
    status = os.fstat(fd)
    key = status.st_dev, status.st_ino
    with _lock:
        count, blocking = _unblocked.get(key, (0, os.get_blocking(fd)))
        _unblocked[key] = count + 1, blocking
        os.set_blocking(fd, False)
    return partial(_block, fd, key)


def _block(fd: int, key: tuple[int, int]) -> None:
    with _lock:
        count, blocking = _unblocked.pop(key)
        if count > 1:
            _unblocked[key] = count - 1, blocking
        else:
            os.set_blocking(fd, blocking)
