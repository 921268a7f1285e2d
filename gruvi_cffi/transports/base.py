"""What all transports have in common: a handle, a protocol, and how both end.

NEW --start()--> OPEN --close()--> CLOSING --handle closed--> CLOSED
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Optional

from .. import limits
from .._native.loop import Handle
from ..errors import TransportError

NEW, OPEN, CLOSING, CLOSED = range(4)

log = logging.getLogger('gruvi_cffi.transports')


@lru_cache(maxsize=16)
def half(size: int) -> int:
    """Return half of *size*: the same object each time, as each connection keeps one."""
    return size // 2


class BaseTransport:
    """A transport over *handle*. *mode* is 'r', 'w' or 'rw': which directions are used.

    All methods belong to the thread of the handle's loop, and none is a switch point.
    """

    default_write_buffer = limits.WRITE_HIGH

    __slots__ = (
        '__weakref__', '_close_callbacks', '_error', '_handle', '_high', '_low', '_mode',
        '_protocol', '_state', '_writable', '_writing_paused', 'keeper',
    )  # fmt: skip

    def __init__(self, handle: Handle, mode: str = 'rw') -> None:
        if mode not in ('r', 'w', 'rw'):
            raise ValueError(f"need a mode of 'r', 'w' or 'rw', not {mode!r}")
        self._handle: Any = handle
        self._mode = mode
        self._protocol: Any = None
        self._state = NEW
        self._writable = False  # open for writing
        self._error: Optional[Exception] = None
        self._high = self.default_write_buffer
        self._low = half(self.default_write_buffer)
        self._writing_paused = False
        self._close_callbacks: Optional[list[tuple[Callable[..., object], tuple[Any, ...]]]] = None
        # Its forget(self) is called before the close callbacks. One of those costs 250 bytes.
        self.keeper: Any = None
        handle.owner = self

    @property
    def error(self) -> Exception | None:
        """What broke the connection, or was raised by the protocol; None if nothing was."""
        return self._error

    @property
    def closed(self) -> bool:
        """True once ``connection_lost()`` was called."""
        return self._state == CLOSED

    def is_closing(self) -> bool:
        """Return True if it is closed, or about to be."""
        return self._state >= CLOSING

    def get_protocol(self) -> Any:
        """Return the protocol."""
        return self._protocol

    def get_write_buffer_size(self) -> int:
        """Return how many bytes are queued."""
        return int(self._handle.write_queue_size)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the watermarks (low, high), in bytes."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the watermarks, in bytes: above *high* the protocol is paused, at *low* resumed.

        *high* defaults to ``default_write_buffer``, or *low* if that is more, and *low* to half of
        *high*. They count from the next write on.

        :raises ValueError: not 0 <= low <= high.
        """
        if high is None:
            high = max(self.default_write_buffer, low or 0)
        if low is None:
            low = high // 2
        if not 0 <= low <= high:
            raise ValueError(f'need 0 <= low <= high, not low={low}, high={high}')
        self._high, self._low = high, low
        if self._state == OPEN:
            self._handle.set_watermarks(high, low)

    def add_close_callback(self, callback: Callable[..., object], *args: Any) -> None:
        """Call ``callback(*args)`` right before ``connection_lost()``; now if that has been."""
        if self._state == CLOSED:
            callback(*args)
            return
        if self._close_callbacks is None:
            self._close_callbacks = []
        self._close_callbacks.append((callback, args))

    def close(self) -> None:
        """Close; ``connection_lost(None)`` follows. Twice is once.

        :raises TransportError: not started.
        """
        self._check_started()
        self.abort()

    def abort(self) -> None:
        """Close now and drop what is queued; ``connection_lost(None)`` follows."""
        self._begin_to_close()
        self._handle.abort()

    # What the handle reports.

    def handle_closed(self) -> None:
        self._begin_to_close()
        self._state = CLOSED
        protocol, self._protocol = self._protocol, None
        callbacks, self._close_callbacks = self._close_callbacks or [], None
        if self.keeper is not None:
            callbacks.insert(0, (self.keeper.forget, (self,)))
        for callback, args in callbacks:
            try:
                callback(*args)
            except Exception:
                log.exception('exception in close callback %r', callback)
        if protocol is not None:
            protocol.connection_lost(self._error)

    def handle_error(self, error: TransportError) -> None:
        self._break(error)

    def handle_exception(self, error: BaseException) -> None:
        """The protocol has raised *error*, which was logged: nobody knows its state now."""
        if not isinstance(error, Exception):  # a stray cancellation, which would cancel others
            error = TransportError(f'the protocol has raised {error!r}')
        if self._state == OPEN:
            self._break(error)

    def handle_drain(self) -> None:
        if self._writing_paused:
            self._writing_paused = False
            self._tell(self._protocol.resume_writing)

    # For the transports.

    def _pause_writing(self) -> None:
        self._writing_paused = True
        self._tell(self._protocol.pause_writing)

    def _tell(self, callback: Callable[[], object]) -> None:
        # As asyncio does: flow control is advice, and failing to take it breaks nothing.
        try:
            callback()
        except Exception:
            log.exception('exception in %r', callback)

    def _break(self, error: Exception) -> None:
        if self._error is None:
            self._error = error
        self.abort()

    def _begin_to_close(self) -> None:
        """Note, before the handle is closed or aborted, that it will be."""
        self._writable = False
        self._state = max(self._state, CLOSING)

    def _check_started(self) -> None:
        if self._state == NEW:
            raise TransportError('the transport was not started')
