"""Instructions and system calls of one request: ``python -m benchmarks.instructions``.

Each server runs under ``valgrind --tool=callgrind`` for some requests, and again for more; what the
second run has more, it has for the requests that it served more, so that neither its start nor its
end counts. With ``strace -c`` the same. These programs have to be there (Debian: valgrind, strace,
nghttp2-client).
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from . import http_servers
from .about import about, duration, target
from .compiler import CompileError, compiled
from .measure import Load, run_load
from .process import C_SERVER, BenchmarkError, Server, command_of
from .units import figure

START = 120.0  # seconds that a server may take to start under a tool
LONGER = 3  # times as long is the second run
IN_CALLGRIND, IN_STRACE = 1000, 5000  # requests a second that a server of ours manages in it
CALLS = {
    'read': 'reads', 'readv': 'reads', 'recvfrom': 'reads', 'recvmsg': 'reads',
    'write': 'writes', 'writev': 'writes', 'sendto': 'writes', 'sendmsg': 'writes',
    'epoll_wait': 'epoll_waits', 'epoll_pwait': 'epoll_waits',
}  # fmt: skip
FIGURES = (
    'instructions', 'interpreter_instructions', 'system_instructions', 'library_instructions',
    'reads', 'writes', 'epoll_waits', 'other_calls',
)  # fmt: skip
# Whose instructions they are, by the name of the file they lie in.
PLACES = (
    (r'(lib)?python3?[.\d]*(\.so.*)?$', 'interpreter_instructions'),
    (r'(libc|libm|libpthread|ld-linux.*|vdso)\b', 'system_instructions'),
    (r'', 'library_instructions'),
)

Counts = dict[str, float]
# Puts the load on a port for some seconds, or for that many at a rate that a server manages, and
# returns how many requests were served.
PutLoad = Callable[[int, float, int], float]


def echo_load(port: int, seconds: float, rate: int) -> float:
    load = Load(connections=100, size=1024, seconds=seconds, warmup=0, timeout=60)
    figures = run_load(f'127.0.0.1:{port}', load)
    if figures['errors']:
        raise BenchmarkError(str(figures['first_error']))
    return figures['requests']


def http_load(port: int, seconds: float, rate: int) -> float:
    """Have h2load ask, once the server answers at all."""
    url = f'http://{http_servers.HOST}:{port}/'
    with urllib.request.urlopen(url, timeout=START) as response:
        response.read()
    requests = round(rate * seconds)
    command = ['h2load', '--h1', '-c', '64', '-n', str(requests), url]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    if f' {requests} 2xx' not in said:
        raise BenchmarkError(said or 'h2load said nothing')
    return requests


@dataclass(frozen=True)
class Case:
    """One load, and the commands of the servers under it."""

    title: str
    load: PutLoad
    commands: dict[str, Callable[[], list[str]]]


CASES = {
    'echo': Case(
        'echo of 1 KiB, 100 connections',
        echo_load,
        {
            name: lambda name=name: command_of(name)  # type: ignore[misc]
            for name in (C_SERVER, 'uvloop-protocol', 'gruvi-protocol', 'gruvi-stream')
        },
    ),
    'http': Case(
        'HTTP hello, 64 connections',
        http_load,
        {
            'libuv-http': lambda: [
                str(compiled('http_libuv', libraries=('libuv',), links=('http_parser',)))
            ],
            'uvicorn': lambda: http_servers.command_of('uvicorn'),
            'gruvi-http': lambda: http_servers.command_of('gruvi'),
        },
    ),
}


def callgrind(name: str, command: list[str], put_load: PutLoad, seconds: float) -> Counts:
    """Return how many requests there were, and instructions in user space."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, 'out')
        tool = ['valgrind', '--tool=callgrind', f'--callgrind-out-file={out}']
        requests = _serve(name, [*tool, *command], put_load, seconds, IN_CALLGRIND)
        counts = count_instructions(out.read_text())
    if not counts['instructions']:
        raise BenchmarkError(f'{name}: callgrind has counted nothing')
    return {'requests': requests, **counts}


def count_instructions(said: str) -> Counts:
    """Return the instructions in what callgrind has written, and whose they were.

    A line of cost belongs to the file of machine code that was named last. After one with
    ``calls=`` comes what the call has cost, which its function has already.
    """
    counts = dict.fromkeys(FIGURES[:4], 0.0)
    files: dict[str, str] = {}
    owner, called = PLACES[0][1], False
    for line in said.splitlines():
        if line.startswith('ob='):
            owner = _owner(files, line[3:])
        elif line.startswith('cob='):
            _owner(files, line[4:])
        elif line.startswith('calls='):
            called = True
        elif line[:1] in '+-*0123456789' and line:
            cost = 0 if called else int(line.split()[1])
            counts['instructions'] += cost
            counts[owner] += cost
            called = False
    return counts


