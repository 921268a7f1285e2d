"""What all primitives stand on: a mutex that a signal handler cannot deadlock on, and a line.

A signal handler or a finalizer may run between any two bytecodes, also while the very fiber that it
interrupted holds the mutex. So it never waits for the mutex: it leaves what it wants done, and the
holder does that when it is through.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Union

from ..hub import get_hub
from ..switchback import Waiter


class Mutex:
    """Guards the state of a primitive. No one may switch while holding it."""

    __slots__ = ('_pending', 'lock')

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._pending: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    def acquire(self) -> None:
        """Wait for it; not in a signal handler or finalizer."""
        self.lock.acquire()

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
                    operation, args = self._pending.pop(0)
                    operation(*args)
            finally:
                self.lock.release()


class InLine(Waiter):
    """A fiber in line. *item* is for the primitive."""

    __slots__ = ('gone', 'item', 'result')

    # handed: it was given something, which it must pass on if it cannot use it

    def __init__(self, item: Any) -> None:
        super().__init__(get_hub())
        self.gone = False  # it waits no more
        self.item = item
        self.result: Any = None

    def hand(self, value: Any = True) -> bool:
        """Wake it with *value*; return False if it waits no more. With the mutex held."""
        if self.gone or self.handed:
            return False
        self.result = value
        self.handed = True
        self.hub.make_ready(self)
        return True


class Line:
    """Fibers that wait, first come first served. Used with the mutex held."""

    __slots__ = ('_gone', '_waiters')

    def __init__(self) -> None:
        # An empty deque is 600 bytes, and many a line is never stood in.
        self._waiters: Union[deque[InLine], tuple[()]] = ()
        self._gone = 0  # those in it that wait no more

    def __bool__(self) -> bool:
        while self._waiters and self._waiters[0].gone:
            self.pop()
        return bool(self._waiters)

    def __len__(self) -> int:
        return len(self._waiters) - self._gone

    def first(self) -> InLine:
        """Return the first; only after it was found not to be empty."""
        return self._waiters[0]  # type: ignore[misc]

    def pop(self) -> InLine:
        """Take out the first, who may have gone."""
        waiter: InLine = self._waiters.popleft()  # type: ignore[union-attr]
        if waiter.gone:
            self._gone -= 1
        return waiter

    def put_back(self, waiters: Iterable[InLine]) -> None:
        """Put those who were popped at the head again; the last of *waiters* was popped first."""
        for waiter in waiters:
            self._deque().appendleft(waiter)

    def hand(self, value: Any = True) -> bool:
        """Hand *value* to the first who takes it; return False if there is nobody."""
        while self._waiters:
            if self.pop().hand(value):
                return True
        return False

    def hand_all(self, value: Any = True) -> None:
        """Hand *value* to everybody."""
        while self.hand(value):
            pass

    def join(self, item: Any = None) -> InLine:
        """Put the calling fiber at the end. It must call ``wait_in_line()`` next."""
        waiter = InLine(item)
        self._deque().append(waiter)
        return waiter

    def _deque(self) -> deque[InLine]:
        if not isinstance(self._waiters, deque):
            self._waiters = deque()
        return self._waiters

    def forget(self, waiter: InLine) -> None:
        """Drop one who waits no more, in constant time on average."""
        waiters = self._deque()
        if waiters and waiters[-1] is waiter:
            waiters.pop()
            return
        self._gone += 1
        if self._gone * 2 > len(waiters):
            self._waiters = deque(each for each in waiters if not each.gone)
            self._gone = 0


def wait_in_line(
    mutex: Mutex,
    line: Line,
    waiter: InLine,
    timeout: float | None,
    pass_on: Callable[[Any], object] | None = None,
) -> bool:
    """Wait until *waiter*, who joined *line*, is handed something; False after *timeout* seconds.

    The mutex, which the caller does not hold any more, guards *line*. If the fiber is cancelled
    after it was handed something, ``pass_on(what)`` is called. This is a switch point.
    """
    try:
        waiter.wait(timeout)
    except BaseException:
        if _leave(mutex, line, waiter) and pass_on is not None:
            pass_on(waiter.result)
        raise
    return waiter.handed or _leave(mutex, line, waiter)


def _leave(mutex: Mutex, line: Line, waiter: InLine) -> bool:
    """Take nothing any more; return whether something was handed."""
    mutex.acquire()
    try:
        if not waiter.handed:
            waiter.gone = True
            line.forget(waiter)
        return waiter.handed
    finally:
        mutex.release()
