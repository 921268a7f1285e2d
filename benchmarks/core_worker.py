"""What threads, processes, files and datagrams cost in one library: started by benchmarks.core.

It is given the library, the program and the seconds that it may take, and prints what one operation
has cost. The same few lines for each library; whoever knows one better can see what was measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any

FILES = 10_000
FILE_SIZE = 1024  # bytes
READERS = 20  # fibers or tasks that read them
COMMAND = ['/bin/true']
STEP = 20  # operations between two looks at the clock


def nothing() -> None:
    pass


class Clock:
    """Says how long to go on, and what each operation has cost."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._start = perf_counter()
        self._used = _cpu()

    def over(self) -> bool:
        return perf_counter() - self._start > self._seconds

    def report(self, operations: int, with_children: bool = False) -> None:
        """Print what each of the operations has cost, in nanoseconds."""
        wall = perf_counter() - self._start
        own, children = (now - before for now, before in zip(_cpu(), self._used))
        cpu = own + children * with_children
        print(json.dumps({'wall_ns': wall / operations * 1e9, 'cpu_ns': cpu / operations * 1e9}))


def _cpu() -> tuple[float, float]:
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime, children.ru_utime + children.ru_stime


# One after the other: a thread's job, a process.


def repeat(seconds: float, act: Callable[[], object], with_children: bool = False) -> None:
    act()
    clock, count = Clock(seconds), 0
    while not clock.over():
        for _ in range(STEP):
            act()
        count += STEP
    clock.report(count, with_children)


async def repeat_async(
    seconds: float, act: Callable[[], Awaitable[Any]], with_children: bool = False
) -> None:
    await act()
    clock, count = Clock(seconds), 0
    while not clock.over():
        for _ in range(STEP):
            await act()
        count += STEP
    clock.report(count, with_children)


def blocking_gruvi_cffi(seconds: float) -> None:
    from gruvi_cffi import blocking

    repeat(seconds, lambda: blocking(nothing))


def blocking_asyncio(seconds: float) -> None:
    asyncio.run(repeat_async(seconds, lambda: asyncio.to_thread(nothing)))


def blocking_gevent(seconds: float) -> None:
    import gevent

    pool = gevent.get_hub().threadpool
    repeat(seconds, lambda: pool.apply(nothing))


def process_gruvi_cffi(seconds: float) -> None:
    from gruvi_cffi.process import Process

    def act() -> None:
        with Process() as process:
            process.spawn(COMMAND)
            process.wait()

    repeat(seconds, act, with_children=True)


async def _spawn_and_wait() -> None:
    process = await asyncio.create_subprocess_exec(*COMMAND)
    await process.wait()


def process_asyncio(seconds: float) -> None:
    asyncio.run(repeat_async(seconds, _spawn_and_wait, with_children=True))


def process_uvloop(seconds: float) -> None:
    import uvloop

    uvloop.run(repeat_async(seconds, _spawn_and_wait, with_children=True))


def process_gevent(seconds: float) -> None:
    from gevent import subprocess as theirs

    repeat(seconds, lambda: theirs.Popen(COMMAND).wait(), with_children=True)


# Files, by some readers together.


def _files(seconds: float) -> list[str]:
    count = min(FILES, READERS + int(seconds * FILES))  # fewer where only a test wants to see them
    folder = Path(tempfile.mkdtemp(prefix='benchmarks'))
    names = [str(folder / str(number)) for number in range(count)]
    for name in names:
        Path(name).write_bytes(bytes(FILE_SIZE))
    return names


def _shares(names: list[str]) -> list[list[str]]:
    return [names[number::READERS] for number in range(READERS)]


def _each_round(seconds: float, read_all: Callable[[list[list[str]]], object]) -> None:
    names = _files(seconds)
    try:
        clock, rounds = Clock(seconds), 0
        while not clock.over():
            read_all(_shares(names))
            rounds += 1
        clock.report(rounds * len(names))
    finally:
        shutil.rmtree(os.path.dirname(names[0]))


def files_gruvi_cffi(seconds: float) -> None:
    from gruvi_cffi import fs, spawn

    def read(share: list[str]) -> None:
        for name in share:
            assert len(fs.read_bytes(name)) == FILE_SIZE

    def read_all(shares: list[list[str]]) -> None:
        for fiber in [spawn(read, share) for share in shares]:
            fiber.join()

    _each_round(seconds, read_all)


def _files_of_tasks(seconds: float, read: Callable[[list[str]], Awaitable[None]]) -> None:
    async def together(shares: list[list[str]]) -> None:
        await asyncio.gather(*[read(share) for share in shares])

    with asyncio.Runner() as runner:
        _each_round(seconds, lambda shares: runner.run(together(shares)))


def files_aiofiles(seconds: float) -> None:
    import aiofiles

    async def read(share: list[str]) -> None:
        for name in share:
            async with aiofiles.open(name, 'rb') as file:
                assert len(await file.read()) == FILE_SIZE

    _files_of_tasks(seconds, read)


def files_anyio(seconds: float) -> None:
    import anyio

    async def read(share: list[str]) -> None:
        for name in share:
            assert len(await anyio.Path(name).read_bytes()) == FILE_SIZE

    _files_of_tasks(seconds, read)


# An echo of datagrams, for a peer that is a process of its own.


def _with_load(port: int, seconds: float) -> Any:
    """Start the peer; its last line says how many datagrams have come back."""
    command = [sys.executable, '-m', 'benchmarks.core_peer', str(port), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def udp_gruvi_cffi(seconds: float) -> None:
    from gruvi_cffi import DatagramProtocol, blocking, create_datagram_endpoint

    class Echo(DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.sendto = transport.sendto

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.sendto(data, addr)

    transport, _ = create_datagram_endpoint(Echo, ('127.0.0.1', 0))
    peer = _with_load(transport.get_extra_info('sockname')[1], seconds)
    clock = Clock(seconds)
    clock.report(int(blocking(peer.communicate)[0]))


async def _udp_of_tasks(seconds: float) -> None:
    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.sendto = transport.sendto

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.sendto(data, addr)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, ('127.0.0.1', 0))
    peer = _with_load(transport.get_extra_info('sockname')[1], seconds)
    clock = Clock(seconds)
    clock.report(int((await asyncio.to_thread(peer.communicate))[0]))


def udp_asyncio(seconds: float) -> None:
    asyncio.run(_udp_of_tasks(seconds))


def udp_uvloop(seconds: float) -> None:
    import uvloop

    uvloop.run(_udp_of_tasks(seconds))


def main() -> int:
    library, program, seconds = sys.argv[1:]
    globals()[f'{program}_{library}'](float(seconds))
    return 0


if __name__ == '__main__':
    sys.exit(main())
