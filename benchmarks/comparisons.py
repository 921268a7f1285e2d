"""Ours beside each rival, and where that is behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from .catalogue import Benchmark, measured
from .figures import Case, Results
from .units import figure


@dataclass(frozen=True)
class Comparison:
    """One figure of ours and theirs; of the *ratios*, those above 1 say that ours is ahead."""

    benchmark: Benchmark
    case: str
    figure: str
    ours: str
    theirs: str
    ratios: list[float]  # one for each round

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    @property
    def shown(self) -> str:
        return spread(self.ratios)


def ahead(case: Case, ours: str, theirs: str, name: str) -> list[float]:
    """Return the ratio within each round, turned so that above 1 ours is ahead."""
    return [figure(name).ahead(ratio) for ratio in case.ratios(ours, theirs, name)]


def spread(ratios: list[float]) -> str:
    """Return the median, and from where to where the rounds are."""
    if not ratios:
        return '–'
    if len(ratios) == 1:
        return ratio_text(ratios[0])
    return f'{ratio_text(median(ratios))} ({ratio_text(min(ratios))}–{ratio_text(max(ratios))})'


def ratio_text(ratio: float) -> str:
    return f'{ratio:.1f}' if ratio >= 10 else f'{ratio:.2f}'


def of_case(benchmark: Benchmark, case: Case) -> Iterator[Comparison]:
    """Yield the comparisons of one case."""
    for ours, theirs in benchmark.pairs(case.rounds):
        for name in benchmark.compared_by:
            ratios = ahead(case, ours, theirs, name)
            if ratios:
                yield Comparison(benchmark, case.title, name, ours, theirs, ratios)


def comparisons(results: Results) -> Iterator[Comparison]:
    """Yield all that there are."""
    for benchmark, figures in measured(results):
        for case in figures.cases:
            yield from of_case(benchmark, case)


def losses(results: Results) -> list[Comparison]:
    """Return those whose median is below 1, the worst first."""
    behind = (each for each in comparisons(results) if each.ratio < 1)
    return sorted(behind, key=lambda each: each.ratio)
