"""The figures of a run of benchmarks.echo, read from its JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

Value = Callable[[dict[str, float]], float]


@dataclass(frozen=True)
class Case:
    """One load, and the rounds of each server under it."""

    connections: int
    size: int  # bytes
    rate: float  # messages due per second; 0: each as soon as the one before was back
    rounds: dict[str, list[dict[str, float]]]

    def median(self, server: str, figure: str) -> float:
        return median(round_[figure] for round_ in self.rounds[server])

    def ratio(self, server: str, reference: str, figure: str) -> float:
        """Return the median of the ratios within each round."""
        pairs = zip(self.rounds[server], self.rounds[reference])
        return median(mine[figure] / theirs[figure] for mine, theirs in pairs)


@dataclass(frozen=True)
class Figures:
    """All cases of a run, and on what they were measured."""

    cases: list[Case]
    about: dict[str, Any]

    def case(self, connections: int, size: int) -> Case:
        for case in self.cases:
            if (case.connections, case.size) == (connections, size):
                return case
        raise LookupError(f'no figures for {connections} connections of {size} bytes')


def read(path: Path) -> Figures:
    """Read what ``benchmarks.echo --json`` has written."""
    about = json.loads(path.read_text())
    cases = [
        Case(load['connections'], load['size'], load.get('rate', 0), case['rounds'])
        for case in about.pop('cases')
        for load in [case['load']]
    ]
    return Figures(cases, about)


def size_name(size: int) -> str:
    """Return *size* bytes in words."""
    return f'{size // 1024} KiB' if size >= 1024 else f'{size} B'
