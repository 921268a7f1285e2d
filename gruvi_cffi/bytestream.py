"""The byte stream: a transport that blocks, for fibers."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Optional

from . import limits
from ._native.stream import Buffer
from .errors import IncompleteRead, StreamError, TransportError, check_timeout
from .handshakes import start_tls
from .hub import get_hub, switch_back, switchpoint
from .iobase import Unseekable
from .streambuffer import StreamBuffer
from .textstream import TextStream

# Without the check of a switch point, which read1() has just made.
_read_chunk: Callable[..., bytes] = StreamBuffer.read_chunk.__wrapped__  # type: ignore[attr-defined]


class Stream(Unseekable):
    """A blocking view of *transport*: what ``io.BufferedIOBase`` offers, for fibers.

    *mode* is 'r', 'w' or 'rw'; with *autoclose* the transport is closed with the stream. *timeout*,
    in seconds, is the limit for each call that waits; each takes one of its own too, where -1 is
    the stream's. A call that times out or is cancelled has taken nothing out of the stream. If the
    protocol has made it already, *buffer* is what it feeds.

    Every method raises StreamError once the stream is closed, or if it is not for that direction.
    """

    __slots__ = (
        '__weakref__', '_autoclose', '_buffer', '_closed', '_held_up', '_lost', '_lost_error',
        '_mode', '_timeout', '_transport', '_writers', '_writing_paused',
    )  # fmt: skip

    def __init__(
        self,
        transport: Any,
        mode: str = 'rw',
        autoclose: bool = False,
        timeout: float | None = None,
        buffer: StreamBuffer | None = None,
    ) -> None:
        if mode not in ('r', 'w', 'rw'):
            raise ValueError(f"need a mode of 'r', 'w' or 'rw', not {mode!r}")
        check_timeout(timeout)
        self._transport = transport
        self._mode = mode
        self._autoclose = autoclose
        self._timeout = timeout
        self._closed = False
        if buffer is None and 'r' in mode:
            buffer = StreamBuffer(transport, timeout)
        self._buffer = buffer
        self._writing_paused = False
        self._lost = False
        self._lost_error: Any = None
        self._held_up = 'w' not in mode  # there is a reason not to write just so; one of four
        self._writers: Optional[dict[Any, None]] = None  # who wait until they may write, in order

    def __repr__(self) -> str:
        return f'<Stream {"closed" if self._closed else "open"} over {self._transport!r}>'

    @property
    def transport(self) -> Any:
        return self._transport

    @property
    def buffer(self) -> StreamBuffer | None:
        """What was read ahead; None if the stream is for writing only."""
        return self._buffer

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def timeout(self) -> float | None:
        """The limit for each call that waits, in seconds; None is no limit."""
        return self._timeout

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        check_timeout(seconds)
        self._timeout = seconds
        if self._buffer is not None:
            self._buffer.timeout = seconds

    def readable(self) -> bool:
        """Return True if it is for reading."""
        return 'r' in self._mode

    def writable(self) -> bool:
        """Return True if it is for writing."""
        return 'w' in self._mode

    def wrap(
        self,
        encoding: str = 'utf-8',
        errors: str = 'strict',
        newline: str | None = None,
        line_buffering: bool = False,
        write_through: bool = True,
    ) -> TextStream:
        """Return a text stream over this one; *newline* as for ``open()``.

        *line_buffering* and *write_through* may be given because ``io.TextIOWrapper`` has them;
        what is written is always passed on at once.
        """
        self._check_open()
        return TextStream(self, encoding, errors, newline)

    def isatty(self) -> bool:
        """Return True if it is a terminal."""
        get_extra_info = getattr(self._transport, 'get_extra_info', None)
        return get_extra_info is not None and get_extra_info('winsize') is not None

    # Reading.

    def _readable(self) -> StreamBuffer:
        if self._closed or self._buffer is None:
            what = 'is closed' if self._closed else 'is not for reading'
            raise StreamError(f'the stream {what}')
        return self._buffer

    @switchpoint
    def read(self, size: int | None = -1, timeout: float | None = -1) -> bytes:
        """Return *size* bytes, fewer only at the end; all up to the end if it is negative or None.

        :raises Timeout: they did not come in time.
        :raises TransportError: the connection broke, and nothing is left.
        """
        buffer = self._readable()
        size = -1 if size is None else size
        return buffer.get_chunk(size, None, timeout) if size else b''

    @switchpoint
    def read1(self, size: int | None = -1, timeout: float | None = -1) -> bytes:
        """Return what has come, *size* bytes at most, after waiting for some; b'' at the end.

        :raises Timeout: nothing came in time.
        :raises TransportError: the connection broke, and nothing is left.
        """
        buffer = self._buffer
        if buffer is None or self._closed or not size:
            buffer = self._readable()
            if size == 0:
                return b''
            size = -1 if size is None else size
        return _read_chunk(buffer, size, timeout)

    @switchpoint
    def readexactly(self, size: int, timeout: float | None = -1) -> bytes:
        """Return *size* bytes.

        :raises IncompleteRead: the stream ended before; what there was is in its ``partial``.
        :raises Timeout: they did not come in time.
        :raises TransportError: the connection broke, and nothing is left.
        """
        if size < 0:
            raise ValueError(f'need a size of 0 or more, not {size}')
        buffer = self._readable()
        data = buffer.get_chunk(size, None, timeout) if size else b''
        if len(data) < size:
            raise IncompleteRead(data, size)
        return data

    @switchpoint
    def readline(
        self,
        limit: int | None = -1,
        delim: bytes = b'\n',
        timeout: float | None = -1,
    ) -> bytes:
        """Return a line with its end, which is *delim*; at the end or after *limit* bytes, a part.

        :raises StreamError: without *limit*, if a line is longer than ``limits.LINE_LIMIT`` bytes.
        :raises Timeout: it did not come in time.
        :raises TransportError: the connection broke, and nothing is left.
        """
        buffer = self._readable()
        if limit is None or limit < 0:
            return buffer.take(self._line_end(delim, None, timeout))
        return buffer.get_chunk(limit, delim, timeout) if limit else b''

    @switchpoint
    def readuntil(
        self,
        delim: bytes = b'\n',
        limit: int | None = None,
        timeout: float | None = -1,
    ) -> bytes:
        """Return what there is up to *delim*, which is included.

        :raises IncompleteRead: the stream ended before; what there was is in its ``partial``.
        :raises StreamError: there is none in *limit* bytes (``limits.LINE_LIMIT`` by default),
            which stay in the stream.
        :raises Timeout: it did not come in time.
        :raises TransportError: the connection broke, and nothing is left.
        """
        line = self._readable().take(self._line_end(delim, limit, timeout))
        if not line.endswith(delim):
            raise IncompleteRead(line)
        return line

    def _line_end(self, delim: bytes, most: int | None, timeout: float | None) -> int:
        """Return where the next line ends; 0 if there is nothing left."""
        if most is None or most < 0:
            most = limits.LINE_LIMIT
        end = self._readable().wait_for_delimiter(delim, most + 1, timeout)
        if end > most:
            raise StreamError(f'no delimiter {delim!r} in {most} bytes')
        return end

    @switchpoint
    def readlines(self, hint: int | None = -1, timeout: float | None = -1) -> list[bytes]:
        """Return lines up to the end, or until they have more than *hint* bytes together.

        *timeout* is for each line. Who gives up has taken none.
        """
        buffer = self._readable()
        lines: list[bytes] = []
        most = hint if hint is not None and hint > 0 else float('inf')
        total = 0
        try:
            while total <= most:
                end = self._line_end(b'\n', None, timeout)
                if not end and lines:
                    break  # what broke the stream, if anything did, is for the next call
                line = buffer.take(end)
                if not line:
                    break
                lines.append(line)
                total += len(line)
        except BaseException:
            buffer.put_back(b''.join(lines))
            raise
        return lines

    @switchpoint
    def readinto(self, buffer: bytearray | memoryview, timeout: float | None = -1) -> int:
        """Read into *buffer* what has come, after waiting for some; return how many bytes.

        0 is the end, or an empty buffer. Where nothing was read ahead, CPython's *buffer* is filled
        by the system itself.

        :raises Timeout: nothing came in time.
        :raises TransportError: the connection broke, and nothing is left.
        :raises TypeError: nothing can be written to *buffer*.
        """
        source = self._readable()
        with memoryview(buffer) as whole, whole.cast('B') as view:
            if view.readonly:
                raise TypeError(f'need a writable buffer, not {type(buffer).__name__}')
            return source.read_into(view, timeout) if view else 0

    readinto1 = readinto

    @switchpoint
    def peek(self, size: int = 0, timeout: float | None = -1) -> bytes:
        """Return what has come without taking it, after waiting for some; *size* is ignored."""
        buffer = self._readable()
        buffer.wait_for_data(timeout)
        data = buffer.peek_chunk()
        if not data:
            buffer.check()
        return data

    def __iter__(self) -> Iterator[bytes]:
        return self

    @switchpoint
    def __next__(self) -> bytes:
        """Return the next line.

        :raises StopIteration: the stream has ended.
        """
        line = self._readable().take(self._line_end(b'\n', None, -1))
        if not line:
            raise StopIteration
        return line

    # Writing.

    @switchpoint
    def write(self, data: Buffer, timeout: float | None = -1) -> None:
        """Write all of *data*, once no more than the high watermark is queued.

        :raises Timeout: too much was queued for too long; nothing of *data* was written.
        :raises TransportError: the connection broke.
        """
        if self._held_up:
            self._wait_to_write(timeout)
        self._transport.write(data)

    @switchpoint
    def writelines(self, lines: Iterable[Buffer], timeout: float | None = -1) -> None:
        """Write all of *lines* at once, as ``write()`` does."""
        self.write(b''.join(lines), timeout)

    @switchpoint
    def write_eof(self) -> None:
        """Send EOF behind what is queued; reading goes on."""
        self._check_writable()
        self._transport.write_eof()

    def flush(self) -> None:
        """Do nothing: what was written leaves with this turn."""

    @switchpoint
    def drain(self, timeout: float | None = -1) -> None:
        """Wait until ``write()`` would not.

        :raises Timeout: too much was queued for too long.
        :raises TransportError: the connection broke.
        """
        self._wait_to_write(timeout)

    def _check_open(self) -> None:
        if self._closed:
            raise StreamError('the stream is closed')

    def _check_writable(self) -> None:
        self._check_open()
        if 'w' not in self._mode:
            raise StreamError('the stream is not for writing')

    def _wait_to_write(self, timeout: float | None) -> None:
        self._check_writable()
        hub = get_hub()
        while self._writing_paused and not self._lost:
            with switch_back(self._timeout if timeout == -1 else timeout) as switcher:
                if self._writers is None:
                    self._writers = {}
                self._writers[switcher] = None
                try:
                    hub.switch()
                finally:
                    if self._writers is not None:
                        self._writers.pop(switcher, None)
            self._check_writable()
        if self._lost:
            error = self._lost_error
            if isinstance(error, TransportError) and error.uv_errno:
                raise TransportError.from_errno(error.uv_errno, 'write')
            if isinstance(error, TransportError):
                raise type(error)(str(error))
            raise TransportError('could not write: the connection was closed')

    @switchpoint
    def start_tls(
        self,
        ssl: Any = True,
        server_side: bool = False,
        server_hostname: str | None = None,
        timeout: float | None = -1,
    ) -> None:
        """Go on with TLS (STARTTLS), and wait for the handshake.

        See ``gruvi_cffi.start_tls()``. What was read ahead is taken for the peer's TLS, so that
        nothing from before it can be mistaken for something that came with it.
        """
        self._check_open()
        buffer = self._buffer
        received = b'' if buffer is None else buffer.take(len(buffer)) if len(buffer) else b''
        try:
            timeout = self._timeout if timeout == -1 else timeout
            start_tls(self._transport, ssl, server_side, server_hostname, received, timeout)
        except (TypeError, ValueError):
            if buffer is not None:
                buffer.put_back(received)
            raise

    # What the protocol says.

    def pause_writing(self) -> None:
        """Make writers wait."""
        self._writing_paused = self._held_up = True

    def resume_writing(self) -> None:
        """Let writers go on."""
        self._writing_paused = False
        self._held_up = self._closed or self._lost or not self.writable()
        self._wake_writers()

    def connection_lost(self, error: Any) -> None:
        """Tell readers and writers that nothing more will come or go."""
        self._lost = self._held_up = True
        self._lost_error = error
        if self._buffer is not None and not self._closed:
            if error is None:
                self._buffer.feed_eof()
            else:
                self._buffer.feed_error(error)
        self._wake_writers()

    def _wake_writers(self) -> None:
        writers, self._writers = self._writers, None
        for switcher in writers or ():
            switcher.switch()

    # The end.

    @switchpoint
    def close(self, timeout: float | None = -1) -> None:
        """Close; with autoclose also the transport, and wait until what was written has left.

        After *timeout* seconds the rest is dropped. Fibers that wait for the stream get a
        StreamError. Twice is once.
        """
        if self._closed:
            return
        closes = self._autoclose and self._transport is not None and not self._lost
        if closes:
            self._transport.close()  # which refuses if this is another thread
        self._closed = self._held_up = True
        if self._buffer is not None:
            self._buffer.discard(StreamError('the stream is closed'))
        self._wake_writers()
        if closes and not self._lost:
            self._wait_lost(self._timeout if timeout == -1 else timeout)

    def _wait_lost(self, timeout: float | None) -> None:
        hub = get_hub()
        try:
            with switch_back(timeout) as switcher:
                self._transport.add_close_callback(switcher.switch)
                hub.switch()
        except BaseException as error:
            self._transport.abort()
            if error is not switcher.timeout:
                raise

    def __enter__(self) -> Stream:
        self._check_open()
        return self

    @switchpoint
    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()


# Without inheriting: its finalizer would call close(), which may wait, wherever the collector runs.
io.BufferedIOBase.register(Stream)
