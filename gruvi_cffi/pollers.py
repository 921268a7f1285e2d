"""Callbacks for descriptors that somebody else reads and writes.

Poller --- one for each descriptor ---> MultiPoll --- one ---> PollHandle (a duplicate)
                                          |
                                          +---> callbacks, in the order in which they came
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable
from typing import Any, Optional

from ._native.loop import Loop
from ._native.poll import READABLE, WRITABLE, PollHandle

_log = logging.getLogger('gruvi_cffi.poll')

_ALL = READABLE | WRITABLE

Callback = Callable[[int, int], object]


class PollCallback:
    """A callback, and the events that it is for. Made by ``add_callback()``."""

    __slots__ = ('callback', 'events')

    def __init__(self, events: int, callback: Callback) -> None:
        self.events = events
        self.callback = callback


class MultiPoll:
    """Any number of callbacks for one descriptor, which stays the caller's.

    It is watched through a duplicate: what happens to the number does not matter.

    :raises TransportError: *fd* is closed, or cannot be watched (regular files).
    """

    def __init__(self, loop: Loop, fd: int) -> None:
        self.fd = fd
        self._callbacks: list[PollCallback] = []
        self._watched = 0
        self._handle: Optional[PollHandle] = PollHandle(loop, fd)
        self._handle.owner = self

    @property
    def callbacks(self) -> int:
        """How many there are."""
        return len(self._callbacks)

    def add_callback(self, events: int, callback: Callback) -> PollCallback:
        """Call ``callback(fd, events)`` in each turn in which one of *events* is there.

        It is called in the hub's fiber, with those of *events* that are there, for as long as they
        are; on an error, with all of *events*.

        :raises ValueError: *events* are not READABLE, WRITABLE, both, or 0 for none.
        :raises RuntimeError: it is closed.
        """
        self._check(events)
        handle = PollCallback(events, callback)
        self._callbacks.append(handle)
        self._watch()
        return handle

    def remove_callback(self, handle: PollCallback) -> None:
        """Call it no more.

        :raises ValueError: *handle* is not one of this.
        :raises RuntimeError: it is closed.
        """
        self._check(0, handle)
        self._callbacks.remove(handle)
        handle.events = 0  # also if it is on its way
        self._watch()

    def update_callback(self, handle: PollCallback, events: int) -> None:
        """Call it for *events* from now on; 0 is none.

        :raises ValueError: *handle* is not one of this, or *events* make no sense.
        :raises RuntimeError: it is closed.
        """
        self._check(events, handle)
        handle.events = events
        self._watch()

    def close(self) -> None:
        """Call nobody any more. Doing so again does nothing."""
        handle, self._handle = self._handle, None
        if handle is not None:
            for callback in self._callbacks:
                callback.events = 0
            self._callbacks.clear()
            handle.close()

    def _check(self, events: int, handle: PollCallback | None = None) -> None:
        if self._handle is None:
            raise RuntimeError('the poller is closed')
        if events & ~_ALL:
            raise ValueError(f'need READABLE, WRITABLE, both or 0, not {events!r}')
        if handle is not None and handle not in self._callbacks:
            raise ValueError(f'there is no such callback for file descriptor {self.fd}')

    def _watch(self) -> None:
        events = 0
        for callback in self._callbacks:
            events |= callback.events
        if events != self._watched and self._handle is not None:
            self._watched = events
            self._handle.start(events)

    def handle_ready(self, events: int, error: Exception | None) -> None:
        """Call who waits for it. Whoever reads or writes then finds out about an error."""
        if error is not None:
            events = _ALL
            self._watched = 0  # libuv has stopped to watch
        for callback in list(self._callbacks):
            ready = callback.events & events
            if not ready:
                continue
            try:
                callback.callback(self.fd, ready)
            except Exception:
                _log.exception('exception in poll callback %r', callback.callback)
        if error is not None:
            self._watch()

    def handle_closed(self) -> None:
        """The loop is closing, or close() was called."""
        self.close()


class Poller:
    """Callbacks for any number of descriptors. ``get_hub().poll`` is one."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._polls: dict[int, list[tuple[Any, MultiPoll]]] = {}
        self._closed = False

    def add_callback(self, fd: int, events: int, callback: Callback) -> PollCallback:
        """Call ``callback(fd, events)`` when *fd* is ready; see ``MultiPoll.add_callback()``.

        :raises TransportError: *fd* is closed, or cannot be watched (regular files).
        :raises ValueError: *events* make no sense.
        :raises RuntimeError: it is closed.
        """
        self._check()
        identity = _identity(fd)
        for known, poll in self._polls.get(fd, ()):
            if identity is not None and known == identity:
                return poll.add_callback(events, callback)
        poll = MultiPoll(self._loop, fd)
        try:
            handle = poll.add_callback(events, callback)
        except BaseException:
            poll.close()
            raise
        self._polls.setdefault(fd, []).append((identity, poll))
        return handle

    def remove_callback(self, fd: int, handle: PollCallback) -> None:
        """Call it no more.

        :raises ValueError: *handle* is not one for *fd*.
        :raises RuntimeError: it is closed.
        """
        poll = self._find(fd, handle)
        poll.remove_callback(handle)
        if poll.callbacks:
            return
        poll.close()
        self._polls[fd] = [entry for entry in self._polls[fd] if entry[1] is not poll]
        if not self._polls[fd]:
            del self._polls[fd]

    def update_callback(self, fd: int, handle: PollCallback, events: int) -> None:
        """Call it for *events* from now on; 0 is none.

        :raises ValueError: *handle* is not one for *fd*, or *events* make no sense.
        :raises RuntimeError: it is closed.
        """
        self._find(fd, handle).update_callback(handle, events)

    def close(self) -> None:
        """Call nobody any more. Doing so again does nothing."""
        self._closed = True
        polls, self._polls = self._polls, {}
        for entries in polls.values():
            for _, poll in entries:
                poll.close()

    def _check(self) -> None:
        if self._closed:
            raise RuntimeError('the poller is closed')

    def _find(self, fd: int, handle: PollCallback) -> MultiPoll:
        self._check()
        for _, poll in self._polls.get(fd, ()):
            if handle in poll._callbacks:
                return poll
        raise ValueError(f'there is no such callback for file descriptor {fd}')


def _identity(fd: int) -> Any:
    """Return what tells the open file *fd* from another of that number; None if nothing does."""
    try:
        status = os.fstat(fd)
    except OSError:
        return None  # the handle will say so
    if stat.S_IFMT(status.st_mode) in (0, stat.S_IFIFO):  # eventfd and the like; an end of a pipe
        return None
    return status.st_dev, status.st_ino
