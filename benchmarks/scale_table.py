"""Figures over a size, as tables: one for each figure, with a slope."""

from __future__ import annotations

import re
from math import log
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

Cases = dict[str, dict[str, list[dict[str, float]]]]  # case, system, rounds: figures
Curves = dict[str, dict[tuple[str, str], dict[int, float]]]  # figure, case and system, by size

_SIZE = re.compile(r'(.*), n=([0-9]+)$')


def split(title: str) -> tuple[str, int]:
    """Return what a case is about, and its size; 0 if it has none."""
    found = _SIZE.match(title)
    return (found[1], int(found[2])) if found else (title, 0)


def curves(cases: Cases) -> Curves:
    """Return the medians of each figure, over the size."""
    found: Curves = {}
    for title, systems in cases.items():
        what, size = split(title)
        for system, rounds in systems.items():
            for figure in rounds[0]:
                values = [each[figure] for each in rounds if figure in each]
                rows = found.setdefault(figure, {})
                rows.setdefault((what, system), {})[size] = median(values)
    return found


def slope(points: dict[int, float]) -> float | None:
    """Return the slope of a line through *points* on log-log paper, None if there are too few.

    Of a cost per operation: 0 is flat, 1 means that all operations together are quadratic.
    """
    pairs = [(log(size), log(value)) for size, value in points.items() if size and value > 0]
    if len(pairs) < 2:
        return None
    middle_x = sum(x for x, _ in pairs) / len(pairs)
    middle_y = sum(y for _, y in pairs) / len(pairs)
    width = sum((x - middle_x) ** 2 for x, _ in pairs)
    return sum((x - middle_x) * (y - middle_y) for x, y in pairs) / width


def short(value: float) -> str:
    """Return *value* with three digits that count."""
    if value >= 100 or value == int(value):
        return f'{value:,.0f}'
    return f'{value:.1f}' if value >= 10 else f'{value:.2f}'


def size_name(size: int) -> str:
    """Return *size* as 19k, 1M or, if it is no round number, in full."""
    for unit, name in ((1_000_000, 'M'), (1000, 'k')):
        if size % unit == 0:
            return f'{size // unit}{name}'
    return f'{size:,}'


def _sized(value: float, figure: str) -> str:
    if figure.endswith('bytes') and value >= 2**20:
        return f'{value / 2**20:,.0f} MiB'
    return short(value)


def table_of(figure: str, rows: dict[tuple[str, str], dict[int, float]]) -> Table:
    """Return the curves of one figure."""
    sizes = sorted({size for points in rows.values() for size in points})
    with_slope = len(sizes) > 1
    table = Table(title=figure, title_justify='left', box=SIMPLE_HEAD, padding=0)
    table.add_column('case', no_wrap=True)
    table.add_column('system', no_wrap=True)
    headings = [size_name(size) if size else '' for size in sizes]
    for heading in headings + ['slope'] * with_slope:
        table.add_column(heading, justify='right', no_wrap=True)
    for (what, system), points in rows.items():
        cells = [_sized(points[size], figure) if size in points else '-' for size in sizes]
        if with_slope:
            steep = slope(points)
            cells.append('-' if steep is None else f'{steep:.2f}')
        table.add_row(what, system, *cells, style='bold' if system.startswith('gruvi') else '')
    return table


def show(cases: Cases, console: Console) -> None:
    """Print a table for each figure."""
    for figure, rows in curves(cases).items():
        console.print(table_of(figure, rows), soft_wrap=True)
