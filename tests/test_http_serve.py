"""The command that serves, as a process."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from dbservers import program

TIMEOUT = 30

APPLICATION = """
import os, time
def app(environ, start_response):
    if environ['PATH_INFO'] == '/die':
        os._exit(3)
    if environ['PATH_INFO'] == '/wait':
        from gruvi_cffi import sleep
        sleep(None)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [f'{os.getpid()} {environ["PATH_INFO"]}'.encode()]
not_one = 5
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'served.py').write_text(APPLICATION)
    (tmp_path / 'static').mkdir()
    (tmp_path / 'static' / 'file').write_text('spam')
    return tmp_path


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as probe:
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(folder, *arguments, quiet=False, **kwargs):
    """Run the command in *folder*, and yield it once it says that it listens."""
    path = os.pathsep.join([os.getcwd(), *filter(None, [os.environ.get('PYTHONPATH')])])
    with subprocess.Popen(
        [sys.executable, '-m', 'gruvi_cffi', 'serve', *arguments],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': path},
        **kwargs,
    ) as process:
        try:
            line = '' if quiet else process.stderr.readline()
            assert quiet or 'serving' in line, line + process.stderr.read()
            yield process
        finally:
            process.kill()


def reaching(port):
    """Return a connection to what will listen on *port*."""
    until = time.monotonic() + TIMEOUT
    while True:
        try:
            return socket.create_connection(('127.0.0.1', port), timeout=TIMEOUT)
        except ConnectionRefusedError:
            assert time.monotonic() < until


def ask(port, path='/', host='127.0.0.1'):
    with socket.create_connection((host, port), timeout=TIMEOUT) as peer:
        peer.sendall(f'GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'.encode())
        answer = b''
        while piece := peer.recv(65536):
            answer += piece
    head, _, body = answer.partition(b'\r\n\r\n')
    return head.split(b' ')[1:2], body


def stop(process, number=signal.SIGTERM):
    process.send_signal(number)
    process.wait(TIMEOUT)
    return process.returncode


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_an_application(folder, number):
    port = free_port()
    with serving(folder, 'served:app', '--bind', f'127.0.0.1:{port}') as process:
        assert ask(port, '/x') == ([b'200'], f'{process.pid} /x'.encode())
        assert stop(process, number) == 0


def test_a_folder(folder):
    port = free_port()
    with serving(folder, 'static', '--bind', f'127.0.0.1:{port}') as process:
        assert ask(port, '/file') == ([b'200'], b'spam')
        assert stop(process) == 0


def test_a_unix_socket_and_a_port(folder):
    port, path = free_port(), folder / 'socket'
    binds = ['--bind', f'127.0.0.1:{port}', '--bind', f'unix:{path}']
    with serving(folder, 'static', *binds) as process:
        process.stderr.readline()
        command = [
            program('curl', 'curl'),
            '-sS',
            '--unix-socket',
            str(path),
            'http://localhost/file',
        ]
        assert subprocess.run(command, capture_output=True, check=True).stdout == b'spam'
        assert ask(port, '/file')[1] == b'spam'
        assert stop(process) == 0
    assert not path.exists()


def test_a_descriptor_that_it_was_given(folder):
    with socket.create_server(('127.0.0.1', 0)) as listener:
        fd = listener.fileno()
        with serving(folder, 'static', '--bind', f'fd:{fd}', pass_fds=[fd]) as process:
            assert ask(listener.getsockname()[1], '/file')[1] == b'spam'
            assert stop(process) == 0


def test_what_systemd_passes(folder):
    program = f"""
import os, socket, sys
listener = socket.create_server(('127.0.0.1', 0))
print(listener.getsockname()[1], flush=True)
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1')
os.chdir({str(folder)!r})
os.execv(sys.executable, [sys.executable, '-m', 'gruvi_cffi', 'serve', 'static'])
"""
    path = os.pathsep.join([os.getcwd(), *filter(None, [os.environ.get('PYTHONPATH')])])
    with subprocess.Popen(
        [sys.executable, '-c', program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': path},
    ) as process:
        port = int(process.stdout.readline())
        assert 'serving' in process.stderr.readline()
        assert ask(port, '/file')[1] == b'spam'
        assert stop(process) == 0


def test_workers_serve_together_and_are_replaced(folder):
    port = free_port()
    arguments = ['served:app', '--workers', '2', '--bind', f'127.0.0.1:{port}']
    with serving(folder, *arguments) as process:
        process.stderr.readline()
        seen = set()
        until = time.monotonic() + TIMEOUT
        while len(seen) < 2 and time.monotonic() < until:
            seen.add(ask(port)[1].split()[0])
        assert len(seen) == 2
        assert str(process.pid).encode() not in seen
        while time.monotonic() < until:  # one that ends too soon would end all
            with contextlib.suppress(OSError):
                if int(ask(port)[1].split()[0]) and _age(seen) > 1.5:
                    break
        ask(port, '/die')
        assert 'ended with status 3' in process.stderr.readline()
        assert 'serving' in process.stderr.readline()
        assert ask(port)[0] == [b'200']
        assert stop(process) == 0
    for pid in seen:
        assert not os.path.exists(f'/proc/{int(pid)}')


def _age(pids):
    """Return for how many seconds the youngest has run."""
    with open('/proc/uptime') as file:
        uptime = float(file.read().split()[0])
    ticks = os.sysconf('SC_CLK_TCK')
    begun = []
    for pid in pids:
        with open(f'/proc/{int(pid)}/stat') as file:
            begun.append(int(file.read().rpartition(')')[2].split()[19]) / ticks)
    return uptime - max(begun)


def test_a_worker_that_cannot_begin_ends_all(folder):
    command = [sys.executable, '-m', 'gruvi_cffi', 'serve', 'nonesuch:app', '--workers', '2']
    path = os.pathsep.join([os.getcwd(), *filter(None, [os.environ.get('PYTHONPATH')])])
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False,
        env={**os.environ, 'PYTHONPATH': path},
    )  # fmt: skip
    assert done.returncode == 1
    assert 'nonesuch' in done.stderr


