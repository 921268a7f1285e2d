"""What the reports say is what was measured."""

from __future__ import annotations

import argparse
import importlib
import json
import re
from contextlib import closing
from dataclasses import replace

import pytest

from benchmarks import echo, report, tables
from benchmarks.about import about, count, duration, rate, target, whole
from benchmarks.catalogue import BENCHMARKS, measured
from benchmarks.comparisons import losses
from benchmarks.document import Picture
from benchmarks.figures import slope
from benchmarks.measure import Load, measure
from benchmarks.process import Server
from benchmarks.rounds import Rounds
from benchmarks.targets import TARGETS, Target
from benchmarks.targets import count as verdicts_of
from benchmarks.units import figure


def rounds(*rates, cpu=10.0, p50=100.0, p99=200.0, p999=300.0, peak=2**20):
    return [
        {
            'requests_per_second': each,
            'cpu_us': cpu,
            'p50_us': p50,
            'p99_us': p99,
            'p999_us': p999,
            'peak_bytes': peak,
        }
        for each in rates
    ]


ECHO = {
    '100 connections, 1 KiB': {
        'libuv': rounds(100_000, 200_000, 80_000, cpu=5.0),
        'gruvi-protocol': rounds(90_000, 100_000, 80_000, cpu=7.25, p50=1234.5, peak=3 * 2**20),
        'uvloop-protocol': rounds(45_000, 50_000, 40_000, cpu=8.0, p99=5000.0),
    }
}
ABOUT = {'date': '2026-01-02', 'commit': 'c0ffee' * 7, 'arguments': ['--x'], 'python': '3.11',
         'machine': 'a machine', 'versions': {'uvloop': '0.1'}}  # fmt: skip


@pytest.fixture
def results(tmp_path):
    """Return what is read of the cases of benchmarks that have been written."""

    def make(**benchmarks):
        folder = tmp_path / 'results'
        folder.mkdir(exist_ok=True)
        for name, cases in benchmarks.items():
            (folder / f'{name}.json').write_text(json.dumps({**ABOUT, 'cases': cases}))
        return report.load(folder)

    return make


def of_case(results, name='echo'):
    ((benchmark, figures),) = (each for each in measured(results) if each[0].name == name)
    return tables.of_case(benchmark, figures.cases[0])


def test_a_table_has_medians_and_how_far_ours_is_ahead(results):
    table = of_case(results(echo=ECHO))
    assert table.head[:5] == ('', 'requests/s', 'ours to it', 'CPU µs each', 'ours to it')
    assert [row[:5] for row in table.rows] == [
        ['plain C on libuv', '100,000', '0.90 (0.50–1.00)', '5.00', '0.69 (0.69–0.69)'],
        ['**gruvi_cffi Protocol**', '90,000', '–', '7.25', '–'],
        ['uvloop Protocol', '45,000', '2.00 (2.00–2.00)', '8.00', '1.10 (1.10–1.10)'],
    ]


def test_there_is_no_ratio_to_what_was_not_measured(results):
    title, measured_ = next(iter(ECHO.items()))
    (row,) = of_case(results(echo={title: {'libuv': measured_['libuv']}})).rows
    assert row[2] == row[4] == '–'


def test_sizes_of_one_curve_are_in_one_table(results):
    cases = {
        f'post, {number} connections': {'gruvi': rounds(2), 'node': rounds(1)} for number in (64, 8)
    }
    ((benchmark, figures),) = measured(results(http=cases))
    (table,) = tables.of_benchmark(benchmark, figures)
    assert table.title == 'post'
    assert [row[:2] for row in table.rows] == [
        ['8', '**gruvi_cffi**'], ['', 'node.js'], ['64', '**gruvi_cffi**'], ['', 'node.js'],
    ]  # fmt: skip


MICRO = {
    'spawn + join a fiber': {
        'gruvi_cffi': [{'wall_ns': each} for each in (2000.0, 4000.0, 3000.0)],
        'asyncio': [{'wall_ns': each} for each in (6000.0, 6000.0, 6000.0)],
    },
    'sleep(0), 2 fibers': {'gruvi_cffi': [{'wall_ns': 1.0}]},
    'a connection that is idle': {'gruvi-protocol': [{'kept_bytes': 1280.0}]},
}


def test_small_programs_are_beside_ours(results):
    ((benchmark, figures),) = measured(results(micro=MICRO))
    times, idle = tables.matrices(benchmark, figures)
    assert list(times.rows) == [
        ['spawn + join a fiber', '3.00', '6.00 (2.00)'],
        ['sleep(0), 2 fibers', '0.0010', '–'],
    ]
    assert list(idle.rows) == [['**gruvi_cffi Protocol**', '1.25', '–']]


