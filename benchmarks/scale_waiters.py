"""Many fibers that wait for one thing: ``python -m benchmarks.scale_waiters``.

CPU time for each fiber, on ours, asyncio, gevent and eventlet: to start it and let it wait, to wake
it and let it end, and to cancel it, in random order. The slope says how a cost grows with the
number of waiters: 0 is flat, and near 1 means that all together are quadratic.
"""

from __future__ import annotations

import sys

from .scale import options_of, run
from .scale_programs import Program, measure_programs

ALL = ('gruvi', 'asyncio', 'gevent', 'eventlet')
WITH_CONDITIONS = ('gruvi', 'asyncio')
THAT_CANCEL = ('gruvi', 'asyncio', 'gevent')
TITLES = {
    'event': 'Event',
    'lock': 'Lock',
    'semaphore': 'Semaphore',
    'queue': 'Queue',
    'condition_all': 'Condition, notify_all',
    'condition_each': 'Condition, notify each',
    'fiber': 'join one fiber',
}
IN_QUICK = ('wait:event', 'wait:lock', 'wait:queue', 'wait:condition_each', 'cancel:event')
PATIENCE = 15.0  # seconds; what is quadratic takes hours sooner or later


def _program(title: str, action: str, kind: str, systems: tuple[str, ...]) -> Program:
    name = f'{action}:{kind}'
    if kind.startswith('condition'):
        systems = WITH_CONDITIONS
    return Program(title, name, systems, patience=PATIENCE, in_quick=name in IN_QUICK)


PROGRAMS = [_program(title, 'wait', kind, ALL) for kind, title in TITLES.items()] + [
    _program(f'cancel: {title}', 'cancel', kind, THAT_CANCEL)
    for kind, title in TITLES.items()
    if kind != 'condition_each'
]
FULL = {'sizes': (1000, 10_000, 100_000), 'rounds': 1}
QUICK = {'sizes': (1000, 5000)}


def main(arguments: list[str] | None = None) -> int:
    options = options_of('scale_waiters', __doc__, arguments, ALL, FULL, QUICK)
    return run(options, lambda options, results: measure_programs(PROGRAMS, options, results))


if __name__ == '__main__':
    sys.exit(main())
