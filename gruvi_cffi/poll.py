"""Waiting until a descriptor that somebody else reads and writes is ready."""

from __future__ import annotations

from typing import Any

from ._native.poll import READABLE, WRITABLE, PollHandle
from .errors import check_timeout
from .hub import get_hub, switch_back, switchpoint
from .pollers import MultiPoll, Poller

__all__ = ['READABLE', 'WRITABLE', 'MultiPoll', 'Poller', 'wait_readable', 'wait_writable']


class _Wait:
    """The owner of a handle that one fiber waits for."""

    def __init__(self, switcher: Any) -> None:
        self._switcher = switcher

    def handle_ready(self, events: int, error: Exception | None) -> None:
        self._switcher.switch()  # on an error, too: who reads or writes will get it

    def handle_closed(self) -> None:
        """It was closed by us, or the hub is."""


@switchpoint
def wait_readable(fd: Any, timeout: float | None = None) -> None:
    """Wait until *fd*, a descriptor or something with ``fileno()``, can be read, or has failed.

    It may be closed meanwhile: the wait is for the open file that it was, and goes on.

    :raises Timeout: it cannot be read after *timeout* seconds.
    :raises TransportError: it is closed, or cannot be watched (regular files are always ready).
    :raises TypeError: it is no descriptor.
    """
    _wait(fd, READABLE, timeout)


@switchpoint
def wait_writable(fd: Any, timeout: float | None = None) -> None:
    """Wait until *fd*, a descriptor or something with ``fileno()``, can be written, or has failed.

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
        with switch_back(timeout) as switcher:
            handle.owner = _Wait(switcher)
            handle.start(events)
            hub.switch()
    finally:
        handle.close()
