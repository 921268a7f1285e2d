"""Pools of fibers: so many at a time."""

from __future__ import annotations

from typing import Optional

from ..fibers import Fiber, current_fiber
from ..hub import get_hub
from ..sync import Semaphore
from .pools import Job, PoolBase, run


class FiberPool(PoolBase):
    """A pool of fibers of the hub in whose thread it is made. Jobs that run can be cancelled.

    When the hub is closed, all its jobs are cancelled.
    """

    def __init__(
        self, maxsize: int | None = None, minsize: int = 0, name: str | None = None
    ) -> None:
        self._hub = get_hub()
        self._news = Semaphore(0)  # how often a worker has to look
        self._running: set[Fiber] = set()
        super().__init__(maxsize, minsize, name)

    def _start_worker(self, name: str) -> None:
        if self._hub.inherited:
            self._hub = get_hub()
        Fiber(self._work, name=name, hub=self._hub).start()

    def _announce(self) -> None:
        self._news.release()

    def _announce_end(self) -> None:
        if self._workers:
            self._news.release(self._workers)

    def _is_worker(self) -> bool:
        return current_fiber() in self._running

    def _reset(self) -> None:
        super()._reset()
        self._news = Semaphore(0)
        self._running.clear()

    def _next_job(self) -> Job | None:
        while True:
            self._idle += 1
            try:
                self._news.acquire()
            finally:
                self._idle -= 1
            with self._changed:
                if self._jobs:
                    return self._jobs.popleft()
                if self._closed:
                    return None

    def _work(self) -> None:
        try:
            job = self._next_job()
            while job is not None:
                try:
                    self._run_in_fiber(job)
                finally:
                    self._finished()
                job = None
                job = self._next_job()
        except BaseException:
            self._give_up()
            raise
        finally:
            self._left()

    def _run_in_fiber(self, job: Job) -> None:
        # In a fiber of its own: what cancels the job must not hit the worker, or the next job.
        fiber: Optional[Fiber] = Fiber(run, (job,), hub=self._hub)
        assert fiber is not None
        if not job.future.set_running(can_cancel=True, on_cancel=fiber.cancel):
            return
        self._running.add(fiber)
        try:
            fiber.start()
            fiber.join()
        finally:
            self._running.discard(fiber)

    def _give_up(self) -> None:
        """Cancel what is queued: the hub ends, and with it every worker."""
        while self._jobs:
            self._jobs.popleft().future.cancel()
            self._finished()
