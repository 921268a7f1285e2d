"""Poll handles: watching a descriptor that somebody else reads and writes."""

from __future__ import annotations

from .._gv import lib
from .errors import check, error_from
from .loop import DISPATCH, Handle, Loop

READABLE: int = lib.GV_POLL_READABLE
WRITABLE: int = lib.GV_POLL_WRITABLE


class PollHandle(Handle):
    """Watches what *fd* stands for, which stays the caller's, through a duplicate.

    ``owner.handle_ready(events, exc)`` is called in each turn in which it is ready.

    :raises TransportError: EPERM if it cannot be watched (regular files).
    """

    __slots__ = ('_fd',)

    def __init__(self, loop: Loop, fd: int) -> None:
        self._attach(loop, check(lib.gv_poll_new(loop._ptr, fd), f'watch file descriptor {fd}'))
        self._fd = fd

    def fileno(self) -> int:
        """Return the caller's file descriptor.

        :raises TransportError: the handle is closed.
        """
        super().fileno()
        return self._fd

    def start(self, events: int) -> None:
        """Watch for *events*: READABLE, WRITABLE or both."""
        check(lib.gv_poll_start(self._ptr, self.id, events), 'start to poll')

    def stop(self) -> None:
        """Watch no more; start() may follow."""
        check(lib.gv_poll_start(self._ptr, self.id, 0), 'stop to poll')

    def close(self) -> None:
        """Let go of the descriptor. Doing so again does nothing."""
        self.abort()


def _ready(handle: PollHandle, status: int) -> None:
    if handle.closed:
        return
    if status < 0:
        handle.owner.handle_ready(0, error_from(status, 'poll'))
    else:
        handle.owner.handle_ready(status, None)


DISPATCH[lib.GV_READY] = _ready
