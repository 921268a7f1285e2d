"""Instructions and system calls of one request: ``python -m benchmarks.instructions``.

Each server runs under ``valgrind --tool=callgrind`` for a few thousand requests, and then for more;
what the second run has more, it has for the requests that it served more. ``strace -c`` counts the
system calls of a third. Both programs have to be there (Debian: valgrind, strace).
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from .about import duration, whole
from .compiler import CompileError
from .measure import Load, run_load
from .process import C_SERVER, BenchmarkError, Server, command_of
from .servers import SERVERS

NAMES = (C_SERVER, 'uvloop-protocol', 'gruvi-protocol', 'gruvi-stream')
CALLS = ('read', 'write', 'epoll_wait')
# libuv and uvloop read and write by other names than Python's own loop.
ALIASES = {
    'recvfrom': 'read', 'readv': 'read', 'sendto': 'write', 'writev': 'write',
    'sendmsg': 'write', 'epoll_pwait': 'epoll_wait',
}  # fmt: skip


def instructions(name: str, load: Load, seconds: Sequence[float]) -> float:
    """Return the instructions in user space of one request."""
    points = [_callgrind(name, load, each) for each in seconds]
    (requests, first), (more, second) = points
    if more <= requests:
        raise BenchmarkError(f'{name}: the longer run has not served more requests')
    return (second - first) / (more - requests)


def _callgrind(name: str, load: Load, seconds: float) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, 'out')
        tool = ['valgrind', '--tool=callgrind', f'--callgrind-out-file={out}']
        requests = _serve(name, [*tool, *command_of(name)], load, seconds)
        found = re.search(r'^(?:summary|totals): (\d+)', out.read_text(), re.MULTILINE)
    if found is None:
        raise BenchmarkError(f'{name}: callgrind has counted nothing')
    return requests, float(found[1])


def system_calls(name: str, load: Load, seconds: float) -> dict[str, float]:
    """Return the system calls of one request, by name."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, 'out')
        tool = ['strace', '-f', '-c', '-o', str(out)]
        requests = _serve(name, [*tool, *command_of(name)], load, seconds)
        counts = dict.fromkeys(CALLS, 0.0)
        for line in out.read_text().splitlines():
            columns = line.split()
            if len(columns) < 5 or not columns[3].isdigit():
                continue
            call = ALIASES.get(columns[-1], columns[-1])
            if call in counts:
                counts[call] += int(columns[3]) / requests
    return counts


def _serve(name: str, command: list[str], load: Load, seconds: float) -> float:
    with closing(Server(name, command)) as server:
        figures = run_load(
            f'127.0.0.1:{server.port}',
            Load(load.connections, load.size, seconds, warmup=0, timeout=60),
        )
    if figures['errors'] or not figures['requests']:
        raise BenchmarkError(f'{name} has failed: {figures["first_error"]}')
    return figures['requests']


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='python -m benchmarks.instructions', description=__doc__)
    choices = [C_SERVER, *SERVERS]
    parser.add_argument('--servers', nargs='+', choices=choices, default=NAMES, metavar='NAME')
    parser.add_argument('--connections', type=whole, default=100, metavar='N')
    parser.add_argument('--size', type=whole, default=1024, metavar='BYTES')
    parser.add_argument('--seconds', type=duration, default=4.0, help='of the shorter run')
    options = parser.parse_args(arguments)
    console = Console()
    for tool in ('valgrind', 'strace'):
        if shutil.which(tool) is None:
            console.print(f'{tool} is not installed', style='red')
            return 1
    load = Load(options.connections, options.size, options.seconds)
    table = Table(box=SIMPLE_HEAD, title=f'one request of {options.size:,} bytes')
    for heading in ('server', 'instructions', *CALLS):
        table.add_column(heading, justify='left' if heading == 'server' else 'right')
    try:
        for name in options.servers:
            cost = instructions(name, load, (options.seconds, 3 * options.seconds))
            calls = system_calls(name, load, options.seconds)
            table.add_row(name, f'{cost:,.0f}', *(f'{calls[call]:.2f}' for call in CALLS))
    except (BenchmarkError, CompileError) as exc:
        console.print(str(exc), style='red', markup=False)
        return 1
    console.print(table)
    return 0


if __name__ == '__main__':
    sys.exit(main())
