"""Programs of several sizes, for each library in turn; see scale_worker.py."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from .micro_rounds import interleave
from .scale import Results
from .scale_worker import ask_worker


@dataclass(frozen=True)
class Program:
    """What is measured, and for whom."""

    title: str
    name: str  # in scale_green.py and scale_tasks.py
    systems: Sequence[str]
    largest: int = 1_000_000


def measure_programs(
    programs: Sequence[Program], options: argparse.Namespace, results: Results
) -> None:
    """Run each of *programs* with each size, in rounds.

    A system that failed with one size is not asked for the next.
    """
    for program in programs:
        for size in options.sizes:
            systems = [name for name in program.systems if name in options.systems]
            systems = [] if size > program.largest else systems
            interleave(systems, options.rounds, _Act(program, size, results))


class _Act:
    """One run of one program in one library."""

    def __init__(self, program: Program, size: int, results: Results) -> None:
        self._program = program
        self._size = size
        self._results = results

    def __call__(self, system: str) -> None:
        program, size, results = self._program, self._size, self._results
        if results.gave_up(program.title, system):
            return
        title = f'{program.title}, n={size}'
        with results.measuring(title, system):
            results.add(title, system, ask_worker(system, program.name, size))
