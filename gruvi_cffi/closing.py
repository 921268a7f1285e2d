"""How a hub ends: first its fibers, then its handles, in a bounded number of turns."""

from __future__ import annotations

import logging
from time import monotonic
from typing import Any, Protocol

from . import limits
from .carriers import BareFiber
from .errors import Cancelled
from .switchback import Nap, Throw

_log = logging.getLogger('gruvi_cffi.hub')


class _Hub(Protocol):
    exiting: bool
    fibers: set[BareFiber]
    root: BareFiber
    loop: Any

    def call_later(self, seconds: float, callback: Any, *args: Any) -> Any: ...
    def make_ready(self, entry: Any) -> None: ...
    def sleep_once(self, entry: Nap) -> None: ...
    def switch(self) -> Any: ...


def end_all(hub: _Hub) -> None:
    """Cancel all fibers and close all handles of *hub*. In its root fiber."""
    _end_fibers(hub)
    _end_handles(hub)
    # connection_lost() may have started some more.
    _end_fibers(hub)
    _end_handles(hub)


def _end_fibers(hub: _Hub) -> None:
    cancelled: set[BareFiber] = set()
    for _ in range(limits.CLOSE_TURNS):
        _pass_turn(hub)
        if not hub.fibers:
            return
        for fiber in hub.fibers - cancelled:
            cancelled.add(fiber)
            hub.make_ready(Throw(fiber, Cancelled('hub closed')))
    level = logging.DEBUG if hub.exiting else logging.WARNING
    for fiber in hub.fibers:
        _log.log(level, 'fiber %s did not end when its hub was closed', fiber.name)
    hub.fibers.clear()


def _end_handles(hub: _Hub) -> None:
    until = monotonic() + limits.CLOSE_SECONDS
    turns = 0
    while hub.loop.handles and (turns < limits.CLOSE_TURNS or monotonic() < until):
        for handle in list(hub.loop.handles.values()):
            handle.abort()
        if turns < limits.CLOSE_TURNS:
            _pass_turn(hub)
        else:  # what threads do for files takes time, not turns
            _pass_time(hub)
        turns += 1


def _pass_time(hub: _Hub) -> None:
    nap = Nap(hub.root)
    hub.call_later(0.001, hub.make_ready, nap)
    _wait(hub, nap)


def _pass_turn(hub: _Hub) -> None:
    nap = Nap(hub.root)
    hub.sleep_once(nap)
    _wait(hub, nap)


def _wait(hub: _Hub, nap: Nap) -> None:
    try:
        hub.switch()
    finally:
        nap.done = True
