"""A server that keeps values under names, and its client.

python examples/store.py [localhost:7007]
"""

from __future__ import annotations

import sys
from typing import Optional

from gruvi_cffi import (
    Error,
    Lock,
    Stream,
    StreamClient,
    StreamServer,
    paddr,
    saddr,
    switchpoint,
)

MAX_LINE = 1000  # bytes


class NoSuchValue(Error):
    """Nothing is kept under that name."""


class StoreServer(StreamServer):
    """Answers ``set NAME VALUE`` and ``get NAME``, a line each."""

    def __init__(self, timeout: Optional[float] = None) -> None:
        super().__init__(self._talk, timeout)
        self._values: dict[str, str] = {}

    def _talk(self, stream: Stream, transport: object, protocol: object) -> None:
        while stream.peek():
            line = stream.readuntil(b'\n', limit=MAX_LINE).decode().rstrip('\n')
            stream.write(self._answer(line).encode() + b'\n')

    def _answer(self, line: str) -> str:
        command, _, rest = line.partition(' ')
        if command == 'set':
            name, _, value = rest.partition(' ')
            self._values[name] = value
            return 'ok'
        if command != 'get':
            return f'error: no command {command}'
        return f'value {self._values[rest]}' if rest in self._values else f'error: no {rest}'


class StoreClient(StreamClient):
    """Sets and gets values. Any number of fibers may use one client."""

    def __init__(self, timeout: Optional[float] = None) -> None:
        super().__init__(timeout)
        self._lock = Lock()

    @switchpoint
    def set(self, name: str, value: str) -> None:
        """Keep *value* under *name*."""
        self._ask(f'set {name} {value}')

    @switchpoint
    def get(self, name: str) -> str:
        """Return what is kept under *name*.

        :raises NoSuchValue: there is nothing.
        """
        return self._ask(f'get {name}').partition(' ')[2]

    def _ask(self, line: str) -> str:
        if '\n' in line:
            raise ValueError(f'need a single line, not {line!r}')
        with self._lock:
            try:
                self.write(line.encode() + b'\n')
                answer = self.stream.readuntil(b'\n', limit=MAX_LINE).decode().rstrip('\n')
            except BaseException:
                # An answer that comes too late must not be taken for the next one's.
                if self.transport is not None:
                    self.transport.abort()
                raise
        if answer.startswith('error: '):
            raise NoSuchValue(answer[7:])
        return answer


def main(address: str = 'localhost:7007') -> None:
    server = StoreServer(timeout=60)
    server.listen(paddr(address))
    print('listening on', *map(saddr, server.addresses), flush=True)
    server.run()
    server.close(timeout=5)


if __name__ == '__main__':
    main(*sys.argv[1:])
