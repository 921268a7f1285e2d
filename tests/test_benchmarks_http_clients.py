"""Every HTTP client that is there reads what nginx sends, and what it says is what is shown."""

import io
import json

import pytest
from dbservers import program
from rich.console import Console

from benchmarks import http_clients
from benchmarks.http_client_worker import CLIENTS
from benchmarks.process import BenchmarkError


def rounds(*rates, cpu=100.0):
    return [http_clients.Round(rate, cpu) for rate in rates]


def test_rows_have_medians_and_medians_of_ratios():
    measured = {'aiohttp': rounds(1000, 4000, 2000, cpu=200.0), 'HttpClient': rounds(*[4000] * 3)}
    assert list(http_clients.rows(measured)) == [
        ['HttpClient', '4,000', '1.00', '100'],
        ['aiohttp', '2,000', '2.00', '200'],
    ]


@pytest.fixture(scope='module')
def port():
    program('nginx-light', 'nginx')
    with http_clients.nginx() as port:
        yield port


@pytest.mark.parametrize('name', [name for name in CLIENTS if http_clients.is_there(name)])
def test_a_client_reads_responses(name, port):
    url = f'http://127.0.0.1:{port}/13b'
    for connections in (1, 3):
        assert http_clients.measure(name, url, connections, 0.1).responses_per_second > 0


def test_a_client_that_fails_is_no_figure(port):
    with pytest.raises(BenchmarkError, match='HttpClient failed'):
        http_clients.measure('HttpClient', 'http://127.0.0.1:1/', 1, 0.1)


def test_the_command_writes_every_round(tmp_path):
    program('nginx-light', 'nginx')
    path = tmp_path / 'clients.json'
    arguments = '--clients HttpClient --cases 13b --connections 2 --rounds 1 --seconds 0.1'
    assert http_clients.main([*arguments.split(), '--json', str(path)]) == 0
    assert len(json.loads(path.read_text())['cases']['13b, 2 connections']['HttpClient']) == 1
    shown = Console(file=io.StringIO(), width=80)
    http_clients.show(http_clients.load(path), shown)
    assert 'HttpClient' in shown.file.getvalue()
