"""1,000 clients talk to an echo server of ours, of asyncio's and of gevent's.

Ours and gevent's run a green thread for each connection, asyncio's a task. The clients are one
C program in another process. Run with ``make demo``, or ``python -m benchmarks.demo``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from .about import duration
from .compiler import CompileError
from .display import Display
from .measure import Load, Round, bytes_per_connection
from .process import BenchmarkError, Server, raise_fd_limit
from .rounds import Figure, Rounds, interleave, start
from .servers import missing_library

OURS = 'gruvi-stream'
TITLES = {
    OURS: 'gruvi_cffi StreamServer',
    'asyncio-streams': 'asyncio streams',
    'gevent-stream': 'gevent StreamServer',
}
CONNECTIONS = 1000
SIZE = 1024  # bytes
ROUNDS = 3
SECONDS = 18.0
CAPTION = 'medians of interleaved rounds; memory per idle connection'


@dataclass
class Demo:
    """What came out."""

    rounds: Rounds = field(default_factory=Rounds)
    memory: dict[str, float] = field(default_factory=dict)  # bytes per idle connection
    missing: dict[str, str] = field(default_factory=dict)  # libraries that this Python lacks


def run(
    console: Console,
    *,
    seconds: float = SECONDS,
    connections: int = CONNECTIONS,
    rounds: int = ROUNDS,
    names: Sequence[str] = tuple(TITLES),
    commands: dict[str, list[str]] | None = None,
) -> Demo:
    """Measure the servers *names* and return the figures. Shows the progress on *console*.

    *seconds* is how long all servers together are under load. *commands* is as in rounds.start().
    """
    raise_fd_limit(connections)
    demo = Demo()
    demo.missing = {name: library for name in names if (library := missing_library(name))}
    present = [name for name in names if name not in demo.missing]
    each = seconds / rounds / max(1, len(present))
    load = Load(connections, SIZE, each, warmup=each / 10)
    with ExitStack() as stack:
        servers = start(present, stack, demo.rounds, commands or {})
        _weigh(servers, connections, demo)
        display = Display(console, load, rounds * len(servers))
        stack.callback(display.close)
        interleave(servers, load, rounds, demo.rounds, display)
    return demo


def _weigh(servers: dict[str, Server], connections: int, demo: Demo) -> None:
    for name, server in servers.items():
        try:
            with server.awake():
                demo.memory[name] = bytes_per_connection(server, connections)
        except BenchmarkError as exc:
            demo.rounds.fail(name, exc)


def table_of(demo: Demo) -> Table:
    """Return the figures, each with its ratio to ours."""
    table = Table(box=SIMPLE_HEAD, padding=0, caption=CAPTION)
    table.add_column('server', no_wrap=True)
    for title in ('requests\nper second', 'CPU µs\n/request', 'KiB per\nconnection'):
        table.add_column(title, justify='right', no_wrap=True)
        table.add_column('to\nours', justify='right', no_wrap=True)
    for name in demo.rounds.of:
        cells = [TITLES.get(name, name)]
        cells += _cells(demo, name, _rate, '{:,.0f}')
        cells += _cells(demo, name, _cpu, '{:.2f}')
        memory = demo.memory[name]
        ours = demo.memory.get(OURS)
        cells += [f'{memory / 1024:.1f}', _times(memory / ours if ours else None)]
        table.add_row(*cells, style='bold' if name == OURS else '')
    return table


def _rate(figures: Round) -> float:
    return figures.requests_per_second


def _cpu(figures: Round) -> float:
    return figures.cpu_us


def _cells(demo: Demo, name: str, figure: Figure, form: str) -> list[str]:
    ratio = demo.rounds.ratio(name, OURS, figure)
    return [form.format(demo.rounds.median(name, figure)), _times(ratio)]


def _times(ratio: float | None) -> str:
    return '-' if ratio is None else f'{ratio:.2f}×'


def show(demo: Demo, console: Console) -> None:
    """Print the figures, and what is missing or failed."""
    if demo.rounds.of:
        console.print(table_of(demo))
    for name, library in demo.missing.items():
        console.print(f'{TITLES.get(name, name)} is left out: no {library} for this Python')
    for error in demo.rounds.errors.values():
        console.print(error, style='red', markup=False, highlight=False)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='python -m benchmarks.demo', description=__doc__)
    parser.add_argument(
        '--seconds', type=duration, default=SECONDS, help='of load, over all servers (%(default)s)'
    )
    options = parser.parse_args(arguments)
    console = Console()
    console.print(
        f'{CONNECTIONS:,} connections: send {SIZE:,} bytes, wait for the echo, compare, repeat',
        highlight=False,
    )
    try:
        demo = run(console, seconds=options.seconds)
    except (BenchmarkError, CompileError) as exc:
        console.print(str(exc), style='red', markup=False, highlight=False)
        return 1
    except KeyboardInterrupt:
        return 130
    show(demo, console)
    return 1 if demo.rounds.errors else 0


if __name__ == '__main__':
    sys.exit(main())
