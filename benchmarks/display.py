"""What a benchmark shows as it runs: a live bar on a terminal, a line for each round elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from .measure import Load, Progress


class Display:
    """The progress of *rounds* rounds of *load*, seen until it is closed."""

    def __init__(self, console: Console, load: Load, rounds: int) -> None:
        self._console = console
        self._load = load
        self._bar = Bar(
            TextColumn('{task.description}'),
            BarColumn(bar_width=30),
            TextColumn('{task.percentage:3.0f}%'),
            TimeElapsedColumn(),
            TextColumn('{task.fields[rate]}'),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task('', total=rounds * self._round_seconds, rate='')
        self._bar.start()
        self._done = 0
        self._label = ''

    @property
    def _round_seconds(self) -> float:
        return self._load.warmup + self._load.seconds

    def begin(self, label: str) -> Callable[[Progress], None]:
        """Start a round; return what is to be called with its progress."""
        self._label = label
        self._bar.update(self._task, description=label, rate='')
        return self._show

    def _show(self, progress: Progress) -> None:
        seconds = {
            'connecting': 0.0,
            'warming': progress.seconds,
            'measuring': self._load.warmup + progress.seconds,
            'finishing': self._round_seconds,
        }[progress.phase]
        if progress.phase == 'connecting':
            rate = f'{progress.connections:,} connections'
        elif progress.phase == 'measuring' and progress.seconds:
            rate = f'{progress.requests / progress.seconds:,.0f} echoes/s'
        else:
            rate = f'{progress.phase} ...'
        self._advance(min(seconds, self._round_seconds), rate)

    def _advance(self, seconds: float, rate: str) -> None:
        self._bar.update(
            self._task, completed=self._done * self._round_seconds + seconds, rate=rate
        )

    def end(self, result: str) -> None:
        """End the round. Where there is no bar, this is what is printed of it."""
        self._done += 1
        self._advance(0, result)
        if not self._console.is_terminal:
            self._console.print(f'{self._label}: {result}', highlight=False)

    def close(self) -> None:
        self._bar.stop()
