"""A server in a process of its own, watched from outside.

CPU time and memory are read by the operating system's means, so that a server in C and one in
Python are measured alike; those of its workers, if it has any by the time that it names its port,
count as its own.
"""

from __future__ import annotations

import resource
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
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


STILL = (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)


class BenchmarkError(Exception):
    """What was to be measured did not work, so there is no figure."""


class Server:
    """A server in its own process, or in several."""

    def __init__(
        self, name: str, command: list[str] | None = None, *, patience: float = PATIENCE
    ) -> None:
        """Start it. *command* prints the port that it listens on, within *patience* seconds."""
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
            self._family = [psutil.Process(self._process.pid)]
            stack.callback(self._end)
            assert self._process.stdin is not None and self._process.stdout is not None
            stack.enter_context(self._process.stdin)
            self._stdout = stack.enter_context(self._process.stdout)
            self.port = self._read_port(patience)
            self._family += self._family[0].children(recursive=True)
            self._opened = stack.pop_all()

    def _read_port(self, patience: float) -> int:
        ready, _, _ = select.select([self._stdout], [], [], patience)
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
        self._resume()
        try:
            yield self
        finally:
            with suppress(psutil.Error):
                self._suspend()

    def _resume(self) -> None:
        for process in reversed(self._family):  # no parent misses a child that does not answer
            with suppress(psutil.NoSuchProcess):  # the next figure that is asked for tells
                process.resume()

    def _suspend(self) -> None:
        for process in self._family:
            process.suspend()
        while not all(process.status() in STILL for process in self._family):
            time.sleep(0.001)

    def cpu_seconds(self) -> float:
        """Return the CPU time it has used, user and system."""
        return sum(_cpu_seconds(process) for process in self._members())

    def resident_bytes(self) -> int:
        """Return the memory that it has, or on Linux the most that it has had."""
        return sum(_resident_bytes(process) for process in self._members())

    def unique_bytes(self) -> int:
        """Return the memory that only this server uses."""
        return sum(process.memory_full_info().uss for process in self._members())

    def _members(self) -> Sequence[psutil.Process]:
        """Return its processes.

        :raises BenchmarkError: one of them has ended.
        """
        self.check()
        for process in self._family[1:]:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                raise BenchmarkError(f'{self.name} has lost a worker{self._last_words()}')
        return self._family

    def descriptors(self) -> int:
        """Return how many file descriptors it has open."""
        self.check()
        return sum(process.num_fds() for process in self._members())

    def end_children(self) -> None:
        """End what it has started, and wait for it: strace tells what it has seen after that."""
        for child in self._family[0].children():
            child.terminate()
        self._process.wait(PATIENCE)

    def _end(self) -> None:
        self._process.terminate()
        self._resume()  # one that is stopped hears of nothing
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for process in self._family[1:]:
            with suppress(psutil.Error):
                process.kill()

    def close(self) -> None:
        """Kill it. Does nothing if it has ended."""
        self._opened.close()


def _cpu_seconds(process: psutil.Process) -> float:
    if sys.platform == 'linux':  # where the others count in steps of 10 ms
        return time.clock_gettime(~process.pid << 3 | 2)  # as clock_getcpuclockid(3)
    times = process.cpu_times()
    return float(times.user + times.system)


def _resident_bytes(process: psutil.Process) -> int:
    with suppress(OSError), open(f'/proc/{process.pid}/status') as status:
        for line in status:
            if line.startswith('VmHWM:'):
                return int(line.split()[1]) * 1024
    return int(process.memory_info().rss)


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
