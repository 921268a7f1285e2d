"""What the name of a figure says of it: its unit, and which end is the good one.

A figure is named in JSON by what is counted and in what, as ``spawn_us`` or ``accepts_per_second``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10

HIGHER, LOWER = 'higher', 'lower'


@dataclass(frozen=True)
class Figure:
    """How a figure is shown."""

    label: str
    divisor: float = 1  # what is in JSON, by this, is what is shown
    better: str = LOWER

    def shown(self, value: float | None) -> str:
        return '–' if value is None else number(value / self.divisor)

    def ahead(self, ratio: float) -> float:
        """Turn *ratio*, of ours to theirs, so that above 1 ours is ahead."""
        return ratio if self.better == HIGHER else 1 / ratio


KNOWN = {
    'requests_per_second': Figure('requests/s', better=HIGHER),
    'responses_per_second': Figure('responses/s', better=HIGHER),
    'cpu_us': Figure('CPU µs each'),
    'p50_us': Figure('p50 µs'),
    'p90_us': Figure('p90 µs'),
    'p99_us': Figure('p99 µs'),
    'p999_us': Figure('p99.9 µs'),
    'peak_bytes': Figure('peak MiB', 2**20),
    'kept_bytes': Figure('KiB each', 1024),
    'bytes_per_second': Figure('MiB/s', 2**20, HIGHER),
    'cpu_seconds_per_gib': Figure('CPU s/GiB'),
    **{f'{when}_bytes': Figure(f'{when}, MiB', 2**20) for when in ('parked', 'half', 'ended')},
    'wall_ns': Figure('µs each', 1000),
    'cpu_ns': Figure('CPU µs each', 1000),
    'interpreter_instructions': Figure('of the interpreter'),
    'system_instructions': Figure('of the C library'),
    'library_instructions': Figure('of other C'),
}
PERCENTILES = {'p50_us': '50', 'p90_us': '90', 'p99_us': '99', 'p999_us': '99.9'}

# The last word of a name, and what it becomes.
_UNITS = {
    'ns': ('µs', 1000),
    'us': ('µs', 1),
    'ms': ('ms', 1),
    'seconds': ('s', 1),
    'bytes': ('KiB', 1024),
    'kib': ('KiB', 1),
    'mib': ('MiB', 1),
    'gib': ('GiB', 1),
    'percent': ('%', 1),
}
_GOOD = ('of_one',)  # how such names end where more is better


def figure(name: str) -> Figure:
    """Return how the figure *name* is shown, whether it is known or not."""
    if name in KNOWN:
        return KNOWN[name]
    rate = '_per_second' in name or '_per_cpu_second' in name
    better = HIGHER if rate or name.endswith(_GOOD) else LOWER
    if name.startswith('bytes_per_'):
        return Figure(f'KiB per {name[len("bytes_per_") :]}', 1024)
    words = name.replace('_per_second', '/s').replace('_per_cpu_second', '/CPU-s').split('_')
    unit, divisor = _UNITS.get(words[-1], (words[-1], 1))
    return Figure(' '.join([*words[:-1], unit]), divisor, better)


def number(value: float) -> str:
    """Return *value* with three digits or, from a thousand on, with all before the point."""
    if not value:
        return '0'
    value = float(f'{value:.3g}') if abs(value) < 1000 else value
    if abs(value) >= 100:
        return f'{value:,.0f}'
    return f'{value:.{min(4, 2 - floor(log10(abs(value))))}f}'