def test_no_request_is_lost_when_it_is_told_to_end(folder):
    port = free_port()
    lost, served = [], []

    def client():
        with socket.create_connection(('127.0.0.1', port), timeout=TIMEOUT) as peer:
            while True:
                peer.sendall(b'GET /x HTTP/1.1\r\nHost: a\r\n\r\n')
                answer = b''
                while not answer.endswith(b'/x'):
                    piece = peer.recv(65536)
                    if not piece:
                        lost.append(answer)
                        return
                    answer += piece
                served.append(1)
                if b'Connection: close' in answer:
                    return

    with serving(folder, 'served:app', '--bind', f'127.0.0.1:{port}') as process:
        threads = [threading.Thread(target=client) for _ in range(16)]
        for thread in threads:
            thread.start()
        while len(served) < 300:
            threads[0].join(0.01)
        assert stop(process) == 0
        for thread in threads:
            thread.join()
    assert lost == []


def test_a_second_signal_cuts(folder):
    port = free_port()
    with serving(folder, 'served:app', '--bind', f'127.0.0.1:{port}') as process:
        with socket.create_connection(('127.0.0.1', port), timeout=TIMEOUT) as peer:
            peer.sendall(b'GET /wait HTTP/1.1\r\nHost: a\r\n\r\n')
            ask(port)
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(OSError):  # once nobody listens any more
                while True:
                    ask(port)
            assert stop(process) == 0
            with contextlib.suppress(ConnectionResetError):
                assert peer.recv(100) == b''


@pytest.mark.parametrize('format_', ['common', 'combined', 'json'])
def test_the_access_log(folder, format_):
    port = free_port()
    arguments = ['static', '--bind', f'127.0.0.1:{port}', '--access-log', format_]
    arguments += ['--log-level', 'error']  # which is not that of the access log
    with serving(folder, *arguments, quiet=True, stdout=subprocess.PIPE) as process:
        with reaching(port) as peer:
            peer.sendall(
                b'GET /file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n'
                b'User-Agent: "x" \xff\r\nReferer: b\r\n\r\n'
            )
            while peer.recv(1000):
                pass
        line = process.stdout.readline().rstrip('\n')
        assert stop(process) == 0
    if format_ == 'json':
        entry = json.loads(line)
        assert (entry['request'], entry['status'], entry['bytes']) == ('GET /file HTTP/1.1', 200, 4)
        assert entry['user_agent'] == '"x" \xff'
        return
    start, _, end = line.partition(' "')
    assert start.startswith('127.0.0.1 - - [')
    more = r' "b" "\x22x\x22 \xff"' if format_ == 'combined' else ''
    assert end == f'GET /file HTTP/1.1" 200 4{more}'


def test_health(folder):
    port = free_port()
    arguments = ['served:app', '--bind', f'127.0.0.1:{port}', '--healthz', '/healthz']
    with serving(folder, *arguments) as process:
        assert ask(port, '/healthz') == ([b'200'], b'ok\n')
        assert ask(port, '/x')[1].endswith(b' /x')
        assert stop(process) == 0


