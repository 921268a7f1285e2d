"""One process that serves, and two on the same port: ``python -m benchmarks.scale_workers``.

They listen with SO_REUSEPORT and answer HTTP hellos, or echo, to clients that ask as soon as they
have their answer. The clients need a core, too, so on few cores the figure to trust is how many
answers a second of CPU time brings; ``of_one`` has it in terms of what one process reaches in the
same round. By how much the busiest process is above the average, in connections and in CPU time,
says how even the kernel spreads them.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack, closing

from .micro_rounds import interleave
from .process import Server
from .scale import Results, options_of, run
from .scale_clients import Holder, serve, words_of

ALL = ('gruvi-http', 'gruvi-protocol', 'asyncio-protocol', 'uvloop-protocol', 'gevent')
FULL = {'sizes': (1, 2), 'connections': 400, 'milliseconds': 2000, 'rounds': 4}
QUICK = {'milliseconds': 400, 'rounds': 2}


class Workers:
    """Some processes on one port, and their clients."""

    def __init__(self, system: str, count: int, connections: int) -> None:
        """Start them, and connect.

        :raises BenchmarkError: one does not start.
        """
        with ExitStack() as stack:
            self._servers: list[Server] = []
            for _ in range(count):
                port = self._servers[0].port if self._servers else 0
                self._servers.append(stack.enter_context(closing(serve(system, 'echo', port))))
            holder = Holder(self._servers[0].port, words_of(system))
            self._holder = stack.enter_context(closing(holder))
            before = [server.descriptors() for server in self._servers]
            self._holder.ask('connect', connections)
            after = [server.descriptors() for server in self._servers]
            self._uneven = above_average([end - begin for begin, end in zip(before, after)])
            self._connections = connections
            self.close = stack.pop_all().close

    def ask(self, seconds: float) -> dict[str, float]:
        """Let the clients ask, and return the figures.

        :raises BenchmarkError: a process has ended, or a connection failed.
        """
        before = [server.cpu_seconds() for server in self._servers]
        asked = self._holder.ask('ask', self._connections, seconds)
        after = [server.cpu_seconds() for server in self._servers]
        spent = [end - begin for begin, end in zip(before, after)]
        return {
            'answers_per_second': asked['count'] / asked['seconds'],
            'answers_per_cpu_second': asked['count'] / sum(spent),
            'p99_us': asked['p99_us'],
            'busiest_cpu_percent': above_average(spent),
            'busiest_connections_percent': self._uneven,
        }


def above_average(parts: list[float] | list[int]) -> float:
    """Return how many percent the largest of *parts* is above their average."""
    return (max(parts) * len(parts) / sum(parts) - 1) * 100


def measure(options: argparse.Namespace, results: Results) -> None:
    for system in options.systems:
        with ExitStack() as stack:
            groups: dict[str, Workers] = {}
            for size in options.sizes:
                with results.measuring(f'workers, n={size}', system):
                    workers = Workers(system, size, options.connections)
                    groups[str(size)] = stack.enter_context(closing(workers))
            interleave(list(groups), options.rounds, _Act(system, groups, options, results))
        compare_with_one(system, results)


class _Act:
    """A round of one group of processes."""

    def __init__(
        self,
        system: str,
        groups: dict[str, Workers],
        options: argparse.Namespace,
        results: Results,
    ) -> None:
        self._system = system
        self._groups = groups
        self._seconds = options.milliseconds / 1000
        self._results = results

    def __call__(self, size: str) -> None:
        title = f'workers, n={size}'
        with self._results.measuring(title, self._system):
            self._results.add(title, self._system, self._groups[size].ask(self._seconds))


def compare_with_one(system: str, results: Results) -> None:
    """Add to each round what it has in terms of one process in the same round."""
    figure = 'answers_per_cpu_second'
    alone = results.cases.get('workers, n=1', {}).get(system, [])
    for case in results.cases.values():
        for mine, one in zip(case.get(system, []), alone):
            mine['of_one'] = mine[figure] / one[figure]


def main(arguments: list[str] | None = None) -> int:
    options = options_of('scale_workers', __doc__, arguments, ALL, FULL, QUICK)
    return run(options, measure)


if __name__ == '__main__':
    sys.exit(main())