def _owner(files: dict[str, str], words: str) -> str:
    """Return the figure for a file of machine code, which has its name only the first time."""
    number, _, path = words.partition(' ')
    if path:
        files[number] = path
    name = Path(files.get(number, '')).name
    return next(figure for pattern, figure in PLACES if re.match(pattern, name))


def strace(name: str, command: list[str], put_load: PutLoad, seconds: float) -> Counts:
    """Return how many requests there were, and system calls of each kind."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, 'out')
        tool = ['strace', '-f', '-c', '-o', str(out)]
        requests = _serve(name, [*tool, *command], put_load, seconds, IN_STRACE)
        return {'requests': requests, **count_calls(out.read_text())}


def count_calls(said: str) -> Counts:
    """Return the calls of each kind in the table that strace has printed."""
    counts = dict.fromkeys(FIGURES[4:], 0.0)
    for line in said.splitlines():
        columns = line.split()
        # % time, seconds, usecs/call, calls, and errors if there were any
        if len(columns) >= 5 and columns[3].isdigit() and columns[-1] != 'total':
            counts[CALLS.get(columns[-1], 'other_calls')] += int(columns[3])
    return counts


def _serve(name: str, command: list[str], put_load: PutLoad, seconds: float, rate: int) -> float:
    with closing(Server(name, command, patience=START)) as server:
        requests = put_load(server.port, seconds, rate)
        if command[0] == 'strace':
            server.end_children()
    if not requests:
        raise BenchmarkError(f'{name} has answered nothing')
    return requests


def of_one_request(runs: Sequence[Counts]) -> Counts:
    """Return what the longer run has more, by the requests that it has more.

    :raises BenchmarkError: it has none more.
    """
    short, long = runs
    more = long['requests'] - short['requests']
    if more <= 0:
        raise BenchmarkError('the longer run has not served more requests')
    return {name: max(0.0, long[name] - short[name]) / more for name in long if name != 'requests'}


def measure(case: Case, name: str, seconds: float) -> Counts:
    """Return all figures of one server.

    :raises BenchmarkError: it failed.
    """
    command = case.commands[name]()
    found: Counts = {}
    for tool in (callgrind, strace):
        runs = [tool(name, command, case.load, each) for each in (seconds, LONGER * seconds)]
        found.update(of_one_request(runs))
    return found


def table_of(title: str, measured: dict[str, list[Counts]]) -> Table:
    table = Table(box=SIMPLE_HEAD, title=f'one request: {title}')
    for heading in ('server', *FIGURES):
        table.add_column(figure(heading).label, justify='left' if heading == 'server' else 'right')
    for name, (counts,) in measured.items():
        table.add_row(name, *(figure(each).shown(counts[each]) for each in FIGURES))
    return table


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='python -m benchmarks.instructions', description=__doc__)
    parser.add_argument('--cases', nargs='+', choices=CASES, default=list(CASES))
    parser.add_argument('--servers', nargs='+', metavar='NAME', help='by default, all of a case')
    parser.add_argument('--seconds', type=duration, default=2.0, help='of the shorter run')
    parser.add_argument('--json', type=target, metavar='FILE', help='write all figures to FILE')
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    console = Console()
    for tool in ('valgrind', 'strace', 'h2load'):
        if shutil.which(tool) is None:
            console.print(f'{tool} is not installed', style='red')
            return 1
    cases: dict[str, dict[str, list[Counts]]] = {}
    failed = False
    for case in (CASES[name] for name in options.cases):
        measured = cases.setdefault(case.title, {})
        for name in options.servers or case.commands:
            try:
                measured[name] = [measure(case, name, options.seconds)]
            except (BenchmarkError, CompileError) as exc:
                console.print(f'{name}: {exc}', style='red', markup=False)
                failed = True
        console.print(table_of(case.title, measured))
    if options.json:
        options.json.write_text(
            json.dumps(
                {**about(sys.argv[1:] if arguments is None else arguments), 'cases': cases},
                indent=1,
            )
        )
    return int(failed)


if __name__ == '__main__':
    sys.exit(main())
