"""A few daemon threads for name resolution, which nothing else shares.

libuv's own pool also serves files, and waits at exit for lookups that may take half a minute.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol

from . import limits
from .errors import ResolverError


class _Waiter(Protocol):
    """Who waits for an answer, as long as it is active."""

    @property
    def active(self) -> bool: ...

    def __call__(self, result: Any, error: OSError | None) -> None: ...


_Job = tuple[Callable[..., Any], tuple[Any, ...], _Waiter]


class ResolverThreads:
    """Runs blocking lookups; a thread is started when a job comes and none is idle."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._busy = 0  # jobs that wait or run

    def submit(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        waiter: _Waiter,
    ) -> None:
        """Call ``waiter(result, error)`` from a thread once ``function(*args)`` has ended.

        :raises ResolverError: too many lookups wait already, or no thread can be started.
        """
        with self._lock:
            if self._busy >= limits.RESOLVER_QUEUE:
                raise ResolverError(f'{self._busy} lookups wait already')
            if self._threads < min(self._busy + 1, limits.RESOLVER_THREADS):
                self._start_thread()
            self._busy += 1
        self._jobs.put((function, args, waiter))

    def _start_thread(self) -> None:
        name = f'gruvi-resolver-{self._threads + 1}'
        try:
            threading.Thread(target=self._work, name=name, daemon=True).start()
        except RuntimeError as error:  # too many in the process
            if not self._threads:
                raise ResolverError(f'no thread can be started: {error}') from None
        else:
            self._threads += 1

    def _work(self) -> None:
        while True:
            function, args, waiter = self._jobs.get()
            result: Any = None
            error: OSError | None = None
            try:
                # While names are looked up in vain, those whom nobody waits for pile up.
                if waiter.active:
                    result = function(*args)
            except OSError as exc:
                error = exc
            except Exception as exc:  # a name that cannot be encoded, say
                error = OSError(str(exc))
            with self._lock:
                self._busy -= 1
            waiter(result, error)
            del function, args, waiter, result, error  # not until the next job


_threads = ResolverThreads()


def get_threads() -> ResolverThreads:
    """Return those that all hubs share."""
    return _threads


def _after_fork() -> None:
    global _threads
    _threads = ResolverThreads()  # no thread has come along


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_after_fork)
