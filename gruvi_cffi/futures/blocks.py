"""Foreign code that blocks: it runs in a thread of a shared pool, and the fiber waits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, Optional

from .. import limits
from ..hub import switchpoint
from .pools import PoolBase, ThreadPool

_io_pool: Optional[ThreadPool] = None
_cpu_pool: Optional[ThreadPool] = None


def get_io_pool() -> ThreadPool:
    """Return the pool for calls that wait, which the whole process shares."""
    global _io_pool
    if _io_pool is None:
        _io_pool = ThreadPool(limits.IO_THREADS, name='Io')
    return _io_pool


def get_cpu_pool() -> ThreadPool:
    """Return the pool for calls that compute, a thread for each CPU; the process shares it."""
    global _cpu_pool
    if _cpu_pool is None:
        _cpu_pool = ThreadPool(os.cpu_count() or 1, name='Cpu')
    return _cpu_pool


@switchpoint
def blocking(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call ``func(*args, **kwargs)`` in a thread of the I/O pool; return or raise what it does.

    When the waiting fiber is cancelled, the call goes on and its result is dropped; see
    ``get_io_pool().abandoned``.
    """
    return _call_in(get_io_pool(), func, args, kwargs)


def _call_in(
    pool: PoolBase, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    future = pool.submit(func, *args, **kwargs)
    try:
        return future.result()
    finally:
        if not future.done():
            pool.abandon(future)


class _Blockified:
    """See ``blockify()``."""

    def __init__(self, wrapped: Any, pool: PoolBase | None) -> None:
        self.__wrapped__ = wrapped
        self._pool = pool

    def _call(self, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return _call_in(get_io_pool() if self._pool is None else self._pool, func, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__wrapped__, name)
        if not callable(value):
            return value

        @wraps(value)
        def call(*args: Any, **kwargs: Any) -> Any:
            return self._call(value, *args, **kwargs)

        return switchpoint(call)

    def __repr__(self) -> str:
        return f'<blockified {self.__wrapped__!r}>'

    def __iter__(self) -> Iterator[Any]:
        return self

    @switchpoint
    def __next__(self) -> Any:
        item = self._call(next, self.__wrapped__, _END)
        if item is _END:
            raise StopIteration
        return item

    @switchpoint
    def __enter__(self) -> _Blockified:
        self._call(self.__wrapped__.__enter__)
        return self

    @switchpoint
    def __exit__(self, *exc: Any) -> Any:
        return self._call(self.__wrapped__.__exit__, *exc)


_END = object()


def blockify(obj: Any, pool: PoolBase | None = None) -> Any:
    """Return *obj*, an object or a module, with all its functions run in *pool*, or the I/O pool.

    Its other attributes are as they are, and so is what the functions return.
    """
    return _Blockified(obj, pool)


def _after_fork() -> None:
    global _io_pool, _cpu_pool
    _io_pool = _cpu_pool = None  # no thread has come along


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_after_fork)
