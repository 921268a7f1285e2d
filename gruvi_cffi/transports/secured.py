"""What a transport can do with TLS; the work is done in securing.py."""

from __future__ import annotations

from collections import deque
from typing import Any, Callable, Optional

from .. import limits
from .._native.stream import DEADLINE_TOTAL, DEADLINE_WRITE
from ..errors import TransportError
from .base import CLOSING, NEW, OPEN
from .reading import ReadingTransport
from .securing import HANDSHAKING, Done, TlsLayer
from .tlsinfo import TlsInfo


def nobody(error: Exception | None) -> None:
    """Nobody waits for the handshake."""


class SecurableTransport(ReadingTransport):
    """A transport that can have TLS, from the beginning or from some time on.

    Unless *close_on_unwrap*, which can be changed at any time, a close_notify of the peer's ends
    TLS, but not the connection.
    """

    __slots__ = ('_layer', 'close_on_unwrap')

    def __init__(self, handle: Any, mode: str) -> None:
        super().__init__(handle, mode)
        self._layer: Optional[TlsLayer] = None
        self.close_on_unwrap = True

    def start_tls(
        self,
        context: Any,
        server_side: bool = False,
        server_hostname: str | None = None,
        received: bytes = b'',
        done: Done = nobody,
    ) -> None:
        """Begin a TLS handshake; what is written from now on waits for it, and is encrypted.

        *context* is a TlsContext or one of the standard library. What was *received*, and what was
        held back while reading was paused, is taken for the peer's TLS. ``done(None)`` is called
        when the handshake is done, ``done(error)`` if it has failed; then the connection closes.
        ``gruvi_cffi.start_tls()`` waits for that.

        :raises TransportError: closing, or not for both reading and writing.
        :raises TypeError: *context* or the hostname is none.
        :raises ValueError: the hostname is none, or the context is for the other side.
        """
        if self._state >= CLOSING or self._mode != 'rw' or not self._can_start_tls():
            raise TransportError(f'TLS cannot be started on {self!r}')
        layer = TlsLayer(self, context, server_side, server_hostname, done)
        layer.below = self._layer
        held, self._held = self._held or (), None
        self._withdraw_buffer()
        self._layer = layer
        try:
            layer.begin(received + b''.join(held))
        except BaseException:
            self._layer = layer.below
            raise

    def _can_start_tls(self) -> bool:
        at_rest = not self._shakes_hands and not self._eof_held
        return at_rest and (self._state == NEW or self._writable)

    def unwrap(self, done: Callable[[], object] | None = None) -> None:
        """End TLS, but not the connection: say close_notify behind what is queued.

        What is written from now on is sent without TLS, once the peer has said close_notify too;
        then *done* is called.

        :raises TransportError: there is no TLS, or its handshake is not done.
        """
        layer = self._layer
        if layer is None:
            raise TransportError('there is no TLS to be ended')
        layer.unwrap(done)
        if layer.holds:  # it may have ended already
            self._writable = False  # so that write() asks the layer

    @property
    def tls(self) -> TlsInfo | None:
        """What is known about the connection's TLS; None if it has none."""
        return None if self._layer is None else TlsInfo(self._layer)

    # Reading, which has to go on for the sake of a handshake.

    @property
    def _shakes_hands(self) -> bool:
        return self._layer is not None and self._layer.state == HANDSHAKING

    def _read_on(self) -> None:
        if not self._shakes_hands:
            super()._read_on()

    def _read_no_more(self) -> None:
        if not self._shakes_hands:
            super()._read_no_more()

    def _open_gate(self) -> None:
        if not self._shakes_hands:
            super()._open_gate()

    def _deliver_held(self) -> None:
        if not self._shakes_hands:
            super()._deliver_held()

    # What the layer wants done.

    def _open_secured(self) -> None:
        """Let what is decrypted come through, as it did without TLS."""
        if self.is_reading():
            self._read_on()
        else:
            self._read_no_more()

    def _fail_softly(self, error: Exception) -> None:
        """Close with *error*, but not before the peer was told why."""
        if self._error is None:
            self._error = error
        self._begin_to_close()
        self._handle.set_deadline(DEADLINE_WRITE, limits.FLUSH_TIMEOUT)
        self._handle.close()

    def _go_on(self, received: bytes, written: list[bytes]) -> None:
        """Go on without the layer: with what has come, and was written, since it ended."""
        if self._state != OPEN:
            return
        self._writable = True
        self._handle.set_watermarks(self._high, self._low)
        for data in written:
            self._handle.write(data)
        if received:
            self._held = self._held or deque()
            self._held.append(received)
        self._shut_gate()
        if self.is_reading():
            self._read_on()

    # What the handle reports.

    def handle_tls(self, events: int) -> None:
        if self._layer is not None:
            self._layer.handle_tls(events)

    def handle_eof(self) -> None:
        layer = self._layer
        if layer is None or not layer.wants_eof():
            super().handle_eof()

    def _is_handshake_late(self, which: int) -> bool:
        layer = self._layer
        if layer is None or which != DEADLINE_TOTAL or not self._shakes_hands:
            return False
        layer.timed_out()
        return True

    def handle_closed(self) -> None:
        if self._layer is not None:
            self._layer.closed()
        super().handle_closed()
