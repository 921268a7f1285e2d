"""What was to be reached, and whether it was."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from .figures import Results
from .units import figure, number

AT_LEAST, AT_MOST = 'at least', 'at most'
REACHED, MISSED, UNKNOWN = 'reached', 'missed', 'not measured'


@dataclass(frozen=True)
class Target:
    """A bound for the median of ratios of ours to theirs, or of one figure of ours.

    It is the ratio of the same figure, whichever end of that is the good one.
    """

    what: str
    benchmark: str
    case: str
    figure: str
    ours: str
    theirs: str | None
    at: str
    bound: float
    to_case: str | None = None  # the ratio is to ours in this case
    unit: str = ''  # of a bound that is no ratio; it is in the unit that is shown

    def reached(self, results: Results) -> float | None:
        """Return what was, or None."""
        found = results.get(self.benchmark)
        case = found.case(self.case) if found else None
        if found is None or case is None:
            return None
        if self.theirs is not None:
            return _median(case.ratios(self.ours, self.theirs, self.figure))
        value = case.median(self.ours, self.figure)
        if value is None or self.to_case is None:
            return None if value is None else value / figure(self.figure).divisor
        other = found.case(self.to_case)
        below = other.median(self.ours, self.figure) if other else None
        return value / below if below else None

    def verdict(self, results: Results) -> str:
        value = self.reached(results)
        if value is None:
            return UNKNOWN
        fine = value >= self.bound if self.at == AT_LEAST else value <= self.bound
        return REACHED if fine else MISSED

    def row(self, results: Results) -> list[str]:
        value = self.reached(results)
        unit = f' {self.unit}' if self.unit else ''
        shown = '–' if value is None else number(value) + unit
        return [self.what, f'{self.at} {self.bound:g}{unit}', shown, self.verdict(results)]


def _median(values: list[float]) -> float | None:
    return median(values) if values else None


HEAD = ('target', 'wanted', 'reached', 'verdict')
ECHO = '100 connections, 1 KiB'
LARGE = '100 connections, 64 KiB'
HELLO = 'hello, 64 connections'
SECURE = f'HTTPS {HELLO}'
IDLE = 'idle connection'
MANY = 'idle, n=19000'
PER_SECOND = 'requests_per_second'

ONE = 1.01  # and a hundredth, for what is read and written beside requests

TARGETS = (
    Target('echo 1 KiB, Protocol / uvloop Protocol', 'echo', ECHO, PER_SECOND,
           'gruvi-protocol', 'uvloop-protocol', AT_LEAST, 1.0),
    Target('echo 1 KiB, Protocol / plain C on libuv', 'echo', ECHO, PER_SECOND,
           'gruvi-protocol', 'libuv', AT_LEAST, 0.8),
    Target('echo 1 KiB, Stream / uvloop streams', 'echo', ECHO, PER_SECOND,
           'gruvi-stream', 'uvloop-streams', AT_LEAST, 1.15),
    Target('echo 1 KiB, Stream / gevent', 'echo', ECHO, PER_SECOND,
           'gruvi-stream', 'gevent-stream', AT_LEAST, 1.8),
    Target('echo 64 KiB, Protocol / uvloop Protocol', 'echo', LARGE, PER_SECOND,
           'gruvi-protocol', 'uvloop-protocol', AT_LEAST, 0.92),
    Target('echo 64 KiB, BufferedProtocol / uvloop Protocol', 'echo', LARGE, PER_SECOND,
           'gruvi-buffered', 'uvloop-protocol', AT_LEAST, 1.0),
    Target('echo 64 KiB, Stream / gevent', 'echo', LARGE, PER_SECOND,
           'gruvi-stream', 'gevent-stream', AT_LEAST, 1.0),
    Target('p99 at 1,000 connections and 15,000 messages/s, Protocol / uvloop Protocol',
           'latency', '1,000 connections, 1 KiB, 15,000 messages/s', 'p99_us',
           'gruvi-protocol', 'uvloop-protocol', AT_MOST, 1.0),
    Target('spawn + join one fiber / asyncio task, time', 'micro', 'spawn + join a fiber',
           'wall_ns', 'gruvi_cffi', 'asyncio', AT_MOST, 0.5),
    Target('the same, 1,000 together', 'micro', 'the same, 1,000 together', 'wall_ns',
           'gruvi_cffi', 'asyncio', AT_MOST, 0.5),
    Target('idle connection, memory of Protocol / uvloop Protocol', 'micro',
           'a connection that is idle', 'kept_bytes', 'gruvi-protocol', 'uvloop-protocol',
           AT_MOST, 1.0),
    Target('fiber that waits', 'micro', 'a fiber that waits for an Event', 'kept_bytes',
           'gruvi_cffi', None, AT_MOST, 7.0, unit='KiB'),
    Target('HTTP hello / uvicorn', 'http', HELLO, PER_SECOND, 'gruvi', 'uvicorn', AT_LEAST, 1.7),
    Target('HTTP hello / node', 'http', HELLO, PER_SECOND, 'gruvi', 'node', AT_LEAST, 1.2),
    Target('HTTP hello / gevent.pywsgi', 'http', HELLO, PER_SECOND, 'gruvi', 'gevent',
           AT_LEAST, 6.0),
    Target('HTTP hello / fastwsgi, a server in C', 'http', HELLO, PER_SECOND,
           'gruvi', 'fastwsgi', AT_LEAST, 0.7),
    Target('HTTP hello / bjoern, a server in C', 'http', HELLO, PER_SECOND,
           'gruvi', 'bjoern', AT_LEAST, 0.7),
    Target('idle HTTP connection', 'http', IDLE, 'kept_bytes', 'gruvi', None, AT_MOST, 3.0,
           unit='KiB'),
    Target('HTTPS hello / uvicorn', 'tls', SECURE, PER_SECOND, 'gruvi', 'uvicorn', AT_LEAST, 2.5),
    Target('HTTPS hello / node', 'tls', SECURE, PER_SECOND, 'gruvi', 'node', AT_LEAST, 1.8),
    Target('TLS echo 1 KiB, Protocol / uvloop Protocol', 'tls', 'echo, 100 connections, 1 KiB',
           PER_SECOND, 'gruvi-protocol', 'uvloop-protocol', AT_LEAST, 2.0),
    Target('TLS bulk, both ends / openssl s_client to s_server', 'tls', 'bulk, both ends',
           'bytes_per_second', 'gruvi client to gruvi server', 'openssl s_client to s_server',
           AT_LEAST, 0.7),
    Target('idle TLS connection, memory / uvloop Protocol', 'tls',
           'idle connection, 1 B echoed', 'kept_bytes', 'gruvi-protocol',
           'uvloop-protocol', AT_MOST, 0.5),
    Target('HTTP client on one connection / aiohttp', 'http_clients', '13b, 1 connection',
           'responses_per_second', 'HttpClient', 'aiohttp', AT_LEAST, 1.5),
    *(
        Target(f'{kind} of an {what}, in steady state', 'instructions', case, name,
               ours, None, AT_MOST, ONE)
        for what, case, ours in (
            ('echo', 'echo of 1 KiB, 100 connections', 'gruvi-protocol'),
            ('HTTP request', 'HTTP hello, 64 connections', 'gruvi-http'),
        )
        for kind, name in (('reads', 'reads'), ('writes', 'writes'))
    ),
    *(
        Target(f'{words}, {ours.partition("-")[2].title()}', 'scale_connections', case,
               'bytes_per_connection', ours, None, AT_MOST, bound, unit='KiB')
        for words, case in (
            ('19,000 idle connections in a process, each', MANY),
            ('100,000 over several, each', 'idle over processes, n=100000'),
        )
        for ours, bound in (('gruvi-protocol', 1.3), ('gruvi-stream', 8.0))
    ),
    Target('the same, HTTP keep-alive', 'scale_connections', MANY, 'bytes_per_connection',
           'gruvi-http', None, AT_MOST, 3.0, unit='KiB'),
    Target('p99 of active ones among 19,000 / among 1,000', 'scale_connections', MANY, 'p99_us',
           'gruvi-protocol', None, AT_MOST, 2.0, to_case='idle, n=1000'),
    Target('1,000,000 parked fibers', 'scale_fibers', 'park, n=1000000', 'parked_bytes',
           'gruvi', None, AT_MOST, 8192, unit='MiB'),
    Target('spawn + join 100,000 / asyncio tasks, CPU time', 'scale_fibers', 'spawn, n=100000',
           'spawn_join_us', 'gruvi', 'asyncio', AT_MOST, 0.5),
    Target('wake 100,000 waiters of an Event / asyncio', 'scale_waiters', 'Event, n=100000',
           'wake_us', 'gruvi', 'asyncio', AT_MOST, 0.5),
    Target('timer start + cancel among 1,000,000 / among 1,000', 'scale_timers',
           'pending, n=1000000', 'start_cancel_us', 'gruvi', None, AT_MOST, 2.0,
           to_case='pending, n=1000'),
    *(
        Target(f'1,000 slow readers, memory varies, {ours.partition("-")[2].title()}',
               'scale_fanout', 'slow readers, n=1000', 'spread_percent', ours, None, AT_MOST, 5.0,
               unit='%')
        for ours in ('gruvi-protocol', 'gruvi-stream')
    ),
    Target('two processes / one, HTTP answers per CPU second', 'scale_workers', 'workers, n=2',
           'of_one', 'gruvi-http', None, AT_LEAST, 0.9),
    Target('the busier of two, connections above the average', 'scale_workers', 'workers, n=2',
           'busiest_connections_percent', 'gruvi-http', None, AT_MOST, 20.0, unit='%'),
)  # fmt: skip


def count(results: Results) -> dict[str, int]:
    """Return how many targets there are of each verdict."""
    verdicts = [target.verdict(results) for target in TARGETS]
    return {name: verdicts.count(name) for name in (REACHED, MISSED, UNKNOWN)}
