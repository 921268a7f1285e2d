"""The tables of the report, the README and the documentation, and how each writes them."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.table import Table as RichTable

from .catalogue import Benchmark, is_ours, measured, system_title
from .comparisons import ahead, losses, ratio_text, spread
from .figures import COUNT, Case, Figures, Results, Rounds, cases_of, curve, slope
from .targets import HEAD as TARGETS_HEAD
from .targets import TARGETS
from .units import HIGHER, figure

Row = Sequence[str]
Errors = Mapping[str, Mapping[str, str]]  # by case and system
WIDEST = 300  # columns of text; where there is less room, the terminal breaks the lines
AHEAD = 'ours to it'  # the head of a column with ratios


@dataclass(frozen=True)
class Table:
    """Cells are plain text; ``**`` around one makes it bold."""

    title: str
    head: Row
    rows: Sequence[Row]
    words: int = 1  # so many columns from the left are text, the others numbers

    def markdown(self) -> str:
        rule = [*['---'] * self.words, *['---:'] * (len(self.head) - self.words)]
        return ''.join(f'| {" | ".join(cells)} |\n' for cells in [self.head, rule, *self.rows])

    def rst(self) -> str:
        lines = [f'.. csv-table:: {self.title}', f'   :header: {_csv(self.head)}', '']
        return '\n'.join([*lines, *(f'   {_csv(row)}' for row in self.rows), '', ''])

    def rich(self) -> RichTable:
        """Return it for a terminal."""
        table = RichTable(title=self.title, title_justify='left', box=SIMPLE_HEAD, padding=0)
        for at, name in enumerate(self.head):
            justify: JustifyMethod = 'left' if at < self.words else 'right'
            table.add_column(name.strip('*'), justify=justify, no_wrap=True)
        for row in self.rows:
            ours = any(cell.startswith('**') for cell in row)
            table.add_row(*(cell.strip('*') for cell in row), style='bold' if ours else '')
        return table

    def html(self) -> str:
        head = ''.join(f'<th{self._class(at)}>{bold(cell)}' for at, cell in enumerate(self.head))
        body = ''.join(f'<tr{_row_class(row)}>{self._cells(row)}\n' for row in self.rows)
        caption = f'<caption>{html.escape(self.title)}</caption>' if self.title else ''
        return (
            f'<div class="wide"><table>{caption}<thead><tr>{head}</thead>\n'
            f'<tbody>\n{body}</tbody></table></div>\n'
        )

    def _cells(self, row: Row) -> str:
        return ''.join(f'<td{self._class(at)}>{bold(cell)}' for at, cell in enumerate(row))

    def _class(self, column: int) -> str:
        return '' if column < self.words else ' class="number"'


def bold(text: str) -> str:
    """Return *text* as HTML."""
    return re.sub(r'\*\*(.+?)\*\*', r'<b>\1</b>', html.escape(text))


def _row_class(row: Row) -> str:
    last = row[-1]
    if any(cell.startswith('**') for cell in row):
        return ' class="ours"'
    return f' class="{last}"' if last in ('reached', 'missed') else ''


def _csv(cells: Row) -> str:
    return ','.join('"' + cell.replace('"', '""') + '"' for cell in cells)


def name_of(system: str) -> str:
    """Return the title of *system*, bold if it is ours."""
    title = system_title(system)
    return f'**{title}**' if is_ours(system) else title


class _Columns:
    """The figures of systems under one benchmark, with ratios beside those that have them."""

    def __init__(self, benchmark: Benchmark, cases: Sequence[Case]) -> None:
        self._benchmark = benchmark
        self._figures = [
            name for name in benchmark.figures if any(case.has(name) for case in cases)
        ]
        self._ratios = [name for name in benchmark.compared_by if name in self._figures]
        self.head: list[str] = []
        for name in self._figures:
            self.head += [figure(name).label, *([AHEAD] if name in self._ratios else [])]

    def rows(self, case: Case) -> list[list[str]]:
        """Return a row for each system, the best first."""
        name = (self._ratios or self._figures)[-1]
        sign = -1 if figure(name).better == HIGHER else 1
        there = [system for system, rounds in case.rounds.items() if rounds]
        there.sort(key=lambda system: sign * (case.median(system, name) or 0))
        return [[name_of(system), *self._cells(case, system)] for system in there]

    def _cells(self, case: Case, system: str) -> list[str]:
        ours = next((o for o, t in self._benchmark.pairs(case.rounds) if t == system), None)
        cells = []
        for name in self._figures:
            cells.append(figure(name).shown(case.median(system, name)))
            if name in self._ratios:
                cells.append(spread(ahead(case, ours, system, name)) if ours else '–')
        return cells


def of_case(benchmark: Benchmark, case: Case) -> Table:
    """Return the table of one case, a row for each system."""
    columns = _Columns(benchmark, [case])
    return Table(case.title, ('', *columns.head), columns.rows(case))


def of_series(benchmark: Benchmark, title: str, cases: Sequence[Case]) -> Table:
    """Return the table of the cases that are one curve, a row for each size and system."""
    if len(cases) == 1:
        return of_case(benchmark, cases[0])
    columns = _Columns(benchmark, cases)
    rows = []
    for case in cases:
        size = f'{case.size:,}'
        for row in columns.rows(case):
            rows.append([size, *row])
            size = ''
    return Table(title, (cases[0].axis or '', '', *columns.head), rows, words=2)


def of_benchmark(benchmark: Benchmark, figures: Figures) -> list[Table]:
    """Return all tables of one benchmark."""
    if benchmark.matrix:
        return matrices(benchmark, figures)
    return [of_series(benchmark, *series) for series in figures.series().items()]


def show(name: str, cases: Mapping[str, Rounds], errors: Errors, console: Console) -> None:
    """Print the tables of the benchmark *name*, and what failed in each case."""
    figures = Figures(cases_of(cases), {})
    for benchmark, each in measured({name: figures}):
        for table in [*of_benchmark(benchmark, each), slopes(benchmark, each)]:
            if table.rows:
                _print(table, console)
    for title, failed in errors.items():
        for system, error in failed.items():
            console.print(f'{title}, {system}: {error}', style='red', markup=False, highlight=False)


def _print(table: Table, console: Console) -> None:
    """Print all of it, however narrow *console* is: the terminal breaks lines that are too long."""
    shown = table.rich()
    width = console.measure(shown, options=console.options.update(max_width=WIDEST))
    wide = Console(file=console.file, width=max(width.maximum, console.width))
    wide.print(shown, soft_wrap=True)


def matrices(benchmark: Benchmark, figures: Figures) -> list[Table]:
    """Return for each figure the cases that have it, with a column for each system."""
    tables = []
    for name in benchmark.figures:
        for cases in _alike([case for case in figures.cases if case.has(name)]):
            if len(cases) == 1:
                tables.append(of_case(benchmark, cases[0]))
            else:
                tables.append(_matrix(benchmark, name, cases))
    return tables


def _alike(cases: Sequence[Case]) -> list[list[Case]]:
    """Put those together that have a system in common with the first."""
    groups: list[list[Case]] = []
    for case in cases:
        for group in groups:
            if group[0].rounds.keys() & case.rounds.keys():
                group.append(case)
                break
        else:
            groups.append([case])
    return groups


def _matrix(benchmark: Benchmark, name: str, cases: Sequence[Case]) -> Table:
    systems = list(dict.fromkeys(system for case in cases for system in case.rounds))
    rows = []
    for case in cases:
        cells = [case.title]
        pairs = {theirs: ours for ours, theirs in benchmark.pairs(case.rounds)}
        for system in systems:
            cell = figure(name).shown(case.median(system, name))
            if system in pairs and name in benchmark.compared_by:
                ratios = ahead(case, pairs[system], system, name)
                cell += f' ({ratio_text(median(ratios))})' if ratios else ''
            cells.append(cell)
        rows.append(cells)
    head = (figure(name).label, *map(name_of, systems))
    return Table(f'{figure(name).label} (and {AHEAD})', head, rows)


def of_rounds(benchmark: Benchmark, cases: Sequence[Case]) -> Table:
    """Return every round of the figures that are compared."""
    rows = [
        [case.title, name_of(system), figure(name).label, ' '.join(shown)]
        for case in cases
        for system in case.rounds
        for name in benchmark.compared_by
        for shown in [[figure(name).shown(each) for each in case.values(system, name)]]
        if shown
    ]
    return Table('', ('case', 'system', 'figure', 'rounds'), rows, words=4)


def slopes(benchmark: Benchmark, figures: Figures) -> Table:
    """Return how the figures that are compared grow with n."""
    rows = []
    for title, cases in figures.series().items():
        if cases[0].axis != COUNT:
            continue
        for name in benchmark.compared_by:
            for system in figures.systems():
                points = curve(cases, system, name)
                found = slope(points)
                if found is not None:
                    sizes = f'{points[0][0]:,} to {points[-1][0]:,}'
                    label = figure(name).label
                    rows.append(
                        [title, label, name_of(system), sizes, f'{round(found, 2) + 0:.2f}']
                    )
    return Table('Slopes', ('case', 'figure', 'system', 'n', 'slope'), rows, words=3)


def of_targets(results: Results) -> Table:
    rows = [target.row(results) for target in TARGETS]
    return Table('Targets', TARGETS_HEAD, rows)


def of_losses(results: Results) -> Table:
    """Return all comparisons in which ours is behind."""
    rows = [
        [
            loss.benchmark.title,
            loss.case,
            figure(loss.figure).label,
            system_title(loss.ours),
            system_title(loss.theirs),
            loss.shown,
            f'{sum(ratio < 1 for ratio in loss.ratios)} of {len(loss.ratios)}',
        ]
        for loss in losses(results)
    ]
    head = ('benchmark', 'case', 'figure', 'ours', 'theirs', 'ratio', 'rounds behind')
    return Table('Where we lose', head, rows, words=5)


def of_runs(results: Results) -> Table:
    """Return when and how each was measured."""
    rows = []
    for each, figures in measured(results):
        about = figures.about
        arguments = ' '.join(about.get('arguments', []))
        commit = (about.get('commit') or '–')[:10]
        rows.append([each.title, about.get('date', '–'), commit, f'{each.command} {arguments}'])
    return Table('Runs', ('benchmark', 'date', 'commit', 'command'), rows, words=4)
