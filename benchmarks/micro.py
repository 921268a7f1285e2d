"""What fibers, what wakes them, and timers cost: ``python -m benchmarks.micro``.

The same small programs for gruvi_cffi, asyncio and gevent, and what a fiber or a connection that
waits weighs. CPU time is that of the process which runs the program.

    micro.py                                  the tables
       |
    micro_rounds.py                           several libraries in turn
       |
    micro_worker.py                           one library, in its own process
       |             |
    micro_green.py   micro_asyncio.py         the programs
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, fields
from math import floor, log10
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from .about import about, count, duration, target
from .micro_rounds import (
    LIBRARIES,
    ONLY_OURS,
    OURS,
    PROGRAMS,
    SERVERS,
    Results,
    Worker,
    interleave,
    ratio,
    time_program,
    weigh_connections,
    weigh_fibers,
)
from .process import BenchmarkError, raise_fd_limit
from .servers import missing_library

FIBERS = {
    OURS: 'gruvi_cffi Fiber',
    'asyncio': 'asyncio Task',
    'gevent': 'gevent Greenlet',
}
PARKED = 'a fiber that waits for an Event'
IDLE = 'a connection that is idle'
RATIO = '×: to ours, the median of the ratios within each round'


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    programs: Sequence[str] = tuple(PROGRAMS)
    rounds: int = 7  # 0: time none
    seconds: float = 0.4  # of each program in each round
    fibers: int = 10_000  # 0: weigh none
    connections: int = 10_000  # 0: weigh none
    weighings: int = 3  # memory hardly varies


QUICK = Plan(rounds=3, seconds=0.07, weighings=1)


class _Bar:
    """The progress: a bar on a terminal, a line for each step elsewhere."""

    def __init__(self, console: Console, steps: int) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn('{task.description}'),
            BarColumn(bar_width=30),
            TextColumn('{task.percentage:3.0f}%'),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task: TaskID = self._bar.add_task('', total=steps)
        self._bar.start()

    def begin(self, label: str) -> None:
        self._bar.update(self._task, description=label)
        if not self._console.is_terminal:
            self._console.print(f'{label} ...', highlight=False)

    def advance(self) -> None:
        self._bar.advance(self._task)

    def close(self) -> None:
        self._bar.stop()


def run(console: Console, plan: Plan) -> Results:
    """Measure what *plan* says and return the figures. Shows the progress on *console*.

    :raises BenchmarkError: so many connections cannot be open.
    """
    raise_fd_limit(plan.connections)
    results = Results()
    libraries = [name for name in LIBRARIES if not missing_library(name)]
    servers = [name for name in SERVERS if not missing_library(name)]
    weights = bool(plan.fibers) * len(libraries) + bool(plan.connections) * len(servers)
    with closing(_Bar(console, len(plan.programs) + plan.weighings * weights)) as bar:
        if plan.rounds:
            _time(libraries, plan, results, bar)

        def weigh_fiber(library: str) -> None:
            bar.begin(f'{plan.fibers:,} parked, {FIBERS[library]}')
            weigh_fibers(library, plan.fibers, results)
            bar.advance()

        def weigh_connection(name: str) -> None:
            bar.begin(f'{plan.connections:,} idle connections, {name}')
            weigh_connections(name, plan.connections, results)
            bar.advance()

        interleave(libraries if plan.fibers else [], plan.weighings, weigh_fiber)
        interleave(servers if plan.connections else [], plan.weighings, weigh_connection)
    return results


def _time(libraries: Sequence[str], plan: Plan, results: Results, bar: _Bar) -> None:
    with ExitStack() as stack:
        workers = {name: stack.enter_context(closing(Worker(name))) for name in libraries}
        for program in plan.programs:
            bar.begin(PROGRAMS[program])
            time_program(program, workers, plan.rounds, plan.seconds, results)
            bar.advance()


def costs_table(results: Results, plan: Plan) -> Table:
    """Return what each program costs, and the ratios to ours."""
    caption = f'medians of {plan.rounds} interleaved rounds; CPU: of the process; {RATIO}'
    table = Table(box=SIMPLE_HEAD, padding=0, caption=caption)
    table.add_column('µs per operation', no_wrap=True)
    libraries = [name for name in LIBRARIES if not missing_library(name)]
    for library in libraries:
        for title in (f'{library}\nwall', '\nCPU', '\n×')[: 2 if library == OURS else 3]:
            table.add_column(title, justify='right', no_wrap=True)
    for program, costs in results.costs.items():
        cells = [PROGRAMS[program]]
        ours = [cost.wall for cost in costs.get(OURS, [])]
        for library in libraries:
            wall = [cost.wall for cost in costs.get(library, [])]
            cells += [_micros(wall), _micros([cost.cpu for cost in costs.get(library, [])])]
            if library != OURS:
                cells.append(_times(wall, ours))
        table.add_row(*cells)
    return table


def _micros(figures: Sequence[float]) -> str:
    if not figures:
        return '-'
    micros = median(figures) / 1000
    # Three digits, but no more than three behind the point: from some ns to some ms.
    magnitude = floor(log10(abs(micros))) if micros else 0
    return f'{micros:.{min(3, max(0, 2 - magnitude))}f}'


def _times(mine: Sequence[float], ours: Sequence[float]) -> str:
    found = ratio(mine, ours)
    return '-' if found is None else f'{found:.2f}'


def weights_table(results: Results, plan: Plan) -> Table:
    """Return what fibers and connections weigh, and the ratios to ours, the first of each kind."""
    caption = f'processes of each kind: {plan.weighings}, and the median of them; {RATIO}'
    table = Table(box=SIMPLE_HEAD, padding=0, caption=caption)
    table.add_column('memory', no_wrap=True)
    table.add_column('KiB each', justify='right', no_wrap=True)
    table.add_column('×', justify='right', no_wrap=True)
    fibers = {FIBERS[name]: weights for name, weights in results.fibers.items()}
    for kind, weighed, order in (
        (f'{plan.fibers:,} that wait for an Event: ', fibers, tuple(FIBERS.values())),
        (f'{plan.connections:,} idle connections: ', results.connections, SERVERS),
    ):
        ours = weighed.get(order[0], [])
        for name in sorted(weighed, key=order.index):
            weights = weighed[name]
            table.add_row(kind + name, f'{median(weights) / 1024:.2f}', _times(weights, ours))
    return table


def show(results: Results, plan: Plan, console: Console) -> None:
    """Print the figures, and what is missing or failed."""
    if any(results.costs.values()):
        console.print(costs_table(results, plan))
    if any(name in results.costs for name in ONLY_OURS):
        console.print(f'{PROGRAMS["switchpoint"]}: what that adds to it', highlight=False)
    if results.fibers or results.connections:
        console.print(weights_table(results, plan))
    for library in dict.fromkeys(missing_library(name) for name in (*LIBRARIES, *SERVERS)):
        if library:
            console.print(f'{library} is left out: this Python has none')
    for error in results.errors.values():
        console.print(error, style='red', markup=False, highlight=False)


def as_json(results: Results, plan: Plan) -> str:
    """Return all rounds, and on what they were measured."""
    return json.dumps(
        {
            **about(sys.argv[1:]),
            'plan': asdict(plan),
            'cases': {
                **{
                    PROGRAMS[program]: {
                        name: [{'wall_ns': cost.wall, 'cpu_ns': cost.cpu} for cost in rounds]
                        for name, rounds in costs.items()
                    }
                    for program, costs in results.costs.items()
                },
                PARKED: _weights(results.fibers),
                IDLE: _weights(results.connections),
            },
            'errors': results.errors,
        },
        indent=1,
    )


def _weights(weighed: dict[str, list[float]]) -> dict[str, list[dict[str, float]]]:
    return {name: [{'kept_bytes': each} for each in rounds] for name, rounds in weighed.items()}


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    quick = '--quick' in (sys.argv[1:] if arguments is None else arguments)
    plan = QUICK if quick else Plan()
    parser = argparse.ArgumentParser(prog='python -m benchmarks.micro')
    parser.description = (__doc__ or '').partition('\n')[0]
    parser.add_argument(
        '--programs', nargs='+', choices=PROGRAMS, default=plan.programs, metavar='NAME'
    )
    for name, text in (
        ('rounds', 'of each program; 0: none'),
        ('fibers', 'to weigh; 0: none'),
        ('connections', 'to weigh; 0: none'),
        ('weighings', 'of each kind of fiber and connection'),
    ):
        parser.add_argument(
            f'--{name}', type=count, default=getattr(plan, name), metavar='N', help=text
        )
    parser.add_argument('--seconds', type=duration, default=plan.seconds, help='of each round')
    parser.add_argument('--json', type=target, metavar='FILE', help='write all figures to FILE')
    parser.add_argument(
        '--quick', action='store_true', help='few short rounds, unless told otherwise'
    )
    parser.epilog = 'programs: ' + ', '.join(PROGRAMS)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    plan = Plan(**{part.name: getattr(options, part.name) for part in fields(Plan)})
    console = Console()
    try:
        results = run(console, plan)
    except BenchmarkError as exc:
        console.print(str(exc), style='red', markup=False, highlight=False)
        return 1
    except KeyboardInterrupt:
        return 130
    show(results, plan, console)
    if options.json:
        options.json.write_text(as_json(results, plan))
    return 1 if results.errors else 0


if __name__ == '__main__':
    sys.exit(main())
