"""The benchmarks measure what they say, and hide no error."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import subprocess
import sys
from contextlib import closing

import pytest
from rich.console import Console

from benchmarks import demo, echo
from benchmarks.measure import Load, bytes_per_connection, measure, run_load
from benchmarks.process import ROOT, BenchmarkError, Server

# Prints its port, takes one connection, answers nothing, and ends.
DYING = """
import socket, sys
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
listener.accept()
sys.exit('out of ideas')
"""
DYING_COMMAND = [sys.executable, '-c', DYING]


class Peer(asyncio.Protocol):
    """Sends back what *change* makes of the bytes."""

    def __init__(self, change=bytes):
        self.change = change
        self.received = 0

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.received += len(data)
        self.transport.write(self.change(data))


class Closing(Peer):
    def data_received(self, data):
        self.transport.close()


def put_load_on(factory, load, path=None):
    """Return the load generator's figures, and the server's protocols."""
    peers = []

    def make():
        peers.append(factory())
        return peers[-1]

    async def run():
        loop = asyncio.get_running_loop()
        if path:
            address, server = path, await loop.create_unix_server(make, path)
        else:
            server = await loop.create_server(make, '127.0.0.1', 0)
            address = f'127.0.0.1:{server.sockets[0].getsockname()[1]}'
        async with server:
            return await asyncio.to_thread(run_load, address, load)

    return asyncio.run(run()), peers


@pytest.mark.parametrize('size', [1, 1024, 300_000])
def test_every_counted_request_was_served(size):
    load = Load(5, size, 0.2, warmup=0)
    figures, peers = put_load_on(Peer, load)
    received = sum(peer.received for peer in peers)
    assert figures['errors'] == 0
    assert len(peers) == 5
    assert all(peer.received for peer in peers)
    assert received % size == 0
    assert 0 < figures['requests'] <= received // size
    assert figures['seconds'] >= 0.2
    assert 0 < figures['p50_us'] <= figures['p90_us'] <= figures['p99_us'] <= figures['p999_us']


def test_messages_are_sent_when_they_are_due():
    figures, peers = put_load_on(Peer, Load(4, 100, 0.5, warmup=0, rate=200))
    assert figures['errors'] == 0
    assert figures['requests'] / figures['seconds'] == pytest.approx(200, rel=0.4)
    assert max(peer.received for peer in peers) - min(peer.received for peer in peers) <= 100


class Hesitant(Peer):
    """Keeps the first message for 0.3 seconds."""

    def data_received(self, data):
        loop = asyncio.get_running_loop()
        loop.call_later(0 if self.received else 0.3, super().data_received, data)
        self.received += 1


def test_who_waits_is_not_left_out_of_the_latency():
    figures, _ = put_load_on(Hesitant, Load(1, 100, 1, warmup=0, rate=100))
    assert figures['errors'] == 0
    assert figures['p50_us'] < 150_000 < figures['p99_us']  # those due meanwhile were late, too
    closed, _ = put_load_on(Hesitant, Load(1, 100, 1, warmup=0))
    assert closed['p99_us'] < 150_000


def test_a_unix_socket_can_be_loaded(tmp_path):
    figures, peers = put_load_on(Peer, Load(3, 64, 0.1, warmup=0), str(tmp_path / 'echo'))
    assert figures['errors'] == 0
    assert figures['requests'] > 0
    assert len(peers) == 3


def test_progress_names_each_phase():
    seen = []
    with closing(Server('asyncio-protocol')) as server:
        run_load(f'127.0.0.1:{server.port}', Load(2, 64, 0.1, warmup=0.1), seen.append)
    phases = [progress.phase for progress in seen]
    assert list(dict.fromkeys(phases)) == ['connecting', 'warming', 'measuring', 'finishing']
    assert seen[-1].connections == 2


def with_last_byte_changed(data):
    return data[:-1] + bytes([data[-1] ^ 1])


def with_one_byte_more(data):
    return data + b'x'


def nothing(data):
    return b''


@pytest.mark.parametrize(
    ('change', 'error'),
    [
        (with_last_byte_changed, 'wrong byte at 99 of 100'),
        (with_one_byte_more, 'more bytes came back than were sent'),
        (nothing, 'only 0 of 100 bytes came back in 0.3 seconds'),
    ],
    ids=['wrong', 'more', 'none'],
)
def test_a_false_echo_is_an_error(change, error):
    figures, _ = put_load_on(lambda: Peer(change), Load(4, 100, 0.2, timeout=0.3))
    assert figures['errors'] == 4
    assert figures['first_error'] == error
    assert figures['requests'] == 0


def test_a_closed_connection_is_an_error():
    figures, _ = put_load_on(Closing, Load(4, 100, 0.2))
    assert figures['errors'] == 4
    assert figures['first_error'] == 'closed by the server after 0 of 100 bytes'


def test_a_dead_server_is_an_error():
    with socket.create_server(('127.0.0.1', 0)) as listener:
        port = listener.getsockname()[1]
    figures = run_load(f'127.0.0.1:{port}', Load(4, 100, 0.2))
    assert figures['errors'] == 4
    assert 'refused' in figures['first_error']


def test_a_load_that_cannot_start_says_why():
    with pytest.raises(BenchmarkError, match='ADDRESS must be host:port or a path'):
        run_load('nonsense', Load(1, 1, 0.1))


def test_a_server_that_ends_under_load_is_named_with_its_last_words():
    ended = pytest.raises(BenchmarkError, match='dying ended with code 1:\nout of ideas')
    with closing(Server('dying', DYING_COMMAND)) as server, ended:
        measure(server, Load(4, 100, 0.2))


def test_a_server_that_ends_while_it_is_weighed_is_named():
    ended = pytest.raises(BenchmarkError, match='dying ended with code 1:\nout of ideas')
    with closing(Server('dying', DYING_COMMAND)) as server, ended:
        bytes_per_connection(server, 4)


def test_a_server_that_does_not_start_is_named_with_its_last_words():
    with pytest.raises(BenchmarkError, match='broken did not start:\nno port left'):
        Server('broken', [sys.executable, '-c', 'raise SystemExit("no port left")'])


def test_cpu_time_of_a_server_grows_with_its_load():
    with closing(Server('asyncio-protocol')) as server:
        before = server.cpu_seconds()
        figures = measure(server, Load(20, 1024, 0.5, warmup=0))
        spent = server.cpu_seconds() - before
    assert figures.cpu_us > 0
    assert figures.cpu_us * figures.requests_per_second * 0.5 / 1e6 <= spent + 0.02


def test_demo_measures_every_server():
    output = io.StringIO()
    console = Console(file=output, width=80)
    result = demo.run(console, seconds=0.6, connections=20, rounds=1)
    demo.show(result, console)
    assert result.rounds.errors == {}
    assert set(result.rounds.of) | set(result.missing) == set(demo.TITLES)
    assert set(result.memory) == set(result.rounds.of)
    for name in result.rounds.of:
        assert demo.TITLES[name] in output.getvalue()
        assert result.rounds.median(name, lambda figures: figures.requests_per_second) > 0


def test_demo_goes_on_without_a_server_that_failed():
    output = io.StringIO()
    console = Console(file=output, width=80)
    names = ('dying', 'asyncio-streams')
    result = demo.run(
        console,
        seconds=0.2,
        connections=5,
        rounds=1,
        names=names,
        commands={'dying': DYING_COMMAND},
    )
    demo.show(result, console)
    assert list(result.rounds.of) == ['asyncio-streams']
    assert list(result.rounds.errors) == ['dying']
    assert 'dying ended with code 1:\nout of ideas' in output.getvalue()


def test_echo_writes_every_round_as_json(tmp_path):
    path = tmp_path / 'echo.json'
    arguments = '--quick --servers asyncio-protocol --reference asyncio-protocol --rounds 2'
    arguments += f' --seconds 0.1 --connections 3 4 --sizes 64 --json {path}'
    assert echo.main(arguments.split()) == 0
    cases = json.loads(path.read_text())['cases']
    assert list(cases) == ['3 connections, 64 B', '4 connections, 64 B']
    assert [len(case['asyncio-protocol']) for case in cases.values()] == [2, 2]


def test_more_connections_than_the_hard_limit_allows_are_refused():
    program = (
        'import resource\n'
        'from benchmarks.process import raise_fd_limit\n'
        'resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))\n'
        'raise_fd_limit(100)\n'
        'raise_fd_limit(101)\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', program], check=False, capture_output=True, text=True, cwd=ROOT
    )
    assert '101 connections need 201 file descriptors, but `ulimit -Hn` is 200' in done.stderr


def test_the_soft_limit_is_raised_to_what_is_needed():
    program = (
        'import resource\n'
        'from benchmarks.process import raise_fd_limit\n'
        'resource.setrlimit(resource.RLIMIT_NOFILE, (200, 400))\n'
        'raise_fd_limit(250)\n'
        'print(resource.getrlimit(resource.RLIMIT_NOFILE))\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', program], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert done.stdout == '(350, 400)\n'
