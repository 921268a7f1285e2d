"""What all primitives stand on: a mutex that a signal handler cannot deadlock on, and a line.

A signal handler or a finalizer may run between any two bytecodes, also while the very fiber that it
interrupted holds the mutex. So it never waits for the mutex: it leaves what it wants done, and the
holder does that when it is through.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from ..hub import get_hub
from ..switchback import SwitchBack


class Mutex:
    """Guards the state of a primitive. No one may switch while holding it."""

    __slots__ = ('_pending', 'acquire', 'lock')

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.acquire = self.lock.acquire
        self._pending: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()

    def release(self) -> None:
        """Give it up, and do what was left for us."""
        self.lock.release()
        if self._pending:
            self._catch_up()

    def run(self, operation: Callable[..., object], *args: Any) -> None:
        """Call ``operation(*args)`` with the mutex held: now, or when its holder is through."""
        self._pending.append((operation, args))
        self._catch_up()

    def _catch_up(self) -> None:
        # Who finds it held may go: the holder looks again after giving it up.
        while self._pending and self.lock.acquire(False):
            try:
                while self._pending:
                    operation, args = self._pending.popleft()
                    operation(*args)
            finally:
                self.lock.release()


class Waiter(SwitchBack):
    """A fiber in line. *item* is for the primitive."""

    item: Any = None
    handed = False  # it was given something, which it must pass on if it cannot use it
    result: Any = None

    def hand(self, value: Any = True) -> bool:
        """Wake it with *value*; return False if it waits no more. With the mutex held."""
        if not self._claim():
            return False
        self.result = self._value = value
        self.handed = True
        self._hub.make_ready(self)
        return True

    def pause(self) -> None:
        """Let others run until it is handed something. This is a switch point."""
        self._hub.switch()

    def retire(self) -> bool:
        """Take nothing any more; return whether something was handed. With the mutex held."""
        self._claim()
        return self.handed


class Line:
    """Fibers that wait, first come first served. Used with the mutex held."""

    __slots__ = ('_gone', '_waiters')

    def __init__(self) -> None:
        self._waiters: deque[Waiter] = deque()
        self._gone = 0  # those in it that wait no more

    def __bool__(self) -> bool:
        while self._waiters and not self._waiters[0].active:
            self.pop()
        return bool(self._waiters)

    def __len__(self) -> int:
        return sum(waiter.active for waiter in self._waiters)

    def first(self) -> Waiter:
        """Return the first; only after it was found not to be empty."""
        return self._waiters[0]

    def pop(self) -> Waiter:
        """Take out the first, who may have gone."""
        waiter = self._waiters.popleft()
        if not waiter.active and self._gone:
            self._gone -= 1
        return waiter

    def hand(self, value: Any = True) -> bool:
        """Hand *value* to the first who takes it; return False if there is nobody."""
        while self._waiters:
            if self.pop().hand(value):
                return True
        return False

    def hand_all(self, value: Any = True) -> None:
        """Hand *value* to everybody."""
        waiters, self._waiters = self._waiters, deque()
        self._gone = 0
        for waiter in waiters:
            waiter.hand(value)

    def take_all(self) -> deque[Waiter]:
        """Return everybody, in order, and leave the line empty."""
        waiters, self._waiters = self._waiters, deque()
        self._gone = 0
        return waiters

    def join(self, timeout: float | None, item: Any = None) -> Waiter:
        """Put the calling fiber at the end. It must call ``wait_in_line()`` next."""
        waiter = Waiter(get_hub(), timeout)
        waiter.item = item
        self._waiters.append(waiter)
        return waiter

    def put(self, waiter: Waiter) -> None:
        """Put one who was taken out at the end again."""
        self._waiters.append(waiter)

    def forget(self, waiter: Waiter) -> None:
        """Drop one who waits no more, in constant time on average."""
        if self._waiters and self._waiters[-1] is waiter:
            self._waiters.pop()
            return
        self._gone += 1
        if self._gone * 2 > len(self._waiters):
            self._waiters = deque(waiter for waiter in self._waiters if waiter.active)
            self._gone = 0


def wait_in_line(
    mutex: Mutex,
    line: Line,
    waiter: Waiter,
    pass_on: Callable[[Any], object] | None = None,
) -> bool:
    """Wait until *waiter*, who joined *line*, is handed something; False if it took too long.

    The mutex, which the caller does not hold any more, guards *line*. If the fiber is cancelled
    after it was handed something, ``pass_on(what)`` is called. This is a switch point.
    """
    with waiter:
        try:
            waiter.pause()
        except BaseException as error:
            mutex.acquire()
            try:
                handed = waiter.retire()
                if not handed:
                    line.forget(waiter)
            finally:
                mutex.release()
            if handed and pass_on is not None:
                pass_on(waiter.result)
            if error is not waiter.timeout:
                raise
            return False
    return True
