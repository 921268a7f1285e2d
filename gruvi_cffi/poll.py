"""Waiting until a descriptor that somebody else reads and writes is ready."""

from __future__ import annotations

import errno
import os
from typing import Any

from . import limits
from ._native.poll import READABLE, WRITABLE, PollHandle
from .errors import TransportError, check_timeout
from .hub import Hub, get_hub, switch_back, switchpoint
from .pollers import MultiPoll, Poller
from .switchback import SwitchBack

__all__ = ['READABLE', 'WRITABLE', 'MultiPoll', 'Poller', 'wait_readable', 'wait_writable']


class _Wait:
    """The owner of a handle that one fiber waits for.

    Nothing says that a descriptor was closed, so now and then the wait looks.
    """

    def __init__(self, hub: Hub, fd: int, switcher: SwitchBack) -> None:
        self._hub = hub
        self._fd = fd
        self._switcher = switcher
        self._opened = _open_file(fd)
        self._timer = hub.call_later(limits.POLL_RECHECK, self._recheck)

    def end(self) -> None:
        self._timer.cancel()

    def handle_ready(self, events: int, error: Exception | None) -> None:
        self._switcher.switch()  # on an error, too: who reads or writes will get it

    def handle_closed(self) -> None:
        """It was closed by us, or the hub is."""

    def _recheck(self) -> None:
        if _open_file(self._fd) == self._opened:
            self._timer = self._hub.call_later(limits.POLL_RECHECK, self._recheck)
        else:
            doing = f'wait for file descriptor {self._fd}, which was closed'
            self._switcher.throw(TransportError.from_errno(errno.EBADF, doing))


def _open_file(fd: int) -> object:
    """Return what differs if *fd* was closed, and mostly if it has become another file.

    The duplicate that is watched keeps what it was, so that has no successor.
    """
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


@switchpoint
def wait_readable(fd: Any, timeout: float | None = None) -> None:
    """Wait until *fd*, a descriptor or something with ``fileno()``, can be read, or has failed.

    The wait is for the open file that it is now. If it is closed meanwhile, that is noticed after
    ``limits.POLL_RECHECK`` seconds.

    :raises Timeout: it cannot be read after *timeout* seconds.
    :raises TransportError: it is closed, or cannot be watched (regular files are always ready).
    :raises TypeError: it is no descriptor.
    """
    _wait(fd, READABLE, timeout)


@switchpoint
def wait_writable(fd: Any, timeout: float | None = None) -> None:
    """Wait until *fd*, a descriptor or something with ``fileno()``, can be written, or has failed.

    See ``wait_readable()``.

    :raises Timeout: it cannot be written after *timeout* seconds.
    :raises TransportError: it is closed, or cannot be watched (regular files are always ready).
    :raises TypeError: it is no descriptor.
    """
    _wait(fd, WRITABLE, timeout)


def _wait(fd: Any, events: int, timeout: float | None) -> None:
    check_timeout(timeout)
    number = fd.fileno() if hasattr(fd, 'fileno') else fd
    if not isinstance(number, int) or isinstance(number, bool):
        raise TypeError(f'need a file descriptor, or something with one, not {fd!r}')
    hub = get_hub()
    handle = PollHandle(hub.loop, number)
    try:
        with switch_back(timeout, hub) as switcher:
            owner = handle.owner = _Wait(hub, number, switcher)
            try:
                handle.start(events)
                hub.switch()
            finally:
                owner.end()
    finally:
        handle.close()
