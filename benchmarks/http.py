"""HTTP servers under the load of wrk: ``python -m benchmarks.http``.

One process for each server, or one worker, and no access log. The servers take turns in several
rounds, and those whose turn it is not are stopped; see rounds.py. The cases with 64 connections,
which are compared most, get more rounds than the others.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console

from .about import about, count, duration, target, whole
from .http_servers import PLAIN, SERVERS, command_of, is_there, unchecked
from .measure import bytes_per_connection
from .micro_rounds import interleave
from .process import PATIENCE, BenchmarkError, Server, raise_fd_limit
from .tables import Column, head, rows, show

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
CLOSE = "wrk.headers['Connection'] = 'close'"
CASES = {
    'hello': ('13 bytes', '/', ''),
    '10k': ('10 KiB', '/10k', ''),
    'post': ('64 KiB posted and sent back', '/', POST),
    'pipeline': (f'13 bytes, {PIPELINED} requests at once', '/', PIPELINE),
    'close': ('13 bytes, a connection for each request', '/', CLOSE),
}
MOST_COMPARED = 64  # connections
QUICK = {'cases': ['hello', 'post'], 'connections': [MOST_COMPARED], 'rounds': 3, 'idle': 200}
TIMEOUT = 10  # seconds for a response: to be slow is no error
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


@dataclass
class Results:
    """The rounds of each case, what an idle connection weighs in each server, and what failed."""

    cases: Figures = field(default_factory=dict)
    idle: dict[str, list[float]] = field(default_factory=dict)  # bytes
    errors: list[str] = field(default_factory=list)


def measure(server: Server, url: str, case: str, connections: int, seconds: float) -> Round:
    """Put a load on *server*, which is at *url*.

    :raises BenchmarkError: it failed, or answered something else than was asked for.
    """
    _, path, script = CASES[case]
    with tempfile.NamedTemporaryFile('w', suffix='.lua') as file:
        file.write(script)
        file.flush()
        command = ['wrk', '-t1', f'-c{connections}', f'-d{seconds}s', '--latency']
        command.append(f'--timeout={TIMEOUT}s')
        before = server.cpu_seconds()
        done = subprocess.run(
            [*command, *(['-s', file.name] if script else []), url + path],
            capture_output=True, text=True, timeout=seconds + 60, check=False,
        )  # fmt: skip
        spent = server.cpu_seconds() - before
    return read(server.name, done.stdout, connections, spent, server.resident_bytes())


def read(name: str, said: str, connections: int, cpu_seconds: float, peak: int) -> Round:
    """Return the figures in what wrk has *said*.

    :raises BenchmarkError: something went wrong.
    """
    rate, total, p99 = _RATE.search(said), _TOTAL.search(said), _P99.search(said)
    wrong = _WRONG.search(said)
    if wrong or rate is None or total is None or p99 is None:
        raise BenchmarkError(f'{name}: {wrong[0] if wrong else said or "wrk said nothing"}')
    if int(total[1]) <= connections:
        raise BenchmarkError(f'{name}: no connection got more than one response')
    latency = float(p99[1]) * _UNITS[p99[2]]
    return Round(float(rate[1]), cpu_seconds / int(total[1]) * 1e6, latency, peak)


def run(options: argparse.Namespace, console: Console) -> Results:
    """Measure all that *options* ask for. A server that fails a case has no figures for that.

    :raises BenchmarkError: wrk is missing, or a server does not start.
    """
    if shutil.which('wrk') is None:
        raise BenchmarkError('this needs wrk (Debian: apt-get install wrk)')
    names = [name for name in options.servers if is_there(name)]
    raise_fd_limit(max([*options.connections, options.idle]))
    results = Results()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        pem = certificate(folder) if options.tls else None
        servers = {
            name: stack.enter_context(closing(Server(name, command_of(name, pem))))
            for name in names
        }
        for server in servers.values():
            server.sleep()
        for case in options.cases:
            for connections in options.connections:
                _run_case(servers, (case, connections), options, results, console)
        if options.idle:
            console.print('idle connections ...', highlight=False)
            for name in names:
                _weigh(name, pem, options.idle, results)
    for error in results.errors:
        console.print(error, style='red', markup=False, highlight=False)
    return results


def _run_case(
    servers: dict[str, Server],
    load: tuple[str, int],
    options: argparse.Namespace,
    results: Results,
    console: Console,
) -> None:
    title = title_of(*load)
    console.print(f'{title} ...', highlight=False)
    measured = results.cases[title] = {name: [] for name in servers}

    def act(name: str) -> None:
        if name not in measured:
            return
        try:
            with servers[name].awake() as server:
                url = f'{"https" if options.tls else "http"}://127.0.0.1:{server.port}'
                measured[name].append(measure(server, url, *load, options.seconds))
        except BenchmarkError as error:
            del measured[name]
            results.errors.append(f'{title}: {error}')

    most = load[1] == MOST_COMPARED
    interleave(list(servers), options.rounds if most else (options.rounds + 1) // 2, act)


def title_of(case: str, connections: int) -> str:
    return f'{case}, {connections} connection{"s" if connections > 1 else ""}'


def _weigh(name: str, pem: str | None, connections: int, results: Results) -> None:
    """Measure what an idle keep-alive connection weighs in the server *name*, a fresh one."""
    try:
        with closing(Server(name, command_of(name, pem))) as server:
            weight = bytes_per_connection(server, connections, asker(pem is not None))
    except BenchmarkError as error:
        results.errors.append(f'idle connections: {error}')
    else:
        results.idle.setdefault(name, []).append(weight)


def asker(tls: bool = False) -> Callable[[int], socket.socket]:
    """Return what opens a connection to a port of this machine, and has one request answered."""
    context = unchecked() if tls else None

    def ask(port: int) -> socket.socket:
        sock = socket.create_connection(('127.0.0.1', port), timeout=PATIENCE)
        try:
            if context is not None:
                sock = context.wrap_socket(sock)
            sock.sendall(b'GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
            _read_hello(sock)
        except BaseException:
            sock.close()
            raise
        return sock

    return ask


def _read_hello(sock: socket.socket) -> None:
    got = b''
    while not got.endswith(b'Hello, World!'):
        more = sock.recv(4096)
        if not more:
            raise ConnectionError(f'closed after {got!r}')
        got += more


def certificate(folder: str | Path) -> str:
    """Write a key and a certificate for it, ECDSA with P-256, and return the name of the file."""
    import trustme
    from cryptography.hazmat.primitives import serialization as forms

    issued = trustme.CA().issue_cert('127.0.0.1')
    key = forms.load_pem_private_key(issued.private_key_pem.bytes(), None)
    # granian takes no other format.
    pem = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    path = Path(folder, 'server.pem')
    path.write_bytes(pem + b''.join(each.bytes() for each in issued.cert_chain_pems))
    return str(path)


_CPU = Column[Round]('CPU µs/request', '{:.1f}', lambda each: each.cpu_us)
COLUMNS = (
    Column[Round]('requests/s', '{:,.0f}', lambda each: each.requests_per_second),
    _CPU,
    Column[Round]('p99 ms', '{:.1f}', lambda each: each.p99_us / 1000),
    Column[Round]('peak MiB', '{:.0f}', lambda each: each.peak_bytes / 2**20),
)
_IDLE = Column[float]('KiB', '{:.1f}', lambda each: each / 1024)
HEAD = head(COLUMNS)
IDLE_HEAD = head((_IDLE,))


def lines(measured: dict[str, list[Round]]) -> list[list[str]]:
    """Return the lines of the table of one case, those that need the least CPU time first."""
    return rows(measured, COLUMNS, OURS, _CPU)


def idle_lines(idle: dict[str, list[float]]) -> list[list[str]]:
    return rows(idle, (_IDLE,), OURS, _IDLE)


def show_all(results: Results, console: Console) -> None:
    """Print the tables."""
    for title, measured in results.cases.items():
        show(title, HEAD, lines(measured), console)
    if results.idle:
        show('memory of an idle connection', IDLE_HEAD, idle_lines(results.idle), console)


def as_json(results: Results, options: list[str]) -> str:
    return json.dumps({**about(options), **asdict(results)}, indent=1)


def load(path: Path) -> Results:
    """Return what was written by ``as_json()``."""
    known = json.loads(path.read_text())
    cases = {
        title: {name: [Round(**each) for each in rounds] for name, rounds in measured.items()}
        for title, measured in known['cases'].items()
    }
    return Results(cases, known['idle'], known['errors'])


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='python -m benchmarks.http')
    parser.description = (__doc__ or '').partition('\n')[0]
    parser.add_argument('--servers', nargs='+', choices=SERVERS, help='by default, all')
    parser.add_argument('--tls', action='store_true', help='HTTPS')
    parser.add_argument('--cases', nargs='+', choices=CASES, default=list(CASES))
    parser.add_argument('--connections', nargs='+', type=whole, default=[1, 64, 512], metavar='N')
    parser.add_argument(
        '--rounds', type=whole, default=5, metavar='N',
        help=f'with {MOST_COMPARED} connections; with others half of it',
    )  # fmt: skip
    parser.add_argument('--seconds', type=duration, default=1, help='of each round')
    parser.add_argument(
        '--idle', type=count, default=1000, metavar='CONNECTIONS', help='how many to weigh'
    )
    parser.add_argument('--json', type=target, metavar='FILE', help='write all figures to FILE')
    parser.add_argument(
        '--quick', action='store_true', help='few cases and short rounds, unless told otherwise'
    )
    if '--quick' in arguments:
        parser.set_defaults(**QUICK)
    options = parser.parse_args(arguments)
    if options.servers is None:
        options.servers = servers_for(options.tls)
    options.seconds = max(1, round(options.seconds))  # wrk takes whole ones
    return options


def servers_for(tls: bool) -> list[str]:
    """Return the names of all servers, over TLS or without it."""
    return [name for name in SERVERS if name not in (PLAIN if tls else (STDLIB,))]


def main(arguments: list[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    options, console = parse(given), Console()
    try:
        results = run(options, console)
    except BenchmarkError as error:
        console.print(str(error), style='red', markup=False, highlight=False)
        return 1
    show_all(results, console)
    if options.json:
        options.json.write_text(as_json(results, given))
    return 0


if __name__ == '__main__':
    sys.exit(main())
