"""Programs of several sizes, for each library in turn; see scale_worker.py."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .micro_rounds import interleave
from .scale import Results
from .scale_worker import ask_worker


@dataclass(frozen=True)
class Program:
    """What is measured, for whom, and how long one run may take."""

    title: str
    name: str  # in scale_green.py and scale_tasks.py
    systems: Sequence[str]
    largest: Mapping[str, int] = field(default_factory=dict)  # size, of a system; else any
    patience: float = 120.0  # seconds
    in_quick: bool = True  # also with --quick

    def systems_of(self, size: int) -> list[str]:
        return [name for name in self.systems if size <= self.largest.get(name, size)]


def measure_programs(
    programs: Sequence[Program], options: argparse.Namespace, results: Results
) -> None:
    """Run each of *programs* with each size, in rounds.

    A system that failed with one size is not asked for the next.
    """
    for program in programs:
        if options.quick and not program.in_quick:
            continue
        for size in options.sizes:
            systems = [name for name in program.systems_of(size) if name in options.systems]
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
            figures = ask_worker(system, program.name, size, program.patience)
            results.add(title, system, figures)
