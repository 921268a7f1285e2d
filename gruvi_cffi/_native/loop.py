"""The loop: one call makes a turn, and its records are dispatched to the handles.

    poll() --> gv_loop_poll() --> libuv
      |             |
      |        ring: (handle, kind, a, b), (handle, kind, a, b), ...
      |             |
      +--> drain() -+--> handle.on_data(bytes)
                    +--> handle.owner.handle_eof() ...

What a dispatched method raises is logged, and the drain goes on; so is a stray cancellation.
KeyboardInterrupt and SystemExit leave drain(), with the cursor behind the record that raised, so
that calling drain() again loses nothing.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Any, Callable, Optional

from .. import limits
from .._gv import ffi, lib
from ..errors import TransportError
from .errors import check, error_from

_log = logging.getLogger('gruvi_cffi.loop')

_gv_poll = lib.gv_loop_poll
lib.gv_gil_init()
_DATA = lib.GV_DATA

FATAL = (KeyboardInterrupt, SystemExit)  # what is meant for the program, not for a connection


class Handle:
    """A libuv handle: the only owner of its id.

    The last thing it reports to its *owner* is ``handle_closed()``.
    """

    __slots__ = ('__weakref__', '_ptr', 'closed', 'id', 'loop', 'owner')

    id: int  # for C
    loop: Loop
    closed: bool  # or on the way: nothing but handle_closed() comes any more
    owner: Any

    def _attach(self, loop: Loop, handle_id: int) -> None:
        self.loop = loop
        self._ptr = loop._ptr
        self.id = handle_id
        self.closed = False
        self.owner = None
        loop.handles[handle_id] = self

    def fileno(self) -> int:
        """Return the file descriptor; it stays the handle's.

        :raises TransportError: the handle is closed or not open yet.
        """
        return check(lib.gv_handle_fileno(self._ptr, self.id), 'get the file descriptor')

    def abort(self) -> None:
        """Close now, and drop what is queued. Doing so again does nothing."""
        if self.closed:
            return
        check(lib.gv_handle_close(self._ptr, self.id), 'close')
        self.closed = True


class Loop:
    """One libuv loop, for the thread that makes it.

    :raises TransportError: there are no descriptors or no memory for it.
    """

    def __init__(
        self,
        *,
        ring_records: int = limits.RING_RECORDS,
        arena_bytes: int = limits.ARENA_BYTES,
        read_limit: int = limits.READ_LIMIT,
    ) -> None:
        error = ffi.new('int *')
        ptr = lib.gv_loop_new([[ring_records, arena_bytes, read_limit]], error)
        if ptr == ffi.NULL:
            raise error_from(error[0], 'make an event loop')
        # The memory outlives the loop, so that a late wake() finds a closed one.
        self._ptr = ffi.gc(ptr, lib.gv_loop_free)
        self.put = partial(lib.gv_stream_write, ptr)  # see StreamHandle
        self._ring = _ring_of(ptr, ring_records)
        self._arena = ffi.buffer(lib.gv_loop_arena(ptr), arena_bytes)
        # What is left of the turn's records, and how many came since the first, these included.
        # One object, so that no signal handler comes between them.
        self._batch: tuple[Iterator[tuple[int, int, int, int]], int] = (iter(()), 0)
        self._deferred: list[tuple[Handle, Callable[[], object]]] = []
        self._due: deque[tuple[Handle, Callable[[], object]]] = deque()
        self.handles: dict[int, Handle] = {}  # C knows ids only; this keeps them until CLOSED
        self.closed = False
        self.failure: Optional[Exception] = None  # why poll() itself could not go on
        self.waiting = False  # set by who calls poll(): from here on it takes a wake() to be heard

    def poll(self, timeout: int) -> None:
        """Make one turn: send what is queued, wait at most *timeout* ms (-1: for ever), dispatch.

        :raises RuntimeError: called from another thread, or in a forked child.
        :raises TransportError: the loop is closed.
        """
        self.drain()  # what a BaseException had left
        # A signal handler that raises may strike as soon as C returns. Then nothing more counts as
        # taken, and the next poll brings the same records.
        taken = self._batch[1]
        count = _gv_poll(self._ptr, taken, 0 if self._deferred else timeout)
        self.waiting = False
        if count < 0:
            self.failure = error_from(count, 'poll')
            raise self.failure
        if count:
            words = iter(self._ring[: 4 * count].tolist())
            self._batch = (zip(words, words, words, words), taken + count)
        if self._deferred:
            self._due.extend(self._deferred)
            self._deferred.clear()
        self.drain()

    def defer(self, handle: Handle, callback: Callable[[], object]) -> None:
        """Call *callback* before the records of the next turn; *handle* is told what it raises."""
        self._deferred.append((handle, callback))

    def _run_due(self) -> None:
        while self._due:
            handle, callback = self._due.popleft()
            try:
                callback()
            except FATAL:
                raise
            except BaseException as exc:
                _failed(handle, exc)

    def drain(self) -> None:
        """Run what was deferred to this turn, and dispatch what is left of its records."""
        if self._due:
            self._run_due()
        handles = self.handles
        arena = self._arena
        for handle_id, kind, a, b in self._batch[0]:
            handle = handles.get(handle_id)
            if handle is None:  # a socket that was accepted, but could not be opened
                continue
            try:
                if kind == _DATA:
                    handle.on_data(arena[a : a + b])  # type: ignore[attr-defined]
                else:
                    DISPATCH[kind](handle, a)
            except FATAL:
                raise
            except BaseException as exc:
                _failed(handle, exc)

    def wake(self) -> None:
        """Make the current or the next poll return soon.

        From any thread, signal handler or finalizer; a closed loop has nobody to wake.
        """
        lib.gv_loop_wake(self._ptr)

    def close(self) -> None:
        """Close the loop.

        :raises TransportError: EBUSY while there are handles.
        :raises RuntimeError: called from another thread, or in a forked child.
        """
        if self.closed:
            return
        self.drain()  # with the loop goes the arena
        check(lib.gv_loop_close(self._ptr, self._batch[1]), 'close the event loop')
        self.closed = True

    def abandon(self) -> None:
        """In a forked child, close our copies of the descriptors that the parent uses."""
        lib.gv_loop_abandon(self._ptr)


def last_thread() -> None:
    """The process ends: hold up the polls of other threads, which cannot run Python for long."""
    lib.gv_loop_last_thread()


def _ring_of(ptr: Any, records: int) -> memoryview:
    ring = lib.gv_loop_ring(ptr)
    return memoryview(ffi.buffer(ring, records * 4 * ffi.sizeof('int64_t'))).cast('q')


def _failed(handle: Handle, exc: BaseException) -> None:
    """Log what a dispatched method raised, and tell the handle's owner."""
    # That some connection broke while one wrote to it is no fault of the program.
    broken = isinstance(exc, TransportError) and exc.errno is not None
    level = logging.DEBUG if broken else logging.ERROR
    _log.log(level, 'exception in a callback of %r', handle.owner, exc_info=exc)
    tell: Any = getattr(handle.owner, 'handle_exception', None)
    if tell is None:
        return
    try:
        tell(exc)
    except Exception:
        _log.exception('exception in handle_exception() of %r', handle.owner)


