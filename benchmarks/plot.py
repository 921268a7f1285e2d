"""A picture of what benchmarks.echo has measured: ``python -m benchmarks.plot FIGURES PICTURE``.

FIGURES is its JSON, PICTURE a PNG: a row for each size of message, with the requests per second and
the CPU time of each, by connections.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib

from .figures import Case, Figures, read, size_name
from .servers import ON_PYPY

matplotlib.use('agg')

import matplotlib.pyplot as plt

PANELS = {
    'requests_per_second': 'requests per second',
    'cpu_us': 'CPU µs per request (less is better)',
}
COLOURS = {
    'libuv': '#555555',
    'gruvi': '#1b7837',
    'uvloop': '#2166ac',
    'asyncio': '#92c5de',
    'gevent': '#b2182b',
}


def draw(figures: Figures, target: Path) -> None:
    """Draw *figures* into the file *target*."""
    sizes = sorted({case.size for case in figures.cases})
    figure, grid = plt.subplots(
        len(sizes), len(PANELS), figsize=(12, 3.4 * len(sizes)), squeeze=False, layout='constrained'
    )
    for row, size in zip(grid, sizes):
        cases = [case for case in figures.cases if case.size == size]
        for axes, (name, title) in zip(row, PANELS.items()):
            _draw_panel(axes, cases, name)
            axes.set_title(f'{size_name(size)}: {title}', fontsize=10)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=5, fontsize=9)
    figure.savefig(target, dpi=100)
    plt.close(figure)


def _draw_panel(axes: Any, cases: list[Case], name: str) -> None:
    servers = list(dict.fromkeys(server for case in cases for server in case.rounds))
    width = 0.8 / len(servers)
    for number, server in enumerate(servers):
        places = [at + (number + 0.5) * width - 0.4 for at in range(len(cases))]
        values = [case.median(server, name) if server in case.rounds else 0 for case in cases]
        library, _, kind = server.partition('-')
        on_pypy = kind.endswith(ON_PYPY)
        hatch = '//' if kind.startswith('stream') else 'xx' if kind.startswith('buffered') else ''
        axes.bar(
            places, values, width, label=server, color=COLOURS.get(library, '#cccccc'),
            hatch=hatch, edgecolor='black' if on_pypy else 'white', linewidth=0.5,
            alpha=0.5 if on_pypy else 1,
        )  # fmt: skip
    axes.set_xticks(range(len(cases)), [f'{case.connections:,} connections' for case in cases])
    axes.tick_params(labelsize=8)
    axes.spines[['top', 'right']].set_visible(False)


def main(arguments: list[str]) -> int:
    source, target = map(Path, arguments)
    draw(read(source), target)
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
