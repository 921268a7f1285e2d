"""Many fibers at once: ``python -m benchmarks.scale_fibers``.

Fibers of ours, tasks of asyncio and uvloop, greenlets of gevent and eventlet, and threads:

    park      all wait for one event: how many are spawned in a second, what each weighs, and what
              it costs to wake them all, until each has ended, and to tidy up behind them until the
              process gets no smaller (CPU time for each)
    spawn     all are started, do nothing and end (CPU time for each)
    shuffled  each waits for an event of its own, and they end in random order: what the process
              has with all, with half of them and without, and in how many maps

Threads go as far as the machine lets them.
"""

from __future__ import annotations

import sys

from .scale import options_of, run
from .scale_programs import Program, measure_programs

MANY = 100_000  # what those go up to whose million would take minutes, or show nothing new
ALL = ('gruvi', 'asyncio', 'uvloop', 'gevent', 'eventlet', 'threads')
PROGRAMS = (
    Program('park', 'park', ALL, {'uvloop': MANY, 'eventlet': MANY, 'threads': 10_000}),
    Program('spawn', 'spawn', ALL, {**dict.fromkeys(ALL, MANY), 'threads': 10_000}),
    Program('shuffled', 'shuffled', ALL[:-1], {'asyncio': MANY, 'uvloop': MANY, 'eventlet': MANY}),
)
FULL = {'sizes': (1000, 10_000, 100_000, 1_000_000), 'rounds': 1}
QUICK = {'sizes': (1000, 5000)}


def main(arguments: list[str] | None = None) -> int:
    options = options_of('scale_fibers', __doc__, arguments, ALL, FULL, QUICK)
    return run(options, lambda options, results: measure_programs(PROGRAMS, options, results))


if __name__ == '__main__':
    sys.exit(main())
