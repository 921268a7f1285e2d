"""Make the report of what lies in benchmarks/results: ``python -m benchmarks.report``.

    results/*.json ---- figures.py ---- comparisons.py, targets.py
                            |                  |
                         plot.py           tables.py
                            |                  |
    docs/report/            +----- report.py --+       README.md, docs/performance.rst

The report has everything, in Markdown and in HTML. In the README and the documentation, what stands
between ``figures: NAME`` and ``figures: end`` is replaced by the tables of that name, or if it says
``figures: NAME: CASE`` by that of one case. No figure is ever copied by hand.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

from . import tables
from .catalogue import BENCHMARKS, Benchmark, measured
from .comparisons import comparisons, losses
from .document import Document, Picture, anchor
from .figures import COUNT, Figures, Results, read_all
from .targets import MISSED, REACHED, UNKNOWN, count

TOP = Path(__file__).parent.parent
RESULTS = TOP / 'benchmarks' / 'results'
FOLDER = TOP / 'docs' / 'report'
PAGES = tuple(TOP / page for page in ('README.md', 'docs/performance.rst', 'docs/howto/tls.rst'))
MARKS = re.compile(
    r'(figures: (\w+)(?:: ([^\n]+?))?(?: -->)?\n)(.*?)(\n[^\n]*figures: end)', re.DOTALL
)

CONDITIONS = {
    'machine': 'System',
    'cpu': 'Processor',
    'cores': 'Cores',
    'memory': 'Memory',
    'descriptors': 'Descriptors that a process may have',
    'python': 'Python',
    'pypy': 'PyPy',
}
INTRODUCTION = (
    'Everything here is made from the JSON files in `benchmarks/results` by '
    '`python -m benchmarks.report`; nobody has written a figure by hand. A figure is the median '
    'of its rounds, in which the systems took turns. **Ours to it** is the median of the ratios '
    'within the rounds, and in brackets the smallest and the largest, always turned so that '
    '**above 1 ours is ahead and below 1 it is behind**. Requests per second depend on what else '
    'the machine does and on which cores two processes meet; CPU time is the figure to trust.'
)


def load(folder: Path = RESULTS) -> Results:
    """Read all that has been measured."""
    return read_all(folder, [each.name for each in BENCHMARKS])


def compose(results: Results, pictures: dict[str, list[Picture]]) -> Document:
    """Return the report of *results*, with the *pictures* of each benchmark."""
    document = Document('What gruvi_cffi costs, beside others')
    document.text(INTRODUCTION)
    there = list(measured(results))
    titles = [each.title for each, _ in there]
    titles = ['Targets', 'Where we lose', *titles, 'How it was measured']
    document.items([f'[{title}](#{anchor(title)})' for title in titles], contents=True)
    _targets(document, results)
    _losses(document, results)
    for each, figures in there:
        _benchmark(document, each, figures, pictures.get(each.name, []))
    _conditions(document, results)
    return document


def _targets(document: Document, results: Results) -> None:
    document.heading('Targets')
    document.text(targets_in_words(results))
    document.table(tables.of_targets(results))


def targets_in_words(results: Results) -> str:
    found = count(results)
    return (
        f'Of {sum(found.values())} targets, {found[REACHED]} are reached, {found[MISSED]} are '
        f'missed, and {found[UNKNOWN]} are not measured. These are ratios of the figure itself, '
        'ours to theirs: of times and sizes, less is better.'
    )


def losses_in_words(results: Results) -> str:
    total, behind = sum(1 for _ in comparisons(results)), losses(results)
    by_name = Counter(loss.benchmark.title for loss in behind)
    where = ', '.join(f'{title} {number}' for title, number in by_name.most_common())
    return f'Ours is behind in {len(behind)} of {total} comparisons: {where or "nowhere"}.'


def _losses(document: Document, results: Results) -> None:
    document.heading('Where we lose')
    document.text(f'{losses_in_words(results)} The worst is first.')
    table = tables.of_losses(results)
    document.details(f'All {len(table.rows)} of them', lambda: document.table(table))


def _benchmark(
    document: Document, each: Benchmark, figures: Figures, pictures: list[Picture]
) -> None:
    document.heading(each.title)
    document.text(each.compared)
    document.pictures(pictures)
    for table in tables.of_benchmark(each, figures):
        document.table(table)
    if any(case.axis == COUNT for case in figures.cases):
        document.text('The slope is the exponent of growth: 0 is flat, 1 linear, 2 quadratic.')
        document.table(tables.slopes(each, figures))
    for title, errors in figures.about.get('errors', {}).items():
        for system, error in errors.items() if isinstance(errors, dict) else [('', errors)]:
            document.text(f'**Failed**, {title} {system}: {error}')
    document.details('All rounds', lambda: document.table(tables.of_rounds(each, figures.cases)))


def _conditions(document: Document, results: Results) -> None:
    document.heading('How it was measured')
    document.text(
        'Each system runs in a process of its own, with the load in another. They take turns in '
        'short rounds, in an order that rotates, and those whose turn it is not are stopped. To '
        'repeat it, on Debian, from a clone:'
    )
    document.commands(
        'make bench-all', 'python -m benchmarks --list', 'python -m benchmarks --quick'
    )
    for line in conditions(results):
        document.text(line)
    document.table(tables.of_runs(results))


def conditions(results: Results) -> list[str]:
    """Return on what it was measured, each different answer once."""
    lines = []
    for key, title in CONDITIONS.items():
        answers = dict.fromkeys(
            str(each.about[key]) for each in results.values() if each.about.get(key)
        )
        if answers:
            lines.append(f'**{title}**: {"; ".join(answers)}')
    versions: dict[str, dict[str, None]] = {}
    for each in results.values():
        for name, version in each.about.get('versions', {}).items():
            versions.setdefault(name, {})[version] = None
    shown = ', '.join(f'{name} {" and ".join(found)}' for name, found in sorted(versions.items()))
    return [*lines, f'**Versions**: {shown}']


def piece(results: Results, name: str, case: str | None) -> list[tables.Table] | str:
    """Return what stands between marks for *name*.

    :raises LookupError: there is no such benchmark.
    """
    if name == 'targets':
        return [tables.of_targets(results)]
    if name == 'losses':
        return losses_in_words(results)
    for each, figures in measured(results):
        if each.name == name:
            return main_tables(each, figures, case)
    if name in [each.name for each in BENCHMARKS]:
        return f'Not measured yet: python -m benchmarks --only {name}'
    raise LookupError(f'there is a place for the figures of {name}, which is no benchmark')


def main_tables(each: Benchmark, figures: Figures, title: str | None) -> list[tables.Table]:
    """Return the table of one case, or those of the cases that stand for the others."""
    if each.matrix and title is None:
        return tables.matrices(each, figures)
    titles = each.main if title is None else (title,)
    cases = [figures.case(title) for title in titles]
    return [tables.of_case(each, case) for case in cases if case is not None]


def filled(page: Path, results: Results) -> str:
    """Return the text of *page* with all figures in their places.

    :raises LookupError: it has marks for what there is not.
    """

    def fill(found: re.Match[str]) -> str:
        text = piece(results, found[2], found[3])
        if not isinstance(text, str):
            markup = 'markdown' if page.suffix == '.md' else 'rst'
            text = '\n'.join(getattr(table, markup)() for table in text)
        return f'{found[1]}\n{text.rstrip()}\n{found[5]}'

    return MARKS.sub(fill, page.read_text())


def write(results: Results, folder: Path) -> None:
    """Write the report with its pictures into *folder*."""
    from .plot import draw  # matplotlib is not on every Python that the tables are tested on

    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob('*.svg'):
        old.unlink()
    pictures = {each.name: draw(each, figures, folder) for each, figures in measured(results)}
    document = compose(results, pictures)
    (folder / 'README.md').write_text(document.markdown())
    (folder / 'report.html').write_text(document.html())


def publish(folder: Path = RESULTS) -> Path:
    """Write the report of the figures in *folder*, and return its page.

    If they are those of the repository, the README and the documentation get theirs, too.
    """
    results = load(folder)
    into = FOLDER if folder == RESULTS else folder / 'report'
    write(results, into)
    if folder == RESULTS:
        for page in PAGES:
            page.write_text(filled(page, results))
    return into / 'report.html'


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog='python -m benchmarks.report')
    parser.description = (__doc__ or '').partition('\n')[0]
    parser.add_argument('--results', type=Path, default=RESULTS, help='the folder with the JSON')
    options = parser.parse_args(arguments)
    print(publish(options.results))
    return 0


if __name__ == '__main__':
    sys.exit(main())
