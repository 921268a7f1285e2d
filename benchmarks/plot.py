"""The pictures of the report, one panel each, made from figures alone.

Each library has its colour in all of them, and each kind of its systems a way to be dashed. Ours is
thicker than the others, and lies above them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib

from .catalogue import Benchmark, is_ours, system_title
from .comparisons import of_case
from .document import Picture
from .figures import CONNECTIONS, COUNT, Case, Figures, curve, slope
from .servers import ON_PYPY
from .units import PERCENTILES, figure, number

matplotlib.use('agg')

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

# The same figures give the same file, so that a new report changes what is new.
matplotlib.rcParams.update({
    'svg.hashsalt': 'gruvi_cffi', 'svg.fonttype': 'none',
    'font.size': 10, 'axes.titlesize': 11, 'axes.grid': True,
    'grid.color': '#e4e4e4', 'axes.axisbelow': True, 'axes.spines.top': False,
    'axes.spines.right': False,
})  # fmt: skip
SIZE = (6.4, 4.2)  # inches; as wide as half a screen, or a telephone
OURS = '#12703a'
COLOURS = {
    'gruvi': OURS, 'HttpClient': OURS, 'HttpSession': '#6abf69',
    'libuv': '#444444', 'uvloop': '#1f5fbf', 'uvicorn': '#1f5fbf', 'asyncio': '#7fb2e5',
    'aiohttp': '#7fb2e5', 'gevent': '#c0392b', 'geventhttpclient': '#c0392b', 'eventlet': '#e39a25',
    'node': '#8e44ad', 'threads': '#8c6d46', 'httpx': '#17a2a2', 'requests': '#d36ba6',
    'urllib3': '#8c6d46', 'http.client': '#999999', 'aiofiles': '#17a2a2', 'anyio': '#d36ba6',
    'granian': '#d36ba6', 'gunicorn': '#8c6d46', 'fastwsgi': '#17a2a2', 'bjoern': '#e39a25',
    'nginx': '#222222', 'openssl': '#222222',
}  # fmt: skip
OTHER = '#b0b0b0'
FAR = 20  # times as much: then the axis has to be logarithmic
DASHES = {
    'protocol': '-',
    'stream': '--',
    'streams': '--',
    'buffered': ':',
    'stdlib': ':',
    'http': '-.',
}
MARKERS = {
    'protocol': 'o',
    'stream': 's',
    'streams': 's',
    'buffered': '^',
    'stdlib': '^',
    'http': 'D',
}


def style(system: str) -> dict[str, Any]:
    """Return how the line of *system* is drawn."""
    plain = system.replace(ON_PYPY, '')
    library, _, kind = plain.partition('-')
    ours = is_ours(system)
    return {
        'color': COLOURS.get(library, OTHER),
        'linestyle': DASHES.get(kind, '-'),
        'marker': MARKERS.get(kind, 'o'),
        'linewidth': 2.8 if ours else 1.4,
        'markersize': 6 if ours else 4,
        'alpha': 1 if plain == system else 0.45,
        'zorder': 3 if ours else 2,
    }


def draw(benchmark: Benchmark, figures: Figures, folder: Path) -> list[Picture]:
    """Draw all pictures of *benchmark* into *folder*, and return which there are."""
    pictures = []
    for title, plot in _plots(benchmark, figures):
        name = f'{benchmark.name}-{_slug(title)}.svg'
        figure_, axes = plt.subplots(figsize=SIZE, layout='constrained')
        plot(axes)
        axes.set_title(title, loc='left', fontweight='bold')
        figure_.savefig(folder / name, metadata={'Date': None})
        plt.close(figure_)
        pictures.append(Picture(name, f'{benchmark.title}: {title}'))
    return pictures


def _slug(title: str) -> str:
    return re.sub(r'[^a-z0-9]+', '-', title.lower().replace('µ', 'u')).strip('-')


def _plots(benchmark: Benchmark, figures: Figures) -> Iterator[tuple[str, Any]]:
    for title, cases in figures.series().items():
        names = [
            name for name in (*benchmark.compared_by, 'peak_bytes') if name in benchmark.figures
        ]
        for name in dict.fromkeys(names):
            if len([case for case in cases if case.size and case.has(name)]) > 1:
                yield _by_size(title, cases, name)
    for case in figures.cases:
        if case.title in benchmark.main:
            there = [name for name in PERCENTILES if case.has(name)]
            if len(there) > 2:
                yield f'latency, {case.title}', lambda axes, c=case, n=there: _latency(axes, c, n)
    shown = [case for case in figures.cases if benchmark.matrix or case.title in benchmark.main]
    for name in benchmark.compared_by:
        rows = _ratio_rows(benchmark, shown, name)
        if rows:
            title = f'ours to theirs: {figure(name).label}'
            yield title, lambda axes, r=rows: _ratios(axes, r)


def _by_size(title: str, cases: Sequence[Case], name: str) -> tuple[str, Any]:
    growth = cases[0].axis == COUNT
    label = figure(name).label
    return (
        f'{label}, {title}' if title else label,
        lambda axes: _lines(axes, cases, name, growth),
    )


def _lines(axes: Any, cases: Sequence[Case], name: str, growth: bool) -> None:
    """Draw a line for each system over the size; the rounds are the thin bars."""
    shown = figure(name)
    systems = list(dict.fromkeys(system for case in cases for system in case.rounds))
    for system in systems:
        points = curve(cases, system, name)
        if not points:
            continue
        label = system_title(system)
        exponent = slope(points) if growth else None
        if exponent is not None:
            label += f' (slope {round(exponent, 2) + 0:.2f})'  # no -0.00
        axes.plot(
            [size for size, _ in points], [value / shown.divisor for _, value in points],
            label=label, **style(system),
        )  # fmt: skip
        for case in cases:
            values = [value / shown.divisor for value in case.values(system, name)]
            if values and case.size:
                axes.vlines(
                    case.size, min(values), max(values), color=style(system)['color'], alpha=0.3
                )
    axes.set_xscale('log')
    sizes = [case.size for case in cases if case.size]
    axes.set_xticks(sizes, [_short(size) for size in sizes])
    axes.set_xlabel('connections' if cases[0].axis == CONNECTIONS else 'n')
    better = 'more' if shown.better == 'higher' else 'less'
    axes.set_ylabel(f'{shown.label} ({better} is better)')
    axes.minorticks_off()
    medians = [value for system in systems for _, value in curve(cases, system, name) if value]
    if growth or max(medians, default=1) > FAR * min(medians, default=1):
        _logarithmic(axes)
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    _legend(axes)


def _latency(axes: Any, case: Case, names: Sequence[str]) -> None:
    """Draw the latency that so much of the requests do not exceed."""
    for system in case.rounds:
        values = [case.median(system, name) for name in names]
        if all(values):
            milliseconds = [value / 1000 for value in values if value]
            axes.plot(range(len(names)), milliseconds, label=system_title(system), **style(system))
    axes.set_xticks(range(len(names)), [f'{PERCENTILES[name]} %' for name in names])
    _logarithmic(axes)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axes.set_xlabel('of the requests were answered within')
    axes.set_ylabel('ms (less is better)')
    _legend(axes)


Ratio = tuple[str, str, list[float]]  # what is compared, the rival, the rounds


def _ratio_rows(benchmark: Benchmark, cases: Iterable[Case], name: str) -> list[Ratio]:
    several = len({ours for case in cases for ours, _ in benchmark.pairs(case.rounds)}) > 1
    rows = []
    for case in cases:
        for each in of_case(benchmark, case):
            if each.figure == name:
                words = [system_title(each.theirs)]
                if several and not benchmark.matrix:
                    words.insert(0, system_title(each.ours).partition(',')[0])
                if benchmark.matrix or len(benchmark.main) > 1:
                    words.insert(0, case.title)
                rows.append((' / '.join(words), each.theirs, each.ratios))
    return rows


def _ratios(axes: Any, rows: Sequence[Ratio]) -> None:
    """Draw every round as a dot, and the median as a bar across them."""
    axes.figure.set_size_inches(SIZE[0], max(2.2, 0.9 + 0.3 * len(rows)))
    for place, (_, theirs, ratios) in enumerate(reversed(rows)):
        colour = style(theirs)['color']
        axes.scatter(ratios, [place] * len(ratios), color=colour, alpha=0.55, s=26, zorder=3)
        middle = sorted(ratios)[len(ratios) // 2]
        axes.vlines(middle, place - 0.35, place + 0.35, color=colour, linewidth=3, zorder=4)
    axes.axvline(1, color='#444444', linewidth=1, zorder=1)
    axes.set_yticks(range(len(rows)), [words for words, _, _ in reversed(rows)], fontsize=9)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xscale('log', base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:.2g}'))
    axes.figure.supxlabel('to the left of 1 ours is behind; a dot is a round', fontsize=10)


def _logarithmic(axes: Any) -> None:
    """Let heights be logarithmic, with names for some of them within less than ten times, too."""
    axes.set_yscale('log')
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _legend(axes: Any) -> None:
    lines = len(axes.get_legend_handles_labels()[0])
    axes.figure.set_size_inches(SIZE[0], SIZE[1] + 0.2 * ((lines + 1) // 2))
    axes.figure.legend(
        loc='outside lower left', ncols=2, fontsize=8.5, frameon=False, handlelength=3
    )


def _short(value: float) -> str:
    """Return *value* as an axis has room for it."""
    for unit, name in ((1e6, 'M'), (1e3, 'k')):
        if value >= unit:
            return f'{value / unit:g}{name}'
    return f'{value:g}' if value == 0 or value >= 1e-3 else number(value)