def test_its_limits(folder):
    port = free_port()
    arguments = ['served:app', '--bind', f'127.0.0.1:{port}', '--limit-request-line', '30']
    with serving(folder, *arguments, '--timeout-header', '0.1') as process:
        assert ask(port, '/' + 'x' * 30)[0] == [b'414']
        with socket.create_connection(('127.0.0.1', port), timeout=TIMEOUT) as peer:
            peer.sendall(b'GET')
            assert peer.recv(100).startswith(b'HTTP/1.1 408 ')
        assert stop(process) == 0


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['nonesuch:app'], 'nonesuch'),
        (['served:nonesuch'], 'nonesuch'),
        (['served:not_one'], 'no WSGI application'),
        (['served'], 'MODULE:APP'),
        (['static', '--bind', 'nonsense'], 'nonsense'),
        (['static', '--bind', '127.0.0.1:99999'], '99999'),
        (['static', '--workers', '0'], '--workers'),
        (['static', '--limit-head', '-5'], '--limit-head: head must be'),
        (['static', '--limit-request-line', '0'], '--limit-request-line: line'),
        (['static', '--limit-fields', '0'], '--limit-fields'),
        (['static', '--limit-connections', '0'], '--limit-connections'),
        (['static', '--limit-pipeline', '-1'], '--limit-pipeline'),
        (['static', '--limit-body', '-2'], '--limit-body'),
        (['static', '--timeout-header', '0'], '--timeout-header'),
        (['static', '--timeout-body', '0'], '--timeout-body'),
        (['static', '--timeout-keepalive', '-2'], '--timeout-keepalive'),
        (['static', '--timeout-graceful', '-2'], '--timeout-graceful'),
        (['static', '--timeout-graceful', 'nan'], '--timeout-graceful'),
        (['static', '--bind', 'fd:1000'], 'ad file descriptor'),
    ],
)
def test_what_makes_no_sense(folder, arguments, words):
    path = os.pathsep.join([os.getcwd(), *filter(None, [os.environ.get('PYTHONPATH')])])
    done = subprocess.run(
        [sys.executable, '-m', 'gruvi_cffi', 'serve', *arguments],
        cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False,
        env={**os.environ, 'PYTHONPATH': path},
    )  # fmt: skip
    assert done.returncode == 1
    assert words in done.stderr
    assert 'Traceback' not in done.stderr


def test_an_address_that_is_in_use(folder):
    with socket.create_server(('127.0.0.1', 0)) as taken:
        port = taken.getsockname()[1]
        path = os.pathsep.join([os.getcwd(), *filter(None, [os.environ.get('PYTHONPATH')])])
        done = subprocess.run(
            [sys.executable, '-m', 'gruvi_cffi', 'serve', 'static', '--bind', f'127.0.0.1:{port}'],
            cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False,
            env={**os.environ, 'PYTHONPATH': path},
        )  # fmt: skip
    assert done.returncode == 1
    assert 'in use' in done.stderr


# Behind proxies, and while developing.


def test_the_command_knows_whom_to_believe(folder):
    (folder / 'telling.py').write_text(
        'def app(environ, start_response):\n'
        "    start_response('200 OK', [])\n"
        "    return [environ['REMOTE_ADDR'].encode()]\n"
    )
    port = free_port()
    arguments = ['telling:app', '--bind', f'127.0.0.1:{port}', '--proxy-headers', '127.0.0.1,::1']
    with serving(folder, *arguments):
        with socket.create_connection(('127.0.0.1', port), TIMEOUT) as client:
            client.sendall(b'GET / HTTP/1.0\r\nHost: a\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n')
            assert client.makefile('rb').read().endswith(b'192.0.2.9')
    arguments[-2:] = ['--proxy-protocol', '127.0.0.1']
    with serving(folder, *arguments):
        with socket.create_connection(('127.0.0.1', port), TIMEOUT) as client:
            client.sendall(
                b'PROXY TCP4 192.0.2.8 127.0.0.1 1 2\r\nGET / HTTP/1.0\r\nHost: a\r\n\r\n'
            )
            assert client.makefile('rb').read().endswith(b'192.0.2.8')


def test_whom_to_believe_has_to_be_an_address(folder):
    done = subprocess.run(
        [sys.executable, '-m', 'gruvi_cffi', 'serve', 'static', '--proxy-headers', 'spam'],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 1
    assert "'spam' does not appear to be an IPv4 or IPv6 network" in done.stderr


def test_a_changed_module_is_loaded_again(folder):
    def write(text):
        (folder / 'young.py').write_text(text)
        shown = time.time() + next(later)
        os.utime(folder / 'young.py', (shown, shown))

    def says(body):
        return f"def app(environ, respond):\n    respond('200 OK', [])\n    return [b'{body}']\n"

    def ask():
        with socket.create_connection(('127.0.0.1', port), TIMEOUT) as client:
            client.sendall(b'GET / HTTP/1.0\r\nHost: a\r\n\r\n')
            return client.makefile('rb').read().rpartition(b'\r\n')[2]

    later = iter(range(10, 100, 10))
    port = free_port()
    write(says('one'))
    with serving(folder, 'young:app', '--bind', f'127.0.0.1:{port}', '--reload') as process:
        assert ask() == b'one'
        write(says('two'))
        assert 'has changed' in process.stderr.readline()
        assert 'serving' in process.stderr.readline()
        assert ask() == b'two'
        write('this is no Python')
        assert 'has changed' in process.stderr.readline()
        assert 'cannot load' in process.stderr.readline()
        write(says('three'))
        while 'serving' not in (line := process.stderr.readline()):
            assert line
        assert ask() == b'three'
        assert stop(process) == 0
