"""Many bytes over one TLS connection, in one direction.

Each server takes them from, or sends them to, the same client in C. Beside them there are pairs:
both ends ours, and both ends OpenSSL's own program, ``openssl s_client`` and ``openssl s_server``,
which is what the machine can do.
"""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import IO, Any

from .compiler import compiled
from .http_servers import free_port
from .process import PATIENCE, ROOT, BenchmarkError, Server
from .tls_servers import PIECE, command_of

HOST = '127.0.0.1'
OURS = 'gruvi-protocol'
HOW = {'sink': 'send', 'source': 'receive'}  # what a server does, and what the client has to do
PAIRS = ('openssl s_client to s_server', 'gruvi client to gruvi server')
LONGEST = 120.0  # seconds


@dataclass(frozen=True)
class Round:
    """What it took."""

    bytes_per_second: float
    cpu_seconds_per_gib: float  # the server's


def measure(server: Server, direction: str, size: int) -> Round:
    """Move *size* bytes in *direction* between *server* and the client in C.

    :raises BenchmarkError: one of them failed.
    """
    client = str(compiled('bulk', libraries=('openssl',)))
    before = server.cpu_seconds()
    seconds = _output([client, f'{HOST}:{server.port}', str(size), HOW[direction]])
    return _round(size, float(seconds), server.cpu_seconds() - before)


def _round(size: int, seconds: float, cpu_seconds: float) -> Round:
    return Round(size / seconds, cpu_seconds / size * 2**30)


def _output(command: Sequence[str], stdin: IO[bytes] | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdin=stdin or subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f'{command[0]} failed: {done.stderr[-1000:]}')
    return done.stdout


def pair(name: str, size: int, pem: str) -> Round:
    """Send *size* bytes from a client to a server of the same kind; see PAIRS.

    :raises BenchmarkError: one of them failed.
    """
    return _openssl(size, pem) if name == PAIRS[0] else _ours(size, pem)


def _ours(size: int, pem: str) -> Round:
    with closing(Server(OURS, command_of(OURS, pem, 'sink', size))) as server:
        before = server.cpu_seconds()
        command = [sys.executable, '-m', 'benchmarks.tls_bulk', str(server.port), str(size)]
        seconds = float(_output(command))
        spent = server.cpu_seconds() - before
    return _round(size, seconds, spent)


def send_ours(port: int, size: int) -> float:
    """Send to a server of ours, by our client, and return how many seconds that took."""
    from gruvi_cffi import StreamClient

    client = StreamClient()
    client.connect((HOST, port), ssl=_trusting_all())
    began = time.perf_counter()
    while size > 0:
        client.write(PIECE[:size])
        size -= len(PIECE)
    client.read(1)
    return time.perf_counter() - began


def _trusting_all() -> Any:
    from gruvi_cffi.ssl import TlsContext

    context = TlsContext()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _openssl(size: int, pem: str) -> Round:
    """Do it by OpenSSL's programs. What they need to start and shake hands is not counted."""
    start, _ = _time_openssl(1, pem)
    seconds, spent = _time_openssl(size, pem)
    if seconds <= start:
        raise BenchmarkError(f'openssl took {seconds:.3f} s for all, and {start:.3f} s to start')
    return _round(size, seconds - start, spent)


def _time_openssl(size: int, pem: str) -> tuple[float, float]:
    """Return how long a client takes from its start until the server has ended, and its CPU time.

    What is sent comes from a file that is all holes, and its end is the end of the connection.
    """
    port = free_port()
    serve = ['openssl', 's_server', '-quiet', '-accept', f'{HOST}:{port}', '-naccept', '2']
    send = ['openssl', 's_client', '-quiet', '-no_ign_eof', '-connect', f'{HOST}:{port}']
    with ExitStack() as stack:
        server = subprocess.Popen(
            [*serve, '-cert', pem, '-key', pem],
            stdin=subprocess.PIPE,  # whose end would end it
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.enter_context(server)
        stack.callback(server.kill)
        # In memory: to read the holes of a file on a disk takes four times as long.
        file = stack.enter_context(os.fdopen(os.memfd_create('zeros'), 'wb'))
        file.truncate(size)
        _wait_for(port)  # the first connection that it accepts
        began = time.perf_counter()
        _output(send, stdin=file)
        _, status, usage = os.wait4(server.pid, 0)
        seconds = time.perf_counter() - began
        server.returncode = os.waitstatus_to_exitcode(status)
    if server.returncode:
        raise BenchmarkError(f'openssl s_server ended with code {server.returncode}')
    return seconds, usage.ru_utime + usage.ru_stime


def _wait_for(port: int) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            socket.create_connection((HOST, port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    raise BenchmarkError('openssl s_server did not start')


if __name__ == '__main__':
    print(send_ours(int(sys.argv[1]), int(sys.argv[2])))
