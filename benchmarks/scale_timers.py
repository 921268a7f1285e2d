"""Many timers at once: ``python -m benchmarks.scale_timers``.

CPU time for each, on ours, asyncio, uvloop, gevent and eventlet:

    pending  timers are started, for times in random order; others are started and cancelled among
             them; all are cancelled, in random order
    fire     all are due within 50 ms
    sleeps   fibers, or tasks, are started that sleep for as long, and end
"""

from __future__ import annotations

import sys

from .scale import options_of, run
from .scale_programs import Program, measure_programs

MANY = 100_000  # what those go up to whose million would take minutes, or show nothing new
ALL = ('gruvi', 'asyncio', 'uvloop', 'gevent', 'eventlet')
PROGRAMS = (
    Program('pending', 'pending', ALL),
    Program('fire', 'fire', ALL),
    Program('sleeps', 'sleeps', ALL, {'uvloop': MANY, 'gevent': MANY, 'eventlet': MANY}),
)
FULL = {'sizes': (1000, 10_000, 100_000, 1_000_000), 'rounds': 1}
QUICK = {'sizes': (1000, 30_000)}


def main(arguments: list[str] | None = None) -> int:
    options = options_of('scale_timers', __doc__, arguments, ALL, FULL, QUICK)
    return run(options, lambda options, results: measure_programs(PROGRAMS, options, results))


if __name__ == '__main__':
    sys.exit(main())
