"""Waiting for several things: whatever can be told to call back."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from time import monotonic
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from ..errors import QueueEmpty, Timeout
from ..hub import switchpoint
from ..sync import Event, Queue

T = TypeVar('T')

_EXPIRED = -1

# Nobody can take back a callback from a future of the standard library, so each gets one only.
_events: WeakKeyDictionary[concurrent.futures.Future[Any], Event] = WeakKeyDictionary()


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
    with closing(_completions(objects, count, timeout)) as completions:
        for number in completions:
            if number == _EXPIRED:
                raise Timeout(f'not all was done within {timeout} seconds')
            yield objects[number]


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
    completed = dict.fromkeys(_completions(objects, count, timeout))
    completed.pop(_EXPIRED, None)
    pending = [each for number, each in enumerate(objects) if number not in completed]
    return [objects[number] for number in completed], pending


def _completions(
    objects: Sequence[Any], count: int | None, timeout: float | None
) -> Generator[int, None, None]:
    """Yield the numbers of those that complete, or at last _EXPIRED."""
    count = _check(objects, count)
    until = None if timeout is None else monotonic() + timeout
    completed: Any = Queue()
    watched = [_watchable(each) for each in objects]
    handles = [
        each.add_done_callback(completed.put_nowait, number) for number, each in enumerate(watched)
    ]
    try:
        for _ in range(count):
            left = None if until is None else max(0.0, until - monotonic())
            try:
                number = completed.get(timeout=left)
            except QueueEmpty:
                yield _EXPIRED
                return
            yield number
    finally:
        for each, handle in zip(watched, handles):
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


def _watchable(each: Any) -> Any:
    if not isinstance(each, concurrent.futures.Future):
        return each
    event = _events.get(each)
    if event is None:
        event = _events[each] = Event()
        each.add_done_callback(lambda _: event.set())
    return event
