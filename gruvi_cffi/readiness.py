"""Waiting for a socket of Python's: the fibers of one hub, some to read, some to write."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import weakref
from threading import get_ident
from typing import Any

from ._native.poll import READABLE, WRITABLE, PollHandle
from .hub import Hub, switch_back


class Readiness:
    """Lets the fibers of *hub* wait for *sock*, until it is let go or collected.

    It owns the handle, which stays open between two waits: most are for what was waited for before.
    """

    def __init__(self, hub: Hub, sock: socket.socket) -> None:
        self.hub = hub
        self._waiters: dict[int, list[Any]] = {READABLE: [], WRITABLE: []}
        self._watched = 0
        self._handle = PollHandle(hub.loop, sock.fileno())
        self._handle.owner = self
        self._finalizer = weakref.finalize(sock, self._collected)
        self._finalizer.atexit = False

    @property
    def usable(self) -> bool:
        """True until it is let go, or the hub ends, or this is a child that was forked."""
        return not self._handle.closed and self.hub.is_alive()

    @property
    def busy(self) -> bool:
        """True while a fiber waits."""
        return self.usable and any(self._waiters.values())

    def wait(self, event: int, timeout: float | None) -> None:
        """Wait for *event*.

        :raises Timeout: it did not come.
        :raises OSError: EBADF if the socket was closed.
        """
        waiters = self._waiters[event]
        with switch_back(timeout, self.hub) as switcher:
            waiters.append(switcher)
            try:
                if not self._watched & event:
                    self._watch(self._watched | event)
                self.hub.switch()
            finally:
                if switcher in waiters:
                    waiters.remove(switcher)

    def let_go(self) -> None:
        """Wake all who wait, and close the handle; from another thread, as soon as that can."""
        self._finalizer.detach()
        if not self.usable:
            return
        if self.hub.thread == get_ident():
            self._close()
        else:
            self._close_elsewhere()

    def handle_ready(self, events: int, error: Exception | None) -> None:
        if error is not None:  # who reads or writes will get it; libuv has stopped to watch
            events = READABLE | WRITABLE
            self._watched = 0
        unwanted = 0
        for event, waiters in self._waiters.items():
            if not events & event:
                continue
            if not waiters:
                unwanted |= event
            for switcher in waiters:
                switcher.switch()
            waiters.clear()
        if self._watched & unwanted:  # no sooner: most ask again before it is ready again
            self._watch(self._watched & ~unwanted)

    def handle_closed(self) -> None:
        """It was closed by us, or the hub is."""

    def _watch(self, events: int) -> None:
        self._watched = events
        self._handle.start(events)

    def _close(self) -> None:
        for waiters in self._waiters.values():
            for switcher in waiters:
                switcher.throw(OSError(errno.EBADF, os.strerror(errno.EBADF)))
            waiters.clear()
        self._handle.close()

    def _collected(self) -> None:
        """The socket was dropped unclosed. The collector may run in any thread, and at any time."""
        if self.usable:
            self._close_elsewhere()

    def _close_elsewhere(self) -> None:
        with contextlib.suppress(RuntimeError):  # its thread has just closed the hub, and so this
            self.hub.run_callback(self._close)
