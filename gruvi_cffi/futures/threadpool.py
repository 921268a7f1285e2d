"""Pools of threads: for what blocks."""

from __future__ import annotations

import threading

from .pools import Job, PoolBase, run


class ThreadPool(PoolBase):
    """A pool of daemon threads, for calls that block. A job that runs cannot be cancelled.

    A job may use fibers and what waits; its thread gets a hub then.
    """

    def __init__(
        self, maxsize: int | None = None, minsize: int = 0, name: str | None = None
    ) -> None:
        self._threads: set[int] = set()
        super().__init__(maxsize, minsize, name)

    def _start_worker(self, name: str) -> None:
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def _announce(self) -> None:
        self._changed.notify()

    def _announce_end(self) -> None:
        self._changed.notify_all()

    def _is_worker(self) -> bool:
        return threading.get_ident() in self._threads

    def _reset(self) -> None:
        super()._reset()
        self._threads.clear()

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
                    run(job)
                self._finished()
                job = None  # it holds the result while we wait for the next
                job = self._next_job()
        finally:
            self._threads.discard(threading.get_ident())
            self._left()
