"""Every HTTP server that is there answers the load, and what wrk says is what is shown."""

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

from benchmarks import http
from benchmarks.http_servers import BODY, LARGE, SERVERS, command_of, is_there, unchecked
from benchmarks.process import BenchmarkError, Server

SAID = """Running 2s test @ http://127.0.0.1:8201/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.13ms    1.02ms  20.11ms   91.31%
  60000 requests in 2.00s, 8.01MB read
Requests/sec:  30000.50
Transfer/sec:      4.00MB
quantile 50 1950
quantile 90 3000
quantile 99 6500
quantile 99.9 20000
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
    assert round_ == http.Round(30000.5, pytest.approx(10.0), 1024, 1950, 3000, 6500, 20000)


@pytest.mark.parametrize(
    'said',
    [
        '',
        SAID.replace('60000 requests', '64 requests'),
        SAID.replace('quantile 99 6500\n', ''),
        SAID + '  Non-2xx or 3xx responses: 5\n',
        SAID + '  Socket errors: connect 0, read 1, write 0, timeout 0\n',
    ],
)
def test_what_went_wrong_is_no_figure(said):
    with pytest.raises(BenchmarkError, match='x: '):
        http.read('x', said, 64, 0.6, 1024)


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


@pytest.mark.parametrize('case', ['new', 'post', 'pipeline', 'close'])  # that have a script
def test_a_case_is_measured(case, ours):
    round_ = http.measure(ours, f'http://127.0.0.1:{ours.port}', case, 2, 1)
    assert round_.requests_per_second > 0


@pytest.fixture(scope='module')
def ours():
    program('wrk', 'wrk')
    with closing(Server('gruvi', command_of('gruvi'))) as server:
        yield server


def test_the_command_writes_every_round(tmp_path, capsys):
    program('wrk', 'wrk')
    path = tmp_path / 'http.json'
    arguments = '--quick --servers gruvi --cases hello --connections 2 --rounds 1 --seconds 1'
    assert http.main([*arguments.split(), '--idle', '10', '--json', str(path)]) == 0
    assert json.loads(path.read_text())['arguments'][0] == '--quick'
    known = json.loads(path.read_text())
    (round_,) = known['cases']['hello, 2 connections']['gruvi']
    assert round_['p50_us'] <= round_['p90_us'] <= round_['p99_us'] <= round_['p999_us']
    assert known['cases'][http.IDLE]['gruvi'][0]['kept_bytes'] >= 0
    assert known['errors'] == {}
    shown = capsys.readouterr().out
    assert shown.count('gruvi_cffi') == 2


def test_a_server_that_fails_has_no_figures_and_is_named(tmp_path, monkeypatch):
    program('wrk', 'wrk')
    path = tmp_path / 'http.json'
    arguments = '--servers gruvi --cases hello --connections 2 --rounds 1 --idle 0'
    monkeypatch.setattr(http, 'command_of', lambda name, pem: [sys.executable, '-c', REFUSING])
    assert http.main([*arguments.split(), '--json', str(path)]) == 0
    known = json.loads(path.read_text())
    assert known['cases'] == {'hello, 2 connections': {}}
    assert 'gruvi: ' in known['errors']['hello, 2 connections']['gruvi']
