"""Tables of several servers: medians of their rounds, and how ours compares within each round."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Generic, TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

R = TypeVar('R')  # the figures of one round


@dataclass(frozen=True)
class Column(Generic[R]):
    """A figure of a round, and how it is written."""

    title: str
    form: str
    figure: Callable[[R], float]

    def cell(self, rounds: Sequence[R]) -> str:
        """Return the median; what is nothing was not measured."""
        value = median(self.figure(each) for each in rounds)
        return self.form.format(value) if value else '–'


def head(columns: Sequence[Column[R]], what: str = 'server') -> list[str]:
    first, *others = (column.title for column in columns)
    return [what, first, 'ours to it', 'least–most', *others]


def rows(
    measured: dict[str, list[R]], columns: Sequence[Column[R]], ours: str, order: Column[R]
) -> list[list[str]]:
    """Return a line for each server, with the ratios of *ours* to it in the first of *columns*.

    The one with the least of *order* comes first.
    """
    first, *others = columns
    return [
        [
            name,
            first.cell(measured[name]),
            *compared(measured.get(ours, []), measured[name], first),
            *(column.cell(measured[name]) for column in others),
        ]
        for name in sorted(measured, key=lambda name: median(map(order.figure, measured[name])))
    ]


def compared(mine: Sequence[R], theirs: Sequence[R], column: Column[R]) -> tuple[str, str]:
    """Return the median of the ratios within each round, and the least and the greatest of them."""
    pairs = [(column.figure(one), column.figure(other)) for one, other in zip(mine, theirs)]
    ratios = [one / other for one, other in pairs if other > 0]
    if not ratios:
        return '–', '–'
    return f'{median(ratios):.2f}', f'{min(ratios):.2f}–{max(ratios):.2f}'


def show(title: str, heading: Sequence[str], lines: Iterable[Sequence[str]], to: Console) -> None:
    """Print a table."""
    table = Table(box=SIMPLE_HEAD, padding=0, title=title, title_justify='left')
    for number, name in enumerate(heading):
        table.add_column(name, justify='left' if number == 0 else 'right', no_wrap=True)
    for line in lines:
        table.add_row(*line)
    to.print(table)
