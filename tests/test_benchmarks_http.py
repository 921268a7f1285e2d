"""Every HTTP server that is there answers the load, and what wrk says is what is shown."""

import io
import json
from contextlib import closing

import pytest
from dbservers import program
from rich.console import Console

from benchmarks import http, report
from benchmarks.http_servers import SERVERS, command_of, is_there
from benchmarks.process import BenchmarkError, Server

SAID = """Running 2s test @ http://127.0.0.1:8201/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.13ms    1.02ms  20.11ms   91.31%
  Latency Distribution
     50%    1.95ms
     99%    6.50ms
  60000 requests in 2.00s, 8.01MB read
Requests/sec:  30000.50
Transfer/sec:      4.00MB
"""


def test_what_wrk_says_is_read():
    round_ = http.read('x', SAID, 0.6, 1024)
    assert round_ == http.Round(30000.5, pytest.approx(10.0), 6500.0, 1024)


@pytest.mark.parametrize(
    'said',
    [
        '',
        SAID.replace('60000 requests', '0 requests'),
        SAID + '  Non-2xx or 3xx responses: 5\n',
        SAID + '  Socket errors: connect 0, read 1, write 0, timeout 0\n',
    ],
)
def test_what_went_wrong_is_no_figure(said):
    with pytest.raises(BenchmarkError, match='x: '):
        http.read('x', said, 0.6, 1024)


def rounds(*rates, cpu=10.0):
    return [http.Round(rate, cpu, 1000.0, 2**20) for rate in rates]


def test_rows_have_medians_and_medians_of_ratios():
    measured = {'node': rounds(10_000, 40_000, 20_000, cpu=20.0), 'gruvi': rounds(*[20_000] * 3)}
    assert list(http.rows(measured)) == [
        ['gruvi', '20,000', '1.00', '10.0', '1.0', '1'],
        ['node', '20,000', '1.00', '20.0', '1.0', '1'],
    ]
    assert next(iter(http.rows({'node': rounds(1)})))[2] == '–'


@pytest.mark.parametrize('name', [name for name in SERVERS if is_there(name)])
def test_a_server_answers_all_cases(name):
    program('wrk', 'wrk')
    with closing(Server(name, command_of(name))) as server:
        for case in http.CASES:
            round_ = http.measure(server, f'http://127.0.0.1:{server.port}', case, 2, 1)
            assert round_.requests_per_second > 0


@pytest.mark.parametrize('name', [name for name in SERVERS if is_there(name)])
def test_a_server_answers_over_tls(name, tmp_path):
    program('wrk', 'wrk')
    with closing(Server(name, command_of(name, http.certificate(tmp_path)))) as server:
        round_ = http.measure(server, f'https://127.0.0.1:{server.port}', 'hello', 2, 1)
        assert round_.requests_per_second > 0


def test_the_command_writes_every_round(tmp_path):
    program('wrk', 'wrk')
    path = tmp_path / 'http.json'
    arguments = '--servers gruvi --cases hello --connections 2 --rounds 1 --seconds 1'
    assert http.main([*arguments.split(), '--json', str(path)]) == 0
    assert len(json.loads(path.read_text())['cases']['hello, 2 connections']['gruvi']) == 1
    shown = Console(file=io.StringIO(), width=80)
    http.show(http.load(path), shown)
    assert 'gruvi' in shown.file.getvalue()


def test_the_docs_have_what_was_measured():
    figures = http.load(report.RESULTS / 'http.json')
    assert report.http_for_docs(figures) in report.PERFORMANCE.read_text()
