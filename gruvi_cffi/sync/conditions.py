"""Conditions: wait until what a lock guards has changed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, Optional

from ..errors import Cancelled
from ..hub import switchpoint
from .locks import Lock, RLock
from .mutex import InLine, Line, Mutex, wait_in_line

_THREAD_LOCK = type(threading.Lock())
_THREAD_RLOCK = type(threading.RLock())

Predicate = Callable[[], object]


def is_locked(lock: Any) -> bool:
    """Return True if *lock*, one of ours or of ``threading``, is held.

    :raises TypeError: it is no lock.
    """
    if isinstance(lock, (Lock, RLock)):
        return lock.locked() > 0
    if isinstance(lock, _THREAD_LOCK):
        return lock.locked()
    if isinstance(lock, _THREAD_RLOCK):
        return bool(lock._is_owned())  # type: ignore[attr-defined]
    raise TypeError(f'need a lock, not {type(lock).__name__}')


def release_save(lock: Any) -> Any:
    """Release *lock* however often it is held, and return what ``acquire_restore()`` needs.

    :raises TypeError: it is no lock.
    """
    if isinstance(lock, (Lock, RLock)):
        return lock.release_all()
    if isinstance(lock, _THREAD_RLOCK):
        return lock._release_save()  # type: ignore[attr-defined]
    if isinstance(lock, _THREAD_LOCK):
        return lock.release()
    raise TypeError(f'need a lock, not {type(lock).__name__}')


@switchpoint
def acquire_restore(lock: Any, state: Any) -> None:
    """Acquire *lock* as often as it was held when ``release_save()`` returned *state*.

    :raises TypeError: it is no lock.
    """
    if isinstance(lock, (Lock, RLock)):
        lock.acquire_again(state)
    elif isinstance(lock, _THREAD_RLOCK):
        lock._acquire_restore(state)  # type: ignore[attr-defined]
    elif isinstance(lock, _THREAD_LOCK):
        lock.acquire()
    else:
        raise TypeError(f'need a lock, not {type(lock).__name__}')


class Condition:
    """A condition over *lock*: a Lock, an RLock (the default), or one of ``threading``.

    :raises TypeError: *lock* is no lock.
    """

    __slots__ = ('__weakref__', '_line', '_lock', '_mutex')

    def __init__(self, lock: Any = None) -> None:
        self._lock = RLock() if lock is None else lock
        is_locked(self._lock)
        self._mutex = Mutex()
        self._line = Line()

    def __repr__(self) -> str:
        return f'<{type(self).__name__} of {self._lock!r}, {len(self._line)} waiting>'

    @switchpoint
    def acquire(self, *args: Any) -> bool:
        """Acquire the lock; the arguments are its own."""
        return bool(self._lock.acquire(*args))

    def release(self) -> None:
        """Release the lock."""
        self._lock.release()

    @switchpoint
    def __enter__(self) -> bool:
        """Acquire the lock."""
        return bool(self._lock.__enter__())

    def __exit__(self, *exc: object) -> None:
        self._lock.release()

    def notify(self, n: int = 1) -> None:
        """Wake up to *n* fibers; those in ``wait_for()`` only if their predicate holds.

        :raises RuntimeError: the lock is not held.
        """
        self._check()
        self._mutex.run(self._notify, n)

    def notify_all(self) -> None:
        """Wake everybody, as ``notify()`` does.

        :raises RuntimeError: the lock is not held.
        """
        self._check()
        self._mutex.run(self._notify, -1)

    def _notify(self, n: int) -> None:
        passed_over: list[InLine] = []
        try:
            while n != 0 and self._line:
                waiter = self._line.first()
                if _holds(waiter.item):
                    n -= self._line.pop().hand()
                else:
                    passed_over.append(self._line.pop())
        finally:
            self._line.put_back(reversed(passed_over))

    @switchpoint
    def wait(self, timeout: float | None = None) -> bool:
        """Release the lock, wait to be notified, acquire the lock again, and return True.

        False after *timeout* seconds. The lock is held again in every case, also when cancelled.

        :raises RuntimeError: the lock is not held.
        """
        return self._wait(None, timeout)

    @switchpoint
    def wait_for(self, predicate: Predicate, timeout: float | None = None) -> bool:
        """Wait until *predicate* is true; return False if it is not after *timeout* seconds.

        Whoever notifies evaluates it too, with the lock held, and does not wake us in vain.

        :raises RuntimeError: the lock is not held.
        """
        self._check()
        until = None if timeout is None else monotonic() + timeout
        while not predicate():
            left = None if until is None else max(0.0, until - monotonic())
            if not self._wait(predicate, left):
                return bool(predicate())
        return True

    def _check(self) -> None:
        if not is_locked(self._lock):
            raise RuntimeError('the lock of the condition is not held')

    def _wait(self, predicate: Optional[Predicate], timeout: float | None) -> bool:
        self._check()
        self._mutex.acquire()
        try:
            waiter = self._line.join(predicate)
        finally:
            self._mutex.release()
        state = release_save(self._lock)
        try:
            return wait_in_line(self._mutex, self._line, waiter, timeout, self._pass_on)
        finally:
            self._acquire_again(state)

    def _acquire_again(self, state: Any) -> None:
        cancelled: Optional[Cancelled] = None
        while True:
            try:
                acquire_restore(self._lock, state)
                break
            except Cancelled as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    def _pass_on(self, _: Any) -> None:
        self._mutex.run(self._notify, 1)


def _holds(predicate: Optional[Predicate]) -> object:
    if predicate is None:
        return True
    try:
        return predicate()
    except Exception:
        return True  # whoever waits for it calls it again, and gets the exception
