"""Events: something has happened, once and for all until it is cleared."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Optional

from ..hub import switchpoint
from ..switchpoints import assert_no_switchpoints
from .mutex import Line, Mutex, wait_in_line

_log = logging.getLogger('gruvi_cffi.sync')

DoneCallback = tuple[Callable[..., object], tuple[Any, ...]]


class Event:
    """A flag that fibers can wait for."""

    __slots__ = ('__weakref__', '_callbacks', '_flag', '_line', '_mutex')

    def __init__(self) -> None:
        self._mutex = Mutex()
        self._line = Line()
        self._flag = False
        self._callbacks: deque[DoneCallback] = deque()

    def __repr__(self) -> str:
        state = 'set' if self._flag else 'clear'
        return f'<{type(self).__name__} {state}, {len(self._line)} waiting>'

    def is_set(self) -> bool:
        """Return True if the flag is set."""
        return self._flag

    def set(self) -> None:
        """Set the flag, and wake everybody who waits."""
        self._flag = True
        self._mutex.run(self._line.hand_all)
        if self._callbacks:
            self._run_callbacks()

    def clear(self) -> None:
        """Clear the flag."""
        self._flag = False

    @switchpoint
    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the flag is set, and return True; False after *timeout* seconds."""
        if self._flag:
            return True
        self._mutex.acquire()
        try:
            if self._flag:
                return True
            waiter = self._line.join(timeout)
        finally:
            self._mutex.release()
        return wait_in_line(self._mutex, self._line, waiter)

    def add_done_callback(
        self, callback: Callable[..., object], *args: Any
    ) -> Optional[DoneCallback]:
        """Call ``callback(*args)`` at the next ``set()``, and return a handle; now if it is set.

        It must not switch. What it raises is logged.
        """
        handle = (callback, args)
        self._callbacks.append(handle)
        if self._flag:
            self._run_callbacks()
            return None
        return handle

    def remove_done_callback(self, handle: Optional[DoneCallback]) -> None:
        """Take back what ``add_done_callback()`` returned. Does nothing if it was called."""
        with contextlib.suppress(ValueError):
            self._callbacks.remove(handle)  # type: ignore[arg-type]

    def _run_callbacks(self) -> None:
        with assert_no_switchpoints():
            while self._callbacks:
                try:
                    callback, args = self._callbacks.popleft()
                except IndexError:  # another thread was faster
                    return
                try:
                    callback(*args)
                except Exception:
                    _log.exception('exception in done callback %r', callback)
