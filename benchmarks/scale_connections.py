"""Many connections, most of them idle: ``python -m benchmarks.scale_connections``.

One server process is given more and more connections, and has by each size: how many it accepts and
answers once in a second, what each weighs in memory of its own, and what 100 active ones among them
see, which ask as soon as they have their answer: latency, and CPU time of the server for each
answer. As the active ones ask together, their median is about the length of a turn of the loop.

A process may have no more than so many descriptors (``ulimit -Hn``). So the last sizes are those of
several processes, which listen on one port by SO_REUSEPORT, each with as many clients.
"""

from __future__ import annotations

import argparse
import resource
import sys
from contextlib import ExitStack, closing

from .process import SPARE_FDS, Server, raise_fd_limit
from .scale import Results, options_of, run
from .scale_clients import Holder, serve, words_of

ALL = (
    'gruvi-protocol', 'gruvi-stream', 'gruvi-http', 'asyncio-protocol', 'uvloop-protocol',
    'gevent', 'eventlet',
)  # fmt: skip
FULL = {
    'sizes': (1000, 5000, 10_000, 19_000),
    'together': (100_000,),  # over several processes
    'active': 100,
    'milliseconds': 2000,
}
QUICK = {'sizes': (1000, 10_000), 'together': (), 'milliseconds': 300}
FIRST = 100  # connections that come first, and pay for what is made once
UNEVEN = 0.9  # of its descriptors that a process may get on average, as the kernel spreads them


def measure(options: argparse.Namespace, results: Results) -> None:
    """Measure all systems, each in one process, and then in several."""
    raise_fd_limit(max(options.sizes))
    for system in options.systems:
        with results.measuring(f'idle, n={max(options.sizes)}', system):
            measure_one(system, options, results)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = int((limit - SPARE_FDS) * UNEVEN)
    results.console.print(f'a process may have {limit:,} descriptors (ulimit -Hn)')
    for connections in options.together:
        processes = -(-connections // most)
        for system in options.systems:
            title = f'idle over processes, n={connections}'
            with results.measuring(title, system):
                results.add(title, system, measure_several(system, processes, connections, options))


def measure_one(system: str, options: argparse.Namespace, results: Results) -> None:
    """Give one process all of the sizes, one after the other."""
    with ExitStack() as stack:
        server = stack.enter_context(closing(serve(system, 'echo')))
        holder = stack.enter_context(closing(Holder(server.port, words_of(system))))
        holder.ask('connect', FIRST)
        before, held = server.unique_bytes(), 0
        for size in options.sizes:
            figures = accept(server, holder, size - held)
            held = size
            figures['bytes_per_connection'] = (server.unique_bytes() - before) / size
            figures.update(ask(server, holder, options))
            results.add(f'idle, n={size}', system, figures)


def accept(server: Server, holder: Holder, more: int) -> dict[str, float]:
    """Open *more* connections that ask once, and return what that costs."""
    cpu = server.cpu_seconds()
    opened = holder.ask('connect', more)
    spent = server.cpu_seconds() - cpu
    return {
        'accepts_per_second': more / opened['seconds'],
        'accept_cpu_us': spent / more * 1e6,
    }


def ask(server: Server, holder: Holder, options: argparse.Namespace) -> dict[str, float]:
    """Let the active ones ask, and return what they see."""
    cpu = server.cpu_seconds()
    asked = holder.ask('ask', options.active, options.milliseconds / 1000)
    spent = server.cpu_seconds() - cpu
    return {
        'p50_us': asked['p50_us'],
        'p99_us': asked['p99_us'],
        'answer_cpu_us': spent / asked['count'] * 1e6,
    }


def measure_several(
    system: str, processes: int, connections: int, options: argparse.Namespace
) -> dict[str, float]:
    """Give several processes on one port so many connections, and return the figures of all.

    :raises BenchmarkError: something failed.
    """
    with ExitStack() as stack:
        servers = [stack.enter_context(closing(serve(system, 'echo')))]
        for _ in range(processes - 1):
            more = serve(system, 'echo', servers[0].port)
            servers.append(stack.enter_context(closing(more)))
        words = words_of(system)
        holders = [stack.enter_context(closing(Holder(servers[0].port, words))) for _ in servers]
        holders[0].ask('connect', FIRST * processes)
        before = sum(server.unique_bytes() for server in servers)
        seconds = 0.0
        for holder in holders:
            seconds += holder.ask('connect', connections // processes)['seconds']
        after = sum(server.unique_bytes() for server in servers)
        held = connections // processes * processes
        cpu = sum(server.cpu_seconds() for server in servers)
        asked = holders[0].ask('ask', options.active, options.milliseconds / 1000)
        spent = sum(server.cpu_seconds() for server in servers) - cpu
        return {
            'accepts_per_second': held / seconds,
            'bytes_per_connection': (after - before) / held,
            'p50_us': asked['p50_us'],
            'p99_us': asked['p99_us'],
            'answer_cpu_us': spent / asked['count'] * 1e6,
            'processes': processes,
        }


def main(arguments: list[str] | None = None) -> int:
    options = options_of('scale_connections', __doc__, arguments, ALL, FULL, QUICK)
    return run(options, measure)


if __name__ == '__main__':
    sys.exit(main())
