"""What all scale runs share: systems in turn, figures over a size, and how they are written.

A case has a title such as ``park, n=10000``: what was done, and how often or with how many. Each
system gets a process of its own for each round of each case.

    scale_connections.py   scale_fanout.py   scale_workers.py   sockets, from outside
    scale_fibers.py   scale_timers.py   scale_waiters.py        programs, one process each
       |
    scale.py                                                    options, results
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from rich.console import Console

from .about import about, target, whole
from .compiler import CompileError
from .figures import Rounds
from .process import BenchmarkError
from .tables import show

OURS = 'gruvi'  # how the names of our systems begin
NEEDED = ('uvloop', 'gevent', 'eventlet')  # systems that are libraries by that name


class Results:
    """What came out, and why some did not."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.cases: dict[str, Rounds] = {}
        self.errors: dict[str, dict[str, str]] = {}  # case, system

    def add(self, title: str, system: str, figures: dict[str, float]) -> None:
        """Add a round."""
        self.cases.setdefault(title, {}).setdefault(system, []).append(figures)

    @contextmanager
    def measuring(self, title: str, system: str) -> Iterator[None]:
        """Tell what is being measured; what fails in the block is noted and goes no further."""
        label = f'{title}, {system}'
        if not self.console.is_terminal:
            self.console.print(f'{label} ...', highlight=False, soft_wrap=True)
        with self.console.status(label):
            try:
                yield
            except BenchmarkError as exc:
                self.errors.setdefault(title, {})[system] = str(exc)

    def gave_up(self, what: str, system: str) -> bool:
        """Return True if *system* failed at *what*, with any size: more would fail, too."""
        return any(
            title.partition(', n=')[0] == what and system in failed
            for title, failed in self.errors.items()
        )


def is_there(system: str) -> bool:
    """Return True if the library that *system* needs is installed."""
    library = system.partition('-')[0]
    return library not in NEEDED or find_spec(library) is not None


def options_of(
    prog: str,
    doc: str | None,
    arguments: list[str] | None,
    systems: Sequence[str],
    full: dict[str, Any],
    quick: dict[str, Any],
) -> argparse.Namespace:
    """Read the command line: *full* has the defaults, *quick* those with --quick.

    Lists are options that take several whole numbers, numbers those that take one.
    """
    words = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog=f'python -m benchmarks.{prog}', description=doc)
    parser.add_argument('--systems', nargs='+', choices=systems, default=systems, metavar='NAME')
    for name, value in full.items():
        many = '+' if isinstance(value, tuple) else None
        option = '--' + name.replace('_', '-')
        parser.add_argument(option, nargs=many, type=whole, default=value, metavar='N')
    parser.add_argument('--json', type=target, metavar='FILE', help='write all figures to FILE')
    parser.add_argument('--quick', action='store_true', help='less of everything')
    parser.epilog = 'systems: ' + ', '.join(systems)
    if '--quick' in words:
        parser.set_defaults(**quick)
    options = parser.parse_args(words)
    options.systems = [name for name in options.systems if is_there(name)]
    options.words, options.name = words, prog
    return options


def run(options: argparse.Namespace, measure: Callable[[argparse.Namespace, Results], None]) -> int:
    """Call *measure*, show what came out and write it; return the exit status.

    That others cannot go as far is a result; that ours fails is an error.
    """
    console = Console()
    results = Results(console)
    try:
        measure(options, results)
    except (BenchmarkError, CompileError) as exc:
        console.print(str(exc), style='red', markup=False, highlight=False)
        return 1
    except KeyboardInterrupt:
        return 130
    show(options.name, results.cases, results.errors, console)
    if options.json:
        options.json.write_text(as_json(results, options.words))
    return int(any(name.startswith(OURS) for failed in results.errors.values() for name in failed))


def as_json(results: Results, arguments: Sequence[str]) -> str:
    """Return every round of every system, for whoever makes plots or checks."""
    return json.dumps(
        {**about(arguments), 'cases': results.cases, 'errors': results.errors}, indent=1
    )
