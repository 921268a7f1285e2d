"""Events: something has happened, once and for all until it is cleared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import donecallbacks
from ..donecallbacks import DoneCallbacks
from ..hub import get_hub, switchpoint
from ..switchback import Waiter


class Event:
    """A flag that fibers can wait for."""

    # It needs no mutex. What is set is for all, so nothing is lost if somebody is woken twice; and
    # whoever comes to wait looks at the flag after standing where set() will look.
    __slots__ = ('__weakref__', '_callbacks', '_flag', '_waiters')

    def __init__(self) -> None:
        self._flag = False
        self._waiters: dict[Waiter, None] = {}  # in the order in which they came
        self._callbacks: DoneCallbacks = {}

    def __repr__(self) -> str:
        state = 'set' if self._flag else 'clear'
        return f'<{type(self).__name__} {state}, {len(self._waiters)} waiting>'

    def is_set(self) -> bool:
        """Return True if the flag is set."""
        return self._flag

    def set(self) -> None:
        """Set the flag, and wake everybody who waits."""
        self._flag = True
        if self._waiters:
            self._hand_all()
        if self._callbacks:
            donecallbacks.run(self._callbacks)

    def _hand_all(self) -> None:
        waiters, self._waiters = self._waiters, {}
        try:
            for waiter in list(waiters):
                waiter.handed = True
                waiter.hub.make_ready(waiter)
        except BaseException:  # of a signal handler
            self._waiters.update(waiters)
            raise

    def clear(self) -> None:
        """Clear the flag."""
        self._flag = False

    @switchpoint
    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the flag is set, and return True; False after *timeout* seconds."""
        if self._flag:
            return True
        waiter = Waiter(get_hub())
        waiters = None
        while waiters is not self._waiters:  # set() may be about to leave them behind
            waiters = self._waiters
            waiters[waiter] = None
        try:
            if self._flag:
                return True
            if timeout is None:
                waiter.hub.pause()
            else:
                waiter.wait(timeout)
        finally:
            waiter.done = True
            if not waiter.handed:
                waiters.pop(waiter, None)
        return waiter.handed

    def add_done_callback(self, callback: Callable[..., object], *args: Any) -> object:
        """Call ``callback(*args)`` at the next ``set()``, and return a handle; now if it is set.

        It must not switch. What it raises is logged.
        """
        handle = object()
        self._callbacks[handle] = (callback, args)
        if self._flag:
            donecallbacks.run(self._callbacks)
            return None
        return handle

    def remove_done_callback(self, handle: object) -> None:
        """Take back what ``add_done_callback()`` returned. Does nothing if it was called."""
        self._callbacks.pop(handle, None)
