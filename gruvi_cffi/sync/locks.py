"""Locks: one fiber at a time. They are handed over, so nobody can overtake who waits."""

from __future__ import annotations

from typing import Any

from ..carriers import BareFiber, current_fiber
from ..hub import switchpoint
from .mutex import Line, Mutex, wait_in_line


class Lock:
    """A lock that any fiber may release."""

    __slots__ = ('__weakref__', '_line', '_locked', '_mutex')

    def __init__(self) -> None:
        self._mutex = Mutex()
        self._line = Line()
        self._locked = 0

    def __repr__(self) -> str:
        state = 'locked' if self._locked else 'unlocked'
        return f'<{type(self).__name__} {state}, {len(self._line)} waiting>'

    def locked(self) -> int:
        """Return how often it is held: 0 or 1."""
        return self._locked

    @switchpoint
    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Acquire the lock, and return True; False if it could not be had.

        Without *blocking*, or after *timeout* seconds.
        """
        self._mutex.acquire()
        try:
            if not self._locked:
                self._locked = 1
                return True
            if not blocking:
                return False
            waiter = self._line.join()
        finally:
            self._mutex.release()
        return wait_in_line(self._mutex, self._line, waiter, timeout, self._pass_on)

    def release(self) -> None:
        """Release the lock, or hand it to the fiber that has waited longest.

        :raises RuntimeError: nobody holds it.
        """
        if not self._locked:
            raise RuntimeError('the lock is not held')
        self._mutex.run(self._release)

    def _release(self) -> None:
        if not self._line.hand():
            self._locked = 0

    def _pass_on(self, _: Any) -> None:
        self.release()

    @switchpoint
    def __enter__(self) -> bool:
        """Acquire the lock."""
        return self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()

    def release_all(self) -> Any:
        """Release it however often it is held, and return what ``acquire_again()`` needs."""
        self.release()
        return None

    @switchpoint
    def acquire_again(self, state: Any) -> None:
        """Undo ``release_all()``."""
        self.acquire()


class RLock:
    """A lock that its holder may acquire again; only the holder can release it, as often."""

    __slots__ = ('__weakref__', '_count', '_lock', '_owner')

    def __init__(self) -> None:
        self._lock = Lock()
        self._owner: BareFiber | None = None
        self._count = 0

    def __repr__(self) -> str:
        return f'<{type(self).__name__} held {self._count} times by {self._owner!r}>'

    def locked(self) -> int:
        """Return how often it is held."""
        return self._count

    @switchpoint
    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Acquire the lock, and return True; False if it could not be had.

        Without *blocking*, or after *timeout* seconds.
        """
        fiber = current_fiber()
        if self._owner is not fiber:
            if not self._lock.acquire(blocking, timeout):
                return False
            self._owner = fiber
        self._count += 1
        return True

    def release(self) -> None:
        """Release the lock once.

        :raises RuntimeError: the caller does not hold it.
        """
        self._check()
        self._count -= 1
        if self._count == 0:
            self._owner = None
            self._lock.release()

    def _check(self) -> None:
        if self._owner is not current_fiber():
            raise RuntimeError('the lock is not held by this fiber')

    @switchpoint
    def __enter__(self) -> bool:
        """Acquire the lock."""
        return self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()

    def release_all(self) -> Any:
        """Release it however often it is held, and return what ``acquire_again()`` needs."""
        self._check()
        count, self._count = self._count, 0
        self._owner = None
        self._lock.release()
        return count

    @switchpoint
    def acquire_again(self, state: Any) -> None:
        """Undo ``release_all()``."""
        self._lock.acquire()
        self._owner = current_fiber()
        self._count = state
