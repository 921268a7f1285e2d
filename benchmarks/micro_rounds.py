"""The small programs of several libraries in turn, and what fibers and connections weigh.

Why the rounds are interleaved, and what a ratio is, is in rounds.py.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import psutil

from .measure import bytes_per_connection
from .process import ROOT, BenchmarkError, Server

OURS = 'gruvi_cffi'
LIBRARIES = (OURS, 'asyncio', 'gevent')
LONGEST = 60.0  # seconds that a program may take beside those it was asked for

PROGRAMS = {
    'spawn': 'spawn + join a fiber',
    'spawn_many': 'the same, 1,000 together',
    'switch': 'sleep(0), 2 fibers',
    'switch_crowd': 'sleep(0), 100 fibers',
    'events': 'Event, fiber to fiber',
    'queue_1': 'item through Queue(1)',
    'queue_100': 'item through Queue(100)',
    'timer': 'start + cancel a timer',
    'timer_crowd': 'the same, 1,000 pending',
    'switchpoint': '@switchpoint on a call',
}
ONLY_OURS = ('switchpoint',)
SERVERS = (
    'gruvi-protocol',
    'gruvi-stream',
    'uvloop-protocol',
    'asyncio-protocol',
    'gevent-stream',
)  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Of one operation, in nanoseconds."""

    wall: float
    cpu: float


@dataclass
class Results:
    """What came out, one entry for each round."""

    costs: dict[str, dict[str, list[Cost]]] = field(default_factory=dict)  # program, library
    fibers: dict[str, list[float]] = field(default_factory=dict)  # library: bytes each
    connections: dict[str, list[float]] = field(default_factory=dict)  # server: bytes each
    errors: dict[str, str] = field(default_factory=dict)  # library or server


def ratio(mine: Sequence[float], theirs: Sequence[float]) -> float | None:
    """Return the median of the ratios within each round, or None if there are none."""
    ratios = [one / other for one, other in zip(mine, theirs) if other > 0]
    return median(ratios) if ratios else None


class Worker:
    """The programs of one library, in a process of their own."""

    def __init__(self, library: str) -> None:
        self.library = library
        with ExitStack() as stack:
            self._stderr = stack.enter_context(tempfile.TemporaryFile(mode='w+'))
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'benchmarks.micro_worker', library],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                text=True,
            )
            stack.callback(self._end)
            self._opened = stack.pop_all()

    def time(self, program: str, seconds: float) -> Cost:
        """Run *program* for about *seconds*; the first time twice as long, to warm up.

        :raises BenchmarkError: it failed, or does not end.
        """
        count, wall, cpu = self._ask(f'time {program} {seconds}', seconds * 3)
        return Cost(wall / count * 1e9, cpu / count * 1e9)

    def bytes_per_fiber(self, fibers: int) -> float:
        """Return what each of *fibers* that wait costs in memory of this process alone.

        One that comes first pays for what is imported or made only once.

        :raises BenchmarkError: the process ended.
        """
        self._ask('run park 1')
        before = self._unique_bytes()
        self._ask(f'run park {fibers}')
        return (self._unique_bytes() - before) / fibers

    def _unique_bytes(self) -> int:
        return int(psutil.Process(self._process.pid).memory_full_info().uss)

    def _ask(self, command: str, seconds: float = 0.0) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None
        try:
            stdin.write(command + '\n')
            stdin.flush()
        except BrokenPipeError:
            raise self._failure(command) from None
        ready, _, _ = select.select([stdout], [], [], LONGEST + seconds)
        line = stdout.readline() if ready else ''
        if not line:
            raise self._failure(command)
        return json.loads(line)

    def _failure(self, command: str) -> BenchmarkError:
        self._stderr.seek(0)
        words = self._stderr.read().strip()
        return BenchmarkError(f'{self.library} did not answer {command!r}\n{words}'.strip())

    def _end(self) -> None:
        self._process.kill()
        # Closes the pipes and waits. A command that it never read cannot be sent any more.
        with suppress(BrokenPipeError), self._process:
            pass

    def close(self) -> None:
        """Kill it. Does nothing if it has ended."""
        self._opened.close()


def interleave(names: Sequence[str], rounds: int, act: Callable[[str], object]) -> None:
    """Call *act* for each of *names* in each round; who is first rotates."""
    for number in range(rounds):
        first = number % len(names) if names else 0
        for name in [*names[first:], *names[:first]]:
            act(name)


def time_program(
    program: str, workers: dict[str, Worker], rounds: int, seconds: float, results: Results
) -> None:
    """Add to *results* what *program* costs in each library that has it."""
    costs = results.costs.setdefault(program, {})

    def act(library: str) -> None:
        if library in results.errors:
            return
        try:
            cost = workers[library].time(program, seconds)
        except BenchmarkError as exc:
            results.errors[library] = str(exc)
            costs.pop(library, None)
        else:
            costs.setdefault(library, []).append(cost)

    names = [name for name in workers if name == OURS or program not in ONLY_OURS]
    interleave(names, rounds, act)


def weigh_fibers(library: str, fibers: int, results: Results) -> None:
    """Add to *results* what a parked fiber weighs."""
    try:
        with closing(Worker(library)) as worker:
            weight = worker.bytes_per_fiber(fibers)
    except BenchmarkError as exc:
        results.errors[library] = str(exc)
    else:
        results.fibers.setdefault(library, []).append(weight)


def weigh_connections(name: str, connections: int, results: Results) -> None:
    """Add to *results* what an idle connection weighs in the server *name*."""
    try:
        with closing(Server(name)) as server:
            weight = bytes_per_connection(server, connections)
    except BenchmarkError as exc:
        results.errors[name] = str(exc)
    else:
        results.connections.setdefault(name, []).append(weight)
