"""Echo servers compared: ``python -m benchmarks.echo``.

Every server gets every load: how many connections, of messages how large. The figure to trust is
CPU time per request: throughput also depends on how the kernel spreads two processes over the
cores. What a case means, and why the rounds are interleaved, is in rounds.py.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from .about import about, duration, rate, target, whole
from .compiler import CompileError
from .display import Display
from .figures import size_name
from .measure import Load
from .process import C_SERVER, BenchmarkError, command_of, raise_fd_limit
from .rounds import Figure, Rounds, interleave, start
from .servers import ON_PYPY, SERVERS, missing_library

CONNECTIONS = (10, 100, 1000)
SIZES = (64, 1024, 65536)  # bytes
ROUNDS = 5
SECONDS = 1.0
QUICK = {'connections': (100,), 'sizes': (1024,), 'rounds': 3, 'seconds': 1.0}
PYPY_SERVERS = [name + ON_PYPY for name in ('gruvi-protocol', 'gruvi-stream')]


@dataclass
class Case:
    """One load on all servers."""

    load: Load
    rounds: Rounds
    busy: bool = False

    @property
    def title(self) -> str:
        load = self.load
        parts = [f'{load.connections:,} connections', size_name(load.size)]
        if load.rate:
            parts.append(f'{load.rate:,.0f} messages/s')
        return ', '.join(parts)


CPU = 'CPU µs\n/request'
COLUMNS: dict[str, tuple[str, Figure]] = {
    'requests\nper second': ('{:,.0f}', lambda round_: round_.requests_per_second),
    CPU: ('{:.2f}', lambda round_: round_.cpu_us),
    'p50\nµs': ('{:,.0f}', lambda round_: round_.p50_us),
    'p90\nµs': ('{:,.0f}', lambda round_: round_.p90_us),
    'p99\nµs': ('{:,.0f}', lambda round_: round_.p99_us),
    'p99.9\nµs': ('{:,.0f}', lambda round_: round_.p999_us),
    'peak\nMiB': ('{:.1f}', lambda round_: round_.peak_bytes / 2**20),
}
WITH_RATIO = ('requests\nper second', CPU)


def run_case(
    names: Sequence[str], load: Load, count: int, console: Console, busy: bool = False
) -> Case:
    """Put *load* on each of the servers *names* *count* times, in turn, and return the figures."""
    raise_fd_limit(load.connections)
    case = Case(load, Rounds(), busy)
    with ExitStack() as stack:
        commands = {name: command_of(name, busy) for name in names}
        servers = start(names, stack, case.rounds, commands)
        display = Display(console, load, count * len(servers))
        stack.callback(display.close)
        interleave(servers, load, count, case.rounds, display)
    return case


def table_of(case: Case, reference: str) -> Table:
    """Return the medians, and the medians of the ratios to *reference*."""
    table = Table(title=case.title, title_justify='left', box=SIMPLE_HEAD, padding=0)
    table.add_column('server', no_wrap=True)
    # The thread that computes takes CPU time, too.
    columns = {name: column for name, column in COLUMNS.items() if not case.busy or name != CPU}
    for heading in columns:
        table.add_column(heading, justify='right', no_wrap=True)
        if heading in WITH_RATIO:
            table.add_column('ratio', justify='right', no_wrap=True)
    for name in case.rounds.of:
        cells = [name]
        for heading, (form, figure) in columns.items():
            cells.append(form.format(case.rounds.median(name, figure)))
            if heading in WITH_RATIO:
                ratio = case.rounds.ratio(name, reference, figure)
                cells.append('-' if ratio is None else f'{ratio:.2f}')
        table.add_row(*cells, style='bold' if name.startswith('gruvi') else '')
    return table


def as_json(cases: Sequence[Case], arguments: Sequence[str]) -> str:
    """Return all rounds, and on what they were measured, for whoever makes plots or checks."""
    return json.dumps(
        {
            **about(arguments),
            'cases': {
                case.title: {
                    name: [asdict(round_) for round_ in rounds]
                    for name, rounds in case.rounds.of.items()
                }
                for case in cases
            },
            'errors': {case.title: case.rounds.errors for case in cases if case.rounds.errors},
        },
        indent=1,
    )


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='python -m benchmarks.echo', description=__doc__)
    names = [C_SERVER, *SERVERS, *PYPY_SERVERS]
    parser.add_argument('--servers', nargs='+', choices=names, default=names, metavar='NAME')
    parser.add_argument('--reference', choices=names, default=C_SERVER, metavar='NAME')
    parser.add_argument('--connections', nargs='+', type=whole, default=CONNECTIONS, metavar='N')
    parser.add_argument('--sizes', nargs='+', type=whole, default=SIZES, metavar='BYTES')
    parser.add_argument('--rounds', type=whole, default=ROUNDS, metavar='N')
    parser.add_argument('--seconds', type=duration, default=SECONDS, help='of each round')
    parser.add_argument(
        '--rate',
        type=rate,
        default=0,
        metavar='N',
        help='messages due per second, in all; latency then counts from when one was due',
    )
    parser.add_argument(
        '--busy',
        action='store_true',
        help='beside a Python thread that computes',
    )
    parser.add_argument('--json', type=target, metavar='FILE', help='write all figures to FILE')
    parser.add_argument(
        '--quick', action='store_true', help='one case, few short rounds, unless told otherwise'
    )
    if '--quick' in (sys.argv[1:] if arguments is None else arguments):
        parser.set_defaults(**QUICK)
    parser.epilog = 'servers: ' + ', '.join(names)
    options = parser.parse_args(arguments)
    if options.busy and C_SERVER in options.servers:
        parser.error(f'{C_SERVER} has no Python thread: --busy needs --servers without it')
    return options


def _run_all(options: argparse.Namespace, console: Console, arguments: list[str]) -> list[Case]:
    names = []
    for name in options.servers:
        library = missing_library(name)
        if library:
            console.print(f'{name} is left out: no {library}')
        else:
            names.append(name)
    cases = []
    for connections, size in itertools.product(options.connections, options.sizes):
        load = Load(connections, size, options.seconds, rate=options.rate)
        case = run_case(names, load, options.rounds, console, options.busy)
        if case.rounds.of:
            console.print(table_of(case, options.reference), soft_wrap=True)
        for error in case.rounds.errors.values():
            console.print(error, style='red', markup=False, highlight=False)
        cases.append(case)
        if options.json:  # each time: the next case may be interrupted
            options.json.write_text(as_json(cases, arguments))
    console.print(f'ratio: to {options.reference}, the median of the ratios within each round')
    return cases


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    console = Console()
    try:
        cases = _run_all(options, console, sys.argv[1:] if arguments is None else arguments)
    except (BenchmarkError, CompileError) as exc:
        console.print(str(exc), style='red', markup=False)
        return 1
    except KeyboardInterrupt:
        return 130
    return 1 if any(case.rounds.errors for case in cases) else 0


if __name__ == '__main__':
    sys.exit(main())
