"""Every HTTP server that is there answers the load, and what wrk says is what is shown."""

import io
import json
import os
import signal
import socket
import sys
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection

import psutil
import pytest
from dbservers import program
from rich.console import Console

from benchmarks import http, report
from benchmarks.http_servers import BODY, LARGE, SERVERS, command_of, is_there, unchecked
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

THERE = [name for name in SERVERS if is_there(name)]
POSTED = bytes(range(256)) * 256
# Its worker has spent some time and holds some memory, and tells its process id.
WITH_A_WORKER = """
import os, socket, sys, time
listener = socket.create_server(('127.0.0.1', 0))
if os.fork() == 0:
    kept = bytearray(b'x' * (64 << 20))
    while time.process_time() < 0.2:
        pass
    print(listener.getsockname()[1], flush=True)
    while True:
        listener.accept()[0].sendall(str(os.getpid()).encode())
time.sleep(1000)
"""
REFUSING = """
import socket
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
while True:
    listener.accept()[0].close()
"""


def test_what_wrk_says_is_read():
    round_ = http.read('x', SAID, 64, 0.6, 1024)
    assert round_ == http.Round(30000.5, pytest.approx(10.0), 6500.0, 1024)


@pytest.mark.parametrize(
    'said',
    [
        '',
        SAID.replace('60000 requests', '64 requests'),
        SAID + '  Non-2xx or 3xx responses: 5\n',
        SAID + '  Socket errors: connect 0, read 1, write 0, timeout 0\n',
    ],
)
def test_what_went_wrong_is_no_figure(said):
    with pytest.raises(BenchmarkError, match='x: '):
        http.read('x', said, 64, 0.6, 1024)


def rounds(*rates, cpu=10.0):
    return [http.Round(rate, cpu, 1000.0, 2**20) for rate in rates]


def test_rows_have_medians_and_medians_of_ratios():
    measured = {'node': rounds(10_000, 40_000, 20_000, cpu=20.0), 'gruvi': rounds(*[20_000] * 3)}
    assert http.lines(measured) == [
        ['gruvi', '20,000', '1.00', '1.00–1.00', '10.0', '1.0', '1'],
        ['node', '20,000', '1.00', '0.50–2.00', '20.0', '1.0', '1'],
    ]
    assert http.lines({'node': rounds(1)})[0][2:4] == ['–', '–']


@pytest.fixture(scope='module')
def pem(tmp_path_factory):
    return http.certificate(tmp_path_factory.mktemp('pem'))


def answers(connection):
    """Return what a server of http_servers answers, with its connection kept."""
    with closing(connection):
        for method, path, body in [('GET', '/', b''), ('GET', '/10k', b''), ('POST', '/', POSTED)]:
            connection.request(method, path, body)
            response = connection.getresponse()
            yield response.status, response.read()


@pytest.mark.parametrize(
    ('name', 'tls'),
    [(name, tls) for name in THERE for tls in (False, True) if name in http.servers_for(tls)],
)
def test_a_server_answers(name, tls, pem):
    with closing(Server(name, command_of(name, pem if tls else None))) as server:
        if tls:
            connection = HTTPSConnection('127.0.0.1', server.port, context=unchecked())
        else:
            connection = HTTPConnection('127.0.0.1', server.port)
        assert list(answers(connection)) == [(200, BODY), (200, LARGE), (200, POSTED)]
        http.bytes_per_connection(server, 3, http.asker(tls))  # so few weigh nothing
        assert server.cpu_seconds() > 0


def test_what_workers_spend_and_hold_counts():
    with closing(Server('two', [sys.executable, '-c', WITH_A_WORKER])) as server:
        assert server.cpu_seconds() >= 0.2
        assert server.unique_bytes() >= 64 << 20
        server.sleep()
        with server.awake():
            with socket.create_connection(('127.0.0.1', server.port)) as sock:
                pid = int(sock.recv(100))
        assert psutil.Process(pid).status() == 'stopped'
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(BenchmarkError, match='has lost a worker'):
            while True:
                server.cpu_seconds()


@pytest.mark.parametrize('case', ['post', 'pipeline', 'close'])  # that have a script
def test_a_case_is_measured(case, ours):
    round_ = http.measure(ours, f'http://127.0.0.1:{ours.port}', case, 2, 1)
    assert round_.requests_per_second > 0


@pytest.fixture(scope='module')
def ours():
    program('wrk', 'wrk')
    with closing(Server('gruvi', command_of('gruvi'))) as server:
        yield server


def test_the_command_writes_every_round(tmp_path):
    program('wrk', 'wrk')
    path = tmp_path / 'http.json'
    arguments = '--quick --servers gruvi --cases hello --connections 2 --rounds 1 --seconds 1'
    assert http.main([*arguments.split(), '--idle', '10', '--json', str(path)]) == 0
    assert json.loads(path.read_text())['arguments'][0] == '--quick'
    results = http.load(path)
    assert len(results.cases['hello, 2 connections']['gruvi']) == 1
    assert len(results.idle['gruvi']) == 1
    assert results.errors == []
    shown = Console(file=io.StringIO(), width=100)
    http.show_all(results, shown)
    assert shown.file.getvalue().count('gruvi') == 2


def test_a_server_that_fails_has_no_figures_and_is_named(tmp_path, monkeypatch):
    program('wrk', 'wrk')
    path = tmp_path / 'http.json'
    arguments = '--servers gruvi --cases hello --connections 2 --rounds 1 --idle 0'
    monkeypatch.setattr(http, 'command_of', lambda name, pem: [sys.executable, '-c', REFUSING])
    assert http.main([*arguments.split(), '--json', str(path)]) == 0
    results = http.load(path)
    assert results.cases == {'hello, 2 connections': {}}
    assert 'hello, 2 connections: gruvi: ' in results.errors[0]


def test_the_docs_have_what_was_measured():
    results = http.load(report.RESULTS / 'http.json')
    assert report.http_for_docs(results) in report.PERFORMANCE.read_text()
    assert report.http_for_readme(results) in (report.TOP / 'README.md').read_text()
