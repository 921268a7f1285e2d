"""Workers of the command that serves: their parent's signals, its end, and Unix sockets."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
from test_http_serve import TIMEOUT, ask, free_port, serving, stop

APPLICATION = """
import os
from gruvi_cffi import sleep
def app(environ, start_response):
    if environ['PATH_INFO'] == '/slow':
        print('asked', flush=True)
        sleep(1)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [str(os.getpid()).encode()]
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'served.py').write_text(APPLICATION)
    return tmp_path


def ask_unix(path):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(TIMEOUT)
        peer.connect(str(path))
        peer.sendall(b'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
        answer = b''
        while piece := peer.recv(65536):
            answer += piece
    return answer.rpartition(b'\r\n')[2]


@pytest.mark.parametrize('mode', [['--workers', '2'], ['--reload']])
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_for_all_counts_once(folder, mode, number):
    port = free_port()
    arguments = ['served:app', *mode, '--bind', f'127.0.0.1:{port}']
    answers = []
    with serving(folder, *arguments, stdout=subprocess.PIPE, start_new_session=True) as process:
        asking = threading.Thread(target=lambda: answers.append(ask(port, '/slow')))
        asking.start()
        assert process.stdout.readline() == 'asked\n'
        os.killpg(process.pid, number)
        asking.join(TIMEOUT)
        assert process.wait(TIMEOUT) == 0
    assert answers[0][0] == [b'200']


def test_a_child_that_is_no_worker_is_ignored(folder):
    port = free_port()
    program = f"""
import os, sys
other = os.fork()
if other == 0:
    os.read(0, 1)
    os._exit(0)
print(other, flush=True)
sys.argv = ['serve', '--workers', '2', '--bind', '127.0.0.1:{port}', 'served:app']
from gruvi_cffi.cli import main
sys.exit(main(['serve', *sys.argv[1:]]))
"""
    path = os.pathsep.join([os.getcwd(), *filter(None, [os.environ.get('PYTHONPATH')])])
    with subprocess.Popen(
        [sys.executable, '-c', program],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': path},
    ) as process:
        for _ in range(2):
            assert 'serving' in process.stderr.readline()
        other = int(process.stdout.readline())
        process.stdin.close()  # ends the other child
        while os.path.exists(f'/proc/{other}'):
            assert process.poll() is None
        assert ask(port)[0] == [b'200']
        assert stop(process) == 0


def test_workers_end_with_their_parent(folder):
    port = free_port()
    arguments = ['served:app', '--workers', '2', '--bind', f'127.0.0.1:{port}']
    with serving(folder, *arguments) as process:
        assert 'serving' in process.stderr.readline()
        process.kill()
        process.wait(TIMEOUT)
        said = process.stderr.read()  # up to the end of both
        assert said.count('the parent is gone') == 2
    with pytest.raises(ConnectionRefusedError):
        ask(port)


def test_workers_share_a_unix_socket(folder):
    path = folder / 'socket'
    with serving(folder, 'served:app', '--workers', '2', '--bind', f'unix:{path}') as process:
        assert 'serving' in process.stderr.readline()
        assert int(ask_unix(path)) != process.pid
        assert stop(process) == 0
    assert not path.exists()


@pytest.mark.parametrize('workers', ['1', '2'])
def test_what_a_killed_process_has_left_is_no_obstacle(folder, workers):
    path = folder / 'socket'
    arguments = ['served:app', '--workers', workers, '--bind', f'unix:{path}']
    with serving(folder, *arguments) as process:
        process.kill()
        process.wait(TIMEOUT)
        with contextlib.suppress(OSError):
            process.stderr.read()
    assert path.exists()
    with serving(folder, *arguments) as process:
        assert ask_unix(path)
        assert stop(process) == 0


def test_a_socket_that_is_in_use_stays_its_owners(folder):
    path = folder / 'socket'
    with serving(folder, 'served:app', '--bind', f'unix:{path}') as process:
        owner = ask_unix(path)
        with (
            pytest.raises(AssertionError, match='in use'),
            serving(folder, 'served:app', '--bind', f'unix:{path}'),
        ):
            pass
        assert ask_unix(path) == owner
        assert stop(process) == 0
