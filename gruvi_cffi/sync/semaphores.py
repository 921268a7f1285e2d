"""Semaphores: so many at a time."""

from __future__ import annotations

from typing import Any

from ..hub import switchpoint
from .mutex import Line, Mutex, wait_in_line


class Semaphore:
    """A counter that ``acquire()`` decreases and ``release()`` increases; it never is below 0.

    :raises ValueError: *value* is negative.
    """

    __slots__ = ('__weakref__', '_line', '_mutex', '_value')

    def __init__(self, value: int = 1) -> None:
        if value < 0:
            raise ValueError(f'need a value of 0 or more, not {value}')
        self._mutex = Mutex()
        self._line = Line()
        self._value = value

    def __repr__(self) -> str:
        return f'<{type(self).__name__} {self._value}, {len(self._line)} waiting>'

    @property
    def value(self) -> int:
        """How often it could be acquired now without waiting."""
        return self._value

    def locked(self) -> bool:
        """Return True if ``acquire()`` would wait."""
        return self._value == 0

    @switchpoint
    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
        """Take one, and return True; False if there was none.

        Without *blocking*, or after *timeout* seconds.
        """
        self._mutex.acquire()
        try:
            if self._value:
                self._value -= 1
                return True
            if not blocking:
                return False
            waiter = self._line.join()
        finally:
            self._mutex.release()
        return wait_in_line(self._mutex, self._line, waiter, timeout, self._pass_on)

    def release(self, n: int = 1) -> None:
        """Give back *n*, to those who have waited longest first.

        :raises ValueError: *n* is less than 1.
        """
        if n < 1:
            raise ValueError(f'need to release 1 or more, not {n}')
        self._mutex.run(self._release, n)

    def _release(self, n: int) -> None:
        while n and self._line.hand():
            n -= 1
        self._value += n

    def _pass_on(self, _: Any) -> None:
        self._mutex.run(self._release, 1)

    @switchpoint
    def __enter__(self) -> bool:
        """Take one."""
        return self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()


class BoundedSemaphore(Semaphore):
    """A semaphore that cannot be released more often than it was acquired."""

    __slots__ = ('_bound',)

    def __init__(self, value: int = 1) -> None:
        super().__init__(value)
        self._bound = value

    def release(self, n: int = 1) -> None:
        """Give back *n*, to those who have waited longest first.

        :raises ValueError: that is more than were taken.
        """
        if self._value + n > self._bound:
            raise ValueError(f'released more often than acquired: {self._value + n - self._bound}')
        super().release(n)
