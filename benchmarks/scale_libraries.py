"""What the programs of scale_green.py use of each library: the same words for the same things.

A library is imported only when its programs run, so that none pays for another's memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

Make = Callable[[], Any]


@dataclass(frozen=True)
class Library:
    """Fibers, or threads, and what they wait for. None: there is no such thing."""

    run: Callable[[Callable[[], Any]], Any]  # call it in a fiber and return what it returned
    spawn: Callable[..., Any]  # the function, and its arguments
    join: Callable[[Any], object]
    sleep: Callable[[float], object]
    event: Make  # with wait() and set()
    lock: Make  # with acquire() and release(), as has a semaphore
    semaphore: Callable[[int], Any]
    queue: Make  # with get() and put()
    condition: Optional[Make] = None
    cancel: Optional[Callable[[Any], object]] = None  # a fiber that waits
    timer: Optional[Callable[[float, Callable[[], object]], Any]] = None  # a delay and what to call
    cancel_timer: Optional[Callable[[Any], object]] = None


def gruvi() -> Library:
    import gruvi_cffi as library

    def cancel(fiber: Any) -> None:
        fiber.cancel()

    return Library(
        run=lambda program: library.spawn(program).result(),
        spawn=library.spawn,
        join=library.Fiber.join,
        sleep=library.sleep,
        event=library.Event,
        lock=library.Lock,
        semaphore=library.Semaphore,
        queue=library.Queue,
        condition=library.Condition,
        cancel=cancel,
        timer=library.get_hub().call_later,
        cancel_timer=lambda timer: timer.cancel(),
    )


def gevent() -> Library:
    import gevent as library
    from gevent.event import Event
    from gevent.lock import Semaphore
    from gevent.queue import Queue

    loop = library.get_hub().loop

    def timer(delay: float, call: Callable[[], object]) -> Any:
        started = loop.timer(delay)
        started.start(call)
        return started

    return Library(
        run=lambda program: library.spawn(program).get(),
        spawn=library.spawn,
        join=library.Greenlet.join,
        sleep=library.sleep,
        event=Event,
        lock=Semaphore,  # it has no other
        semaphore=Semaphore,
        queue=Queue,
        cancel=lambda fiber: fiber.kill(block=False),
        timer=timer,
        cancel_timer=lambda timer: timer.close(),
    )


class _EventletEvent:
    """An event that any number may wait for."""

    def __init__(self) -> None:
        from eventlet.event import Event

        event = Event()
        self.wait = event.wait
        self.set = event.send


def eventlet() -> Library:
    import eventlet as library
    from eventlet.greenthread import GreenThread
    from eventlet.hubs import get_hub
    from eventlet.queue import Queue
    from eventlet.semaphore import Semaphore

    return Library(
        run=lambda program: library.spawn(program).wait(),
        spawn=library.spawn,
        join=GreenThread.wait,
        sleep=library.sleep,
        event=_EventletEvent,
        lock=Semaphore,
        semaphore=Semaphore,
        queue=Queue,
        timer=get_hub().schedule_call_global,
        cancel_timer=lambda timer: timer.cancel(),
    )


def threads() -> Library:
    import queue
    import threading
    import time

    def spawn(function: Callable[..., object], *args: Any) -> threading.Thread:
        thread = threading.Thread(target=function, args=args, daemon=True)
        thread.start()
        return thread

    return Library(
        run=lambda program: program(),
        spawn=spawn,
        join=threading.Thread.join,
        sleep=time.sleep,
        event=threading.Event,
        lock=threading.Lock,
        semaphore=threading.Semaphore,
        queue=queue.Queue,
        condition=threading.Condition,
    )


LOADERS: dict[str, Callable[[], Library]] = {
    'gruvi': gruvi, 'gevent': gevent, 'eventlet': eventlet, 'threads': threads,
}  # fmt: skip
