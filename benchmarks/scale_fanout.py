"""Few do much for many, or for one: ``python -m benchmarks.scale_fanout``.

fan-out  a message of one goes to each of many connections: until all have it, and CPU time of
         the server for each
churn    100 connections at a time are made, ask once and go
bulk     so many MiB to one connection, and from one
slow readers  a server streams without end to many that do not read, and to one that does. Its
         memory must stay what it is: over the time that follows a first tenth, the most of it
         in terms of the least. All systems do this at the same time, each with a client and a
         server of its own, as next to nothing is to be done
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack, closing

from .process import BenchmarkError, Server, raise_fd_limit
from .scale import Results, options_of, run
from .scale_clients import DEAF, Holder, serve
from .scale_servers import SHOUT

ALL = (
    'gruvi-protocol', 'gruvi-stream', 'asyncio-protocol', 'uvloop-protocol', 'gevent', 'eventlet',
)  # fmt: skip
FULL = {
    'listeners': (1000, 10_000),
    'readers': 1000,
    'seconds': 60,  # of the slow readers
    'mebibytes': 1024,
    'milliseconds': 2000,  # of the churn
    'rounds': 2,
}
QUICK = {
    'listeners': (1000,), 'seconds': 5, 'mebibytes': 128, 'milliseconds': 500, 'rounds': 1,
}  # fmt: skip
SHOUTS = 5
PARALLEL = 100
RATE = 4 * 2**20  # bytes per second to the one that reads
PAUSE = 0.25  # seconds between two looks at the memory
MIB = 2**20


def measure(options: argparse.Namespace, results: Results) -> None:
    raise_fd_limit(max(options.listeners))
    for _ in range(options.rounds):
        for system in options.systems:
            for listeners in options.listeners:
                title = f'fan-out, n={listeners}'
                with results.measuring(title, system):
                    results.add(title, system, fan_out(system, listeners))
            for title, act in (('churn', churn), ('bulk', bulk)):
                with results.measuring(title, system):
                    results.add(title, system, act(system, options))
    slow_readers(options, results)


def fan_out(system: str, listeners: int) -> dict[str, float]:
    """Have one connection say something to all, some times."""
    with ExitStack() as stack:
        server, holder = _pair(system, 'broadcast', stack)
        holder.ask('connect', listeners)
        holder.ask('shout', '!', len(SHOUT))  # the first may be slower
        cpu = server.cpu_seconds()
        shouts = [holder.ask('shout', '!', len(SHOUT)) for _ in range(SHOUTS)]
        spent = server.cpu_seconds() - cpu
        seconds = sum(each['seconds'] for each in shouts)
        return {
            'messages_per_second': listeners * SHOUTS / seconds,
            'message_cpu_us': spent / listeners / SHOUTS * 1e6,
            'last_us': seconds / SHOUTS * 1e6,
        }


def churn(system: str, options: argparse.Namespace) -> dict[str, float]:
    """Make connections, ask once and close them."""
    with ExitStack() as stack:
        server, holder = _pair(system, 'echo', stack)
        holder.ask('churn', PARALLEL, 0.1)
        cpu = server.cpu_seconds()
        done = holder.ask('churn', PARALLEL, options.milliseconds / 1000)
        spent = server.cpu_seconds() - cpu
        return {
            'connects_per_second': done['count'] / done['seconds'],
            'connect_cpu_us': spent / done['count'] * 1e6,
            'connect_p99_us': done['p99_us'],
        }


def bulk(system: str, options: argparse.Namespace) -> dict[str, float]:
    """Send much in one connection, and receive as much in another."""
    figures = {}
    for way, behaviour, command in (('sent', 'stream', 'take'), ('received', 'sink', 'give')):
        with ExitStack() as stack:
            server, holder = _pair(system, behaviour, stack, deaf=True)
            holder.ask('connect', 1)
            cpu = server.cpu_seconds()
            done = holder.ask(command, options.mebibytes * MIB, *([0] if way == 'sent' else []))
            spent = server.cpu_seconds() - cpu
            figures[f'{way}_mib_per_second'] = options.mebibytes / done['seconds']
            figures[f'{way}_cpu_us_per_mib'] = spent / options.mebibytes * 1e6
            figures[f'{way}_peak_bytes'] = float(server.resident_bytes())
    return figures


def slow_readers(options: argparse.Namespace, results: Results) -> None:
    """Stream to many that do not read, in all systems at once, and watch the memory."""
    title = f'slow readers, n={options.readers}'
    with ExitStack() as stack:
        running = {}
        for system in options.systems:
            with results.measuring(title, system):
                server, holder = _pair(system, 'stream', stack, deaf=True)
                holder.ask('connect', options.readers + 1)
                holder.begin('take', RATE * options.seconds, RATE)
                running[system] = server
        seen = _watch(running, options.seconds)
        for system, weights in seen.items():
            with results.measuring(title, system):
                results.add(title, system, flatness(weights, options.readers))


def _watch(servers: dict[str, Server], seconds: float) -> dict[str, list[int]]:
    """Return what the servers weigh, from a tenth of the time on."""
    time.sleep(seconds / 10)
    seen: dict[str, list[int]] = {name: [] for name in servers}
    end = time.monotonic() + seconds * 9 / 10
    while time.monotonic() < end:
        for name, server in servers.items():
            seen[name].append(server.unique_bytes())
        time.sleep(PAUSE)
    return seen


def flatness(weights: list[int], readers: int) -> dict[str, float]:
    """Return how much the memory varied.

    :raises BenchmarkError: nothing was seen.
    """
    if not weights:
        raise BenchmarkError('it was not seen once')
    return {
        'reader_bytes': weights[-1] / readers,
        'grown_percent': (weights[-1] / weights[0] - 1) * 100,
        'spread_percent': (max(weights) / min(weights) - 1) * 100,
    }


def _pair(
    system: str, behaviour: str, stack: ExitStack, *, deaf: bool = False
) -> tuple[Server, Holder]:
    server = stack.enter_context(closing(serve(system, behaviour)))
    words = [DEAF] if deaf else []
    return server, stack.enter_context(closing(Holder(server.port, *words)))


def main(arguments: list[str] | None = None) -> int:
    options = options_of('scale_fanout', __doc__, arguments, ALL, FULL, QUICK)
    return run(options, measure)


if __name__ == '__main__':
    sys.exit(main())
