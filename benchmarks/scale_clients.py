"""Servers of scale_servers.py, and hold.c, which has many connections to one."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from typing import Any

from .compiler import compiled
from .process import BenchmarkError, Server
from .scale_servers import HELLO
from .servers import HOST

SOURCES = 8  # addresses that connections come from
ECHO = ('x', 'x')  # what a connection says, and how the answer ends
HTTP = (f'GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n', HELLO.decode())
DEAF = ('x', '')  # such never read


def serve(name: str, behaviour: str, port: int = 0) -> Server:
    """Start a server; on *port*, beside others, unless that is 0.

    :raises BenchmarkError: it does not start.
    """
    command = [sys.executable, '-m', 'benchmarks.scale_servers', name, behaviour, str(port)]
    return Server(name, command)


def words_of(name: str) -> tuple[str, str]:
    return HTTP if name.endswith('-http') else ECHO


class Holder:
    """Many connections to the server at *port*, in a process of their own."""

    def __init__(self, port: int, words: tuple[str, str] = ECHO) -> None:
        command = [str(compiled('hold')), f'{HOST}:{port}', str(SOURCES), *words]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def begin(self, *words: object) -> None:
        """Tell it what to do; ``end()`` has to follow."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended, which end() will tell
            self._process.stdin.write(' '.join(map(str, words)) + '\n')
            self._process.stdin.flush()

    def end(self) -> dict[str, float]:
        """Return what came of it: ``seconds``, ``count``, and quantiles of the latency.

        :raises BenchmarkError: it failed.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        said: dict[str, Any] = json.loads(line) if line else {'error': 'the client has ended'}
        if 'error' in said:
            raise BenchmarkError(str(said['error']))
        return said

    def ask(self, *words: object) -> dict[str, float]:
        """Tell it what to do, and return what came of it; see hold.c.

        :raises BenchmarkError: it failed.
        """
        self.begin(*words)
        return self.end()

    def close(self) -> None:
        """End it, and with it the connections."""
        self._process.kill()
        # Closes the pipes and waits. A command that it never read cannot be sent any more.
        with suppress(BrokenPipeError), self._process:
            pass
