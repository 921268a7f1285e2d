"""Servers that end, or of which one worker does, under load: no request is lost.

Some clients keep their connections, others make one for each request, all the while.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from dbservers import free_port
from httppeer import Peer, get, hello

from gruvi_cffi import blocking, spawn

TIMEOUT = 20
APP = """\
def app(environ, start_response):
    start_response('200 OK', [('Content-Length', '6')])
    return [b'served']
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'served.py').write_text(APP)
    return tmp_path


@contextlib.contextmanager
def serving(folder, workers, place):
    command = [sys.executable, '-m', 'gruvi_cffi', 'serve', 'served:app', '--bind', place]
    path = os.pathsep.join([os.getcwd(), *filter(None, [os.environ.get('PYTHONPATH')])])
    process = subprocess.Popen(
        [*command, '--workers', str(workers)],
        cwd=folder, stderr=subprocess.PIPE, text=True, env={**os.environ, 'PYTHONPATH': path},
    )  # fmt: skip
    try:
        for _ in range(workers):
            assert 'serving' in process.stderr.readline()
        yield process
    finally:
        process.kill()
        process.stderr.close()
        process.wait()


class Load:
    """Clients of *address* that ask for as long as they can connect."""

    def __init__(self, address, staying, coming):
        self._address = address
        self._stopping = self._over = False
        self.served = self.refused = 0
        self.lost = []
        calls = [self._stay] * staying + [self._come] * coming
        self._threads = [threading.Thread(target=call) for call in calls]
        for thread in self._threads:
            thread.start()

    def _connect(self):
        family = socket.AF_INET if isinstance(self._address, tuple) else socket.AF_UNIX
        peer = socket.socket(family)
        try:
            peer.settimeout(TIMEOUT)
            peer.connect(self._address)
        except OSError:
            peer.close()
            self.refused += not self._stopping
            return None
        return peer

    def _ask(self, peer):
        """Ask once; return whether that was the last answer of the connection."""
        answer = b''
        try:
            peer.sendall(b'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
            while not answer.endswith(b'served'):
                piece = peer.recv(65536)
                if not piece:
                    raise EOFError
                answer += piece
        except (OSError, EOFError) as error:
            self.lost.append(error)
            return True
        self.served += 1
        return b'\r\nConnection: close\r\n' in answer

    def _stay(self):
        while not self._over and (peer := self._connect()):
            with peer:
                while not self._ask(peer) and not self._over:
                    pass

    def _come(self):
        while not self._over and (peer := self._connect()):
            with peer:
                self._ask(peer)

    def wait_for(self, count):
        """Wait until that many more were served."""
        count += self.served
        until = time.monotonic() + TIMEOUT
        while self.served < count and time.monotonic() < until:
            time.sleep(0.001)
        assert self.served >= count

    def may_be_refused(self):
        self._stopping = True

    def join(self):
        self._over = True
        for thread in self._threads:
            thread.join()


@pytest.mark.parametrize(('workers', 'kind'), [(1, 'tcp'), (2, 'tcp'), (1, 'unix'), (2, 'unix')])
def test_no_request_is_lost_when_a_server_ends(folder, long, workers, kind):
    for _ in range(long(1, 20)):
        port = free_port()
        path = str(folder / 'socket')
        address = ('127.0.0.1', port) if kind == 'tcp' else path
        place = f'127.0.0.1:{port}' if kind == 'tcp' else f'unix:{path}'
        with serving(folder, workers, place) as process:
            load = Load(address, 32, 4)
            load.wait_for(500)
            load.may_be_refused()
            process.send_signal(signal.SIGTERM)
            assert process.wait(TIMEOUT) == 0
            load.join()
        assert load.lost == []
        assert load.refused == 0


def children(pid):
    found = []
    for each in filter(str.isdigit, os.listdir('/proc')):
        with contextlib.suppress(OSError), open(f'/proc/{each}/stat') as file:
            if int(file.read().rpartition(')')[2].split()[1]) == pid:
                found.append(int(each))
    return found


@pytest.mark.skipif(sys.platform != 'linux', reason='the kernel has to refuse who connects')
def test_no_request_is_lost_when_a_worker_ends(folder, long):
    port = free_port()
    with serving(folder, 2, f'127.0.0.1:{port}') as process:
        load = Load(('127.0.0.1', port), 8, 4)
        time.sleep(1.2)  # a first worker that ends sooner cannot live, and all end
        for _ in range(long(1, 20)):
            before = children(process.pid)
            load.wait_for(200)
            os.kill(before[0], signal.SIGTERM)
            assert 'ended with status 0' in process.stderr.readline()
            assert 'serving' in process.stderr.readline()
            load.wait_for(200)
            assert before[0] not in children(process.pid)
        load.may_be_refused()
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 0
        load.join()
    assert load.lost == []
    assert load.refused == 0


def slow(environ, start_response):
    """An application that lets nothing else run."""
    time.sleep(0.3)
    return hello(environ, start_response)


def test_a_request_that_was_not_read_yet_is_answered(serve):
    server = serve(hello)
    with Peer(server) as peer:
        peer.send(get())
        peer.read_until(b'World!')
        peer.socket.sendall(get())  # so that the hub does not know
        server.close(grace=0)
        assert b'Connection: close' in peer.read()


def test_clients_have_their_time_from_when_the_answer_has_left(serve):
    held, sent = threading.Event(), threading.Event()

    def app(environ, start_response):
        if environ['PATH_INFO'] == '/hold':
            held.set()
            sent.wait(TIMEOUT)
        return (slow if environ['PATH_INFO'] == '/slow' else hello)(environ, start_response)

    def send_all(first, *peers):
        first.socket.sendall(get(b'/hold'))
        held.wait(TIMEOUT)
        for peer in peers:  # these will be answered in one turn, and not leave before it ends
            peer.socket.sendall(get(b'/slow'))
        sent.set()

    server = serve(app)
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(server)) for _ in range(4)]
        blocking(send_all, *peers)
        for peer in peers[1:]:
            peer.read_until(b'World!')
        closing = spawn(server.close, None, 0.5)
        for peer in peers[1:]:
            peer.send(get())
        for peer in peers[1:]:
            assert b'Connection: close' in peer.read()
        closing.join(TIMEOUT)
