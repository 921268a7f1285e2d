"""TLS compared: ``python -m benchmarks.tls``.

Echo servers, HTTPS servers, new connections, many bytes over one connection, and what an idle
connection weighs. Rounds are interleaved, and servers sleep while others are measured; see
rounds.py. All speak what OpenSSL chooses by default, TLS 1.3 with AES-256-GCM, with a certificate
of P-256.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from typing import Any

from rich.console import Console

from . import http, tls_bulk
from .about import about, duration, target, whole
from .compiler import CompileError
from .figures import Rounds, size_name
from .http_servers import is_there, unchecked
from .measure import Ask, Load, bytes_per_connection, echoed, measure
from .micro_rounds import interleave
from .process import BenchmarkError, Server, raise_fd_limit
from .servers import missing_library
from .tables import show
from .tls_servers import BULK, NODE_SERVER, SERVERS, command_of

CONNECTIONS = 100
SIZES = (1024, 65536)  # bytes
AT_ONCE = 16  # new connections
ECHOED = (1, 65536)  # bytes, before a connection is idle
STREAMS = ('gruvi-stream', 'uvloop-streams')
VERSIONS = ('tls1.3', 'tls1.2')
QUICK = {'rounds': 2, 'seconds': 0.5, 'bulk': BULK >> 3, 'idle': 200, 'sizes': [1024]}


class Run:
    """One run of all that *options* ask for."""

    def __init__(self, options: argparse.Namespace, console: Console, stack: ExitStack) -> None:
        self.options = options
        self.results = http.Results()
        self.console = console
        self._stack = stack
        self.pem = http.certificate(stack.enter_context(tempfile.TemporaryDirectory()))
        self.names = [name for name in options.servers if can_start(name)]

    def start(self, what: str, names: Sequence[str]) -> dict[str, Server]:
        """Return servers that do *what*, asleep."""
        servers = {}
        for name in names:
            server = Server(name, command_of(name, self.pem, what, self.options.bulk))
            servers[name] = self._stack.enter_context(closing(server))
            server.sleep()
        return servers

    def case(
        self, title: str, names: Sequence[str], act: Callable[[str], Any], share: float = 1.0
    ) -> None:
        """Have *act* measure each of *names* in turn, in a *share* of the rounds.

        One that fails has no figures.
        """
        self.console.print(f'{title} ...', highlight=False)
        measured: Rounds = {name: [] for name in names}
        self.results.cases[title] = measured

        def note(name: str) -> None:
            if name not in measured:
                return
            try:
                measured[name].append(act(name))
            except BenchmarkError as error:
                self.results.fail(title, name, error)

        interleave(names, math.ceil(share * self.options.rounds), note)


def echo(run: Run) -> None:
    servers = run.start('echo', run.names)
    for size in run.options.sizes:
        load = Load(CONNECTIONS, size, run.options.seconds, tls='tls')
        title = f'echo, {CONNECTIONS} connections, {size_name(size)}'
        run.case(title, run.names, _loading(servers, load))


def _loading(servers: dict[str, Server], load: Load) -> Callable[[str], Any]:
    def act(name: str) -> Any:
        with servers[name].awake() as server:
            return asdict(measure(server, load))

    return act


def https(run: Run) -> None:
    """Have benchmarks.http measure its servers, twice as long: handshakes are counted in."""
    names = run.options.https
    options = http.parse(
        f'--tls --cases hello --connections {http.MOST_COMPARED} --rounds {run.options.rounds} '
        f'--seconds {2 * run.options.seconds} --idle 0 --servers {" ".join(names)}'.split()
    )
    found = http.run(options, run.console)
    for title, measured in found.cases.items():
        run.results.cases[f'HTTPS {title}'] = measured
    for title, errors in found.errors.items():
        run.results.errors[f'HTTPS {title}'] = errors


def handshakes(run: Run) -> None:
    """Measure connections that are made, echo one byte, and end.

    What reads their bytes then makes no difference, so streams are left out.
    """
    names = [name for name in run.names if name not in STREAMS]
    servers = run.start('echo', names)
    for version in VERSIONS:
        for resume in (False, True):
            load = Load(AT_ONCE, 1, run.options.seconds, tls=version, fresh=True, resume=resume)
            title = f'handshakes, TLS {version[3:]}, {"resumed" if resume else "full"}'
            run.case(title, names, _loading(servers, load), 0.5)


def bulk(run: Run) -> None:
    size = run.options.bulk
    for what, title in (('sink', 'taken by a server'), ('source', 'sent by a server')):
        servers = run.start(what, run.names)

        def act(name: str, servers: dict[str, Server] = servers, what: str = what) -> Any:
            with servers[name].awake() as server:
                return asdict(tls_bulk.measure(server, what, size))

        run.case(f'bulk, {title}', run.names, act, 0.5)
    if tls_bulk.OURS in run.names:

        def act_together(name: str) -> Any:
            return asdict(tls_bulk.pair(name, size, run.pem))

        run.case('bulk, both ends', tls_bulk.PAIRS, act_together)


def idle(run: Run) -> None:
    """Weigh idle connections, those of a fresh server each time."""
    for size in ECHOED:
        ask = echoed(size, unchecked())

        def act(name: str, ask: Ask = ask) -> Any:
            with closing(Server(name, command_of(name, run.pem))) as server:
                return {'kept_bytes': bytes_per_connection(server, run.options.idle, ask)}

        title = f'{http.IDLE}, {size_name(size)} echoed'
        run.case(title, run.names, act, 0.2)  # they hardly differ


PARTS: dict[str, Callable[[Run], None]] = {
    'echo': echo, 'https': https, 'handshakes': handshakes, 'bulk': bulk, 'idle': idle
}  # fmt: skip


def can_start(name: str) -> bool:
    """Return whether the server *name* can be started here."""
    if name == NODE_SERVER:
        return is_there(name)
    return missing_library(name) is None


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='python -m benchmarks.tls')
    parser.description = (__doc__ or '').partition('\n')[0]
    names, web = [*SERVERS, NODE_SERVER], http.servers_for(tls=True)
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=list(PARTS))
    parser.add_argument('--servers', nargs='+', choices=names, default=names, metavar='NAME')
    parser.add_argument('--https', nargs='+', choices=web, default=web, metavar='NAME')
    parser.add_argument('--sizes', nargs='+', type=whole, default=SIZES, metavar='BYTES')
    parser.add_argument('--rounds', type=whole, default=5, metavar='N')
    parser.add_argument('--seconds', type=duration, default=1.0, help='of each round')
    parser.add_argument('--bulk', type=whole, default=BULK, metavar='BYTES')
    parser.add_argument(
        '--idle', type=whole, default=1000, metavar='CONNECTIONS', help='how many to weigh'
    )
    parser.add_argument('--json', type=target, metavar='FILE', help='write all figures to FILE')
    parser.add_argument('--quick', action='store_true', help='less of all, unless told otherwise')
    if '--quick' in arguments:
        parser.set_defaults(**QUICK)
    parser.epilog = f'servers: {", ".join(names)}; of HTTPS: {", ".join(web)}'
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    options, console = _parse(given), Console()
    try:
        raise_fd_limit(options.idle)
        with ExitStack() as stack:
            run = Run(options, console, stack)
            for part in options.parts:
                PARTS[part](run)
    except (BenchmarkError, CompileError) as error:
        console.print(str(error), style='red', markup=False, highlight=False)
        return 1
    show('tls', run.results.cases, run.results.errors, console)
    if options.json:
        options.json.write_text(json.dumps({**about(given), **asdict(run.results)}, indent=1))
    return 1 if run.results.errors else 0


if __name__ == '__main__':
    sys.exit(main())
