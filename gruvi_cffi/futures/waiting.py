"""Waiting for several things: whatever can be told to call back."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any, TypeVar

from ..errors import QueueEmpty, Timeout
from ..hub import switchpoint
from ..sync import Queue

T = TypeVar('T')

_EXPIRED = object()


@switchpoint
def as_completed(
    objects: Sequence[T], count: int | None = None, timeout: float | None = None
) -> Iterator[T]:
    """Yield *objects* as they complete, *count* of them at most.

    They are events, futures (also those of ``concurrent.futures``), fibers, or anything else with
    ``add_done_callback()`` and ``remove_done_callback()``.

    :raises Timeout: they did not complete within *timeout* seconds, for all of them.
    :raises TypeError: one cannot be waited for.
    :raises ValueError: *count* is negative, or there are not so many.
    """
    for each in _completions(objects, count, timeout):
        if each is _EXPIRED:
            raise Timeout(f'not all was done within {timeout} seconds')
        yield each


@switchpoint
def wait(
    objects: Sequence[T], count: int | None = None, timeout: float | None = None
) -> tuple[list[T], list[T]]:
    """Wait until *count* of *objects*, or all, have completed, or *timeout* seconds are over.

    Returns those that have, in that order, and the others. What can be waited for is said at
    ``as_completed()``.

    :raises TypeError: one cannot be waited for.
    :raises ValueError: *count* is negative, or there are not so many.
    """
    done = [each for each in _completions(objects, count, timeout) if each is not _EXPIRED]
    pending = list(objects)
    for each in done:
        pending.remove(each)
    return done, pending


def _completions(objects: Sequence[Any], count: int | None, timeout: float | None) -> Iterator[Any]:
    """Yield what completes, or at last _EXPIRED."""
    count = _check(objects, count)
    until = None if timeout is None else monotonic() + timeout
    completed: Any = Queue()
    handles = [_watch(each, completed, number) for number, each in enumerate(objects)]
    try:
        for _ in range(count):
            left = None if until is None else max(0.0, until - monotonic())
            try:
                number = completed.get(timeout=left)
            except QueueEmpty:
                yield _EXPIRED
                return
            yield objects[number]
    finally:
        for each, handle in zip(objects, handles):
            if handle is not None:
                each.remove_done_callback(handle)


def _check(objects: Sequence[Any], count: int | None) -> int:
    for each in objects:
        if not hasattr(each, 'add_done_callback'):
            raise TypeError(f'cannot wait for {each!r}')
    if count is None:
        return len(objects)
    if not 0 <= count <= len(objects):
        raise ValueError(f'cannot wait for {count} of {len(objects)} objects')
    return count


def _watch(each: Any, completed: Any, number: int) -> Any:
    """Have *number* put into *completed* once; return what takes that back, if anything can."""
    if isinstance(each, concurrent.futures.Future):
        each.add_done_callback(lambda _: completed.put_nowait(number))
        return None
    return each.add_done_callback(completed.put_nowait, number)
