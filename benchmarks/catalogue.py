"""All benchmarks: what each compares, how it is run, and how its figures are shown.

A new one needs an entry here, and a JSON file of the shape that figures.py describes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from .figures import Figures, Results
from .servers import ON_PYPY

IN_PYTHON = (
    'gruvi-protocol gruvi-stream uvloop-protocol uvloop-streams asyncio-protocol asyncio-streams '
    'gevent-stream'
)
LATENCIES = ('p50_us', 'p90_us', 'p99_us', 'p999_us')
Rivals = Mapping[str, tuple[str, ...]]
ECHO_RIVALS: Rivals = {
    'gruvi-protocol': ('libuv', 'uvloop-protocol', 'asyncio-protocol'),
    'gruvi-stream': ('uvloop-streams', 'asyncio-streams', 'gevent-stream'),
}


@dataclass(frozen=True)
class Benchmark:
    """One of them. The *name* is that of its JSON file, too."""

    name: str
    title: str
    compared: str  # what with what
    seconds: tuple[int, int]  # that the full and the quick form take, about
    figures: tuple[str, ...] = ()  # columns of the tables; none: all that there are
    # Those of which there are ratios, the one to sort by last; none: all.
    compared_by: tuple[str, ...] = ()
    main: tuple[str, ...] = ()  # the cases that stand for the others
    # Ours, each with the systems that it is compared with; none: the rest.
    rivals: Rivals = field(default_factory=dict)
    module: str = ''  # if it is not the name
    arguments: str = ''
    quick: str = '--quick'
    matrix: bool = False  # one table for all cases, with a column for each system

    @property
    def command(self) -> str:
        return f'benchmarks.{self.module or self.name}'

    def pairs(self, systems: Iterable[str]) -> list[tuple[str, str]]:
        """Return each of ours beside each rival, of those in *systems*."""
        there = list(systems)
        rest = tuple(name for name in there if not is_ours(name))
        rivals = self.rivals or {name: rest for name in there if is_ours(name)}
        return [
            (ours, theirs)
            for ours, others in rivals.items()
            if ours in there
            for theirs in others
            if theirs in there
        ]


BENCHMARKS = (
    Benchmark(
        name='echo',
        title='Echo over TCP',
        compared='Servers of one process that send back what comes, under one load generator in C '
        'that keeps one message under way on each connection. Protocols are compared with '
        'protocols and plain C on libuv, streams with streams and green threads.',
        figures=('requests_per_second', 'cpu_us', *LATENCIES, 'peak_bytes'),
        compared_by=('requests_per_second', 'cpu_us'),
        main=('100 connections, 1 KiB',),
        rivals=ECHO_RIVALS,
        arguments='--rounds 3',
        quick='--quick --rounds 2 --seconds 0.3 --servers libuv gruvi-protocol '
        'gruvi-stream uvloop-protocol gevent-stream',
        seconds=(520, 10),
    ),
    Benchmark(
        name='latency',
        title='Latency at a fixed rate',
        compared='The same echo servers with as many messages due in each second for all, each '
        "connection's at even intervals; latency counts from when a message was due.",
        figures=('requests_per_second', 'cpu_us', *LATENCIES),
        compared_by=('cpu_us', 'p99_us'),
        main=('1,000 connections, 1 KiB, 15,000 messages/s',),
        rivals=ECHO_RIVALS,
        module='echo',
        arguments=f'--rate 15000 --connections 1000 --sizes 1024 --servers libuv {IN_PYTHON}',
        quick='--quick --rate 5000 --rounds 1 --seconds 0.5 --servers gruvi-protocol '
        'uvloop-protocol',
        seconds=(65, 4),
    ),
    Benchmark(
        name='busy',
        title='Beside a thread that computes',
        compared='The same echo servers, each with a Python thread beside it that counts for ever.',
        figures=('requests_per_second', *LATENCIES),
        compared_by=('requests_per_second', 'p99_us'),
        main=('100 connections, 1 KiB',),
        rivals=ECHO_RIVALS,
        module='echo',
        arguments=f'--busy --connections 100 --sizes 1024 --servers {IN_PYTHON} --reference '
        'uvloop-protocol',
        quick='--quick --busy --rounds 1 --seconds 0.5 --reference uvloop-protocol '
        '--servers gruvi-protocol uvloop-protocol',
        seconds=(60, 4),
    ),
    Benchmark(
        name='micro',
        title='Fibers',
        compared='The same small programs on fibers, asyncio tasks and gevent greenlets, and what '
        'one of them, or an idle connection, weighs.',
        figures=('wall_ns', 'kept_bytes'),
        compared_by=('wall_ns', 'kept_bytes'),
        rivals={
            'gruvi_cffi': ('asyncio', 'gevent'),
            'gruvi-protocol': ('uvloop-protocol', 'asyncio-protocol'),
            'gruvi-stream': ('gevent-stream',),
        },
        quick='--quick --rounds 2 --seconds 0.03 --fibers 2000 --connections 1000',
        matrix=True,
        seconds=(170, 14),
    ),
    Benchmark(
        name='core',
        title='Threads, processes, files, datagrams',
        compared='The same program in each library: an empty call in a pool of threads, a process '
        'that does nothing, small files read whole, datagrams echoed. The CPU time has that of '
        'child processes in it.',
        figures=('wall_ns', 'cpu_ns'),
        compared_by=('wall_ns', 'cpu_ns'),
        quick='--rounds 1 --seconds 0.2',
        matrix=True,
        seconds=(170, 10),
    ),
    Benchmark(
        name='http',
        title='HTTP servers',
        compared='HTTP servers of one process under wrk, keep-alive, no access log. uvicorn and '
        'aiohttp run their own kind of handler, the others a WSGI application or their own.',
        figures=('requests_per_second', 'cpu_us', *LATENCIES, 'peak_bytes', 'kept_bytes'),
        compared_by=('requests_per_second', 'kept_bytes', 'cpu_us'),
        main=('hello, 64 connections',),
        quick='--rounds 1 --cases hello --connections 64 --idle 100 --servers gruvi uvicorn node',
        seconds=(560, 8),
    ),
    Benchmark(
        name='tls',
        title='TLS',
        compared='Echo servers over TLS, HTTPS servers under wrk, new connections that echo one '
        'byte and end, 1 GiB over one connection, and the memory of an idle one. All speak what '
        'OpenSSL chooses by default, with a certificate of P-256.',
        figures=(
            'requests_per_second',
            'bytes_per_second',
            'cpu_us',
            'cpu_seconds_per_gib',
            *LATENCIES,
            'peak_bytes',
            'kept_bytes',
        ),
        compared_by=(
            'requests_per_second',
            'bytes_per_second',
            'cpu_us',
            'cpu_seconds_per_gib',
            'kept_bytes',
        ),
        main=(
            'echo, 100 connections, 1 KiB',
            'HTTPS hello, 64 connections',
            'handshakes, TLS 1.3, full',
            'handshakes, TLS 1.3, resumed',
            'bulk, both ends',
            'idle connection, 1 B echoed',
        ),
        arguments='--rounds 3',
        quick='--quick --parts echo --rounds 1 --servers gruvi-protocol uvloop-protocol',
        seconds=(300, 5),
    ),
    Benchmark(
        name='http_clients',
        title='HTTP clients',
        compared='HTTP clients of one process that ask nginx and keep their connections. requests, '
        'urllib3 and http.client have a thread for each connection, httpx and aiohttp a task, '
        'geventhttpclient a greenlet.',
        figures=('responses_per_second', 'cpu_us'),
        compared_by=('responses_per_second', 'cpu_us'),
        main=('13b, 1 connection', '13b, 64 connections'),
        rivals={
            'HttpClient': (
                'aiohttp',
                'httpx',
                'geventhttpclient',
                'requests',
                'urllib3',
                'http.client',
            ),
            'HttpSession': ('aiohttp', 'httpx', 'requests'),
        },
        arguments='--rounds 3',
        quick='--rounds 1 --seconds 0.3 --cases 13b --connections 64',
        seconds=(240, 8),
    ),
    Benchmark(
        name='instructions',
        title='Instructions and system calls',
        compared='Instructions in user space, by callgrind, and system calls, by strace, of one '
        'request in steady state.',
        figures=(
            'instructions',
            'interpreter_instructions',
            'library_instructions',
            'system_instructions',
            'reads',
            'writes',
            'epoll_waits',
            'other_calls',
        ),
        compared_by=('instructions',),
        main=('echo of 1 KiB, 100 connections', 'HTTP hello, 64 connections'),
        rivals={
            'gruvi-protocol': ('libuv', 'uvloop-protocol'),
            'gruvi-stream': (),
            'gruvi-http': ('libuv-http', 'uvicorn'),
        },
        quick='--seconds 1 --connections 20 --cases echo',
        seconds=(190, 14),
    ),
)

# What a system is called in tables and pictures, and its library, which has the colour.
SYSTEMS = {
    'libuv': 'plain C on libuv',
    'libuv-http': 'plain C on libuv and http-parser',
    'gruvi': 'gruvi_cffi',
    'gruvi-stdlib': "gruvi_cffi, the standard library's ssl",
    'gruvi-http': 'gruvi_cffi HttpServer',
    'gruvi-protocol': 'gruvi_cffi Protocol',
    'gruvi-buffered': 'gruvi_cffi BufferedProtocol',
    'gruvi-stream': 'gruvi_cffi Stream, a fiber each',
    'uvloop-protocol': 'uvloop Protocol',
    'uvloop-streams': 'uvloop streams',
    'asyncio-protocol': 'asyncio Protocol',
    'asyncio-streams': 'asyncio streams',
    'gevent-stream': 'gevent StreamServer',
    'uvicorn': 'uvicorn (uvloop, httptools)',
    'node': 'node.js',
}
OURS = ('gruvi', 'HttpClient', 'HttpSession')


def is_ours(system: str) -> bool:
    return system.startswith(OURS)


def system_title(system: str) -> str:
    plain = system.replace(ON_PYPY, '')
    return SYSTEMS.get(plain, plain) + (' on PyPy' if plain != system else '')


def measured(results: Results) -> Iterator[tuple[Benchmark, Figures]]:
    """Yield what was measured, with the figures of those that do not name them."""
    for each in BENCHMARKS:
        if each.name in results:
            figures = results[each.name]
            names = each.figures or figures.names()
            yield replace(each, figures=names, compared_by=each.compared_by or names), figures
