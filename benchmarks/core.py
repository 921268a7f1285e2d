"""What threads, processes, files and datagrams cost: ``python -m benchmarks.core``.

The same program for each library, in a process of its own; the libraries take turns in several
rounds. What a file or a process costs is mostly the system's; what is left is the library's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from importlib.util import find_spec
from statistics import median
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from .about import about, duration, target, whole
from .micro_rounds import interleave, ratio
from .process import ROOT, BenchmarkError

OURS = 'gruvi_cffi'
PROGRAMS = {
    'blocking': ('an empty function in a thread', (OURS, 'asyncio', 'gevent')),
    'process': ('a process that does nothing', (OURS, 'asyncio', 'uvloop', 'gevent')),
    'files': ('a file of 1 KiB, 20 at once', (OURS, 'aiofiles', 'anyio')),
    'udp': ('a datagram that is echoed', (OURS, 'asyncio', 'uvloop')),
}
LONGEST = 60.0  # seconds that a program may take beside those it was asked for

Costs = dict[str, dict[str, list[dict[str, float]]]]  # program, library: rounds


def time_program(program: str, library: str, seconds: float) -> dict[str, float]:
    """Return what an operation costs: ``wall_ns`` and ``cpu_ns``.

    :raises BenchmarkError: it failed, or does not end.
    """
    command = [sys.executable, '-m', 'benchmarks.core_worker', library, program, str(seconds)]
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=seconds + LONGEST, check=True
        )
    except subprocess.CalledProcessError as error:
        raise BenchmarkError(f'{program} of {library} failed:\n{error.stderr}') from None
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f'{program} of {library} does not end') from None
    cost: dict[str, float] = json.loads(done.stdout)
    return cost


def run(programs: list[str], rounds: int, seconds: float, console: Console) -> Costs:
    """Measure *programs* in every library that is there.

    :raises BenchmarkError: one failed.
    """
    costs: Costs = {}
    for program in programs:
        _, libraries = PROGRAMS[program]
        measured: dict[str, list[dict[str, float]]] = {
            name: [] for name in libraries if find_spec(name)
        }
        console.print(f'{program} ...', highlight=False)
        interleave(
            list(measured),
            rounds,
            lambda name, program=program, to=measured: to[name].append(  # type: ignore[misc]
                time_program(program, name, seconds)
            ),
        )
        costs[program] = measured
    return costs


def rows(costs: Costs) -> list[list[str]]:
    """Return the lines of a table: what, library, wall, its ratio to ours, CPU."""
    lines = []
    for program, measured in costs.items():
        title, _ = PROGRAMS[program]
        ours = [round_['wall_ns'] for round_ in measured[OURS]]
        for library, rounds in measured.items():
            wall, cpu = ([each[name] for each in rounds] for name in ('wall_ns', 'cpu_ns'))
            lines.append(
                [
                    title,
                    library,
                    f'{median(wall) / 1000:,.1f}',
                    f'{ratio(wall, ours):.2f}',
                    f'{median(cpu) / 1000:,.1f}',
                ]
            )
            title = ''
    return lines


HEAD = ('what', 'library', 'µs', 'to ours', 'CPU µs')


def show(costs: Costs, console: Console) -> None:
    """Print the table."""
    table = Table(box=SIMPLE_HEAD, padding=0)
    for number, title in enumerate(HEAD):
        table.add_column(title, justify='left' if number < 2 else 'right', no_wrap=True)
    for line in rows(costs):
        table.add_row(*line)
    console.print(table)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='python -m benchmarks.core')
    parser.description = (__doc__ or '').partition('\n')[0]
    parser.add_argument('--programs', nargs='+', choices=PROGRAMS, default=list(PROGRAMS))
    parser.add_argument('--rounds', type=whole, default=5, metavar='N')
    parser.add_argument('--seconds', type=duration, default=2.0, help='of each round')
    parser.add_argument('--json', type=target, metavar='FILE', help='write all figures to FILE')
    options = parser.parse_args(arguments)
    console = Console()
    try:
        costs = run(options.programs, options.rounds, options.seconds, console)
    except BenchmarkError as error:
        console.print(str(error), style='red', markup=False, highlight=False)
        return 1
    show(costs, console)
    if options.json:
        cases = {PROGRAMS[program][0]: measured for program, measured in costs.items()}
        found: dict[str, Any] = {**about(sys.argv[1:]), 'cases': cases}
        options.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == '__main__':
    sys.exit(main())