def test_a_slope_is_the_exponent_of_growth(results):
    assert slope([(10, 5), (100, 50), (1000, 500)]) == pytest.approx(1)
    assert slope([(10, 3), (100, 300)]) == pytest.approx(2)
    assert slope([(10, 7), (1000, 7)]) == pytest.approx(0)
    assert slope([(10, 7)]) is None
    cases = {
        f'park, n={size}': {'gruvi': [{'wake_us': cost}]}
        for size, cost in ((100, 1.0), (10_000, 10.0))
    }
    figures = results(echo=cases)['echo']
    (row,) = tables.slopes(replace(BENCHMARKS[0], compared_by=('wake_us',)), figures).rows
    assert row == ['park', 'wake µs', '**gruvi_cffi**', '100 to 10,000', '0.50']


def test_a_figure_that_nobody_knows_tells_its_unit_itself():
    assert figure('spawn_us').shown(1234.5) == '1,234'
    assert figure('bytes_per_fiber').label == 'KiB per fiber'
    assert figure('bytes_per_fiber').shown(2048) == '2.00'
    assert figure('accepts_per_second').label == 'accepts/s'
    assert figure('accepts_per_second').ahead(2) == 2
    assert figure('wake_us').ahead(2) == 0.5
    assert figure('wake_us').shown(None) == '–'


def test_targets_have_a_verdict(results):
    found = results(echo=ECHO)
    verdicts = {target.what: target.row(found)[1:] for target in TARGETS}
    assert verdicts['echo 1 KiB, Protocol / uvloop Protocol'] == ['at least 1', '2.00', 'reached']
    assert verdicts['echo 1 KiB, Stream / gevent'] == ['at least 1.8', '–', 'not measured']
    assert verdicts_of(found)['reached'] == 2
    slower = {'100 connections, 1 KiB': {**ECHO['100 connections, 1 KiB']}}
    slower['100 connections, 1 KiB']['gruvi-protocol'] = rounds(1, 1, 1)
    assert verdicts_of(results(echo=slower)) == {**verdicts_of(found), 'reached': 0, 'missed': 2}


def test_a_target_may_be_of_ours_alone(results):
    cases = {f'idle, n={size}': {'gruvi': [{'p99_us': size}]} for size in (1000, 3000)}
    found = results(echo=cases)
    grows = Target('', 'echo', 'idle, n=3000', 'p99_us', 'gruvi', None, 'at most', 2,
                   to_case='idle, n=1000')  # fmt: skip
    assert (grows.reached(found), grows.verdict(found)) == (3, 'missed')
    bound = replace(grows, to_case=None, bound=3500, unit='µs')
    assert bound.row(found) == ['', 'at most 3500 µs', '3,000 µs', 'reached']


def test_where_we_lose_is_found_and_not_told(results):
    behind = losses(results(echo=ECHO))
    assert [(each.theirs, each.figure) for each in behind] == [
        ('libuv', 'cpu_us'),
        ('libuv', 'requests_per_second'),
    ]
    assert tables.of_losses(results(echo=ECHO)).rows[1][-1] == '2 of 3'
    assert 'behind in 2 of 4' in report.losses_in_words(results(echo=ECHO))


def test_the_report_says_all_of_it_in_markdown_and_html(results):
    document = report.compose(results(echo=ECHO, micro=MICRO), {'echo': [Picture('a.svg', 'one')]})
    for text in (document.markdown(), document.html()):
        for words in (
            'a machine', 'uvloop 0.1', 'c0ffeec0ff', '2026-01-02', 'a.svg', 'make bench-all',
            'benchmarks.echo --x', '100,000 200,000 80,000', '0.90 (0.50–1.00)',
        ):  # fmt: skip
            assert words in text
        assert text.index('Where we lose') < text.index('Echo over TCP')
    assert '| plain C on libuv | 100,000 |' in document.markdown()
    assert '<tr class="ours"><td><b>gruvi_cffi Protocol</b>' in document.html()


def test_links_within_the_report_lead_somewhere(results):
    page = report.compose(results(echo=ECHO, micro=MICRO), {}).html()
    links = re.findall(r'href="#([^"]+)"', page)
    assert len(links) == 5
    assert set(links) <= set(re.findall(r'id="([^"]+)"', page))


def test_what_is_written_is_escaped(results):
    table = tables.Table('', ('a', '<b>'), [['"x"', '1 & 2']])
    assert '&lt;b&gt;' in table.html() and '1 &amp; 2' in table.html()
    assert '"""x""","1 & 2"' in table.rst()


def test_a_failure_is_in_the_report(results):
    found = results(echo=ECHO)
    found['echo'].about['errors'] = {'100 connections': {'gevent-stream': 'it was tired'}}
    assert 'gevent-stream: it was tired' in report.compose(found, {}).markdown()


