"""Put measured figures into the README and the documentation: ``python -m benchmarks.report``.

What stands there between ``figures: NAME`` and ``figures: end`` is replaced by a table that is made
of the JSON files in benchmarks/results, so that no figure is ever copied by hand.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from . import core, http, http_clients, tls
from .figures import Case, Figures, read, size_name

TOP = Path(__file__).parent.parent
RESULTS = TOP / 'benchmarks' / 'results'
PERFORMANCE = TOP / 'docs' / 'performance.rst'
PICTURE = TOP / 'docs' / 'echo.png'

NAMES = {
    'libuv': 'plain C on libuv',
    'gruvi-protocol': '**gruvi_cffi Protocol**',
    'gruvi-buffered': 'gruvi_cffi BufferedProtocol',
    'gruvi-stream': '**gruvi_cffi Stream, a fiber each**',
    'uvloop-protocol': 'uvloop Protocol',
    'uvloop-streams': 'uvloop streams',
    'asyncio-protocol': 'asyncio Protocol',
    'asyncio-streams': 'asyncio streams',
    'gevent-stream': 'gevent StreamServer',
    'gruvi-protocol@pypy': 'gruvi_cffi Protocol on PyPy',
    'gruvi-buffered@pypy': 'gruvi_cffi BufferedProtocol on PyPy',
    'gruvi-stream@pypy': 'gruvi_cffi Stream on PyPy',
    'asyncio-protocol@pypy': 'asyncio Protocol on PyPy',
    'asyncio-streams@pypy': 'asyncio streams on PyPy',
}
TLS_PARTS = {
    'echo': 'Echo over TLS',
    'https': 'HTTPS',
    'handshakes': 'New connections',
    'bulk': 'One connection',
    'idle': 'Idle',
}
LIBRARIES = ('gruvi_cffi', 'asyncio', 'gevent')
HEAD = (
    'server',
    'requests/s',
    'to libuv',
    'CPU µs/request',
    'p50 µs',
    'p99 µs',
    'p99.9 µs',
    'peak MiB',
)
LATENCIES = ('p50_us', 'p99_us', 'p999_us')


def rows(case: Case) -> Iterable[list[str]]:
    """Yield the lines of the table for *case*, fastest first."""
    for server in sorted(case.rounds, key=lambda name: case.median(name, 'cpu_us')):
        yield [
            NAMES[server],
            f'{case.median(server, "requests_per_second"):,.0f}',
            _ratio(case, server, 'libuv', 'requests_per_second'),
            f'{case.median(server, "cpu_us"):.1f}',
            f'{case.median(server, "p50_us"):,.0f}',
            f'{case.median(server, "p99_us"):,.0f}',
            f'{case.median(server, "p999_us"):,.0f}',
            f'{case.median(server, "peak_bytes") / 2**20:.0f}',
        ]


def _ratio(case: Case, server: str, reference: str, figure: str) -> str:
    if reference not in case.rounds:
        return '–'
    return f'{case.ratio(server, reference, figure):.2f}'


def markdown(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    head = list(head)
    rule = ['---', *['---:'] * (len(head) - 1)]
    return ''.join(f'| {" | ".join(cells)} |\n' for cells in [head, rule, *lines])


def list_table(title: str, head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """Return a table in reStructuredText."""
    text = f'.. list-table:: {title}\n   :header-rows: 1\n\n'
    for cells in [head, *lines]:
        text += ''.join(
            f'   {"*" if number == 0 else " "} - {cell}\n' for number, cell in enumerate(cells)
        )
    return text + '\n'


def echo_for_readme(figures: Figures) -> str:
    return markdown(HEAD, rows(figures.case(100, 1024)))


def echo_for_docs(figures: Figures) -> str:
    return ''.join(
        list_table(f'{case.connections:,} connections, {size_name(case.size)}', HEAD, rows(case))
        for case in figures.cases
    )


def busy_for_docs(figures: Figures) -> str:
    case = figures.cases[0]
    reference = 'uvloop-protocol'
    lines = [
        [
            NAMES[server],
            f'{case.median(server, "requests_per_second"):,.0f}',
            _ratio(case, server, reference, 'requests_per_second'),
            f'{case.median(server, "p99_us") / 1000:,.0f}',
        ]
        for server in case.rounds
    ]
    title = f'{case.connections:,} connections, {size_name(case.size)}'
    return list_table(title, ('server', 'requests/s', 'to uvloop Protocol', 'p99 ms'), lines)


def latency_for_docs(figures: Figures) -> str:
    case = figures.cases[0]
    reference = 'uvloop-protocol'
    lines = [
        [
            NAMES[server],
            *(f'{case.median(server, name) / 1000:.1f}' for name in LATENCIES),
            _ratio(case, server, reference, 'p99_us'),
        ]
        for server in case.rounds
    ]
    title = f'{case.connections:,} connections, {size_name(case.size)}, {case.rate:,.0f} requests/s'
    head = ('server', 'p50 ms', 'p99 ms', 'p99.9 ms', 'p99 to uvloop Protocol')
    return list_table(title, head, lines)


def micro_for_docs(results: dict[str, Any]) -> str:
    """Return the tables of what benchmarks.micro has written."""
    times = [
        [results['titles'][program], *_beside_ours({name: _wall(costs[name]) for name in costs})]
        for program, costs in results['costs'].items()
    ]
    weights = {name: median(sizes) / 1024 for name, sizes in results['fibers'].items()}
    lines = [['a fiber that waits for an Event', *_beside_ours(weights)]]
    idle = [
        [NAMES[server], f'{median(sizes) / 1024:.2f}']
        for server, sizes in results['connections'].items()
    ]
    return (
        list_table('Time, µs', ('what', *LIBRARIES), times)
        + list_table('Memory, KiB', ('what', *LIBRARIES), lines)
        + list_table('Memory of an idle connection', ('server', 'KiB'), idle)
    )


def core_for_docs(results: dict[str, Any]) -> str:
    """Return the table of what benchmarks.core has written."""
    return list_table('Time of each', core.HEAD, core.rows(results['costs']))


def http_for_docs(results: http.Results) -> str:
    """Return the tables of what benchmarks.http has written."""
    text = ''.join(
        list_table(title, http.HEAD, http.lines(measured))
        for title, measured in results.cases.items()
    )
    if results.idle:
        title = 'Memory of an idle connection'
        text += list_table(title, http.IDLE_HEAD, http.idle_lines(results.idle))
    return text


def http_clients_for_docs(figures: http_clients.Figures) -> str:
    """Return the tables of what benchmarks.http_clients has written."""
    return ''.join(
        list_table(title, http_clients.HEAD, http_clients.rows(measured))
        for title, measured in figures.items()
    )


def http_for_readme(results: http.Results) -> str:
    """Return the table of the servers that answer 64 connections in a few bytes."""
    return markdown(http.HEAD, http.lines(results.cases['hello, 64 connections']))


def http_clients_for_readme(figures: http_clients.Figures) -> str:
    """Return the table of the clients with 64 connections."""
    return markdown(http_clients.HEAD, http_clients.rows(figures['13b, 64 connections']))


def tls_for_docs(results: tls.Results) -> str:
    """Return the tables of what benchmarks.tls has written."""
    return ''.join(
        list_table(f'{TLS_PARTS[part]}: {title}', heading, lines)
        for part, title, heading, lines in tls.tables(results)
    )


def tls_for_readme(results: tls.Results) -> str:
    """Return the table of the servers that answer by HTTPS."""
    ((heading, lines),) = [
        (heading, lines) for part, _, heading, lines in tls.tables(results) if part == 'https'
    ]
    return markdown(heading, lines)


def _wall(rounds: list[dict[str, float]]) -> float:
    return median(round_['wall'] for round_ in rounds) / 1000


def _beside_ours(values: dict[str, float]) -> list[str]:
    ours = values[LIBRARIES[0]]
    cells = [f'{ours:.2f}']
    for name in LIBRARIES[1:]:
        value = values.get(name)
        cells.append('–' if value is None else f'{value:.2f} ({value / ours:.2f})')
    return cells


def replace(path: Path, name: str, text: str) -> None:
    """Put *text* between the marks for *name* in the file *path*.

    :raises LookupError: they are not there.
    """
    marks = re.compile(rf'(figures: {name}\b[^\n]*\n)(.*?)(\n[^\n]*figures: end)', re.DOTALL)
    old = path.read_text()
    new, count = marks.subn(lambda found: f'{found[1]}\n{text}{found[3]}', old)
    if not count:
        raise LookupError(f'{path.name} has no place for the figures of {name}')
    path.write_text(new)


def main() -> int:
    from .plot import draw  # matplotlib is not on every Python that the tables are tested on

    figures = read(RESULTS / 'echo.json')
    replace(TOP / 'README.md', 'echo', echo_for_readme(figures))
    replace(PERFORMANCE, 'echo', echo_for_docs(figures))
    draw(figures, PICTURE)
    replace(PERFORMANCE, 'latency', latency_for_docs(read(RESULTS / 'latency.json')))
    replace(PERFORMANCE, 'busy', busy_for_docs(read(RESULTS / 'busy.json')))
    micro = json.loads((RESULTS / 'micro.json').read_text())
    replace(PERFORMANCE, 'micro', micro_for_docs(micro))
    rest = json.loads((RESULTS / 'core.json').read_text())
    replace(PERFORMANCE, 'core', core_for_docs(rest))
    servers = http.load(RESULTS / 'http.json')
    replace(PERFORMANCE, 'http', http_for_docs(servers))
    replace(TOP / 'README.md', 'http', http_for_readme(servers))
    clients = http_clients.load(RESULTS / 'http_clients.json')
    replace(PERFORMANCE, 'http_clients', http_clients_for_docs(clients))
    replace(TOP / 'README.md', 'http_clients', http_clients_for_readme(clients))
    secure = tls.load(RESULTS / 'tls.json')
    replace(PERFORMANCE, 'tls', tls_for_docs(secure))
    replace(TOP / 'README.md', 'tls', tls_for_readme(secure))
    return 0


if __name__ == '__main__':
    sys.exit(main())
