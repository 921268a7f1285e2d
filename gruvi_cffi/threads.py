"""Which hub belongs to which thread, and what becomes of it when the thread or the process ends.

A thread's hub is closed by a finalizer that only the thread's own storage refers to. CPython runs
it in the thread that ends. Where it runs elsewhere (PyPy), nobody may touch the loop but to give up
its descriptors.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from threading import get_ident
from typing import Any, Protocol

from greenlet import getcurrent, greenlet

from ._native.loop import last_thread
from .switchpoints import sections


class _Hub(Protocol):
    thread: int
    loop: Any

    def is_alive(self) -> bool: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


class _State(threading.local):
    hub: Any = None
    root: greenlet | None = None  # in a child that was forked in a fiber: that fiber
    keeper: Any = None


class _Keeper:
    """Closes *hub* when the thread ends."""

    def __init__(self, hub: _Hub) -> None:
        self._hub = hub

    def __del__(self) -> None:
        hub = self._hub
        if not hub.is_alive():
            return
        if hub.thread == get_ident():
            _ending[hub.thread] = hub
            try:
                hub.close()
            finally:
                del _ending[hub.thread]
        else:
            hub.abandon()


state = _State()
_hubs: weakref.WeakSet[Any] = weakref.WeakSet()
_guard = threading.RLock()  # nobody adds to it while somebody else looks through it
_inherited: list[Any] = []
_ending: dict[int, Any] = {}  # hubs of threads whose own storage is gone already


def is_root(current: greenlet) -> bool:
    """Return True if *current* is where its thread, or this forked process, began."""
    return current.parent is None or current is state.root


def find() -> Any:
    """Return the hub of the calling thread, or None."""
    return state.hub or _ending.get(get_ident())


def remember(hub: _Hub) -> None:
    """Make *hub* the calling thread's, and close it when the thread ends."""
    state.hub = hub
    abandon_orphans()
    with _guard:
        _hubs.add(hub)
    if threading.current_thread() is not threading.main_thread():
        state.keeper = _Keeper(hub)


def all_hubs() -> list[Any]:
    """Return the hubs of all threads."""
    with _guard:
        return list(_hubs)


def abandon_orphans() -> None:
    """Give up the hubs of threads that have ended, where the collector takes its time to do so."""
    if sys.implementation.name == 'cpython':
        return
    known = all_hubs()
    living = sys._current_frames().keys() - {get_ident()}  # behind that: a thread may just begin
    for hub in known:
        if hub.is_alive() and hub is not state.hub and hub.thread not in living:
            hub.abandon()


def forget() -> None:
    """Make the next ``get_hub()`` of this thread return a new one."""
    state.keeper = None
    state.hub = None


def _at_exit() -> None:
    last_thread()  # what we close may wake daemon threads with hubs
    hub = state.hub
    if hub is not None and hub.is_alive() and is_root(getcurrent()):
        hub.exiting = True
        hub.close()


def _after_fork() -> None:
    global _guard
    _guard = threading.RLock()  # who held it has not come along
    # Kept for ever: to collect the parent's fibers would run their finally blocks here.
    _inherited.extend(_hubs)
    _hubs.clear()
    sections.clear()
    _ending.clear()
    for hub in _inherited:
        hub.abandon()
    state.hub = None
    state.keeper = None
    state.root = getcurrent()


atexit.register(_at_exit)
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_after_fork)
