"""What all pools have: a bounded number of workers, and jobs that wait for one."""

from __future__ import annotations

import concurrent.futures
import contextvars
import itertools
import logging
import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple

from .. import limits
from ..hub import switchpoint
from ..sync import Event
from .future import Future

_log = logging.getLogger('gruvi_cffi.futures')


class Job(NamedTuple):
    """A call that a worker is to make."""

    future: Future
    context: contextvars.Context
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


_pools: weakref.WeakSet[PoolBase] = weakref.WeakSet()


class PoolBase(ABC):
    """*maxsize* workers at most (None: as many as there are jobs), *minsize* from the beginning.

    Used as a context manager, it is closed at the end. A job that waits for another of the same
    pool may wait for ever, when all workers do.

    :raises ValueError: not 0 <= minsize <= maxsize, or *maxsize* is 0.
    """

    _numbers = itertools.count(1)

    def __init__(
        self, maxsize: int | None = None, minsize: int = 0, name: str | None = None
    ) -> None:
        if minsize < 0 or (maxsize is not None and not 1 <= maxsize >= minsize):
            raise ValueError(f'need 0 <= minsize <= maxsize, not {minsize} and {maxsize}')
        self.maxsize = maxsize
        self.minsize = minsize
        self.name = f'{type(self).__name__}-{next(self._numbers)}' if name is None else name
        self._changed = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._workers = 0
        self._idle = 0
        self._unfinished = 0
        self._cancelled = 0  # of the jobs in the queue, as far as it was not tidied
        self._closed = False
        self._abandoned: set[Future] = set()
        self._all_done = Event()
        self._all_gone = Event()
        self._all_done.set()
        self._all_gone.set()
        _pools.add(self)
        for _ in range(minsize):
            self._add_worker()

    def __repr__(self) -> str:
        return f'<{type(self).__name__} {self.name!r}, {self._workers} workers>'

    @property
    def abandoned(self) -> int:
        """How many jobs still run for which nobody waits any more."""
        return len(self._abandoned)

    def submit(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Have ``func(*args, **kwargs)`` called by a worker, in a copy of the caller's context.

        :raises RuntimeError: the pool is closed, or can have no worker.
        """
        job = Job(Future(self._tidy), contextvars.copy_context(), func, args, kwargs)
        with self._changed:
            if self._closed:
                raise RuntimeError(f'the pool {self.name} is closed')
            lacks = len(self._jobs) >= self._idle
            if lacks and (self.maxsize is None or self._workers < self.maxsize):
                self._add_worker()
            self._jobs.append(job)
            self._unfinished += 1
            self._all_done.clear()
            self._announce()
        return job.future

    @switchpoint
    def map(
        self, func: Callable[..., Any], *iterables: Any, timeout: float | None = None
    ) -> Iterator[Any]:
        """Yield the results of *func* for the items of *iterables*, in their order.

        At the first step ``limits.MAP_AHEAD`` jobs are submitted, and then one for each result. On
        an error those that are left are cancelled.

        :raises Timeout: not all was there within *timeout* seconds.
        """
        until = None if timeout is None else monotonic() + timeout
        calls = zip(*iterables)
        futures: deque[Future] = deque()
        try:
            for args in itertools.islice(calls, limits.MAP_AHEAD):
                futures.append(self.submit(func, *args))
            while futures:
                left = None if until is None else max(0.0, until - monotonic())
                result = futures[0].result(left)
                futures.popleft()
                for args in itertools.islice(calls, 1):
                    futures.append(self.submit(func, *args))
                yield result
        finally:
            for future in futures:
                self.abandon(future)

    @switchpoint
    def join(self) -> None:
        """Wait until there is nothing left to do.

        :raises RuntimeError: called by a job of the pool, which would wait for itself.
        """
        self._check_caller('wait for')
        self._all_done.wait()

    @switchpoint
    def close(self, timeout: float | None = None) -> None:
        """Take no new jobs, do those that are queued, and wait until all workers have left.

        Waits *timeout* seconds at most. Twice is once.

        :raises RuntimeError: called by a job of the pool, which would wait for itself.
        """
        self._check_caller('close')
        with self._changed:
            self._closed = True
            self._announce_end()
        self._all_gone.wait(timeout)

    def as_executor(self) -> concurrent.futures.Executor:
        """Return the pool as an Executor of ``concurrent.futures``."""
        from .executor import PoolExecutor  # which imports this module

        return PoolExecutor(self)

    def abandon(self, future: Future) -> None:
        """Say that nobody waits for *future* any more; it is cancelled if that is possible."""
        if not future.cancel() and not future.done():
            self._abandoned.add(future)
            future.add_done_callback(self._abandoned.discard, future)

    def __enter__(self) -> PoolBase:
        return self

    @switchpoint
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    # For the workers.

    def _add_worker(self) -> None:
        self._workers += 1
        self._all_gone.clear()
        try:
            self._start_worker(f'{self.name}-{self._workers}')
        except BaseException as error:
            self._left()
            if not (self._workers and isinstance(error, RuntimeError)):
                raise
            # It need not be; there are others.

    @abstractmethod
    def _start_worker(self, name: str) -> None: ...

    @abstractmethod
    def _announce(self) -> None:
        """Have a worker look for a job."""

    @abstractmethod
    def _announce_end(self) -> None:
        """Have all workers look whether they are to leave."""

    @abstractmethod
    def _is_worker(self) -> bool:
        """Return True if a job of the pool is calling."""

    def _check_caller(self, doing: str) -> None:
        if self._is_worker():
            raise RuntimeError(f'a job of the pool {self.name} cannot {doing} it')

    def _tidy(self) -> None:
        """Drop the jobs that were cancelled once they are the half: workers may all be stuck."""
        with self._changed:
            self._cancelled += 1
            if self._cancelled * 2 > len(self._jobs):
                kept = deque(job for job in self._jobs if not job.future.done())
                self._finished(len(self._jobs) - len(kept))
                self._jobs = kept
                self._cancelled = 0

    def _reset(self) -> None:
        # In a forked child there are no workers, and what they would have done the parent does. A
        # thread that is gone may have held any lock.
        self._changed = threading.Condition()
        self._jobs.clear()
        self._abandoned.clear()
        self._workers = self._idle = self._unfinished = self._cancelled = 0
        self._all_done = Event()
        self._all_gone = Event()
        self._all_done.set()
        self._all_gone.set()

    def _finished(self, count: int = 1) -> None:
        with self._changed:
            self._unfinished -= count
            if self._unfinished == 0:
                self._all_done.set()

    def _left(self) -> None:
        with self._changed:
            self._workers -= 1
            if self._workers == 0:
                self._all_gone.set()


def run(job: Job) -> None:
    """Make the call, and complete its future. Called by a worker."""
    try:
        _complete(job)
    except BaseException:  # of a done callback; it must not end the worker, who has other jobs
        _log.exception('exception in a done callback of a job')


def _complete(job: Job) -> None:
    future = job.future
    try:
        result = job.context.run(job.function, *job.args, **job.kwargs)
    except BaseException as error:
        own = error.__traceback__ and error.__traceback__.tb_next  # without this frame
        future.set_exception(error.with_traceback(own))
    else:
        future.set_result(result)


def _after_fork() -> None:
    for pool in list(_pools):
        pool._reset()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_after_fork)
