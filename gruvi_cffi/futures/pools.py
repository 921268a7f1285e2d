"""Pools: a bounded number of workers, threads or fibers, and jobs that wait for one."""

from __future__ import annotations

import concurrent.futures
import contextvars
import itertools
import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple, Optional

from ..errors import Cancelled
from ..fibers import Fiber
from ..hub import get_hub, switchpoint
from ..sync import Event
from .future import Future


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

    Used as a context manager, it is closed at the end.

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

    def submit(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Future:
        """Have ``func(*args, **kwargs)`` called by a worker, in a copy of the caller's context.

        :raises RuntimeError: the pool is closed.
        """
        job = Job(Future(), contextvars.copy_context(), func, args, kwargs)
        with self._changed:
            if self._closed:
                raise RuntimeError(f'the pool {self.name} is closed')
            self._jobs.append(job)
            self._unfinished += 1
            self._all_done.clear()
            lacks = len(self._jobs) > self._idle
            if lacks and (self.maxsize is None or self._workers < self.maxsize):
                self._add_worker()
            self._changed.notify()
        return job.future

    @switchpoint
    def map(
        self, func: Callable[..., Any], *iterables: Any, timeout: float | None = None
    ) -> Iterator[Any]:
        """Yield the results of *func* for the items of *iterables*, in their order.

        All jobs are submitted at the first step. On an error those that are left are cancelled.

        :raises Timeout: not all was there within *timeout* seconds.
        """
        until = None if timeout is None else monotonic() + timeout
        futures = deque(self.submit(func, *args) for args in zip(*iterables))
        try:
            while futures:
                left = None if until is None else max(0.0, until - monotonic())
                result = futures[0].result(left)
                futures.popleft()
                yield result
        finally:
            for future in futures:
                future.cancel()

    @switchpoint
    def join(self) -> None:
        """Wait until there is nothing left to do."""
        self._all_done.wait()

    @switchpoint
    def close(self, timeout: float | None = None) -> None:
        """Take no new jobs, do those that are queued, and wait until all workers have left.

        Waits *timeout* seconds at most. Twice is once.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
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
        self._start_worker(f'{self.name}-{self._workers}')

    @abstractmethod
    def _start_worker(self, name: str) -> None: ...

    def _reset(self) -> None:
        # In a forked child there are no workers, and what they would have done the parent does.
        self._changed = threading.Condition()
        self._jobs.clear()
        self._abandoned.clear()
        self._workers = self._idle = self._unfinished = 0
        self._all_done.set()
        self._all_gone.set()

    def _finished(self) -> None:
        with self._changed:
            self._unfinished -= 1
            if self._unfinished == 0:
                self._all_done.set()

    def _left(self) -> None:
        with self._changed:
            self._workers -= 1
            if self._workers == 0:
                self._all_gone.set()


class ThreadPool(PoolBase):
    """A pool of daemon threads, for calls that block. A job that runs cannot be cancelled.

    A job may use fibers and what waits; its thread gets a hub then.
    """

    def __init__(
        self, maxsize: int | None = None, minsize: int = 0, name: str | None = None
    ) -> None:
        self._threads: set[int] = set()
        super().__init__(maxsize, minsize, name)

    @switchpoint
    def close(self, timeout: float | None = None) -> None:
        """See ``PoolBase.close()``.

        :raises RuntimeError: called by a job of the pool, which would wait for itself.
        """
        if threading.get_ident() in self._threads:
            raise RuntimeError(f'a job of the pool {self.name} cannot close it')
        super().close(timeout)

    def _start_worker(self, name: str) -> None:
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _next_job(self) -> Job | None:
        with self._changed:
            while not self._jobs:
                if self._closed:
                    return None
                self._idle += 1
                try:
                    self._changed.wait()
                finally:
                    self._idle -= 1
            return self._jobs.popleft()

    def _work(self) -> None:
        self._threads.add(threading.get_ident())
        try:
            job = self._next_job()
            while job is not None:
                if job.future.set_running():
                    _run(job)
                self._finished()
                job = None  # it holds the result while we wait for the next
                job = self._next_job()
        finally:
            self._threads.discard(threading.get_ident())
            self._left()


class FiberPool(PoolBase):
    """A pool of fibers of the hub in whose thread it is made. Jobs that run can be cancelled."""

    def __init__(
        self, maxsize: int | None = None, minsize: int = 0, name: str | None = None
    ) -> None:
        self._hub = get_hub()
        self._news = Event()
        super().__init__(maxsize, minsize, name)

    def submit(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Future:
        future = super().submit(func, *args, **kwargs)
        self._news.set()
        return future

    @switchpoint
    def close(self, timeout: float | None = None) -> None:
        self._closed = True
        self._news.set()
        super().close(timeout)

    def _start_worker(self, name: str) -> None:
        Fiber(self._work, name=name, hub=self._hub).start()

    def _next_job(self) -> Job | None:
        while True:
            self._news.clear()  # first: a job that comes from now on sets it again
            if self._jobs:
                break
            if self._closed:
                return None
            self._idle += 1
            try:
                self._news.wait()
            finally:
                self._idle -= 1
        return self._jobs.popleft()

    def _work(self) -> None:
        try:
            job = self._next_job()
            while job is not None:
                self._run_in_fiber(job)
                self._finished()
                job = None
                job = self._next_job()
        finally:
            self._left()

    def _run_in_fiber(self, job: Job) -> None:
        # In a fiber of its own: what cancels the job must not hit the worker, or the next job.
        fiber: Optional[Fiber] = Fiber(_run, (job,), hub=self._hub)
        assert fiber is not None
        if not job.future.set_running(can_cancel=True, on_cancel=fiber.cancel):
            return
        fiber.start()
        fiber.join()


def _run(job: Job) -> None:
    future = job.future
    try:
        result = job.context.run(job.function, *job.args, **job.kwargs)
    except Cancelled as error:
        future.set_exception(error)
    except BaseException as error:
        future.set_exception(
            error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
        )
    else:
        future.set_result(result)


def _after_fork() -> None:
    for pool in list(_pools):
        pool._reset()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_after_fork)
