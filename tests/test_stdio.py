"""Standard streams, of child processes: theirs are what a terminal or a shell makes them."""

import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading

import pytest

from gruvi_cffi import (
    StreamProtocol,
    TransportError,
    blocking,
    create_connection,
    sleep,
    stdio,
    wait_signal,
)  # fmt: skip

TIMEOUT = 30

UPPER = """
from gruvi_cffi import stdio
for line in stdio.stdin:
    stdio.stdout.write(line.upper())
stdio.stderr.write('done\\n')
"""


def run(program, **kwargs):
    kwargs = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'timeout': TIMEOUT, **kwargs}
    return subprocess.run([sys.executable, '-c', program], check=False, **kwargs)


def said(result):
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture
def terminal():
    """Both ends of a pseudo-terminal: of its user, and of the program."""
    user, program = pty.openpty()
    yield user, program
    for fd in (user, program):
        os.close(fd)


def read_until(fd, end):
    data = b''
    while not data.endswith(end):
        assert select.select([fd], [], [], TIMEOUT)[0], data
        data += os.read(fd, 4096)
    return data


# Whatever they are.


def test_pipes():
    result = run(UPPER, input=b'spam\n\xc3\xa4', env={**os.environ, 'PYTHONUTF8': '1'})
    assert said(result) == b'SPAM\n\xc3\x84'
    assert result.stderr == b'done\n'


def test_files(tmp_path):
    (tmp_path / 'in').write_bytes(b'spam\n' * 100_000)
    with open(tmp_path / 'in', 'rb') as source, open(tmp_path / 'out', 'ab') as target:
        target.write(b'before\n')
        target.flush()
        said(run(UPPER, stdin=source, stdout=target))
    assert (tmp_path / 'out').read_bytes() == b'before\n' + b'SPAM\n' * 100_000


