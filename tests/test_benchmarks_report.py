"""What the reports say is what was measured."""

from __future__ import annotations

import argparse
import json
from contextlib import closing

import pytest

from benchmarks import echo, report
from benchmarks.about import about, count, duration, rate, target, whole
from benchmarks.figures import read
from benchmarks.measure import Load, measure
from benchmarks.process import Server
from benchmarks.rounds import Rounds


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


CASE = {
    'load': {'connections': 100, 'size': 1024, 'rate': 0},
    'rounds': {
        'libuv': rounds(100_000, 200_000, 80_000, cpu=5.0),
        'gruvi-protocol': rounds(90_000, 100_000, 80_000, cpu=7.25, p50=1234.5, peak=3 * 2**20),
        'uvloop-protocol': rounds(45_000, 50_000, 40_000, cpu=8.0, p99=5000.0),
    },
}


@pytest.fixture
def figures(tmp_path):
    def make(**changes):
        case = {**CASE, **changes}
        path = tmp_path / 'figures.json'
        path.write_text(json.dumps({'cases': [case]}))
        return read(path)

    return make


def test_a_table_has_medians_and_medians_of_ratios(figures):
    assert list(report.rows(figures().cases[0])) == [
        ['plain C on libuv', '100,000', '1.00', '5.0', '100', '200', '300', '1'],
        ['**gruvi_cffi Protocol**', '90,000', '0.90', '7.2', '1,234', '200', '300', '3'],
        ['uvloop Protocol', '45,000', '0.45', '8.0', '100', '5,000', '300', '1'],
    ]


def test_there_is_no_ratio_to_what_was_not_measured(figures):
    only = {'gruvi-protocol': CASE['rounds']['gruvi-protocol']}
    (row,) = report.rows(figures(rounds=only).cases[0])
    assert row[2] == '–'
    assert '–' in report.busy_for_docs(figures(rounds=only))
    assert '–' in report.latency_for_docs(figures(rounds=only))


def test_the_readme_has_its_case_and_the_docs_have_all(figures):
    assert '| **gruvi_cffi Protocol** | 90,000 | 0.90 | 7.2 |' in report.echo_for_readme(figures())
    text = report.echo_for_docs(figures())
    assert '.. list-table:: 100 connections, 1 KiB' in text
    assert '   * - uvloop Protocol\n     - 45,000\n     - 0.45\n' in text


def test_latency_is_in_milliseconds_beside_uvloop(figures):
    text = report.latency_for_docs(
        figures(load={'connections': 1000, 'size': 1024, 'rate': 15000.0})
    )
    assert '1,000 connections, 1 KiB, 15,000 requests/s' in text
    assert '   * - uvloop Protocol\n     - 0.1\n     - 5.0\n     - 0.3\n     - 1.00\n' in text
    assert (
        '   * - **gruvi_cffi Protocol**\n     - 1.2\n     - 0.2\n     - 0.3\n     - 0.04\n' in text
    )


def test_small_programs_beside_ours():
    results = {
        'titles': {'spawn': 'spawn + join'},
        'costs': {
            'spawn': {
                'gruvi_cffi': [{'wall': 2000.0}, {'wall': 4000.0}, {'wall': 3000.0}],
                'asyncio': [{'wall': 6000.0}],
            }
        },
        'fibers': {'gruvi_cffi': [7168.0], 'asyncio': [1024.0], 'gevent': [14336.0]},
        'connections': {'gruvi-protocol': [1280.0, 1024.0, 9999.0]},
    }
    text = report.micro_for_docs(results)
    assert '   * - spawn + join\n     - 3.00\n     - 6.00 (2.00)\n     - –\n' in text
    assert '     - 7.00\n     - 1.00 (0.14)\n     - 14.00 (2.00)\n' in text
    assert '   * - **gruvi_cffi Protocol**\n     - 1.25\n' in text


def test_only_what_is_between_the_marks_is_replaced(tmp_path):
    path = tmp_path / 'page'
    path.write_text('before\n.. figures: a\n\nold\n.. figures: end\nafter\n.. figures: b\n')
    report.replace(path, 'a', 'new')
    text = path.read_text()
    assert text.startswith('before\n.. figures: a\n\nnew\n.. figures: end\nafter\n')
    report.replace(path, 'a', 'new')
    assert path.read_text() == text
    with pytest.raises(LookupError, match='no place for the figures of c'):
        report.replace(path, 'c', 'new')


def test_the_documentation_has_the_figures_that_lie_there():
    figures = read(report.RESULTS / 'echo.json')
    assert report.echo_for_readme(figures) in (report.TOP / 'README.md').read_text()
    page = report.PERFORMANCE.read_text()
    assert report.echo_for_docs(figures) in page
    assert report.busy_for_docs(read(report.RESULTS / 'busy.json')) in page
    assert report.latency_for_docs(read(report.RESULTS / 'latency.json')) in page
    assert report.micro_for_docs(json.loads((report.RESULTS / 'micro.json').read_text())) in page


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
