"""One server under one load, and what that costs."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from .compiler import compiled
from .process import PATIENCE, BenchmarkError, Server


@dataclass(frozen=True)
class Load:
    """What the load generator does; times in seconds, *size* in bytes."""

    connections: int
    size: int
    seconds: float
    warmup: float = 0.3
    timeout: float = 10.0
    rate: float = 0  # messages due per second, or each as soon as the one before is back
    tls: str = ''  # tls, tls1.2 or tls1.3
    fresh: bool = False  # a new connection for each message
    resume: bool = False  # with a TLS session from before


@dataclass(frozen=True)
class Progress:
    phase: str  # connecting, warming, measuring or finishing
    seconds: float  # in this phase
    connections: int
    requests: int  # in this phase


@dataclass(frozen=True)
class Round:
    """The figures of one load on one server."""

    requests_per_second: float
    cpu_us: float  # per request
    p50_us: float
    p90_us: float
    p99_us: float
    p999_us: float
    peak_bytes: int  # resident, the most that was seen


class _Meter:
    """Reads the server's clocks when the load says that a phase begins."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._began = self._ended = 0.0
        self._phase = ''
        self.peak_bytes = 0

    def see(self, progress: Progress) -> None:
        self.peak_bytes = max(self.peak_bytes, self._server.resident_bytes())
        if progress.phase != self._phase:
            self._phase = progress.phase
            self._began, self._ended = self._ended, self._server.cpu_seconds()

    def cpu_seconds(self) -> float:
        """Return the CPU time of the phase before the last, which is the measured one."""
        return self._ended - self._began


def ignore(progress: Progress) -> None:
    """Show nothing."""


def measure(server: Server, load: Load, show: Callable[[Progress], object] = ignore) -> Round:
    """Put *load* on *server* and return the figures. *show* is called ten times a second.

    :raises BenchmarkError: the server ended, or a connection failed or brought wrong bytes.
    """
    meter = _Meter(server)

    def see(progress: Progress) -> None:
        meter.see(progress)
        show(progress)

    figures = run_load(f'127.0.0.1:{server.port}', load, see)
    if figures['errors']:
        server.check_soon()  # that it ended says more than that connections were lost
        raise BenchmarkError(
            f'{server.name}: {figures["errors"]} of {load.connections} connections failed, '
            f'the first one because: {figures["first_error"]}'
        )
    if not figures['requests']:
        raise BenchmarkError(f'{server.name} answered nothing in {load.seconds} seconds')
    if load.resume and (figures['refused'] or not figures['resumed']):
        raise BenchmarkError(
            f'{server.name}: {figures["resumed"]} of {figures["requests"]} sessions were resumed'
        )
    return Round(
        requests_per_second=figures['requests'] / figures['seconds'],
        cpu_us=meter.cpu_seconds() / figures['requests'] * 1e6,
        p50_us=figures['p50_us'],
        p90_us=figures['p90_us'],
        p99_us=figures['p99_us'],
        p999_us=figures['p999_us'],
        peak_bytes=meter.peak_bytes,
    )


def run_load(
    address: str, load: Load, show: Callable[[Progress], object] = ignore
) -> dict[str, float]:
    """Put *load* on the server at *address* and return what the generator reports.

    :raises BenchmarkError: the generator could not start.
    """
    numbers = (load.connections, load.size, load.seconds, load.warmup, load.timeout, load.rate)
    words = [load.tls, 'fresh' if load.fresh else '', 'resume' if load.resume else '']
    program = str(compiled('load', libraries=('openssl',)))
    command = [program, address, *map(str, numbers), *filter(None, words)]
    messages: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            for line in process.stderr:
                _take_line(line, show, messages)
            report = process.stdout.read()
        except BaseException:
            process.kill()
            raise
    if not report:
        raise BenchmarkError(''.join(messages).strip() or 'the load generator reported nothing')
    figures: dict[str, float] = json.loads(report)
    return figures


def _take_line(line: str, show: Callable[[Progress], object], messages: list[str]) -> None:
    if not line.startswith('progress '):
        messages.append(line)
        return
    _, phase, seconds, connections, requests = line.split()
    show(Progress(phase, float(seconds), int(connections), int(requests)))


Ask = Callable[[int], socket.socket]  # opens a connection to a port and has something answered


def bytes_per_connection(server: Server, connections: int, ask: Ask | None = None) -> float:
    """Return what an idle connection costs *server* in memory of its own.

    Something has been answered on each connection, by default one byte echoed, so that the server
    has certainly taken it and whatever serves it has run. One that comes first and goes pays for
    what is imported or made only once.

    :raises BenchmarkError: the server ended or a connection failed.
    """
    ask = ask or echoed(1)
    try:
        ask(server.port).close()
        before = server.unique_bytes()
        with ExitStack() as stack:
            for _ in range(connections):
                stack.enter_context(ask(server.port))
            after = server.unique_bytes()
    except OSError as exc:
        server.check_soon()
        raise BenchmarkError(f'{server.name}: an idle connection failed: {exc}') from exc
    return (after - before) / connections


def echoed(size: int, context: ssl.SSLContext | None = None) -> Ask:
    """Return what has *size* bytes echoed by a new connection, over TLS if there is a *context*."""

    def ask(port: int) -> socket.socket:
        sock = socket.create_connection(('127.0.0.1', port), timeout=PATIENCE)
        try:
            if context is not None:
                sock = context.wrap_socket(sock)
            sock.sendall(bytes(size))
            missing = size
            while missing > 0:
                data = sock.recv(missing)
                if not data:
                    raise ConnectionError(f'{missing} of {size} bytes did not come back')
                missing -= len(data)
        except BaseException:
            sock.close()
            raise
        return sock

    return ask
