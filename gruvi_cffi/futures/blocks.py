"""Foreign code that blocks: it runs in a thread of a shared pool, and the fiber waits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import wraps
from threading import get_ident
from typing import Any

from .. import limits
from ..hub import switchpoint
from ..switchpoints import refuse, sections
from .pools import PoolBase
from .threadpool import ThreadPool

_shared: dict[str, ThreadPool] = {}


def get_io_pool() -> ThreadPool:
    """Return the pool for calls that wait, which the whole process shares."""
    # Of two threads that are the first at once, one throws its pool away, which has no workers yet.
    return _shared.get('Io') or _shared.setdefault('Io', ThreadPool(limits.IO_THREADS, name='Io'))


def get_cpu_pool() -> ThreadPool:
    """Return the pool for calls that compute, a thread for each CPU; the process shares it."""
    count = os.cpu_count() or 1
    return _shared.get('Cpu') or _shared.setdefault('Cpu', ThreadPool(count, name='Cpu'))


@switchpoint
def blocking(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
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
        error = future.exception()
    finally:
        if not future.done():
            pool.abandon(future)
    if error is None:
        return future.result()
    try:
        raise error
    finally:
        del error, future  # the traceback holds this frame


class _Blockified:
    """See ``blockify()``."""

    def __init__(self, wrapped: Any, pool: PoolBase | None) -> None:
        self.__wrapped__ = wrapped
        self._pool = pool

    def _call(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _call_in(get_io_pool() if self._pool is None else self._pool, func, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.__wrapped__, name)
        if not callable(value) or (isinstance(value, type) and issubclass(value, BaseException)):
            return value

        # Many built-in functions hide their signature, so switchpoint() could not copy it.
        @wraps(value, updated=())
        def call(*args: Any, **kwargs: Any) -> Any:
            if sections and get_ident() in sections:
                refuse(name)
            return self._call(value, args, kwargs)

        vars(call)['__switchpoint__'] = True
        return call

    def __repr__(self) -> str:
        return f'<blockified {self.__wrapped__!r}>'

    def __iter__(self) -> Iterator[Any]:
        return self

    @switchpoint
    def __next__(self) -> Any:
        item = self._call(next, (self.__wrapped__, _END), {})
        if item is _END:
            raise StopIteration
        return item

    @switchpoint
    def __enter__(self) -> _Blockified:
        self._call(self.__wrapped__.__enter__, (), {})
        return self

    @switchpoint
    def __exit__(self, *exc: Any) -> Any:
        return self._call(self.__wrapped__.__exit__, exc, {})


_END = object()


def blockify(obj: Any, pool: PoolBase | None = None) -> Any:
    """Return *obj*, an object or a module, with all its functions run in *pool*, or the I/O pool.

    Its other attributes are as they are, exceptions too, and so is what the functions return.
    """
    return _Blockified(obj, pool)
