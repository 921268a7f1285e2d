"""The programs of the scale runs for libraries whose fibers look like functions, and for threads.

scale_tasks.py has the same for asyncio and uvloop. Who runs in a program, ``main``, is a fiber.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .scale_libraries import LOADERS
from .scale_waits import WAITS

if TYPE_CHECKING:
    from .scale_libraries import Library
    from .scale_worker import Meter

AMONG = 20_000  # timers that are started and cancelled among those that are pending
PAUSE = 0.5  # seconds between two looks at the memory
FAR = 1000.0  # seconds until they are due, and as many more


def nothing(*_: object) -> None:
    """Be called."""


def settle(library: Library) -> None:
    """Let all that were spawned run until they wait."""
    library.sleep(0)
    library.sleep(0)


def tidy(library: Library, meter: Meter) -> None:
    """Give the library time to give back what the ended ones had."""
    with meter.tidying() as falls:
        while falls():
            library.sleep(PAUSE)
    meter.note_memory('ended')


# Fibers.


def park(library: Library, meter: Meter) -> None:
    """Have fibers wait for one event; then set it."""
    event = library.event()
    with meter.rating('spawned_per_second'), meter.weighing('bytes_per_fiber'):
        fibers = [library.spawn(event.wait) for _ in range(meter.size)]
        settle(library)
    meter.note_memory('parked')
    with meter.timing('wake_us'):
        event.set()
        for fiber in fibers:
            library.join(fiber)
    del fibers, fiber
    tidy(library, meter)


def spawn(library: Library, meter: Meter) -> None:
    """Start fibers that do nothing, and wait until all have ended."""
    with meter.timing('spawn_join_us'):
        for fiber in [library.spawn(nothing) for _ in range(meter.size)]:
            library.join(fiber)


def shuffled(library: Library, meter: Meter) -> None:
    """Have fibers wait for an event each, and end them in random order: one half, then the other.

    What this does to the address space is the question.
    """
    waiting = []
    for _ in range(meter.size):
        event = library.event()
        waiting.append((library.spawn(event.wait), event))
    settle(library)
    meter.note_memory('parked')
    random.Random(1).shuffle(waiting)
    with meter.timing('end_us'):
        _end(library, waiting, meter.size // 2)
        meter.note_memory('half')
        _end(library, waiting, 0)
    tidy(library, meter)


def _end(library: Library, waiting: list[tuple[Any, Any]], left: int) -> None:
    while len(waiting) > left:
        ending = waiting[-1000:]
        del waiting[-1000:]
        for _, event in ending:
            event.set()
        for fiber, _ in ending:
            library.join(fiber)


# Timers.


def delays(count: int, least: float, spread: float) -> list[float]:
    chance = random.Random(1)
    return [least + spread * chance.random() for _ in range(count)]


def pending(library: Library, meter: Meter) -> None:
    """Have timers pending, start and cancel others among them, and cancel all in random order."""
    start, cancel = library.timer, library.cancel_timer
    assert start is not None and cancel is not None
    when = delays(meter.size, FAR, FAR)
    with meter.weighing('bytes_per_timer'), meter.timing('start_us'):
        timers = [start(delay, nothing) for delay in when]
    library.sleep(0)
    among = delays(AMONG, FAR, FAR)
    with meter.timing('start_cancel_us', AMONG):
        for delay in among:
            cancel(start(delay, nothing))
        library.sleep(0)
    random.Random(2).shuffle(timers)
    with meter.timing('cancel_us'):
        for timer in timers:
            cancel(timer)
        library.sleep(0)


def fire(library: Library, meter: Meter) -> None:
    """Start timers that are due at once, and wait until all have fired."""
    assert library.timer is not None
    done = library.event()
    left = meter.size

    def fired() -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    started = [library.timer(delay, fired) for delay in delays(meter.size, 0.001, 0.05)]
    with meter.timing('fire_us'):
        done.wait()
    del started


def sleeps(library: Library, meter: Meter) -> None:
    """Have fibers sleep, for different times, and wait until all have ended."""
    with meter.timing('sleep_us'):
        sleeping = [library.spawn(library.sleep, delay) for delay in delays(meter.size, 0.1, 0.1)]
        for fiber in sleeping:
            library.join(fiber)


# Waiters.


def wait(library: Library, meter: Meter, kind: str) -> None:
    """Have fibers wait for one thing, and wake them."""
    one, wake = WAITS[kind](library, meter.size)
    with meter.timing('wait_us'):
        fibers = [library.spawn(one) for _ in range(meter.size)]
        settle(library)
    with meter.timing('wake_us'):
        wake()
        for fiber in fibers:
            library.join(fiber)


def cancel(library: Library, meter: Meter, kind: str) -> None:
    """Have fibers wait for one thing, and cancel them in random order."""
    assert library.cancel is not None
    one, wake = WAITS[kind](library, meter.size)
    fibers = [library.spawn(_give_up, one) for _ in range(meter.size)]
    settle(library)
    random.Random(1).shuffle(fibers)
    with meter.timing('cancel_us'):
        for fiber in fibers:
            library.cancel(fiber)
        for fiber in fibers:
            library.join(fiber)
    wake()  # whom they waited for, if that was a fiber
    library.sleep(0)


def _give_up(one: Callable[[], object]) -> None:
    try:
        one()
    except BaseException:  # whatever the library cancels with
        return


PROGRAMS: dict[str, Callable[..., None]] = {
    'park': park, 'spawn': spawn, 'shuffled': shuffled,
    'pending': pending, 'fire': fire, 'sleeps': sleeps,
    'wait': wait, 'cancel': cancel,
}  # fmt: skip


def run(system: str, program: str, meter: Meter) -> None:
    """Run *program*, whose name may end with ``:`` and what is to be waited for."""
    name, _, kind = program.partition(':')
    library = LOADERS[system]()
    arguments = [kind] if kind else []
    library.run(lambda: PROGRAMS[name](library, meter, *arguments))
