"""What many fibers can wait for at once, and how they are woken."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .scale_libraries import Library

Wait = Callable[[], object]
Wake = Callable[[], object]


def event(library: Library, count: int) -> tuple[Wait, Wake]:
    one = library.event()
    return one.wait, one.set


def lock(library: Library, count: int) -> tuple[Wait, Wake]:
    one = library.lock()
    one.acquire()

    def hold() -> None:
        one.acquire()
        one.release()

    return hold, one.release


def semaphore(library: Library, count: int) -> tuple[Wait, Wake]:
    one = library.semaphore(0)

    def wake() -> None:
        for _ in range(count):
            one.release()

    return one.acquire, wake


def queue(library: Library, count: int) -> tuple[Wait, Wake]:
    one = library.queue()

    def wake() -> None:
        for number in range(count):
            one.put(number)

    return one.get, wake


def condition_all(library: Library, count: int) -> tuple[Wait, Wake]:
    one, wait = _condition(library)

    def wake() -> None:
        with one:
            one.notify_all()

    return wait, wake


def condition_each(library: Library, count: int) -> tuple[Wait, Wake]:
    one, wait = _condition(library)

    def wake() -> None:
        for _ in range(count):
            with one:
                one.notify()

    return wait, wake


def _condition(library: Library) -> tuple[Any, Wait]:
    assert library.condition is not None
    one = library.condition()

    def wait() -> None:
        with one:
            one.wait()

    return one, wait


def fiber(library: Library, count: int) -> tuple[Wait, Wake]:
    go = library.event()
    one = library.spawn(go.wait)
    return lambda: library.join(one), go.set


WAITS: dict[str, Callable[[Library, int], tuple[Wait, Wake]]] = {
    'event': event,
    'lock': lock,
    'semaphore': semaphore,
    'queue': queue,
    'condition_all': condition_all,
    'condition_each': condition_each,
    'fiber': fiber,
}
