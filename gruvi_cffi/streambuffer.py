"""The reading side of a stream: a buffer, a fiber that waits for it, and back-pressure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Union

from greenlet import getcurrent

from . import limits
from .errors import Timeout, TransportError
from .hub import get_hub, switchpoint
from .transports.base import half
from .wire.buffer import MANY, ByteBuffer

Size = Union[int, float]


class StreamBuffer(ByteBuffer):
    """What was read ahead of a fiber. It pauses the reading of *transport* above its high mark.

    *timeout*, in seconds, is the limit for each call that waits. No more than one fiber may wait.
    A call that is cancelled or times out takes nothing out.
    """

    default_buffer_size = limits.STREAM_HIGH

    __slots__ = (
        '_carrier', '_eof', '_error', '_high', '_hub', '_low', '_paused', '_reading', '_transport',
        '_wanted', 'done', 'timeout',
    )  # fmt: skip

    def __init__(self, transport: Any = None, timeout: float | None = None) -> None:
        super().__init__()
        self.timeout = timeout
        self._transport = transport
        self._high = self.default_buffer_size
        self._low = half(self.default_buffer_size)
        self._wanted: Size = 0  # bytes that a reader waits for, above the high mark or not
        self._paused = False
        self._eof = False
        self._error: Any = None
        self._reading = False  # a fiber waits, or is about to go on
        self._hub: Any = None
        self._carrier: Any = None  # of the fiber that waits
        self.done = True  # False: it stands in the queue of the hub

    @property
    def eof(self) -> bool:
        """True once everything was taken and no more will come."""
        return self._eof and not self._size

    @property
    def error(self) -> Any:
        """What broke the stream, once everything before it was taken; else None."""
        return None if self._size or self._eof else self._error

    def get_buffer_size(self) -> int:
        """Return how many bytes were read ahead."""
        return self._size

    def set_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the marks, in bytes; *low* defaults to half of *high*.

        :raises ValueError: not 0 <= low <= high.
        """
        high = self.default_buffer_size if high is None else high
        low = high // 2 if low is None else low
        if not 0 <= low <= high:
            raise ValueError(f'need 0 <= low <= high, not low={low}, high={high}')
        self._high, self._low = high, low
        self._adjust()

    # What the protocol calls.

    def feed(self, data: bytes) -> None:
        """Append *data*, and wake the reader."""
        if not data:
            return
        # As feed_data() does it, without a call.
        self._chunks.append(data)
        self._size += len(data)
        if self._carrier is not None and self.done:
            self.done = False
            self._hub.enqueue(self)
        if self._size > self._high and not self._paused:
            self._adjust()
        if len(self._chunks) == MANY:
            self._chunks = deque(self._chunks)

    def feed_eof(self) -> None:
        """No more will come."""
        self._eof = True
        self._wake()

    def feed_error(self, error: Any) -> None:
        """No more will come, because of *error*: an exception or its class."""
        self._error = error
        self._wake()

    def discard(self, error: Exception) -> None:
        """Drop what was read ahead: from now on readers get *error*, also one who waits."""
        self.clear()
        self._eof = False
        self.feed_error(error)

    passed = None

    # How the reader waits. Only the hub's own thread wakes it, and it may be woken in vain, so this
    # takes a third of the time of switch_back(); an echo server does it once for each request.

    def _wake(self) -> None:
        if self._carrier is not None and self.done:
            self.done = False
            self._hub.enqueue(self)

    def target(self) -> Any:
        """Return the greenlet of the reader, or None if it waits no more. See ``Resumable``."""
        self.done = self._carrier is None
        return self._carrier

    def _pause(self) -> None:
        if self._hub is None:
            self._hub = get_hub()
        self._carrier = getcurrent()
        try:
            self._hub.pause()
        finally:
            self._carrier = None

    # What readers call.

    @switchpoint
    def get_chunk(
        self, size: int = -1, delim: bytes | None = None, timeout: float | None = -1
    ) -> bytes:
        """Return *size* bytes, or fewer at the end; all up to the end if *size* is negative.

        With *delim*, no more than up to the first delimiter. *timeout* -1 is the buffer's own.

        :raises Timeout: they did not come in time.
        """
        most: Size = float('inf') if size < 0 else size
        if delim is None:
            self.wait_until(lambda: self._size >= most, most, timeout)
            return self.take(self._size if size < 0 else size)
        return self.take(self.wait_for_delimiter(delim, most, timeout))

    @switchpoint
    def read_chunk(self, size: int = -1, timeout: float | None = -1) -> bytes:
        """Return what came first, *size* bytes at most, after waiting for some; b'' at the end.

        :raises Timeout: nothing came in time.
        """
        if self._size == 0 or self._reading:
            self._wait_for_data(timeout)
        # What mostly happens: the chunk fits as it is.
        chunks = self._chunks
        if chunks and self._start == 0 and not self._paused:
            chunk = chunks[0]
            if size < 0 or len(chunk) <= size:
                del chunks[0]
                self._size -= len(chunk)
                if self._delim:
                    self._forget_scan(b'')
                return chunk
        return self.take_chunk(size)

    @switchpoint
    def wait_for_data(self, timeout: float | None = -1) -> None:
        """Wait until there is something, or the end.

        :raises Timeout: nothing came in time.
        """
        self._wait_for_data(timeout)

    def _wait_for_data(self, timeout: float | None) -> None:
        if self._reading or timeout != -1 or self.timeout is not None:
            self.wait_until(self.__len__, 1, timeout)
            return
        if self._eof or self._error is not None:
            return
        # As wait_until() does it, but this is where most fibers wait.
        hub = self._hub
        if hub is None:
            hub = self._hub = get_hub()
        self._reading = True
        self._carrier = getcurrent()
        try:
            while not (self._size or self._eof or self._error is not None):
                hub.pause()
        finally:
            self._carrier = None
            self._reading = False

    @switchpoint
    def wait_for_delimiter(self, delim: bytes, most: Size, timeout: float | None = -1) -> int:
        """Return where the first *delim* ends; at the end, or at *most*, how much there is.

        This is a switch point.
        """
        if not delim:
            raise ValueError('need a delimiter of at least one byte')
        end = -1

        def found() -> bool:
            nonlocal end
            at = self.find(delim)
            if at >= 0:
                end = int(min(at + len(delim), most))
            return at >= 0 or self._size >= most

        self.wait_until(found, most, timeout)
        return int(min(self._size, most)) if end < 0 else end

    @switchpoint
    def wait_until(
        self, ready: Callable[[], object], wanted: Size, timeout: float | None = -1
    ) -> None:
        """Wait until *ready*, or the end; *wanted* is how many bytes that may need.

        This is a switch point.

        :raises RuntimeError: another fiber waits already.
        """
        if self._reading:
            raise RuntimeError('another fiber is already reading this stream')
        if ready() or self._eof or self._error is not None:
            return
        if timeout == -1:
            timeout = self.timeout
        until = None if timeout is None else monotonic() + timeout
        self._wanted = wanted
        self._reading = True
        try:
            while not (ready() or self._eof or self._error is not None):
                self._adjust()
                self._wait(until, timeout)
        finally:
            self._reading = False
            self._wanted = 0
            self._adjust()

    def _wait(self, until: float | None, timeout: float | None) -> None:
        if until is None:
            self._pause()
            return
        left = until - monotonic()
        if left <= 0:
            raise Timeout(f'nothing to read within {timeout} seconds')
        timer = get_hub().call_later(left, self._wake)
        try:
            self._pause()
        finally:
            timer.cancel()

    def take(self, size: int) -> bytes:
        """Return *size* bytes of what there is.

        :raises BaseException: what broke the stream, if there is nothing left.
        """
        if not self._size:
            self.check()
        data = super().take(size)
        if self._paused:
            self._adjust()
        return data

    def take_chunk(self, size: int = -1) -> bytes:
        """Return the next chunk as it was read, *size* bytes of it at most."""
        if not self._size:
            self.check()
        data = super().take_chunk(size)
        if self._paused:
            self._adjust()
        return data

    @switchpoint
    def read_into(self, view: memoryview, timeout: float | None = -1) -> int:
        """Fill *view* with what has come, after waiting for some; return how many bytes.

        This is a switch point.
        """
        transport = self._transport
        ended = self._eof or self._error is not None
        waits = not (self._size or ended or self._reading)
        if waits and getattr(transport, 'can_read_into', False):
            nbytes = self._read_straight_into(view, timeout)
            if nbytes:
                return nbytes
        self.wait_for_data(timeout)
        data = self.take_chunk(len(view))
        view[: len(data)] = data
        return len(data)

    def _read_straight_into(self, view: memoryview, timeout: float | None) -> int:
        """Return how many bytes the system has put into *view*; 0 if they came another way."""
        nbytes = 0

        def filled(count: int) -> None:
            nonlocal nbytes
            if self._size:  # of this very batch, and before those
                self.feed_data(bytes(view[:count]))
            else:
                nbytes = count
            self._wake()

        try:
            self._transport.read_into(view, filled)
            self.wait_until(lambda: nbytes or self._size, 1, timeout)
        except BaseException:
            self.put_back(bytes(view[:nbytes]))
            raise
        finally:
            if not self._transport.is_closing():
                self._transport.read_into(None)
        return nbytes

    def check(self) -> None:
        """Raise what broke the stream, anew, unless it ended as it should."""
        if self._error is None or self._eof:
            return
        error = self._error
        if isinstance(error, type):
            raise error
        raise error.with_traceback(None)

    def _adjust(self) -> None:
        """Pause or resume reading."""
        if self._transport is None:
            return
        size = self._size
        try:
            if not self._paused and size > self._high and size >= self._wanted:
                self._paused = True
                self._transport.pause_reading()
            elif self._paused and (size <= self._low or size < self._wanted):
                self._paused = False
                self._transport.resume_reading()
        except TransportError:
            pass  # it is closed: what was read can still be taken
