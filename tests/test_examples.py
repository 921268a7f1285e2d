"""The programs in examples/, each in a process of its own, over real sockets."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / 'examples'
PATIENCE = 30  # seconds
LARGE = bytes(range(256)) * 4096 * 3  # more than sockets and watermarks hold

pytestmark = pytest.mark.timeout(3 * PATIENCE)


def command(name, *arguments):
    return [sys.executable, '-W', 'error', str(EXAMPLES / name), *arguments]


@contextlib.contextmanager
def serving(name, *arguments, complaint=''):
    """Run a server on a free port, and yield its address as text.

    SIGINT has to end it well, with nothing on stderr but what matches *complaint*.
    """
    process = subprocess.Popen(
        command(name, '127.0.0.1:0', *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        assert line.startswith('listening on '), process.communicate(timeout=PATIENCE)[1]
        yield line.split()[-1]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert re.fullmatch(complaint, errors), errors
    finally:
        process.kill()
        process.communicate()


def run(name, *arguments, given=b''):
    done = subprocess.run(
        command(name, *arguments), input=given, capture_output=True, timeout=PATIENCE, check=False
    )
    return done.returncode, done.stdout, done.stderr


def unused_address():
    with socket.create_server(('127.0.0.1', 0)) as probe:
        return f'127.0.0.1:{probe.getsockname()[1]}'


@pytest.mark.parametrize('server', ['echo_server.py', 'echo_protocol.py'])
def test_the_servers_send_back_all_of_it_to_one_who_reads_late(server):
    with serving(server) as address:
        host, port = address.split(':')
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as peer:
            peer.setblocking(False)
            sent = 0
            with contextlib.suppress(BlockingIOError):
                while sent < len(LARGE):
                    sent += peer.send(LARGE[sent:])
            peer.settimeout(PATIENCE)
            got = bytearray()
            while len(got) < sent:
                got += peer.recv(65536)
        assert got == LARGE[:sent]


@pytest.mark.parametrize('server', ['echo_server.py', 'echo_protocol.py'])
def test_line_client_prints_the_answers(server):
    with serving(server) as address:
        assert run('line_client.py', address, given=b'one\ntwo\n') == (0, b'one\ntwo\n', b'')


@pytest.mark.parametrize('client', ['line_client.py', 'netcat.py'])
def test_the_clients_say_whom_they_could_not_reach(client):
    address = unused_address()
    wanted = f'could not connect to {address}: connection refused\n'.encode()
    assert run(client, address) == (1, b'', wanted)


def test_netcat_copies_both_ways_and_ends_after_the_server():
    with serving('echo_server.py') as address:
        assert run('netcat.py', address, given=LARGE) == (0, LARGE, b'')


def test_tcp_proxy_passes_on_both_ways_with_the_end():
    with serving('echo_server.py') as target, serving('tcp_proxy.py', target) as address:
        assert run('netcat.py', address, given=LARGE) == (0, LARGE, b'')


def test_tcp_proxy_closes_what_it_cannot_pass_on_and_says_so():
    target = unused_address()
    complaint = f'gave up a connection: could not connect to {target}: connection refused\n'
    with serving('tcp_proxy.py', target, complaint=complaint) as address:
        assert run('netcat.py', address, given=b'') == (0, b'', b'')