def test_only_what_is_between_the_marks_is_replaced(results, tmp_path):
    page = tmp_path / 'page.rst'
    page.write_text('before\n.. figures: echo\n\nold\n.. figures: end\nafter\n')
    text = report.filled(page, results(echo=ECHO))
    assert re.fullmatch(r'before\n.. figures: echo\n\n(.*\n)+\n.. figures: end\nafter\n', text), (
        text
    )
    assert 'old' not in text and '"plain C on libuv","100,000"' in text
    page.write_text(text)
    assert report.filled(page, results(echo=ECHO)) == text
    page.write_text('<!-- figures: echo: 100 connections, 1 KiB -->\nx\n<!-- figures: end -->\n')
    assert 'plain C on libuv' in report.filled(page, results(echo=ECHO))
    page.write_text('.. figures: core\n\n.. figures: end\n')
    assert 'Not measured yet' in report.filled(page, results(echo=ECHO))
    page.write_text('.. figures: nothing\n\n.. figures: end\n')
    with pytest.raises(LookupError, match='a place for the figures of nothing'):
        report.filled(page, results(echo=ECHO))


@pytest.mark.parametrize('page', report.PAGES, ids=lambda page: page.name)
def test_the_documentation_has_the_figures_that_lie_there(page):
    text = page.read_text()
    assert len(report.MARKS.findall(text)) >= 3
    assert report.filled(page, report.load()) == text


def test_the_report_that_lies_there_is_of_the_figures_that_lie_there():
    written = (report.FOLDER / 'README.md').read_text()
    names = re.findall(r'<img src="([^"]+)"', written)
    assert all((report.FOLDER / name).is_file() for name in names)
    without = re.sub(r'(<img [^>]+>\n)+\n', '', written)
    assert without == report.compose(report.load(), {}).markdown()


def test_every_benchmark_can_be_run_as_the_catalogue_says():
    for each in BENCHMARKS:
        module = importlib.import_module(each.command)
        assert callable(module.main)
        for case in each.main:
            found = report.load().get(each.name)
            assert found is None or found.case(case)


def test_ratios_are_of_neighbours_in_time():
    one = Rounds()
    for name, values in (('a', (1, 20, 3)), ('b', (2, 10, 6))):
        one.of[name] = [argparse.Namespace(rate=value) for value in values]
    assert one.ratio('a', 'b', lambda round_: round_.rate) == 0.5
    assert one.median('a', lambda round_: round_.rate) == 3
    assert one.ratio('a', 'nobody', lambda round_: round_.rate) is None


SPENDING = """
import asyncio, time

class Spending(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.kept = bytearray(64 << 20)

    def data_received(self, data):
        until = time.process_time() + 0.005
        while time.process_time() < until:
            pass
        self.transport.write(data)

async def main():
    server = await asyncio.get_running_loop().create_server(Spending, '127.0.0.1', 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""


def test_what_a_server_spends_is_what_is_measured():
    import sys

    with closing(Server('spending', [sys.executable, '-c', SPENDING])) as server:
        figures = measure(server, Load(1, 64, 0.5))
    assert 4_500 <= figures.cpu_us <= 50_000
    assert figures.p50_us >= 5_000
    assert figures.peak_bytes >= 64 << 20


def test_a_server_sleeps_until_it_is_measured():
    with closing(Server('asyncio-protocol', None)) as server:
        server.sleep()
        with server.awake():
            assert measure(server, Load(1, 64, 0.1)).requests_per_second > 0
        assert server._family[0].status() == 'stopped'


@pytest.mark.parametrize(
    ('kind', 'good', 'bad'),
    [
        (whole, '1', ['0', '-1', 'x', '1.5']),
        (count, '0', ['-1', 'x']),
        (duration, '0.5', ['0', '-1', 'nan', 'x']),
        (rate, '0', ['-1', 'nan', 'x']),
        (target, 'README.md', ['/nonexistent/file', 'docs']),
    ],
    ids=lambda value: getattr(value, '__name__', ''),
)
def test_numbers_that_make_no_sense_are_refused(kind, good, bad):
    kind(good)
    for text in bad:
        with pytest.raises((argparse.ArgumentTypeError, ValueError)):
            kind(text)


def test_bad_arguments_are_named(capsys):
    for arguments, words in (
        (['--rounds', '0'], 'need 1 or more'),
        (['--seconds', '0'], 'need 0.01 seconds'),
        (['--json', '/nonexistent/file'], 'cannot write'),
        (['--busy'], 'no Python thread'),
    ):
        with pytest.raises(SystemExit):
            echo.main(arguments)
        assert words in capsys.readouterr().err


def test_figures_say_on_what_they_were_measured():
    known = about(['--quick'])
    assert known['arguments'] == ['--quick']
    assert {'date', 'commit', 'python', 'machine', 'cores', 'versions'} <= set(known)
    assert 'gruvi_cffi' in known['versions']
