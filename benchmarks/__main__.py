"""Every benchmark, and the report: ``python -m benchmarks``, or ``make bench-all``.

Each runs in a process of its own and leaves its figures in a JSON file. One that fails leaves those
of the run before; the others go on, and the end says so. The full form puts the figures into the
report, the README and the documentation. With --quick there are few short rounds, whose figures and
report go into build/benchmarks: good to see that all works, too noisy to be believed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from .catalogue import BENCHMARKS, Benchmark
from .process import ROOT
from .report import RESULTS, publish

SCRATCH = ROOT / 'build' / 'benchmarks'
PATIENCE = 4  # times what a benchmark should take
SPARE = 60  # seconds beside that
LAST_LINES = 15  # of one that failed
STEP = 0.25  # seconds between two looks at the process

names = [each.name for each in BENCHMARKS]


@dataclass(frozen=True)
class Run:
    """What came of one benchmark; *trouble* is empty if it went well."""

    name: str
    seconds: float
    trouble: str = ''


def command(each: Benchmark, quick: bool, json_file: Path) -> list[str]:
    arguments = each.quick if quick else each.arguments
    return [sys.executable, '-m', each.command, *arguments.split(), '--json', str(json_file)]


def run(each: Benchmark, quick: bool, folder: Path, tick: object) -> Run:
    """Run one, and leave its JSON in *folder* if it has written a whole one."""
    fresh, log = SCRATCH / f'{each.name}.json', SCRATCH / f'{each.name}.log'
    fresh.unlink(missing_ok=True)
    began = time.monotonic()
    with log.open('wb') as output:
        code = _wait(each, command(each, quick, fresh), output.fileno(), quick, tick)
    took = time.monotonic() - began
    if code is None:
        return Run(each.name, took, f'did not end in {took:,.0f} seconds')
    whole = _is_whole(fresh)
    if whole:
        shutil.move(fresh, folder / fresh.name)
    if code == 0 and whole:
        return Run(each.name, took)
    words = ''.join(log.read_text(errors='replace').splitlines(True)[-LAST_LINES:]).strip()
    what = 'has figures, but not all' if whole else 'has no figures'
    return Run(each.name, took, f'ended with code {code} and {what}:\n{words}')


def _wait(each: Benchmark, words: list[str], output: int, quick: bool, tick) -> int | None:  # type: ignore[no-untyped-def]
    limit = time.monotonic() + PATIENCE * each.seconds[quick] + SPARE
    process = subprocess.Popen(
        words, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    try:
        while time.monotonic() < limit:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(STEP)
            tick()
        return None
    finally:
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End it with all that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _is_whole(path: Path) -> bool:
    try:
        return bool(json.loads(path.read_text())['cases'])
    except (OSError, ValueError, KeyError):
        return False


class Bar:
    """All benchmarks as one bar that fills as expected; a line for each where there is none."""

    def __init__(self, console: Console, chosen: Sequence[Benchmark], quick: bool) -> None:
        self._console, self._quick = console, quick
        self._bar = Progress(
            TextColumn('{task.description}'), BarColumn(bar_width=40),
            TextColumn('{task.percentage:3.0f}%'), TimeElapsedColumn(), TextColumn('about'),
            TimeRemainingColumn(), console=console, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task('', total=sum(each.seconds[quick] for each in chosen))
        self._done = 0.0

    @contextlib.contextmanager
    def part(self, each: Benchmark) -> Iterator[object]:
        expected, began = each.seconds[self._quick], time.monotonic()
        self._bar.update(self._task, description=each.title)
        if not self._console.is_terminal:
            self._console.print(f'{each.name} (about {expected} s) ...', highlight=False)

        def tick() -> None:
            passed = min(time.monotonic() - began, expected)
            self._bar.update(self._task, completed=self._done + passed)

        yield tick
        self._done += expected
        self._bar.update(self._task, completed=self._done)

    def say(self, run: Run) -> None:
        verdict = f'[red]{run.trouble.partition(":")[0]}' if run.trouble else 'done'
        self._console.print(f'{run.name}: {verdict}, {run.seconds:,.0f} s', highlight=False)

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()


def listing(quick: bool) -> Table:
    """Return what there is, and how long each should take."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ('name', 'seconds', '--quick', 'what'):
        table.add_column(title, justify='right' if title in ('seconds', '--quick') else 'left')
    for each in BENCHMARKS:
        table.add_row(each.name, *map(str, each.seconds), each.title)
    full, short = (sum(each.seconds[way] for each in BENCHMARKS) for way in (0, 1))
    table.add_row('all', str(full), str(short), f'{full / 60:.0f} minutes; with --quick {short} s')
    return table


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='python -m benchmarks')
    parser.description = (__doc__ or '').partition('\n')[0]
    parser.add_argument('--quick', action='store_true', help='few short rounds')
    parser.add_argument('--only', nargs='+', choices=names, default=names, metavar='NAME')
    parser.add_argument('--skip', nargs='+', choices=names, default=[], metavar='NAME')
    parser.add_argument('--results', type=Path, metavar='FOLDER', help='where the JSON goes')
    parser.add_argument(
        '--list', action='store_true', help='say what there is, and how long it takes'
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    console = Console()
    if options.list:
        console.print(listing(options.quick))
        return 0
    folder = options.results or (SCRATCH / 'results' if options.quick else RESULTS)
    for needed in (SCRATCH, folder):
        needed.mkdir(parents=True, exist_ok=True)
    chosen = [
        each for each in BENCHMARKS if each.name in options.only and each.name not in options.skip
    ]
    runs = []
    try:
        with Bar(console, chosen, options.quick) as bar:
            for each in chosen:
                with bar.part(each) as tick:
                    runs.append(run(each, options.quick, folder, tick))
                bar.say(runs[-1])
    except KeyboardInterrupt:
        return 130
    console.print(f'the report: {publish(folder)}', highlight=False)
    return conclude(runs, console)


def conclude(runs: Sequence[Run], console: Console) -> int:
    """Say which had trouble; return the status to exit with."""
    bad = [each for each in runs if each.trouble]
    for each in bad:
        console.print(f'{each.name} {each.trouble}', style='red', markup=False, highlight=False)
    if bad:
        words = ' '.join(each.name for each in bad)
        console.print(f'again: python -m benchmarks --only {words}', highlight=False)
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
