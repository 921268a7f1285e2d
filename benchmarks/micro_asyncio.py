"""The small programs for asyncio: what micro_green.py has, in tasks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from .micro_green import CROWD, DELAY, MANY, PENDING, TURN
from .micro_worker import nothing

if TYPE_CHECKING:
    from .micro_worker import Clock, Run


class Tasks:
    """The programs."""

    def __init__(self) -> None:
        self._parked: list[asyncio.Task[Any]] = []

    # Tasks.

    async def spawn(self, count: int, clock: Clock) -> None:
        start = asyncio.get_running_loop().create_task
        with clock.running():
            for _ in range(count):
                await start(_nothing())

    async def spawn_many(self, count: int, clock: Clock) -> None:
        start = asyncio.get_running_loop().create_task
        with clock.running():
            for _ in range(count // MANY):
                for task in [start(_nothing()) for _ in range(MANY)]:
                    await task

    async def switch(self, count: int, clock: Clock) -> None:
        await _together(clock, *[_sleep(count // 2) for _ in range(2)])

    async def switch_crowd(self, count: int, clock: Clock) -> None:
        await _together(clock, *[_sleep(count // CROWD) for _ in range(CROWD)])

    async def park(self, count: int, clock: Clock) -> None:
        """Leave *count* tasks behind that wait for ever."""
        event = asyncio.Event()
        self._parked += [asyncio.create_task(_wait(event)) for _ in range(count)]
        await asyncio.sleep(0.01)

    # What hands over.

    async def events(self, count: int, clock: Clock) -> None:
        one, other = asyncio.Event(), asyncio.Event()
        one.set()
        half = count // 2
        await _together(clock, _answer(one, other, half), _answer(other, one, half))

    async def queue_1(self, count: int, clock: Clock) -> None:
        await _hand_over(asyncio.Queue(1), count, clock)

    async def queue_100(self, count: int, clock: Clock) -> None:
        await _hand_over(asyncio.Queue(100), count, clock)

    # Timers.

    async def timer(self, count: int, clock: Clock) -> None:
        start = asyncio.get_running_loop().call_later
        with clock.running():
            for _ in range(count // TURN):
                for _ in range(TURN):
                    start(DELAY, nothing).cancel()
                await asyncio.sleep(0)

    async def timer_crowd(self, count: int, clock: Clock) -> None:
        start = asyncio.get_running_loop().call_later
        delays = (DELAY / 2 + DELAY * number / PENDING for number in range(PENDING))
        timers = [start(delay, nothing) for delay in delays]
        await self.timer(count, clock)
        for timer in timers:
            timer.cancel()


async def _nothing() -> None:
    pass


async def _sleep(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def _together(clock: Clock, *coroutines: Any) -> None:
    with clock.running():
        for task in [asyncio.create_task(coroutine) for coroutine in coroutines]:
            await task


async def _answer(mine: asyncio.Event, theirs: asyncio.Event, count: int) -> None:
    for _ in range(count):
        await mine.wait()
        mine.clear()
        theirs.set()


async def _hand_over(queue: asyncio.Queue[int], count: int, clock: Clock) -> None:
    await _together(clock, _produce(queue, count), _consume(queue, count))


async def _produce(queue: asyncio.Queue[int], count: int) -> None:
    for number in range(count):
        await queue.put(number)


async def _consume(queue: asyncio.Queue[int], count: int) -> None:
    for _ in range(count):
        await queue.get()


def load() -> Run:
    programs = Tasks()
    loop = asyncio.new_event_loop()  # one for all programs: what was parked stays
    return lambda name, *args: loop.run_until_complete(getattr(programs, name)(*args))
