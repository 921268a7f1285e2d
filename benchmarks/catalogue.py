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
GREEN_RIVALS: Rivals = {'gruvi': ('asyncio', 'uvloop', 'gevent', 'eventlet', 'threads')}
CONNECTION_RIVALS: Rivals = {
    'gruvi-protocol': ('uvloop-protocol', 'asyncio-protocol'),
    'gruvi-stream': ('gevent', 'eventlet'),
    'gruvi-http': (),
}
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
        arguments='--rounds 3 --seconds 0.7',
        quick='--quick --rounds 2 --seconds 0.3 --servers libuv gruvi-protocol '
        'gruvi-stream uvloop-protocol gevent-stream',
        seconds=(420, 8),
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
        seconds=(65, 3),
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
        seconds=(60, 3),
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
        arguments='--rounds 5',
        quick='--quick --rounds 2 --seconds 0.03 --fibers 2000 --connections 1000',
        matrix=True,
        seconds=(130, 12),
    ),
    Benchmark(
        name='core',
        title='Threads, processes, files, datagrams',
        compared='The same program in each library: an empty call in a pool of threads, a process '
        'that does nothing, small files read whole, datagrams echoed. The CPU time has that of '
        'child processes in it.',
        figures=('wall_ns', 'cpu_ns'),
        compared_by=('wall_ns', 'cpu_ns'),
        arguments='--seconds 1',
        quick='--rounds 1 --seconds 0.2',
        matrix=True,
        seconds=(110, 8),
    ),
    Benchmark(
        name='http',
        title='HTTP servers',
        compared='HTTP servers of one process under wrk, keep-alive, no access log. uvicorn and '
        'aiohttp run their own kind of handler, the others a WSGI application or their own.',
        figures=('requests_per_second', 'cpu_us', *LATENCIES, 'peak_bytes', 'kept_bytes'),
        compared_by=('requests_per_second', 'kept_bytes', 'cpu_us'),
        main=('hello, 64 connections',),
        arguments='--rounds 3',
        quick='--rounds 1 --cases hello --connections 64 --idle 100 --servers gruvi uvicorn node',
        seconds=(370, 8),
    ),
    Benchmark(
        name='tls',
        title='TLS',
        compared='Echo servers over TLS, HTTPS servers under wrk, new connections that echo one '
        'byte and end, many bytes over one connection, and the memory of an idle one. All speak '
        'what OpenSSL chooses by default, with a certificate of P-256.',
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
        arguments='--rounds 3 --bulk 268435456',
        quick='--quick --parts echo --rounds 1 --servers gruvi-protocol uvloop-protocol',
        seconds=(350, 5),
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
        arguments='--rounds 2',
        quick='--rounds 1 --seconds 0.3 --cases 13b --connections 64',
        seconds=(170, 8),
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
        arguments='--seconds 1',
        quick='--seconds 0.3 --cases echo --servers gruvi-protocol',
        seconds=(110, 20),
    ),
    Benchmark(
        name='scale_connections',
        title='Many connections',
        compared='One server process that holds more and more idle connections, among which 100 '
        'ask and are answered; and several processes on one port, where a process may not have '
        'so many descriptors. The median of the latency is about the length of a turn.',
        compared_by=('accepts_per_second', 'answer_cpu_us', 'p99_us', 'bytes_per_connection'),
        rivals=CONNECTION_RIVALS,
        main=('idle, n=1000', 'idle, n=19000', 'idle over processes, n=100000'),
        quick='--quick --sizes 1000 5000 --systems gruvi-protocol gruvi-stream uvloop-protocol',
        seconds=(220, 5),
    ),
    Benchmark(
        name='scale_fibers',
        title='Many fibers',
        compared='Fibers, tasks, greenlets and threads that wait together, are woken, and end in '
        'order or at random. CPU time and memory are for each of them.',
        compared_by=('spawned_per_second', 'bytes_per_fiber', 'spawn_join_us', 'wake_us'),
        rivals=GREEN_RIVALS,
        main=('park, n=1000000', 'spawn, n=100000', 'shuffled, n=1000000'),
        quick='--quick --systems gruvi asyncio gevent',
        seconds=(190, 5),
    ),
    Benchmark(
        name='scale_timers',
        title='Many timers',
        compared='Timers that are started, started and cancelled among the others, cancelled, and '
        'due; and fibers or tasks that sleep. CPU time is for each of them.',
        compared_by=('start_us', 'start_cancel_us', 'cancel_us', 'fire_us', 'sleep_us'),
        rivals=GREEN_RIVALS,
        main=('pending, n=1000000', 'fire, n=1000000', 'sleeps, n=100000'),
        quick='--quick --systems gruvi asyncio',
        seconds=(150, 4),
    ),
    Benchmark(
        name='scale_waiters',
        title='Many that wait for one thing',
        compared='Fibers, tasks and greenlets that all wait for one lock, queue and so on, are '
        'woken one after the other, or cancelled in random order. CPU time is for each of them.',
        compared_by=('wait_us', 'cancel_us', 'wake_us'),
        rivals=GREEN_RIVALS,
        main=('Event, n=100000', 'Lock, n=100000', 'Queue, n=100000'),
        quick='--quick --systems gruvi asyncio',
        seconds=(130, 4),
    ),
    Benchmark(
        name='scale_fanout',
        title='Fan-out, churn, bulk and slow readers',
        compared='One message to all of many connections; connections that come, ask once and go; '
        '1 GiB over one connection; and a stream without end to clients that do not read, whose '
        'memory must stay what it is.',
        compared_by=(
            'messages_per_second',
            'connects_per_second',
            'sent_mib_per_second',
            'received_mib_per_second',
            'reader_bytes',
            'received_cpu_us_per_mib',
            'sent_cpu_us_per_mib',
            'connect_cpu_us',
            'message_cpu_us',
        ),
        rivals=CONNECTION_RIVALS,
        main=('fan-out, n=10000', 'churn', 'bulk', 'slow readers, n=1000'),
        quick='--quick --seconds 2 --mebibytes 64 --systems gruvi-protocol uvloop-protocol',
        seconds=(160, 6),
    ),
    Benchmark(
        name='scale_workers',
        title='Two processes on one port',
        compared='One process and two that listen on a port by SO_REUSEPORT; *of one* is what a '
        'CPU second of theirs brings in terms of the one in the same round.',
        compared_by=('answers_per_second', 'answers_per_cpu_second'),
        rivals={
            'gruvi-http': (),
            'gruvi-protocol': ('uvloop-protocol', 'asyncio-protocol', 'gevent'),
        },
        main=('workers, n=1', 'workers, n=2'),
        quick='--quick --rounds 1 --systems gruvi-http uvloop-protocol',
        seconds=(60, 3),
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
