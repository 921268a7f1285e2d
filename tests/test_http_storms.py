"""Many clients that mean no good: the server stays there for the others, and is as it was when they
have gone. With --long there are as many as attackers have."""

import random
import re
import socket
import subprocess
import sys

import psutil
import pytest

from gruvi_cffi import FiberGroup, StreamClient, TransportError, sleep
from gruvi_cffi.http import HttpOptions, HttpServer, HttpSession

APPLICATION = """\
def application(environ, start_response):
    while environ['wsgi.input'].read(65536):
        pass
    start_response('200 OK', [])
    return [b'hello']
"""
# Bytes that a process may grow for no reason of ours; PyPy compiles meanwhile.
SLACK = (128 if sys.implementation.name == 'pypy' else 8) * 1024 * 1024


class Served:
    """A server in a process of its own."""

    def __init__(self, process, port):
        self.process = process
        self.address = ('127.0.0.1', port)
        self.url = f'http://127.0.0.1:{port}/'
        self._seen = psutil.Process(process.pid)

    @property
    def descriptors(self):
        return self._seen.num_fds()

    @property
    def memory(self):
        return self._seen.memory_info().rss

    def settle(self, descriptors):
        """Wait until there are no more descriptors than that."""
        for _ in range(500):
            if self.descriptors <= descriptors:
                return
            sleep(0.02)
        raise AssertionError(f'{self.descriptors} descriptors, and there were {descriptors}')


@pytest.fixture
def served(tmp_path):
    (tmp_path / 'app.py').write_text(APPLICATION)
    command = [sys.executable, '-m', 'gruvi_cffi', 'serve', 'app:application', '--bind']
    command += ['127.0.0.1:0', '--timeout-header', '1', '--timeout-body', '1']
    with open(tmp_path / 'log', 'w+') as log:
        process = subprocess.Popen(command, cwd=tmp_path, stderr=log)
        while not (found := re.search(r'127\.0\.0\.1:(\d+)', (tmp_path / 'log').read_text())):
            assert process.poll() is None
            sleep(0.02)
        served = Served(process, int(found[1]))
        with HttpSession(keepalive=0, timeout=30) as session:
            session.get(served.url)  # whatever is made once, is there now
        yield served
        process.terminate()
        assert process.wait(30) == 0
    said = (tmp_path / 'log').read_text()
    assert 'Traceback' not in said
    assert 'ERROR' not in said


def be_slow(served, request, wants):
    """Send *request* a byte at a time, until the server has had enough of it."""
    client = StreamClient()
    client.connect(served.address)
    try:
        for at in range(len(request)):
            client.write(request[at : at + 1])
            if client.stream.buffer.get_buffer_size():
                break
            sleep(0.1)
        answer = client.read()
    except TransportError:
        answer = wants  # it was cut while we were writing
    finally:
        client.close()
    assert answer.startswith(wants)
    return True


def ask_on(url, until):
    """Return how many good requests were answered until that."""
    count = 0
    with HttpSession(timeout=30) as session:
        while not until():
            assert session.get(url).content == b'hello'
            count += 1
            sleep(0.005)
    return count


@pytest.mark.timeout(300)
def test_slow_clients_are_sent_away_and_hinder_nobody(served, long):
    before = served.descriptors
    head = b'GET / HTTP/1.1\r\nHost: a.test\r\nX-Slow: ' + b'x' * 100 + b'\r\n\r\n'
    body = b'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000\r\n\r\n' + b'x' * 1000
    with FiberGroup() as group:
        fibers = [
            group.spawn(be_slow, served, request, b'HTTP/1.1 408 ')
            for request in [head, body] * long(100, 500)
        ]
        answered = ask_on(served.url, lambda: not any(fiber.alive for fiber in fibers))
    assert all(fiber.result() for fiber in fibers)
    assert answered > 20
    served.settle(before)


def break_off(served, chance):
    """Send a part of a request, or all of it, and reset the connection."""
    request = b'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 50000\r\n\r\n' + b'x' * 50000
    linger = b'\1\0\0\0\0\0\0\0'
    with socket.create_connection(served.address) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        client.send(request[: chance.randrange(len(request))])


@pytest.mark.timeout(300)
def test_clients_that_break_off_leave_nothing(served, long):
    before = served.descriptors
    chance = random.Random(7)
    with HttpSession(timeout=30) as session:
        for n in range(long(1000, 10_000)):
            break_off(served, chance)
            if n % 20 == 0:
                assert session.get(served.url).content == b'hello'
            if n == 200:
                grown = served.memory
    served.settle(before)
    assert served.memory - grown < SLACK


@pytest.mark.timeout(300)
def test_heads_that_never_end_cost_little(served, long):
    count = long(300, 3000)
    head = b'GET / HTTP/1.1\r\nHost: a.test\r\n' + b''.join(
        b'X-%d: %b\r\n' % (n, b'x' * 320) for n in range(90)
    )
    before, memory = served.descriptors, served.memory
    clients = [socket.create_connection(served.address) for _ in range(count)]
    most = 0
    for client in clients:
        client.sendall(head)
        most = max(most, served.memory)
    with HttpSession(timeout=30) as session:
        assert session.get(served.url).content == b'hello'
    most = max(most, served.memory)
    assert most - memory < count * 40 * 1024 + SLACK
    for client in clients:
        client.settimeout(30)
        assert client.recv(1000).startswith(b'HTTP/1.1 408 ')
        client.close()
    served.settle(before)


@pytest.mark.timeout(300)
def test_announced_bodies_cost_nothing(served, long):
    count = long(300, 3000)
    head = b'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n'
    before, memory = served.descriptors, served.memory
    clients = [socket.create_connection(served.address) for _ in range(count)]
    for client in clients:
        client.sendall(head)
    with HttpSession(timeout=30) as session:
        assert session.get(served.url).content == b'hello'
    assert served.memory - memory < count * 32 * 1024 + SLACK
    for client in clients:
        client.close()
    served.settle(before)


def test_clients_that_read_nothing_are_cut(long):
    def application(environ, start_response):
        start_response('200 OK', [])
        while True:
            yield b'x' * 65536

    server = HttpServer(application, options=HttpOptions(write_timeout=0.3))
    server.listen(('127.0.0.1', 0))
    clients = []
    for _ in range(long(50, 500)):
        client = StreamClient()
        client.connect(server.addresses[0])
        client.transport.pause_reading()
        client.write(b'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
        clients.append(client)
    while not server.connections:
        sleep(0.01)
    while server.connections:
        sleep(0.05)
    for client in clients:
        client.close()
    server.close()
