"""Pipe handles: Unix sockets, pipes, FIFOs, and whatever else can be waited for."""

from __future__ import annotations

import os

from .._gv import lib
from .errors import check
from .loop import Loop
from .stream import StreamHandle


class PipeHandle(StreamHandle):
    """A Unix socket or pipe. A name that starts with a NUL is an abstract one (Linux).

    :raises TransportError: there is no memory.
    :raises RuntimeError: the loop belongs to another thread.
    """

    __slots__ = ()

    def __init__(self, loop: Loop) -> None:
        self._attach(loop, check(lib.gv_pipe_new(loop._ptr), 'make a pipe handle'))

    def bind(self, name: str | bytes) -> None:
        """Bind to *name*. Who closes the listener removes the name."""
        raw = os.fsencode(name)
        check(lib.gv_pipe_bind(self._ptr, self.id, raw, len(raw)), f'bind to {name!r}')

    def connect(self, name: str | bytes) -> None:
        """Connect; ``owner.handle_connected(None)`` follows.

        :raises BlockingIOError: the listener's backlog is full; try again later.
        :raises TransportError: nobody listens.
        """
        raw = os.fsencode(name)
        check(lib.gv_pipe_connect(self._ptr, self.id, raw, len(raw)), f'connect to {name!r}')

    def open(self, fd: int) -> None:
        """Take over *fd*, unless this raises (EPERM: files cannot be waited for)."""
        check(lib.gv_pipe_open(self._ptr, self.id, fd), f'open file descriptor {fd}')
