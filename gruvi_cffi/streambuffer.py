"""The reading side of a stream: a buffer, a fiber that waits for it, and back-pressure."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any, Union

from . import limits
from .errors import TransportError
from .hub import get_hub, switch_back, switchpoint
from .wire.buffer import ByteBuffer

Size = Union[int, float]


class StreamBuffer:
    """What was read ahead of a fiber. It pauses the reading of *transport* above its high mark.

    *timeout*, in seconds, is the limit for each call that waits. No more than one fiber may wait.
    A call that is cancelled or times out takes nothing out.
    """

    default_buffer_size = limits.STREAM_HIGH

    __slots__ = (
        '_buffer', '_eof', '_error', '_high', '_low', '_paused', '_transport', '_waiter', '_wanted',
        'timeout',
    )  # fmt: skip

    def __init__(self, transport: Any = None, timeout: float | None = None) -> None:
        self.timeout = timeout
        self._transport = transport
        self._buffer = ByteBuffer()
        self._high = self.default_buffer_size
        self._low = self.default_buffer_size // 2
        self._wanted: Size = 0  # bytes that a reader waits for, above the high mark or not
        self._paused = False
        self._eof = False
        self._error: Any = None
        self._waiter: Any = None

    @property
    def eof(self) -> bool:
        """True once everything was taken and no more will come."""
        return self._eof and not self._buffer

    @property
    def error(self) -> Any:
        """What broke the stream, once everything before it was taken; else None."""
        return None if self._buffer or self._eof else self._error

    def get_buffer_size(self) -> int:
        """Return how many bytes were read ahead."""
        return len(self._buffer)

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
        buffer = self._buffer
        buffer.feed_data(data)
        if self._waiter is not None:
            self._waiter.switch()
        if len(buffer) > self._high and not self._paused:
            self._adjust()

    def feed_eof(self) -> None:
        """No more will come."""
        self._eof = True
        self._wake()

    def feed_error(self, error: Any) -> None:
        """No more will come, because of *error*: an exception or its class."""
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None:
            self._waiter.switch()

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
            self.wait_until(lambda: len(self._buffer) >= most, most, timeout)
            return self.take(len(self._buffer) if size < 0 else size)
        return self.take(self.wait_for_delimiter(delim, most, timeout))

    def wait_for_data(self, timeout: float | None = -1) -> None:
        """Wait until there is something, or the end. This is a switch point."""
        if not self._buffer or self._waiter is not None:
            self.wait_until(self._buffer.__len__, 1, timeout)

    def wait_for_delimiter(self, delim: bytes, most: Size, timeout: float | None = -1) -> int:
        """Return where the first *delim* ends once it is there, or what there is at the end or *most*.

        This is a switch point.
        """
        end = -1

        def found() -> bool:
            nonlocal end
            at = self._buffer.find(delim)
            if at >= 0:
                end = int(min(at + len(delim), most))
            return at >= 0 or len(self._buffer) >= most

        self.wait_until(found, most, timeout)
        return int(min(len(self._buffer), most)) if end < 0 else end

    def wait_until(
        self, ready: Callable[[], object], wanted: Size, timeout: float | None = -1
    ) -> None:
        """Wait until *ready*, or the end; *wanted* is how many bytes that may need.

        This is a switch point.

        :raises RuntimeError: another fiber waits already.
        """
        if self._waiter is not None:
            raise RuntimeError('another fiber is already reading this stream')
        if ready() or self._eof or self._error is not None:
            return
        if timeout == -1:
            timeout = self.timeout
        until = None if timeout is None else monotonic() + timeout
        self._wanted = wanted
        try:
            while True:
                self._adjust()
                self._wait(None if until is None else max(0.0, until - monotonic()))
                if ready() or self._eof or self._error is not None:
                    return
        finally:
            self._wanted = 0
            self._adjust()

    def _wait(self, timeout: float | None) -> None:
        hub = get_hub()
        with switch_back(timeout) as self._waiter:
            try:
                hub.switch()
            finally:
                self._waiter = None

    def take(self, size: int) -> bytes:
        """Return *size* bytes of what there is.

        :raises BaseException: what broke the stream, if there is nothing left.
        """
        if not self._buffer:
            self.check()
        data = self._buffer.take(size)
        if self._paused:
            self._adjust()
        return data

    def take_chunk(self, size: int = -1) -> bytes:
        """Return the next chunk as it was read, *size* bytes of it at most."""
        if not self._buffer:
            self.check()
        data = self._buffer.take_chunk(size)
        if self._paused:
            self._adjust()
        return data

    def peek(self) -> bytes:
        """Return the next chunk and leave it there."""
        return self._buffer.peek_chunk()

    def read_into(self, view: memoryview, timeout: float | None = -1) -> int:
        """Fill *view* with what has come, after waiting for some; return how many bytes.

        This is a switch point.
        """
        transport = self._transport
        ended = self._eof or self._error is not None
        if not (self._buffer or ended) and getattr(transport, 'can_read_into', False):
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
            if self._buffer:  # of this very batch, and before those
                self._buffer.feed_data(bytes(view[:count]))
            else:
                nbytes = count
            self._wake()

        if self._waiter is None:
            self._transport.read_into(view, filled)
        try:
            self.wait_until(lambda: nbytes or self._buffer, 1, timeout)
        except BaseException:
            self._buffer.put_back(bytes(view[:nbytes]))
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
        size = len(self._buffer)
        try:
            if not self._paused and size > self._high and size >= self._wanted:
                self._paused = True
                self._transport.pause_reading()
            elif self._paused and (size <= self._low or size < self._wanted):
                self._paused = False
                self._transport.resume_reading()
        except TransportError:
            pass  # it is closed: what was read can still be taken
