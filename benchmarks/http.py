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
from .figures import Rounds
from .http_servers import PLAIN, SERVERS, command_of, is_there, unchecked
from .measure import bytes_per_connection
from .micro_rounds import interleave
from .process import PATIENCE, BenchmarkError, Server, raise_fd_limit
from .tables import show

STDLIB = 'gruvi-stdlib'  # with a context of the standard library; only TLS makes a difference
IDLE = 'idle connection'
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
# Nothing that a server knows of earlier requests helps it with these.
NEW = """
local n = 0
request = function()
  n = n + 1
  return wrk.format('GET', '/item/' .. n, {['X-Request-Id'] = n})
end
"""
# wrk prints no tenth of a percent by itself, nor any percentile with enough digits.
QUANTILES = """
done = function(summary, latency, requests)
  for _, part in ipairs({50, 90, 99, 99.9}) do
    print(string.format('quantile %g %g', part, latency:percentile(part)))
  end
end
"""
CLOSE = "wrk.headers['Connection'] = 'close'"
CASES = {
    'hello': ('13 bytes', '/', ''),
    'new': ('13 bytes, another path and field with each request', '/', NEW),
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
_QUANTILE = re.compile(r'^quantile ([0-9.]+) ([0-9.]+)$', re.MULTILINE)
_WRONG = re.compile(r'Socket errors: .*|Non-2xx or 3xx responses: .*')


@dataclass(frozen=True)
class Round:
    """The figures of one load on one server."""

    requests_per_second: float
    cpu_us: float  # per request
    peak_bytes: int
    # Of latency; 0, and not in JSON, where wrk has none: of requests that are sent together.
    p50_us: float = 0
    p90_us: float = 0
    p99_us: float = 0
    p999_us: float = 0


@dataclass
class Results:
    """The rounds of each case, by server, and what failed there."""

    cases: dict[str, Rounds] = field(default_factory=dict)
    errors: dict[str, dict[str, str]] = field(default_factory=dict)

    def fail(self, title: str, name: str, error: BenchmarkError) -> None:
        """Note that *name* failed; it has no figures then."""
        self.cases[title].pop(name, None)
        self.errors.setdefault(title, {})[name] = str(error)


def measure(server: Server, url: str, case: str, connections: int, seconds: float) -> Round:
    """Put a load on *server*, which is at *url*.

    :raises BenchmarkError: it failed, or answered something else than was asked for.
    """
    _, path, script = CASES[case]
    with tempfile.NamedTemporaryFile('w', suffix='.lua') as file:
        file.write(f'{script}\n{QUANTILES}')
        file.flush()
        command = ['wrk', '-t1', f'-c{connections}', f'-d{seconds}s', '-s', file.name]
        command.append(f'--timeout={TIMEOUT}s')
        before = server.cpu_seconds()
        done = subprocess.run(
            [*command, url + path],
            capture_output=True,
            text=True,
            timeout=seconds + 60,
            check=False,
        )
        spent = server.cpu_seconds() - before
    stuck = connections if case == 'pipeline' else 0
    return read(server.name, done.stdout, stuck, spent, server.resident_bytes())


def read(name: str, said: str, stuck: int, cpu_seconds: float, peak: int) -> Round:
    """Return the figures in what wrk has *said*.

    :raises BenchmarkError: something went wrong, or there are no more responses than of a server
        that is *stuck*.
    """
    rate, total, wrong = _RATE.search(said), _TOTAL.search(said), _WRONG.search(said)
    latency = [float(value) for _, value in _QUANTILE.findall(said)]
    if wrong or rate is None or total is None or len(latency) != 4:
        raise BenchmarkError(f'{name}: {wrong[0] if wrong else said or "wrk said nothing"}')
    if int(total[1]) <= stuck:
        raise BenchmarkError(f'{name}: there were only {total[1]} responses')
    return Round(float(rate[1]), cpu_seconds / int(total[1]) * 1e6, peak, *latency)


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
                round_ = asdict(measure(server, url, *load, options.seconds))
                measured[name].append({key: value for key, value in round_.items() if value})
        except BenchmarkError as error:
            results.fail(title, name, error)

    most = load[1] == MOST_COMPARED
    interleave(list(servers), options.rounds if most else (options.rounds + 1) // 2, act)


def title_of(case: str, connections: int) -> str:
    return f'{case}, {connections} connection{"s" if connections > 1 else ""}'


def _weigh(name: str, pem: str | None, connections: int, results: Results) -> None:
    """Measure what an idle keep-alive connection weighs in the server *name*, a fresh one."""
    rounds = results.cases.setdefault(IDLE, {})
    try:
        with closing(Server(name, command_of(name, pem))) as server:
            weight = bytes_per_connection(server, connections, asker(pem is not None))
    except BenchmarkError as error:
        results.fail(IDLE, name, error)
    else:
        rounds.setdefault(name, []).append({'kept_bytes': weight})


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
    show('http', results.cases, results.errors, console)
    if options.json:
        options.json.write_text(json.dumps({**about(given), **asdict(results)}, indent=1))
    return 0


if __name__ == '__main__':
    sys.exit(main())
