"""Pools as ``concurrent.futures.Executor``, for libraries that want one."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any

from ..hub import switchpoint
from .future import Future
from .pools import PoolBase
from .waiting import wait as wait_for


class PoolExecutor(concurrent.futures.Executor):
    """*pool* as an Executor. Its futures are those of ``concurrent.futures``.

    ``shutdown()`` ends the executor; the pool stays open. ``result()`` of such a future blocks the
    thread, so for a pool of fibers it belongs into another one, or behind ``wait()`` of ours.
    """

    def __init__(self, pool: PoolBase) -> None:
        self._pool = pool
        self._futures: set[concurrent.futures.Future[Any]] = set()
        self._shut = False

    def submit(
        self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> concurrent.futures.Future[Any]:
        """Have ``fn(*args, **kwargs)`` called in the pool.

        :raises RuntimeError: the executor was shut down, or the pool closed.
        """
        if self._shut:
            raise RuntimeError('the executor was shut down')
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._futures.add(future)
        future.add_done_callback(self._futures.discard)
        try:
            job = self._pool.submit(_run, future, fn, args, kwargs)
        except BaseException:
            self._futures.discard(future)
            raise
        job.add_done_callback(_settle, job, future)
        return future

    @switchpoint
    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no new calls. With *wait*, wait until those that were taken are done."""
        self._shut = True
        futures = list(self._futures)
        if cancel_futures:
            for future in futures:
                future.cancel()
        if wait:
            wait_for(futures)

    @switchpoint
    def __exit__(self, *exc: object) -> None:
        """Shut down, and wait."""
        self.shutdown()


def _run(
    future: concurrent.futures.Future[Any],
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function(*args, **kwargs)
    except BaseException as error:
        future.set_exception(error)
        del future  # the traceback holds this frame
    else:
        future.set_result(result)


def _settle(job: Future, future: concurrent.futures.Future[Any]) -> None:
    if job.cancelled():  # it never ran
        future.cancel()
