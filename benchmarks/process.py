"""An echo server in a process of its own, watched from outside.

CPU time and memory are read by the operating system's means, so that a server in C and one in
Python are measured alike.
"""

from __future__ import annotations

import resource
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from .compiler import compiled
from .servers import ON_PYPY, PYPY

ROOT = Path(__file__).parent.parent
PATIENCE = 10.0  # seconds that a server may take to start, or to end once told to
DYING = 0.5  # seconds from closing its sockets until a process has surely ended
SPARE_FDS = 100  # beside one for each connection

C_SERVER = 'libuv'


class BenchmarkError(Exception):
    """What was to be measured did not work, so there is no figure."""


class Server:
    """An echo server in its own process."""

    def __init__(self, name: str, command: list[str] | None = None) -> None:
        """Start it. *command* prints the port that it listens on."""
        self.name = name
        with ExitStack() as stack:
            self._stderr = stack.enter_context(tempfile.TemporaryFile(mode='w+'))
            self._process = subprocess.Popen(
                command or command_of(name),
                cwd=ROOT,
                stdin=subprocess.PIPE,  # its end tells the server that we are gone
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                text=True,
            )
            self._info = psutil.Process(self._process.pid)
            stack.callback(self._end)
            assert self._process.stdin is not None and self._process.stdout is not None
            stack.enter_context(self._process.stdin)
            self._stdout = stack.enter_context(self._process.stdout)
            self.port = self._read_port()
            self._opened = stack.pop_all()

    def _read_port(self) -> int:
        ready, _, _ = select.select([self._stdout], [], [], PATIENCE)
        line = self._stdout.readline() if ready else ''
        if not line.strip().isdigit():
            raise BenchmarkError(f'{self.name} did not start{self._last_words()}')
        return int(line)

    def _last_words(self) -> str:
        self._stderr.seek(0)
        words = self._stderr.read().strip()
        return f':\n{words}' if words else ''

    def check(self) -> None:
        """Do nothing if it still runs.

        :raises BenchmarkError: it has ended.
        """
        code = self._process.poll()
        if code is not None:
            raise BenchmarkError(f'{self.name} ended with code {code}{self._last_words()}')

    def check_soon(self) -> None:
        """The same for one whose connections broke, and which may be about to end.

        :raises BenchmarkError: it has ended.
        """
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(DYING)
        self.check()

    def sleep(self) -> None:
        """Stop it, so that what it does by itself takes nothing from the others."""
        self.check()
        self._suspend()

    @contextmanager
    def awake(self) -> Iterator[Server]:
        """Let it run in this block.

        :raises BenchmarkError: it has ended.
        """
        self.check()
        self._info.resume()
        try:
            yield self
        finally:
            with suppress(psutil.Error):
                self._suspend()

    def _suspend(self) -> None:
        self._info.suspend()
        while self._info.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
            time.sleep(0.001)

    def cpu_seconds(self) -> float:
        """Return the CPU time it has used, user and system."""
        self.check()
        if sys.platform == 'linux':  # where the others count in steps of 10 ms
            return time.clock_gettime(~self._process.pid << 3 | 2)  # as clock_getcpuclockid(3)
        times = self._info.cpu_times()
        return times.user + times.system

    def resident_bytes(self) -> int:
        """Return the memory that it has, or on Linux the most that it has had."""
        self.check()
        with suppress(OSError), open(f'/proc/{self._process.pid}/status') as status:
            for line in status:
                if line.startswith('VmHWM:'):
                    return int(line.split()[1]) * 1024
        return int(self._info.memory_info().rss)

    def unique_bytes(self) -> int:
        """Return the memory that only this process uses."""
        self.check()
        return int(self._info.memory_full_info().uss)

    def descriptors(self) -> int:
        """Return how many file descriptors it has open."""
        self.check()
        return int(self._info.num_fds())

    def _end(self) -> None:
        self._process.terminate()
        with suppress(psutil.Error):
            self._info.resume()  # one that is stopped hears of nothing
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Kill it. Does nothing if it has ended."""
        self._opened.close()


def command_of(name: str, busy: bool = False) -> list[str]:
    if name == C_SERVER:
        return [str(compiled('echo_libuv', libraries=('libuv',)))]
    server = name.replace(ON_PYPY, '')
    python = str(PYPY) if server != name else sys.executable
    return [python, '-m', 'benchmarks.servers', server, *(['--busy'] if busy else [])]


def raise_fd_limit(connections: int) -> None:
    """Let this process and those that it starts from now on hold *connections* each.

    :raises BenchmarkError: the hard limit is lower.
    """
    needed = connections + SPARE_FDS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise BenchmarkError(
            f'{connections} connections need {needed} file descriptors, but `ulimit -Hn` is {hard}'
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
