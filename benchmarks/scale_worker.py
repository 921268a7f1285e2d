"""One program of one library in a process of its own: ``python -m benchmarks.scale_worker``.

The arguments are SYSTEM PROGRAM SIZE; what it prints is a line of JSON with its figures. None of it
is warmed up: a size of 1,000 is over before a processor knows it, which its figures show.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter, process_time
from typing import Any

import psutil

from .process import ROOT, BenchmarkError

LOOPS = ('asyncio', 'uvloop')
LARGEST = 12 * 2**30  # bytes that it may have
TICK = 0.05  # seconds between two looks at it
STEADY = 0.999  # of what it had before: that is no less


class Meter:
    """The figures of a program, as it takes them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.figures: dict[str, float] = {}

    @contextmanager
    def timing(self, figure: str, count: int | None = None) -> Iterator[None]:
        """Note the microseconds of CPU time that the block takes, for each of *count*."""
        began = process_time()
        yield
        self.figures[figure] = (process_time() - began) / (count or self.size) * 1e6

    @contextmanager
    def rating(self, figure: str) -> Iterator[None]:
        """Note how many were done in the block for each second of it."""
        began = perf_counter()
        yield
        self.figures[figure] = self.size / (perf_counter() - began)

    @contextmanager
    def weighing(self, figure: str) -> Iterator[None]:
        """Note by how many bytes each makes the process larger."""
        before = unique_bytes()
        yield
        self.figures[figure] = (unique_bytes() - before) / self.size

    @contextmanager
    def tidying(self) -> Iterator[Callable[[], bool]]:
        """Note the CPU time that the block takes, for each, to give back what is left.

        It gets a function that is True as long as the memory still falls.
        """
        began = process_time()
        left = [2.0 * resident_bytes()]

        def falls() -> bool:
            left.append(resident_bytes())
            return left[-1] < left[-2] * STEADY

        yield falls
        self.figures['tidy_us'] = (process_time() - began) / self.size * 1e6

    def note_memory(self, when: str) -> None:
        """Note what the process has, and in how many pieces of its address space."""
        self.figures[f'{when}_bytes'] = unique_bytes()
        with open('/proc/self/maps') as maps:
            self.figures[f'{when}_maps'] = sum(1 for _ in maps)


def resident_bytes() -> int:
    """Return the memory that this process has; this takes no time."""
    return int(psutil.Process().memory_info().rss)


def unique_bytes() -> int:
    """Return the memory that only this process uses."""
    return int(psutil.Process().memory_full_info().uss)


def run_program(system: str, program: str, size: int) -> dict[str, float]:
    """Run *program* in this process and return its figures."""
    meter = Meter(size)
    gc.collect()
    if system in LOOPS:
        from . import scale_tasks

        scale_tasks.run(system, program, meter)
    else:
        from . import scale_green

        scale_green.run(system, program, meter)
    return meter.figures


def ask_worker(system: str, program: str, size: int, patience: float) -> dict[str, float]:
    """Run *program* in a process of its own and return its figures.

    :raises BenchmarkError: it failed, takes longer than *patience* seconds or too much memory.
    """
    command = [sys.executable, '-m', 'benchmarks.scale_worker', system, program, str(size)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            _watch(process, patience)
            said, wrong = process.communicate()
        finally:
            process.kill()
    if process.returncode != 0:
        lines = wrong.strip().splitlines()
        raise BenchmarkError(lines[-1] if lines else f'ended with code {process.returncode}')
    figures: dict[str, float] = json.loads(said.splitlines()[-1])
    return figures


def _watch(process: subprocess.Popen[str], patience: float) -> None:
    info = psutil.Process(process.pid)
    end = time.monotonic() + patience
    while process.poll() is None:
        if time.monotonic() > end:
            raise BenchmarkError(f'takes longer than {patience:.0f} seconds')
        if info.memory_info().rss > LARGEST:
            raise BenchmarkError(f'takes more than {LARGEST >> 30} GiB')
        time.sleep(TICK)


def main(words: list[str]) -> None:
    system, program, size = words
    figures: Any = run_program(system, program, int(size))
    print(json.dumps(figures), flush=True)


if __name__ == '__main__':
    main(sys.argv[1:])
