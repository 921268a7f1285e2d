"""The small programs for gruvi_cffi and gevent, whose fibers and primitives look alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .micro_worker import nothing

if TYPE_CHECKING:
    from .micro_worker import Clock, Run

MANY = 1000  # fibers that are started together
CROWD = 100  # fibers that take turns
PENDING = 1000  # timers that stand beside those that are started and cancelled
DELAY = 60.0  # seconds; no timer is ever due
STRETCH = 2000  # calls with a switch point's check, before as many without
TURN = 100  # timers between two turns of the loop, where it may tidy up


class Green:
    """The programs. What is in capitals comes from the library."""

    SPAWN: Callable[..., Any]
    SLEEP: Callable[[float], object]
    EVENT: Callable[[], Any]
    QUEUE: Callable[[int], Any]

    def __init__(self) -> None:
        self._parked: list[Any] = []

    def start_and_cancel(self, count: int) -> None:
        """Start a timer and cancel it, *count* times."""
        raise NotImplementedError

    @contextmanager
    def pending(self, count: int) -> Iterator[None]:
        """Have *count* timers pending, half of them before those of ``start_and_cancel()``."""
        raise NotImplementedError

    # Fibers.

    def spawn(self, count: int, clock: Clock) -> None:
        start = self.SPAWN
        with clock.running():
            for _ in range(count):
                start(nothing).join()

    def spawn_many(self, count: int, clock: Clock) -> None:
        start = self.SPAWN
        with clock.running():
            for _ in range(count // MANY):
                for fiber in [start(nothing) for _ in range(MANY)]:
                    fiber.join()

    def switch(self, count: int, clock: Clock) -> None:
        self._take_turns(2, count, clock)

    def switch_crowd(self, count: int, clock: Clock) -> None:
        self._take_turns(CROWD, count, clock)

    def _take_turns(self, fibers: int, count: int, clock: Clock) -> None:
        self._together(clock, [(self._sleep, count // fibers)] * fibers)

    def _sleep(self, count: int) -> None:
        sleep = self.SLEEP
        for _ in range(count):
            sleep(0)

    def _together(self, clock: Clock, calls: list[tuple[Any, ...]]) -> None:
        with clock.running():
            for fiber in [self.SPAWN(*call) for call in calls]:
                fiber.join()

    def park(self, count: int, clock: Clock) -> None:
        """Leave *count* fibers behind that wait for ever."""
        event = self.EVENT()
        self._parked += [self.SPAWN(event.wait) for _ in range(count)]
        self.SLEEP(0.01)

    # What hands over.

    def events(self, count: int, clock: Clock) -> None:
        one, other = self.EVENT(), self.EVENT()
        one.set()
        half = count // 2
        self._together(clock, [(self._answer, one, other, half), (self._answer, other, one, half)])

    def _answer(self, mine: Any, theirs: Any, count: int) -> None:
        for _ in range(count):
            mine.wait()
            mine.clear()
            theirs.set()

    def queue_1(self, count: int, clock: Clock) -> None:
        self._hand_over(self.QUEUE(1), count, clock)

    def queue_100(self, count: int, clock: Clock) -> None:
        self._hand_over(self.QUEUE(100), count, clock)

    def _hand_over(self, queue: Any, count: int, clock: Clock) -> None:
        self._together(clock, [(self._produce, queue, count), (self._consume, queue, count)])

    def _produce(self, queue: Any, count: int) -> None:
        for number in range(count):
            queue.put(number)

    def _consume(self, queue: Any, count: int) -> None:
        for _ in range(count):
            queue.get()

    # Timers.

    def timer(self, count: int, clock: Clock) -> None:
        with clock.running():
            for _ in range(count // TURN):
                self.start_and_cancel(TURN)
                self.SLEEP(0)

    def timer_crowd(self, count: int, clock: Clock) -> None:
        with self.pending(PENDING):
            self.timer(count, clock)


def gruvi() -> Run:
    import gruvi_cffi

    hub = gruvi_cffi.get_hub()

    class Gruvi(Green):
        SPAWN = staticmethod(gruvi_cffi.spawn)
        SLEEP = staticmethod(gruvi_cffi.sleep)
        EVENT = gruvi_cffi.Event
        QUEUE = gruvi_cffi.Queue

        def start_and_cancel(self, count: int) -> None:
            start = hub.call_later
            for _ in range(count):
                start(DELAY, nothing).cancel()

        @contextmanager
        def pending(self, count: int) -> Iterator[None]:
            delays = (DELAY / 2 + DELAY * number / count for number in range(count))
            timers = [hub.call_later(delay, nothing) for delay in delays]
            yield
            for timer in timers:
                timer.cancel()

        def switchpoint(self, count: int, clock: Clock) -> None:
            marked = gruvi_cffi.switchpoint(nothing)
            for _ in range(count // STRETCH):
                with clock.running():
                    for _ in range(STRETCH):
                        marked()
                with clock.running(-1):
                    for _ in range(STRETCH):
                        nothing()

    programs = Gruvi()
    return lambda name, *args: gruvi_cffi.spawn(getattr(programs, name), *args).result()


def gevent() -> Run:
    from gevent import get_hub, sleep, spawn
    from gevent.event import Event
    from gevent.queue import Queue

    loop = get_hub().loop

    class Gevent(Green):
        SPAWN = staticmethod(spawn)
        SLEEP = staticmethod(sleep)
        EVENT = Event
        QUEUE = Queue

        def start_and_cancel(self, count: int) -> None:
            make = loop.timer
            for _ in range(count):
                timer = make(DELAY)
                timer.start(nothing)
                timer.close()

        @contextmanager
        def pending(self, count: int) -> Iterator[None]:
            timers = [loop.timer(DELAY / 2 + DELAY * number / count) for number in range(count)]
            for timer in timers:
                timer.start(nothing)
            yield
            for timer in timers:
                timer.close()

    programs = Gevent()
    return lambda name, *args: spawn(getattr(programs, name), *args).get()


LOADERS: dict[str, Callable[[], Run]] = {'gruvi_cffi': gruvi, 'gevent': gevent}
