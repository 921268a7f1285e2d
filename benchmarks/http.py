"""HTTP servers under the load of wrk: ``python -m benchmarks.http``.

One process for each server, keep-alive connections, no access log. The servers take turns in
several rounds, and those whose turn it is not are stopped; see rounds.py.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from .about import about, count, duration, target, whole
from .http_servers import SERVERS, command_of, is_there
from .micro_rounds import interleave, ratio
from .process import BenchmarkError, Server

OURS = 'gruvi'
STDLIB = 'gruvi-stdlib'  # with a context of the standard library; only TLS makes a difference
PIPELINED = 16  # requests that are sent together

POST = """
wrk.method = 'POST'
wrk.body = string.rep('x', 65536)
"""
PIPELINE = f"""
init = function(args)
  local requests = {{}}
  for i = 1, {PIPELINED} do requests[i] = wrk.format() end
  all = table.concat(requests)
end
request = function() return all end
"""
CASES = {
    'hello': ('13 bytes', '/', ''),
    '10k': ('10 KiB', '/10k', ''),
    'post': ('64 KiB posted and sent back', '/', POST),
    'pipeline': (f'13 bytes, {PIPELINED} requests at once', '/', PIPELINE),
}
_RATE = re.compile(r'Requests/sec: +([0-9.]+)')
_TOTAL = re.compile(r'([0-9]+) requests in')
_P99 = re.compile(r'99% +([0-9.]+)(us|ms|s)')
_WRONG = re.compile(r'Socket errors: .*|Non-2xx or 3xx responses: .*')
_UNITS = {'us': 1.0, 'ms': 1e3, 's': 1e6}


@dataclass(frozen=True)
class Round:
    """The figures of one load on one server."""

    requests_per_second: float
    cpu_us: float  # per request
    p99_us: float
    peak_bytes: int


Figures = dict[str, dict[str, list[Round]]]  # case and connections, server


def measure(server: Server, url: str, case: str, connections: int, seconds: float) -> Round:
    """Put a load on *server*, which is at *url*.

    :raises BenchmarkError: it failed, or answered something else than was asked for.
    """
    _, path, script = CASES[case]
    with tempfile.NamedTemporaryFile('w', suffix='.lua') as file:
        file.write(script)
        file.flush()
        command = ['wrk', '-t1', f'-c{connections}', f'-d{seconds}s', '--latency']
        before = server.cpu_seconds()
        done = subprocess.run(
            [*command, *(['-s', file.name] if script else []), url + path],
            capture_output=True, text=True, timeout=seconds + 60, check=False,
        )  # fmt: skip
        spent = server.cpu_seconds() - before
    return read(server.name, done.stdout, spent, server.resident_bytes())


def read(name: str, said: str, cpu_seconds: float, peak: int) -> Round:
    """Return the figures in what wrk has *said*.

    :raises BenchmarkError: something went wrong.
    """
    rate, total, p99 = _RATE.search(said), _TOTAL.search(said), _P99.search(said)
    wrong = _WRONG.search(said)
    if wrong or rate is None or total is None or p99 is None or not int(total[1]):
        raise BenchmarkError(f'{name}: {wrong[0] if wrong else said or "wrk said nothing"}')
    latency = float(p99[1]) * _UNITS[p99[2]]
    return Round(float(rate[1]), cpu_seconds / int(total[1]) * 1e6, latency, peak)


def run(options: argparse.Namespace, console: Console) -> Figures:
    """Measure all that *options* ask for. A server that fails a case has no figures for that.

    :raises BenchmarkError: wrk is missing, or a server does not start.
    """
    if shutil.which('wrk') is None:
        raise BenchmarkError('this needs wrk (Debian: apt-get install wrk)')
    names = [name for name in options.servers if is_there(name)]
    figures: Figures = {}
    with ExitStack() as stack:
        pem = (
            certificate(stack.enter_context(tempfile.TemporaryDirectory())) if options.tls else None
        )
        servers = {
            name: stack.enter_context(closing(Server(name, command_of(name, pem))))
            for name in names
        }
        for server in servers.values():
            server.sleep()
        for case in options.cases:
            for connections in options.connections:
                title = f'{case}, {connections} connections'
                console.print(f'{title} ...', highlight=False)
                measured = figures.setdefault(title, {name: [] for name in names})

                def act(
                    name: str,
                    load: tuple[str, int] = (case, connections),
                    to: dict[str, list[Round]] = measured,
                ) -> None:
                    if name not in to:
                        return
                    try:
                        with servers[name].awake() as server:
                            url = f'{"https" if pem else "http"}://127.0.0.1:{server.port}'
                            to[name].append(measure(server, url, *load, options.seconds))
                    except BenchmarkError as error:
                        del to[name]
                        console.print(str(error), style='red', markup=False, highlight=False)

                interleave(names, options.rounds, act)
    return figures


def certificate(folder: str | Path) -> str:
    """Write a key and a certificate for it, ECDSA with P-256, and return the name of the file."""
    import trustme

    path = str(Path(folder, 'server.pem'))
    trustme.CA().issue_cert('127.0.0.1').private_key_and_cert_chain_pem.write_to_path(path)
    return path


HEAD = ('server', 'requests/s', 'ours to it', 'CPU µs/request', 'p99 ms', 'peak MiB')


def rows(measured: dict[str, list[Round]]) -> Iterable[list[str]]:
    """Return the lines of the table of one case, those that need the least CPU time first."""
    ours = [round_.requests_per_second for round_ in measured.get(OURS, [])]
    for name in sorted(measured, key=lambda name: median(each.cpu_us for each in measured[name])):
        rounds = measured[name]
        rates = [round_.requests_per_second for round_ in rounds]
        found = ratio(ours, rates)
        yield [
            name,
            f'{median(rates):,.0f}',
            '–' if found is None else f'{found:.2f}',
            f'{median(each.cpu_us for each in rounds):.1f}',
            f'{median(each.p99_us for each in rounds) / 1000:.1f}',
            f'{median(each.peak_bytes for each in rounds) / 2**20:.0f}',
        ]


def show(figures: Figures, console: Console) -> None:
    """Print the tables."""
    for title, measured in figures.items():
        table = Table(box=SIMPLE_HEAD, padding=0, title=title, title_justify='left')
        for number, name in enumerate(HEAD):
            table.add_column(name, justify='left' if number == 0 else 'right', no_wrap=True)
        for line in rows(measured):
            table.add_row(*line)
        console.print(table)


def as_json(figures: Figures, options: list[str]) -> str:
    cases = {
        title: {name: [asdict(each) for each in rounds] for name, rounds in measured.items()}
        for title, measured in figures.items()
    }
    return json.dumps({**about(options), 'cases': cases}, indent=1)


def load(path: Path) -> Figures:
    """Return what was written by ``as_json()``."""
    cases = json.loads(path.read_text())['cases']
    return {
        title: {name: [Round(**each) for each in rounds] for name, rounds in measured.items()}
        for title, measured in cases.items()
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='python -m benchmarks.http')
    parser.description = (__doc__ or '').partition('\n')[0]
    parser.add_argument('--servers', nargs='+', choices=SERVERS, help='by default, all')
    parser.add_argument('--tls', action='store_true', help='HTTPS')
    parser.add_argument('--cases', nargs='+', choices=CASES, default=list(CASES))
    parser.add_argument('--connections', nargs='+', type=count, default=[1, 64, 512], metavar='N')
    parser.add_argument('--rounds', type=whole, default=5, metavar='N')
    parser.add_argument('--seconds', type=duration, default=2, help='of each round')
    parser.add_argument('--json', type=target, metavar='FILE', help='write all figures to FILE')
    options = parser.parse_args(arguments)
    if options.servers is None:
        options.servers = [name for name in SERVERS if options.tls or name != STDLIB]
    options.seconds = max(1, round(options.seconds))  # wrk takes whole ones
    console = Console()
    try:
        figures = run(options, console)
    except BenchmarkError as error:
        console.print(str(error), style='red', markup=False, highlight=False)
        return 1
    show(figures, console)
    if options.json:
        options.json.write_text(as_json(figures, sys.argv[1:]))
    return 0


if __name__ == '__main__':
    sys.exit(main())
