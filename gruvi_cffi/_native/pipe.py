"""Pipe handles: Unix sockets, pipes, FIFOs, and whatever else can be waited for."""

from __future__ import annotations

import os
from typing import Optional

from .._gv import ffi, lib
from .errors import check
from .loop import Loop
from .stream import Buffer, StreamHandle


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

    def allow_passing(self, most: int) -> None:
        """Have descriptors travel with the data of an open Unix socket, both ways.

        While *most* of them were not taken, nothing more is read, and ``owner.handle_paused()`` is
        called once until all were taken.

        :raises TransportError: it is no Unix socket, or is in use already.
        """
        rc = lib.gv_pipe_allow_passing(self._ptr, self.id, most)
        check(rc, 'have descriptors travel over this')

    def pass_fd(self, data: Buffer, fd: int) -> int:
        """Queue *data*, with a duplicate of *fd* on its first byte; return the queue's size.

        :raises TransportError: as for write(); or, and then *data* is not queued, there is no
            descriptor left (EMFILE), or *fd* is none (EBADF).
        :raises ValueError: none may travel, or there is no data.
        """
        with memoryview(data) as view:
            if not view.nbytes:
                raise ValueError('a descriptor needs a byte of data to travel with')
            kept = ffi.from_buffer(view) if view.c_contiguous else view.tobytes()
            rc = lib.gv_pipe_pass(self._ptr, self.id, kept, view.nbytes, fd)
            if view.c_contiguous:
                ffi.release(kept)
        _check_passing(rc)
        return check(rc, f'pass file descriptor {fd}')

    @property
    def passed(self) -> int:
        """How many descriptors came and were not taken; 0 once it is closed."""
        return max(0, int(lib.gv_pipe_passed(self._ptr, self.id)))

    def take_fd(self) -> Optional[int]:
        """Return the descriptor that came first, now the caller's, or None.

        When ``on_data`` is given a byte, the descriptor that came with it is there; those of later
        bytes may be there already.

        :raises TransportError: the handle is closed.
        :raises ValueError: none may travel.
        """
        fd = lib.gv_pipe_take_passed(self._ptr, self.id)
        _check_passing(fd)
        return None if fd == lib.UV_EAGAIN else check(fd, 'take a descriptor')


def _check_passing(code: int) -> None:
    if code == lib.UV_ENOTSUP:
        raise ValueError('descriptors travel only over a Unix socket that was made with ipc=True')
