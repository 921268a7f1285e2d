"""The programs of the scale runs for asyncio and uvloop: what scale_green.py has, in tasks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from .scale_green import AMONG, FAR, PAUSE, delays, nothing

if TYPE_CHECKING:
    from .scale_worker import Meter

Wait = Callable[[], Awaitable[object]]
Wake = Callable[[], Awaitable[object]]


async def settle() -> None:
    """Let all tasks run until they wait."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def _call(wait: Wait) -> None:
    await wait()


async def _nothing() -> None:
    pass


def _spawn_all(wait: Wait, count: int) -> list[asyncio.Task[None]]:
    start = asyncio.get_running_loop().create_task
    return [start(_call(wait)) for _ in range(count)]


async def tidy(meter: Meter) -> None:
    with meter.tidying() as falls:
        while falls():
            await asyncio.sleep(PAUSE)
    meter.note_memory('ended')


# Tasks.


async def park(meter: Meter) -> None:
    event = asyncio.Event()
    with meter.rating('spawned_per_second'), meter.weighing('bytes_per_fiber'):
        tasks = _spawn_all(event.wait, meter.size)
        await settle()
    meter.note_memory('parked')
    with meter.timing('wake_us'):
        event.set()
        for task in tasks:
            await task
    del tasks, task
    await tidy(meter)


async def spawn(meter: Meter) -> None:
    start = asyncio.get_running_loop().create_task
    with meter.timing('spawn_join_us'):
        for task in [start(_nothing()) for _ in range(meter.size)]:
            await task


async def shuffled(meter: Meter) -> None:
    start = asyncio.get_running_loop().create_task
    waiting = []
    for _ in range(meter.size):
        event = asyncio.Event()
        waiting.append((start(_call(event.wait)), event))
    await settle()
    meter.note_memory('parked')
    random.Random(1).shuffle(waiting)
    with meter.timing('end_us'):
        await _end(waiting, meter.size // 2)
        meter.note_memory('half')
        await _end(waiting, 0)
    await tidy(meter)


async def _end(waiting: list[tuple[asyncio.Task[None], asyncio.Event]], left: int) -> None:
    while len(waiting) > left:
        ending = waiting[-1000:]
        del waiting[-1000:]
        for _, event in ending:
            event.set()
        for task, _ in ending:
            await task


# Timers.


async def pending(meter: Meter) -> None:
    start = asyncio.get_running_loop().call_later
    when = delays(meter.size, FAR, FAR)
    with meter.weighing('bytes_per_timer'), meter.timing('start_us'):
        timers = [start(delay, nothing) for delay in when]
    await asyncio.sleep(0)
    among = delays(AMONG, FAR, FAR)
    with meter.timing('start_cancel_us', AMONG):
        for delay in among:
            start(delay, nothing).cancel()
        await asyncio.sleep(0)
    random.Random(2).shuffle(timers)
    with meter.timing('cancel_us'):
        for timer in timers:
            timer.cancel()
        await asyncio.sleep(0)


async def fire(meter: Meter) -> None:
    start = asyncio.get_running_loop().call_later
    done = asyncio.Event()
    left = meter.size

    def fired() -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    started = [start(delay, fired) for delay in delays(meter.size, 0.001, 0.05)]
    with meter.timing('fire_us'):
        await done.wait()
    del started


async def sleeps(meter: Meter) -> None:
    start = asyncio.get_running_loop().create_task
    with meter.timing('sleep_us'):
        sleeping = [start(asyncio.sleep(delay)) for delay in delays(meter.size, 0.1, 0.1)]
        for task in sleeping:
            await task


# Waiters.


async def _event(count: int) -> tuple[Wait, Wake]:
    one = asyncio.Event()

    async def wake() -> None:
        one.set()

    return one.wait, wake


async def _lock(count: int) -> tuple[Wait, Wake]:
    one = asyncio.Lock()
    await one.acquire()

    async def hold() -> None:
        await one.acquire()
        one.release()

    async def wake() -> None:
        one.release()

    return hold, wake


async def _semaphore(count: int) -> tuple[Wait, Wake]:
    one = asyncio.Semaphore(0)

    async def wake() -> None:
        for _ in range(count):
            one.release()

    return one.acquire, wake


async def _queue(count: int) -> tuple[Wait, Wake]:
    one: asyncio.Queue[int] = asyncio.Queue()

    async def wake() -> None:
        for number in range(count):
            await one.put(number)

    return one.get, wake


def _condition() -> tuple[asyncio.Condition, Wait]:
    one = asyncio.Condition()

    async def wait() -> None:
        async with one:
            await one.wait()

    return one, wait


async def _condition_all(count: int) -> tuple[Wait, Wake]:
    one, wait = _condition()

    async def wake() -> None:
        async with one:
            one.notify_all()

    return wait, wake


async def _condition_each(count: int) -> tuple[Wait, Wake]:
    one, wait = _condition()

    async def wake() -> None:
        for _ in range(count):
            async with one:
                one.notify()

    return wait, wake


async def _fiber(count: int) -> tuple[Wait, Wake]:
    go = asyncio.Event()
    task = asyncio.create_task(_call(go.wait))

    async def join() -> None:
        await asyncio.shield(task)  # to be cancelled must not cancel the one that is waited for

    async def wake() -> None:
        go.set()

    return join, wake


WAITS: dict[str, Callable[[int], Coroutine[Any, Any, tuple[Wait, Wake]]]] = {
    'event': _event,
    'lock': _lock,
    'semaphore': _semaphore,
    'queue': _queue,
    'condition_all': _condition_all,
    'condition_each': _condition_each,
    'fiber': _fiber,
}


async def wait(meter: Meter, kind: str) -> None:
    one, wake = await WAITS[kind](meter.size)
    with meter.timing('wait_us'):
        tasks = _spawn_all(one, meter.size)
        await settle()
    with meter.timing('wake_us'):
        await wake()
        for task in tasks:
            await task


async def cancel(meter: Meter, kind: str) -> None:
    one, wake = await WAITS[kind](meter.size)
    tasks = _spawn_all(one, meter.size)
    await settle()
    random.Random(1).shuffle(tasks)
    with meter.timing('cancel_us'):
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    await wake()
    await asyncio.sleep(0)


PROGRAMS: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    'park': park, 'spawn': spawn, 'shuffled': shuffled,
    'pending': pending, 'fire': fire, 'sleeps': sleeps,
    'wait': wait, 'cancel': cancel,
}  # fmt: skip


def run(system: str, program: str, meter: Meter) -> None:
    """Run *program*, whose name may end with ``:`` and what is to be waited for."""
    name, _, kind = program.partition(':')
    coroutine = PROGRAMS[name](meter, *([kind] if kind else []))
    if system == 'uvloop':
        import uvloop

        uvloop.run(coroutine)
    else:
        asyncio.run(coroutine)
