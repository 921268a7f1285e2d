"""What benchmarks have measured, read from their JSON.

Each writes one shape: beside what about.py knows, ``cases``, which has for each title of a case and
there for each system a list of rounds, each with a number for each figure. The name of a
figure ends in its unit: ``cpu_us``. The title of a case may say how many there were, as in ``idle,
n=5000`` or ``hello, 64 connections``: cases that differ in that alone are points of one curve.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

Rounds = dict[str, list[dict[str, float]]]  # system: rounds

CONNECTIONS = 'connections'
COUNT = 'n'
_SIZE = re.compile(r'(?P<connections>[\d,]+) connections?|n=(?P<n>[\d,]+)')


@dataclass(frozen=True)
class Case:
    """One load, and the rounds of each system under it."""

    title: str
    rounds: Rounds

    @property
    def _size(self) -> tuple[str, int] | None:
        for part in self.title.split(', '):
            found = _SIZE.fullmatch(part)
            if found and found.lastgroup:
                return found.lastgroup, int(found[found.lastgroup].replace(',', ''))
        return None

    @property
    def axis(self) -> str | None:
        """What the number in the title counts, CONNECTIONS or COUNT."""
        return self._size[0] if self._size else None

    @property
    def size(self) -> int | None:
        """That number."""
        return self._size[1] if self._size else None

    @property
    def series(self) -> str:
        """The title without it."""
        return ', '.join(part for part in self.title.split(', ') if not _SIZE.fullmatch(part))

    def values(self, system: str, figure: str) -> list[float]:
        """Return the figure of each round that has it."""
        rounds = self.rounds.get(system, [])
        return [round_[figure] for round_ in rounds if figure in round_]

    def median(self, system: str, figure: str) -> float | None:
        values = self.values(system, figure)
        return median(values) if values else None

    def ratios(self, system: str, reference: str, figure: str) -> list[float]:
        """Return the ratio within each round; those at the same time are neighbours."""
        pairs = zip(self.rounds.get(system, []), self.rounds.get(reference, []))
        return [
            mine[figure] / theirs[figure]
            for mine, theirs in pairs
            if mine.get(figure) and theirs.get(figure)
        ]

    def has(self, figure: str) -> bool:
        return any(self.values(system, figure) for system in self.rounds)


@dataclass(frozen=True)
class Figures:
    """All cases of a run, and on what they were measured."""

    cases: list[Case]
    about: dict[str, Any]

    def case(self, title: str) -> Case | None:
        return next((case for case in self.cases if case.title == title), None)

    def series(self) -> dict[str, list[Case]]:
        """Return the cases that are points of one curve together, the smallest first."""
        found: dict[str, list[Case]] = {}
        for case in self.cases:
            found.setdefault(case.series, []).append(case)
        for cases in found.values():
            cases.sort(key=lambda case: case.size or 0)
        return found

    def names(self) -> tuple[str, ...]:
        """Return the names of all figures."""
        found = {
            name: None
            for case in self.cases
            for rounds in case.rounds.values()
            for round_ in rounds
            for name in round_
        }
        return tuple(found)

    def systems(self) -> list[str]:
        return list(dict.fromkeys(name for case in self.cases for name in case.rounds))


Results = Mapping[str, Figures]  # by benchmark


def read(path: Path) -> Figures:
    """Read what a benchmark has written with ``--json``."""
    about = json.loads(path.read_text())
    return Figures(cases_of(about.pop('cases')), about)


def cases_of(measured: Mapping[str, Rounds]) -> list[Case]:
    """Return the cases of which there is something."""
    return [Case(title, rounds) for title, rounds in measured.items() if any(rounds.values())]


def read_all(folder: Path, names: Iterable[str]) -> Results:
    """Read the JSON files of the benchmarks *names* that are there."""
    paths = {name: folder / f'{name}.json' for name in names}
    return {name: read(path) for name, path in paths.items() if path.exists()}


def slope(points: Iterable[tuple[float, float]]) -> float | None:
    """Return the exponent of growth: 1 is linear, 2 quadratic, 0 flat; None of a single point."""
    logs = [(math.log(n), math.log(cost)) for n, cost in points if n > 0 and cost > 0]
    if len({n for n, _ in logs}) < 2:
        return None
    middle, height = mean(n for n, _ in logs), mean(cost for _, cost in logs)
    above = sum((n - middle) * (cost - height) for n, cost in logs)
    return above / sum((n - middle) ** 2 for n, _ in logs)


def curve(cases: Sequence[Case], system: str, figure: str) -> list[tuple[int, float]]:
    """Return the medians by size."""
    points = [(case.size, case.median(system, figure)) for case in cases]
    return [(size, value) for size, value in points if size is not None and value is not None]


def size_name(size: int) -> str:
    """Return *size* bytes in words."""
    return f'{size // 1024} KiB' if size >= 1024 else f'{size} B'
