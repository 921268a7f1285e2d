"""How a fiber waits: it hands out a switcher, switches to the hub, and the first call wakes it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional

from greenlet import getcurrent

from .calls import Passed
from .carriers import BareFiber, current_fiber
from .errors import Timeout

if TYPE_CHECKING:
    from .hub import Hub
    from .timers import Timer

_log = logging.getLogger('gruvi_cffi.hub')


class Throw:
    """An exception on its way into *fiber*, unless ``done`` is set before it arrives."""

    __slots__ = ('_fiber', 'done', 'passed')

    def __init__(self, fiber: BareFiber, error: BaseException) -> None:
        self._fiber = fiber
        self.passed: Passed = (None, error)
        self.done = False

    def target(self) -> Any:
        """Return the fiber's greenlet, or None if it has ended. See ``Resumable``."""
        carrier = self._fiber.carrier
        self.done = carrier is None
        return carrier


class Nap:
    """A way back into *fiber*, unless ``done`` is set before it is used."""

    __slots__ = ('_fiber', 'done')

    passed = None

    def __init__(self, fiber: BareFiber) -> None:
        self._fiber = fiber
        self.done = False

    def target(self) -> Any:
        """Return the fiber's greenlet, or None if it has ended. See ``Resumable``."""
        carrier = self._fiber.carrier
        self.done = carrier is None
        return carrier


class Waiter:
    """The calling fiber, when it waits for what others tell it: from any thread, maybe twice.

    *hub* is its own. ``handed`` is for whoever tells it.
    """

    __slots__ = ('carrier', 'done', 'handed', 'hub')

    passed = None

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.done = False
        self.handed = False
        self.carrier: Any = getcurrent()

    def wait(self, timeout: float | None) -> None:
        """Let others run until it is woken, or *timeout* seconds are over: a switch point.

        It can be used only once.

        :raises ValueError: *timeout* is no time.
        """
        timer = None
        try:
            if timeout is not None:
                timer = self.hub.call_later(timeout, self.wake)
            self.hub.pause()
        finally:
            self.done = True
            if timer is not None:
                timer.cancel()

    def wake(self) -> None:
        """Continue the fiber in the next turn, if it waits still."""
        self.hub.make_ready(self)

    def target(self) -> Any:
        """Return the fiber's greenlet. See ``Resumable``."""
        return self.carrier


class SwitchBack:
    """A way back into one wait of one fiber, for whoever it waits for.

    ``switch(value)``, ``throw(...)`` and the call with any arguments may come from any thread,
    signal handler or finalizer; only the first has any effect, and none after the block was left.
    """

    # No slots: made for every wait, so what is rarely set costs nothing as a class attribute.
    _cleanups: Optional[list[tuple[Callable[..., object], tuple[Any, ...]]]] = None
    done = False  # a cancelled fiber has left the block, and waits for something else
    _lock: Optional[AbstractContextManager[Any]] = None
    _timer: Optional[Timer] = None
    passed: Optional[Passed] = None

    def __init__(
        self,
        hub: Hub,
        timeout: float | None = None,
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        # Not when the timer starts: by then, the fiber may stand in somebody's line.
        if timeout is not None and not timeout > -math.inf:
            raise ValueError(f'need a timeout in seconds, not {timeout!r}')
        self._hub = hub
        self._armed = True  # deleted by the first who wakes: that is one step, even between threads
        self.timeout: Any = timeout
        self.fiber: BareFiber = current_fiber()
        if lock is not None:
            self._lock = lock

    @property
    def active(self) -> bool:
        """True until somebody woke the fiber, or the block was left."""
        return hasattr(self, '_armed')

    def __enter__(self) -> SwitchBack:
        if self.timeout is not None:
            self._timer = self._hub.call_later(self.timeout, self._expire)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self.done:
            self.done = True
            self._claim()
        if self._timer is not None:
            self._timer.cancel()
        if self._cleanups is not None:
            self._clean_up()

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        """Make the ``hub.switch()`` of the fiber return ``(args, kwargs)``."""
        if self._lock is None:
            self.switch((args, kwargs))
        else:
            with self._lock:
                self.switch((args, kwargs))

    def switch(self, value: Any = None) -> None:
        """Make the ``hub.switch()`` of the fiber return *value*."""
        if self._claim():
            self.passed = (value, None)
            self._hub.make_ready(self)

    def throw(
        self,
        kind: type[BaseException] | BaseException,
        value: BaseException | object = None,
        traceback: TracebackType | None = None,
    ) -> None:
        """Make ``hub.switch()`` of the fiber raise: an instance, or a class with an argument."""
        if self._claim():
            self.passed = (None, as_exception(kind, value, traceback))
            self._hub.make_ready(self)

    def add_cleanup(self, callback: Callable[..., object], *args: Any) -> None:
        """Call ``callback(*args)`` when the block is left."""
        if self._cleanups is None:
            self._cleanups = []
        self._cleanups.append((callback, args))

    def target(self) -> Any:
        """Return the fiber's greenlet, or None if it has ended. See ``Resumable``."""
        carrier = self.fiber.carrier
        self.done = carrier is None
        return carrier

    def _claim(self) -> bool:
        try:
            del self._armed
        except AttributeError:
            return False
        return True

    def _expire(self) -> None:
        if self._claim():
            seconds = self.timeout
            self.timeout = Timeout(f'timed out after {seconds} seconds')
            self.passed = (None, self.timeout)
            self._hub.make_ready(self)

    def _clean_up(self) -> None:
        for callback, args in self._cleanups or ():
            try:
                callback(*args)
            except Exception:
                _log.exception('exception in a cleanup of switch_back: %r', callback)


def as_exception(
    kind: type[BaseException] | BaseException,
    value: object = None,
    traceback: TracebackType | None = None,
) -> BaseException:
    """Return the instance that ``raise`` makes of the old triple."""
    if isinstance(kind, BaseException):
        error = kind
    elif isinstance(value, kind):
        error = value
    elif value is None:
        error = kind()
    else:
        error = kind(value)
    return error.with_traceback(traceback) if traceback is not None else error