def _connected(handle: Handle, code: int) -> None:
    if not handle.closed:
        handle.owner.handle_connected(error_from(code, 'connect') if code < 0 else None)


def _paused(handle: Handle, code: int) -> None:
    if not handle.closed:
        handle.owner.handle_paused(error_from(code, 'accept a connection'))


def _drained(handle: Handle, _: int) -> None:
    if not handle.closed:
        handle.owner.handle_drain()


def _eof(handle: Handle, _: int) -> None:
    if not handle.closed:
        handle.owner.handle_eof()


def _error(handle: Handle, code: int) -> None:
    if not handle.closed:
        handle.owner.handle_error(error_from(code, 'keep the connection'))


def _closed(handle: Handle, _: int) -> None:
    del handle.loop.handles[handle.id]
    if handle.owner is not None:
        handle.owner.handle_closed()
        handle.owner = None  # who mostly knows the handle; so both go without the collector


# What only one type of handle reports is registered by its module.
DISPATCH: dict[int, Callable[[Any, int], None]] = {
    lib.GV_CONNECTED: _connected,
    lib.GV_PAUSED: _paused,
    lib.GV_DRAIN: _drained,
    lib.GV_EOF: _eof,
    lib.GV_ERROR: _error,
    lib.GV_CLOSED: _closed,
}
