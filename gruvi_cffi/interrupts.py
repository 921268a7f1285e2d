"""What the main thread's hub does so that signals are noticed, and SIGINT.

    signal --> C handler --> socketpair --> the loop wakes --> Python's handler runs
                                                                 SIGINT: ours, below

libuv waits on after a signal, and Python's handlers run only between two bytecodes. So Python is
told to write each signal's number to a socket pair, and the loop watches the other end.

A KeyboardInterrupt in the middle of the hub would lose what it was about to do, so SIGINT, if its
handler is Python's own, raises it in the root fiber, in the next turn. A second one that comes
before that raises where it is, so that a fiber that computes for ever can be stopped; but never in
the hub.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
from types import FrameType
from typing import Any, Optional, Protocol

from greenlet import getcurrent

from ._native.poll import READABLE, PollHandle
from .carriers import BareFiber
from .switchback import Throw

# On PyPy another thread may have seen the signal that has woken us, and the handler runs when this
# one has been away once more.
_LATE_HANDLERS = sys.implementation.name == 'pypy'

_RECHECK = 0.02  # seconds; how long a signal may go unnoticed after someone took the wakeup fd


class _Hub(Protocol):
    ignore_interrupt: bool
    loop: Any
    root: BareFiber
    carriers: Any

    def raise_in_root(self, error: BaseException) -> Throw: ...


_serving: Optional[Interrupts] = None  # for the living hub of the main thread


class Interrupts:
    """The wakeup fd, and the handler of SIGINT, for a hub until ``close()``."""

    def __init__(self, hub: _Hub) -> None:
        self._hub = hub
        self._pending: Optional[Throw] = None
        self._checked = 0.0
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        self._poll = PollHandle(hub.loop, self._receiver.fileno())
        self._poll.owner = self
        self._poll.start(READABLE)
        self._previous = self._take_wakeup_fd()

    @classmethod
    def install(cls, hub: _Hub) -> Interrupts | None:
        """Return what serves *hub*; None in any thread but the main one: it gets no signals."""
        global _serving
        if threading.current_thread() is not threading.main_thread():
            return None
        _serving = cls(hub)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _interrupted)
        return _serving

    def longest_wait(self, now: float, wait: int) -> int:
        """Return how long the loop may wait in ms (-1: for ever) if *wait* is what it would like.

        Others may take the wakeup fd (asyncio.run() does). To look costs a few system calls, so it
        is not done in each turn: a long wait comes only right after a look, a short one otherwise.
        """
        if 0 <= wait <= _RECHECK * 1000:
            return wait
        if now - self._checked < _RECHECK or _LATE_HANDLERS:
            return int(_RECHECK * 1000)
        self._checked = now
        self._take_wakeup_fd()
        return wait

    def handle_ready(self, events: int, error: Exception | None) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._receiver.recv(4096):
                pass

    def handle_closed(self) -> None:
        self._receiver.close()
        self._sender.close()

    def close(self) -> None:
        """Give back what was taken; the socket pair is closed in a later turn."""
        self._restore()
        self._poll.close()

    def abandon(self) -> None:
        """Give back what was taken, in a forked child."""
        self._restore()
        self._receiver.close()
        self._sender.close()

    def _restore(self) -> None:
        global _serving
        if _serving is self:
            _serving = None
        if _serving is None and signal.getsignal(signal.SIGINT) is _interrupted:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        current = signal.set_wakeup_fd(-1)
        if current == self._sender.fileno():
            current = self._previous
        signal.set_wakeup_fd(current)

    def _take_wakeup_fd(self) -> int:
        return signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the root fiber, or here. Called by the handler of SIGINT."""
        hub = self._hub
        if hub.ignore_interrupt:
            return
        if self._pending is None or self._pending.done:
            self._pending = hub.raise_in_root(KeyboardInterrupt('SIGINT received'))
            return
        current = getcurrent()
        if current is hub.carriers.parent:
            return
        if current is hub.root.carrier:
            self._pending.done = True
        raise KeyboardInterrupt('SIGINT received')


def _interrupted(number: int, frame: FrameType | None) -> None:
    # Whoever replaced it for a while may put it back when the hub is gone.
    if _serving is None:
        signal.default_int_handler(number, frame)
    else:
        _serving.interrupt()
