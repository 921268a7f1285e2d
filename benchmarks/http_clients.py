"""HTTP clients against nginx: ``python -m benchmarks.http_clients``.

Each client has a process of its own for each round, and keeps its connections. They take turns; see
rounds.py.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from .about import about, count, duration, target, whole
from .http_client_worker import CLIENTS
from .http_servers import HOST, free_port
from .micro_rounds import interleave, ratio
from .process import ROOT, BenchmarkError

OURS = 'HttpClient'
CASES = {'13b': b'Hello, World!', '10k': bytes(10 * 1024), '1m': bytes(1024 * 1024)}
PATIENCE = 10.0  # seconds for nginx to listen, and for a client beside its time

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log stderr error;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; keepalive_requests 1000000000; keepalive_timeout 600;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen {host}:{port}; root {folder}; }}
}}
"""


@dataclass(frozen=True)
class Round:
    """The figures of one client for some time."""

    responses_per_second: float
    cpu_us: float  # of the client, for each


Figures = dict[str, dict[str, list[Round]]]  # case and connections, client


@contextlib.contextmanager
def nginx() -> Iterator[int]:
    """Run nginx with the files of CASES, and give its port.

    :raises BenchmarkError: there is none, or it does not start.
    """
    path = os.pathsep.join([os.environ.get('PATH', os.defpath), '/usr/sbin'])
    executable = shutil.which('nginx', path=path)
    if executable is None:
        raise BenchmarkError('this needs nginx (Debian: apt-get install nginx-light)')
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        for case, data in CASES.items():
            (folder / case).write_bytes(data)
        (folder / 'conf').write_text(NGINX.format(folder=folder, host=HOST, port=port))
        command = [executable, '-e', 'stderr', '-p', name, '-c', f'{name}/conf']
        with subprocess.Popen(command) as process:
            try:
                _wait_for(process, port)
                yield port
            finally:
                process.kill()


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection((HOST, port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    raise BenchmarkError('nginx did not start')


def is_there(name: str) -> bool:
    """Return whether the client *name* can be used here."""
    return name in ('HttpSession', 'HttpClient') or importlib.util.find_spec(name) is not None


def measure(name: str, url: str, connections: int, seconds: float) -> Round:
    """Have the client *name* ask for *url*.

    :raises BenchmarkError: it failed.
    """
    command = [sys.executable, '-m', 'benchmarks.http_client_worker']
    done = subprocess.run(
        [*command, name, url, str(connections), str(seconds)],
        cwd=ROOT, capture_output=True, text=True, timeout=2 * seconds + PATIENCE, check=False,
    )  # fmt: skip
    if done.returncode:
        raise BenchmarkError(f'{name} failed: {done.stderr[-1000:]}')
    said = json.loads(done.stdout)
    if not said['responses']:
        raise BenchmarkError(f'{name} has read no response')
    rate = said['responses'] / said['seconds']
    return Round(rate, said['cpu_seconds'] / said['responses'] * 1e6)


def run(options: argparse.Namespace, console: Console) -> Figures:
    """Measure all that *options* ask for.

    :raises BenchmarkError: nginx is missing, or a client fails.
    """
    names = [name for name in options.clients if is_there(name)]
    figures: Figures = {}
    with nginx() as port:
        for case in options.cases:
            for connections in options.connections:
                title = f'{case}, {connections} connection{"s" if connections > 1 else ""}'
                console.print(f'{title} ...', highlight=False)
                measured = figures.setdefault(title, {name: [] for name in names})

                def act(
                    name: str,
                    url: str = f'http://{HOST}:{port}/{case}',
                    many: int = connections,
                    to: dict[str, list[Round]] = measured,
                ) -> None:
                    to[name].append(measure(name, url, many, options.seconds))

                interleave(names, options.rounds, act)
    return figures


HEAD = ('client', 'responses/s', 'ours to it', 'CPU µs/response')


def rows(measured: dict[str, list[Round]]) -> Iterable[list[str]]:
    """Return the lines of the table of one case, those that need the least CPU time first."""
    ours = [round_.responses_per_second for round_ in measured.get(OURS, [])]
    for name in sorted(measured, key=lambda name: median(each.cpu_us for each in measured[name])):
        rates = [round_.responses_per_second for round_ in measured[name]]
        found = ratio(ours, rates)
        yield [
            name,
            f'{median(rates):,.0f}',
            '–' if found is None else f'{found:.2f}',
            f'{median(each.cpu_us for each in measured[name]):.0f}',
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
    parser = argparse.ArgumentParser(prog='python -m benchmarks.http_clients')
    parser.description = (__doc__ or '').partition('\n')[0]
    parser.add_argument('--clients', nargs='+', choices=CLIENTS, default=list(CLIENTS))
    parser.add_argument('--cases', nargs='+', choices=CASES, default=list(CASES))
    parser.add_argument('--connections', nargs='+', type=count, default=[1, 64], metavar='N')
    parser.add_argument('--rounds', type=whole, default=5, metavar='N')
    parser.add_argument('--seconds', type=duration, default=1, help='of each round')
    parser.add_argument('--json', type=target, metavar='FILE', help='write all figures to FILE')
    options = parser.parse_args(arguments)
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