def test_nothing():
    result = run(UPPER, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    assert result.returncode == 0
    assert result.stderr == b'done\n'


def test_sockets():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(b'spam\n')
        ours.shutdown(socket.SHUT_WR)
        said(run(UPPER, stdin=theirs, stdout=theirs))
        assert theirs.gettimeout() is None
        theirs.close()
        assert ours.recv(100) == b'SPAM\n'


def test_a_terminal(terminal):
    user, program = terminal
    os.write(user, b'spam\n\x04')
    said(run(UPPER, stdin=program, stdout=program))
    assert read_until(user, b'SPAM\r\n') == b'spam\r\nSPAM\r\n'


@pytest.mark.parametrize('name', ['stdin', 'stdout', 'stderr'])
def test_one_that_is_closed(name):
    program = f"""
import os, sys
from gruvi_cffi import stdio, TransportError, sleep
sleep(0)
try:
    stdio.{name}
except TransportError as error:
    os.write(int(sys.argv[1]), str(error).encode())
"""
    number = {'stdin': 0, 'stdout': 1, 'stderr': 2}[name]
    reader, writer = os.pipe()
    command = f'exec "$@" {number}>&-'
    subprocess.run(
        ['sh', '-c', command, 'sh', sys.executable, '-c', program, str(writer)],
        check=False,
        pass_fds=[writer],
        timeout=TIMEOUT,
    )
    os.close(writer)
    with os.fdopen(reader, 'rb') as said:
        assert b'bad file descriptor' in said.read().lower()


# What they do.


def test_other_fibers_run_while_one_reads():
    program = """
from gruvi_cffi import stdio, spawn, sleep
def count():
    for number in range(3):
        stdio.stdout.write(f'{number}\\n')
        sleep(0)
    stdio.stdout.write('ready\\n')
fiber = spawn(count)
print(repr(stdio.stdin.readline()))
fiber.join()
"""
    with subprocess.Popen(
        [sys.executable, '-c', program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        lines = [process.stdout.readline() for _ in range(4)]
        assert lines == [b'0\n', b'1\n', b'2\n', b'ready\n']
        process.stdin.write(b'spam\n')
        process.stdin.close()
        assert process.stdout.read() == b"'spam\\n'\n"


def test_what_was_printed_comes_first():
    program = """
from gruvi_cffi import stdio
for number in range(3):
    print(number, 'printed')
    stdio.stdout.write(f'{number} written\\n')
"""
    lines = [f'{number} {how}\n' for number in range(3) for how in ('printed', 'written')]
    assert said(run(program)).decode() == ''.join(lines)


def test_a_child_reads_the_rest():
    program = """
import subprocess
from gruvi_cffi import stdio
stdio.stdin.buffer.readline()
stdio.stdin.buffer.readexactly(2)
subprocess.run(['cat'])
"""
    with subprocess.Popen(
        [sys.executable, '-c', program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdin.write(b'a\nbc')
        process.stdin.flush()
        process.stdin.write(b'd\n')
        process.stdin.close()
        assert process.stdout.read() in (b'd\n', b'')


@pytest.mark.parametrize('how', ['pipe', 'socket'])
def test_the_descriptors_stay_blocking(how):
    program = """
import os
from gruvi_cffi import stdio, get_hub
stdio.stdin.readline()
stdio.stdout.write('x')
for stream in (stdio.stdin, stdio.stdout):
    stream.close()
get_hub().close()
print(os.get_blocking(0), os.get_blocking(1), flush=True)
"""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        if how == 'pipe':
            assert said(run(program, input=b'\n')) == b'xTrue True\n'
        else:
            ours.sendall(b'\n')
            said(run(program, stdin=theirs, stdout=theirs))
            assert ours.recv(100) in (b'x', b'xTrue True\n')


def test_a_slow_reader_slows_the_writer():
    program = """
from gruvi_cffi import stdio, Timeout
written = 0
try:
    while True:
        stdio.stdout.buffer.write(b'x' * 100_000, timeout=0.2)
        written += 100_000
except Timeout:
    stdio.stderr.write(f'{written}\\n')
import os
os._exit(0)
"""
    with subprocess.Popen(
        [sys.executable, '-c', program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert int(process.stderr.readline()) <= 1_000_000


def test_a_reader_that_is_gone():
    program = """
from gruvi_cffi import stdio
try:
    while True:
        stdio.stdout.write('x' * 100_000)
except BrokenPipeError:
    stdio.stderr.write('broken')
import os
os._exit(0)
"""
    with subprocess.Popen(
        [sys.executable, '-c', program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr.read() == b'broken'


def test_each_thread_has_its_own():
    program = """
import threading
from gruvi_cffi import stdio, get_hub
def run():
    stdio.stdout.write('x')
    get_hub().close()
threads = [threading.Thread(target=run) for _ in range(5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
stdio.stdout.write('\\n')
assert stdio.stdout is stdio.stdout
"""
    assert said(run(program)) == b'xxxxx\n'


def test_a_file_that_cannot_be_written():
    program = """
from gruvi_cffi import stdio
try:
    stdio.stdout.write('x')
except OSError as error:
    stdio.stderr.write(type(error).__name__)
"""
    with open('/dev/full', 'wb') as full:
        result = run(program, stdout=full)
    assert b'TransportError' in result.stderr


def test_no_other_name():
    with pytest.raises(AttributeError, match='stdlog'):
        stdio.stdlog


# Terminals.


def test_a_terminal_is_a_transport(terminal):
    user, program = terminal
    fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack('4H', 30, 100, 0, 0))
    transport, protocol = create_connection(StreamProtocol, os.dup(program))
    stream = protocol.stream
    assert stream.isatty()
    assert transport.get_extra_info('winsize') == (100, 30)
    assert stdio.window_size(transport) == stdio.window_size(stream) == (100, 30)
    os.write(user, b'spam\n')
    assert stream.readline(timeout=TIMEOUT) == b'spam\n'
    stream.write(b'eggs')
    assert blocking(read_until, user, b'eggs') == b'spam\r\neggs'
    os.write(user, b'\x04')
    assert stream.read(timeout=TIMEOUT) == b''
    stream.close()
    assert os.get_blocking(program)


@pytest.mark.parametrize('mode', ['raw', 'io'])
def test_raw_mode(terminal, mode):
    user, program = terminal
    before = termios.tcgetattr(program)
    transport, protocol = create_connection(StreamProtocol, os.dup(program))
    with stdio.raw_mode(protocol.stream, mode):
        os.write(user, b'\x03')
        assert protocol.stream.read1(timeout=TIMEOUT) == b'\x03'
        protocol.stream.write(b'\n!')
        assert blocking(read_until, user, b'!') == (b'\r\n!' if mode == 'raw' else b'\n!')
    assert termios.tcgetattr(program) == before
    with stdio.raw_mode(transport):
        protocol.stream.close()
        while not transport.closed:
            sleep(0)
    assert termios.tcgetattr(program) == before


def test_raw_mode_ends_with_the_program(terminal):
    _, program = terminal
    before = termios.tcgetattr(program)
    code = """
from gruvi_cffi import stdio
with stdio.raw_mode(stdio.stdin):
    raise SystemExit(3)
"""
    assert run(code, stdin=program).returncode == 3
    assert termios.tcgetattr(program) == before
    code = """
from gruvi_cffi import stdio
manager = stdio.raw_mode(stdio.stdin)
manager.__enter__()
"""
    assert run(code, stdin=program).returncode == 0
    assert termios.tcgetattr(program) == before


def test_what_is_no_terminal():
    reader, writer = os.pipe()
    transport, _ = create_connection(StreamProtocol, reader, mode='r')
    with pytest.raises(TransportError, match='as a terminal'):
        stdio.window_size(transport)
    with pytest.raises(TransportError, match='as a terminal'), stdio.raw_mode(transport):
        pass
    assert transport.get_extra_info('winsize') is None
    transport.abort()
    os.close(writer)


def test_a_mode_that_there_is_not(terminal):
    transport, _ = create_connection(StreamProtocol, os.dup(terminal[1]))
    with pytest.raises(ValueError, match='cooked'), stdio.raw_mode(transport, 'cooked'):
        pass
    transport.abort()


def test_a_terminal_that_hangs_up(terminal):
    user, program = pty.openpty()
    _, protocol = create_connection(StreamProtocol, program)
    os.close(user)
    try:
        assert protocol.stream.read(timeout=TIMEOUT) == b''
    except TransportError:
        pass  # some systems say EIO
    protocol.stream.close()


def test_the_window_changes(terminal):
    _, program = terminal
    transport, _ = create_connection(StreamProtocol, os.dup(program))

    def change():
        fcntl.ioctl(program, termios.TIOCSWINSZ, struct.pack('4H', 10, 20, 0, 0))
        signal.pthread_kill(threading.main_thread().ident, signal.SIGWINCH)

    timer = threading.Timer(0.1, change)  # we lead no session, whom the kernel would tell
    timer.start()
    wait_signal(signal.SIGWINCH, TIMEOUT)
    timer.join()
    assert stdio.window_size(transport) == (20, 10)
    transport.abort()
