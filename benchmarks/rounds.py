"""Several servers under the same load, in turn.

This machine does other things too, and throughput has several stable states (who wakes whom on
which core). So each server gets several short rounds, interleaved with the others' and in an order
that rotates; a figure is the median of the rounds, and a ratio the median of the ratios within
each round, which compares neighbours in time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from statistics import median

from .display import Display
from .measure import Load, Round, measure
from .process import BenchmarkError, Server
from .servers import ON_PYPY

Figure = Callable[[Round], float]

WARM_UP = 4.0  # seconds; PyPy is as fast as it gets after that


class Rounds:
    """The rounds of some servers, and the errors of those that failed."""

    def __init__(self) -> None:
        self.of: dict[str, list[Round]] = {}
        self.errors: dict[str, str] = {}

    def median(self, name: str, figure: Figure) -> float:
        return median(figure(round_) for round_ in self.of[name])

    def ratio(self, name: str, reference: str, figure: Figure) -> float | None:
        """Return *name*'s figure in terms of *reference*'s, or None if one has none."""
        pairs = zip(self.of.get(name, []), self.of.get(reference, []))
        ratios = [figure(mine) / figure(theirs) for mine, theirs in pairs if figure(theirs)]
        return median(ratios) if ratios else None

    def fail(self, name: str, error: BenchmarkError) -> None:
        """Note that *name* failed; it has no figures then."""
        self.errors[name] = str(error)
        self.of.pop(name, None)


def start(
    names: Sequence[str], stack: ExitStack, rounds: Rounds, commands: dict[str, list[str]]
) -> dict[str, Server]:
    """Return the servers that could be started; *stack* will stop them.

    *commands* has those that are not started by their name alone.
    """
    servers = {}
    for name in names:
        try:
            servers[name] = stack.enter_context(closing(Server(name, commands.get(name))))
            servers[name].sleep()
        except BenchmarkError as exc:
            rounds.fail(name, exc)
    return servers


def interleave(
    servers: dict[str, Server], load: Load, count: int, rounds: Rounds, display: Display
) -> None:
    """Put *load* on each of *servers* *count* times and add the figures to *rounds*."""
    names = list(servers)
    for number in range(count):
        first = number % len(names) if names else 0
        for name in names[first:] + names[:first]:
            if name in rounds.errors:
                continue
            show = display.begin(f'{name}, round {number + 1} of {count}')
            try:
                with servers[name].awake():
                    if number == 0 and name.endswith(ON_PYPY):  # its compiler has to see the load
                        measure(servers[name], replace(load, seconds=WARM_UP))
                    figures = measure(servers[name], load, show)
            except BenchmarkError as exc:
                rounds.fail(name, exc)
                display.end('failed')
            else:
                rounds.of.setdefault(name, []).append(figures)
                display.end(f'{figures.requests_per_second:,.0f} echoes/s')
