"""Small programs in one library, timed: ``python -m benchmarks.micro_worker LIBRARY``.

Reads commands from stdin, a line each, and answers each with a line of JSON:

    time NAME SECONDS    run the program for about so long: [operations, wall and CPU seconds]
    run NAME COUNT       run it for that many operations: null

The programs are the methods of a class for each library. They get how many operations to make,
always a multiple of STEP, and a clock, which they let run while they make them.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter, process_time

# A measurement is so many operations, or a multiple: what is done in crowds can be divided by it.
STEP = 2000


class Clock:
    """The time that a program took, without its preparations."""

    def __init__(self) -> None:
        self.wall = 0.0
        self.cpu = 0.0

    @contextmanager
    def running(self, sign: int = 1) -> Iterator[None]:
        """Add the time that the block takes; with -1 subtract it."""
        wall, cpu = perf_counter(), process_time()
        yield
        self.cpu += sign * (process_time() - cpu)
        self.wall += sign * (perf_counter() - wall)


Run = Callable[[str, int, Clock], object]  # a program's name, how many operations


def nothing() -> None:
    """Take part in measurements of what it costs to be called."""


class Bench:
    """The programs of one library."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._counts: dict[str, int] = {}

    def time(self, name: str, seconds: float) -> tuple[int, float, float]:
        """Run a program for about *seconds*; return operations, wall seconds and CPU seconds.

        The first time it runs as long before that, to warm up.
        """
        if name not in self._counts:
            self._counts[name] = self._warm_up(name, seconds)
        count = self._counts[name]
        gc.collect()  # the garbage of the program before
        clock = Clock()
        self._run(name, count, clock)
        return count, clock.wall, clock.cpu

    def run(self, name: str, count: int) -> None:
        self._run(name, count, Clock())

    def _warm_up(self, name: str, seconds: float) -> int:
        """Return how many operations take about *seconds*."""
        end = perf_counter() + seconds
        while True:
            began = perf_counter()
            self._run(name, STEP, Clock())
            now = perf_counter()
            if now >= end:
                return max(1, round(seconds / (now - began))) * STEP


def load(library: str) -> Run:
    """Return what runs the programs of *library*, and import no other."""
    if library == 'asyncio':
        from . import micro_asyncio

        return micro_asyncio.load()
    from . import micro_green

    return micro_green.LOADERS[library]()


def main() -> None:
    bench = Bench(load(sys.argv[1]))
    for line in sys.stdin:
        command, name, number = line.split()
        answer = None
        if command == 'time':
            answer = bench.time(name, float(number))
        else:
            bench.run(name, int(number))
        print(json.dumps(answer), flush=True)


if __name__ == '__main__':
    main()
