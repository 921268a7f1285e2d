"""The reading half of a transport: the way from a handle to a protocol, and the gate in it.

    handle --- on_data ---+--- open ----> protocol.data_received()
                          +--- open ----> get_buffer(), copy, buffer_updated()
                          +--- shut ----> held, until resume_reading()

For a BufferedProtocol, C reads into the protocol's buffer where it can, one read for each offer.
What was read without an offer is copied.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Optional

from .._native.stream import StreamHandle
from ..errors import TransportError
from .base import OPEN, BaseTransport


class ReadingTransport(BaseTransport):
    """A transport that reads from a stream handle."""

    __slots__ = ('_buffered', '_eof_held', '_filled', '_held', '_offered', '_paused')

    _handle: StreamHandle

    def __init__(self, handle: StreamHandle, mode: str) -> None:
        super().__init__(handle, mode)
        self._paused = False
        self._held: Optional[deque[bytes]] = None  # what came while reading was paused
        self._eof_held = False
        self._buffered = False
        self._offered: Any = None  # the protocol's buffer; not exported by us
        self._filled: Optional[Callable[[int], object]] = None  # who waits for a read_into()

    def is_reading(self) -> bool:
        """Return True unless reading is paused, or the transport is closing."""
        return self._state == OPEN and not self._paused and 'r' in self._mode

    def pause_reading(self) -> None:
        """Call neither ``data_received()`` nor ``eof_received()`` any more. Twice is once.

        :raises TransportError: not started, or not for reading.
        """
        self._check_readable()
        if self.is_reading():
            self._paused = True
            self._read_no_more()

    def resume_reading(self) -> None:
        """Read on; what has come meanwhile is delivered first, in the next turn. Twice is once.

        :raises TransportError: not started, or not for reading.
        """
        self._check_readable()
        if self._paused and self._state == OPEN:
            self._paused = False
            self._read_on()

    def _check_readable(self) -> None:
        self._check_started()
        if 'r' not in self._mode:
            raise TransportError('the transport is not for reading')

    def _read_on(self) -> None:
        if self._held or self._eof_held:
            self._handle.loop.defer(self._handle, self._deliver_held)
        else:
            self._open_gate()
            self._handle.read_start()

    def _read_no_more(self) -> None:
        self._shut_gate()
        self._handle.read_stop()

    def _open_gate(self) -> None:
        if self._held or not self.is_reading():
            return  # what is held comes first
        if self._buffered:
            self._handle.on_data = self._fill_buffers
            self._offer_buffer()
        else:
            self._withdraw_buffer()
            self._handle.on_data = self._protocol.data_received

    def _shut_gate(self) -> None:
        self._handle.on_data = self._hold
        self._withdraw_buffer()

    def _hold(self, data: bytes) -> None:
        if self._held is None:
            self._held = deque()
        self._held.append(data)

    def _deliver_held(self) -> None:
        held = self._held
        while held and self.is_reading():
            data = held.popleft()
            if self._buffered:
                rest = self._copy(data)
                if rest:
                    held.appendleft(rest)
            else:
                self._protocol.data_received(data)
        if held or not self.is_reading():
            return
        if self._eof_held:
            self._eof_held = False
            self.handle_eof()
        else:
            self._open_gate()
            self._handle.read_start()

    def handle_eof(self) -> None:
        if self._held or not self.is_reading():
            self._eof_held = True
        elif not self._protocol.eof_received():
            self.close()

    # A BufferedProtocol.

    def _next_buffer(self, sizehint: int) -> Any:
        try:
            buffer = self._protocol.get_buffer(sizehint)
            if not len(buffer):
                raise RuntimeError('get_buffer() returned an empty buffer')
        except Exception as error:
            self._break(error)
            raise
        return buffer

    def _offer_buffer(self) -> None:
        if self._handle.reads_into and self.is_reading():
            self._offered = self._next_buffer(-1)
            self._handle.read_into(self._offered)

    def _withdraw_buffer(self) -> None:
        # It is still known afterwards: this very batch may say that it was read into.
        if self._offered is not None:
            self._handle.read_into(None)

    def _fill_buffers(self, data: bytes) -> None:
        """Take what came when no buffer was offered."""
        self._withdraw_buffer()
        rest = self._copy(data)
        if rest:
            self._handle.on_data(rest)  # by now the way is another, or this one failed
        elif self._buffered:
            self._offer_buffer()

    def _copy(self, data: bytes) -> bytes:
        """Copy *data* into the protocol's buffers; return what it did not take before it paused."""
        left = memoryview(data)
        while left and self._buffered and self.is_reading():
            with memoryview(self._next_buffer(len(left))) as whole, whole.cast('B') as view:
                count = min(len(left), len(view))
                view[:count] = left[:count]
            left = left[count:]
            self._protocol.buffer_updated(count)
        return bytes(left)

    def handle_read_into(self, nbytes: int) -> None:
        buffer, self._offered = self._offered, None
        if self._filled is not None:
            filled, self._filled = self._filled, None
            filled(nbytes)
        elif self._buffered and self.is_reading() and not self._held:
            self._protocol.buffer_updated(nbytes)
            if self._buffered:
                self._offer_buffer()
        else:  # paused in this very batch, or the protocol is another
            with memoryview(buffer) as whole, whole.cast('B') as view:
                data = bytes(view[:nbytes])
            self._handle.on_data(data)

    # For streams, which say for each read where it goes.

    @property
    def can_read_into(self) -> bool:
        """True if ``read_into()`` may be called now."""
        reads = self._handle.reads_into and self.is_reading()
        return reads and not self._buffered and not self._held

    def read_into(
        self, view: memoryview | None, filled: Callable[[int], object] | None = None
    ) -> None:
        """Have the next read go to *view*, and call ``filled(nbytes)``; None takes that back.

        What this batch still holds goes to the protocol, before or after.
        """
        self._filled = filled
        self._handle.read_into(view)
