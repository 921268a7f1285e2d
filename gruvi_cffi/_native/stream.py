"""Stream handles: TCP connections, Unix sockets and pipes, open or listening."""

from __future__ import annotations

import os
import socket
import sys
from collections import deque
from typing import Any, Callable, Optional, Union

from .._gv import ffi, lib
from .errors import check, error_from
from .loop import DISPATCH, Handle, Loop
from .tls import TlsEngine

Buffer = Union[bytes, bytearray, memoryview]
Address = Union[str, tuple[Any, ...]]  # of a Unix socket, or (host, port[, flow, scope])

DEADLINE_READ: int = lib.GV_DEADLINE_READ
DEADLINE_WRITE: int = lib.GV_DEADLINE_WRITE
DEADLINE_TOTAL: int = lib.GV_DEADLINE_TOTAL

# PyPy can move or resize what is exported, so there is nothing for C to read into.
CAN_READ_INTO = sys.implementation.name == 'cpython'

# Bytes from which to lend costs less than to copy; on PyPy it never does: it keeps what was lent.
LEND_SIZE: int = lib.GV_TRY_SIZE if sys.implementation.name == 'cpython' else sys.maxsize


def discard(data: bytes) -> None:
    """Drop *data*: what a closed handle still had in the batch."""


class StreamHandle(Handle):
    """A stream of libuv's.

    *on_data* is called with the bytes of each read, straight from the drain; it may be changed at
    any time. Everything else is told to the *owner*: ``handle_connected(exc)``, ``handle_eof()``,
    ``handle_error(exc)``, ``handle_drain()``, ``handle_timeout(which)``,
    ``handle_read_into(nbytes)``, ``handle_tls(events)``, and of a listener
    ``handle_accepted(handle)`` and ``handle_paused(exc)``.
    """

    __slots__ = ('_flushing', '_into', '_lent', '_lent_done', '_tls', 'on_data', 'put')

    reads_into = CAN_READ_INTO
    on_data: Callable[[bytes], object]
    # put(id, data, len(data)) is write() for less than LEND_SIZE bytes that never change, without
    # its checks: a negative result is an error that write() would raise. One for the whole loop.
    put: Callable[[int, bytes, int], int]

    def _attach(self, loop: Loop, handle_id: int) -> None:
        super()._attach(loop, handle_id)
        self.on_data = discard
        self.put = loop.put
        self._into: Any = None
        self._lent: Optional[deque[Any]] = None  # memory that C sends from
        self._lent_done = 0
        self._flushing = False  # closed, but the queue still leaves
        self._tls: Optional[TlsEngine] = None  # C needs it until handle_closed()

    def write(self, data: Buffer) -> int:
        """Queue *data*; return the size of the queue in bytes.

        :raises TransportError: not connected, closed, after write_eof(), or the connection broke.
        """
        if type(data) is bytes:
            size = len(data)
            rc = self._lend(data, size) if size >= LEND_SIZE else self.put(self.id, data, size)
        else:
            with memoryview(data) as view:
                size = view.nbytes
                kept = ffi.from_buffer(view) if view.c_contiguous else view.tobytes()
                rc = self.put(self.id, kept, size)
                if view.c_contiguous:
                    ffi.release(kept)
        if rc < 0:
            raise error_from(rc, 'write')
        return int(rc)

    def _lend(self, data: bytes, size: int) -> int:
        kept = ffi.from_buffer(data)
        if self._lent is None:
            self._lent = deque()
        # Before the call: a signal handler that raises must not leave C with memory that nobody
        # holds. What is one too many is only kept longer.
        self._lent.append(kept)
        rc = lib.gv_stream_lend(self._ptr, self.id, kept, size)
        if rc <= 0:
            self._lent.pop()
        return int(rc)

    def write_eof(self) -> None:
        """Send EOF behind what is queued.

        :raises TransportError: as for write().
        """
        check(lib.gv_stream_write_eof(self._ptr, self.id), 'write EOF')

    @property
    def write_queue_size(self) -> int:
        """How many bytes are queued; 0 once it is closed."""
        rc = lib.gv_stream_pending(self._ptr, self.id)
        return int(rc) if rc > 0 else 0

    def set_watermarks(self, high: int, low: int) -> None:
        """Have ``handle_drain()`` called when the queue falls from above *high* to *low* bytes."""
        check(lib.gv_stream_watermarks(self._ptr, self.id, high, low), 'set the watermarks')

    def read_start(self) -> None:
        """Read from the next turn on.

        :raises TransportError: not connected, or closed.
        """
        check(lib.gv_stream_read_start(self._ptr, self.id), 'start to read')

    def read_stop(self) -> None:
        """Stop with the next turn; what this batch still holds comes."""
        check(lib.gv_stream_read_stop(self._ptr, self.id), 'stop to read')

    def read_into(self, buffer: memoryview | bytearray | None) -> None:
        """Have the next read go to *buffer*, which stays exported until then; None takes it back.

        Only where CAN_READ_INTO is true. What the current batch still holds comes nevertheless:
        bytes to *on_data*, or ``handle_read_into()`` for a buffer that was full before it is
        taken back.

        :raises BlockingIOError: another buffer is registered, and was filled in this batch.
        """
        if self._into is not None and not self._take_back():
            if buffer is None:
                return
            raise error_from(lib.UV_EALREADY, 'read into a buffer')
        if buffer is None:
            return
        # Ours first: a signal handler that raises must not leave C with memory that nobody holds.
        self._into = ffi.from_buffer(buffer, require_writable=True)
        rc = lib.gv_stream_read_into(self._ptr, self.id, self._into, len(self._into))
        if rc < 0:
            self._release_into()
            raise error_from(rc, 'read into a buffer')

    def _take_back(self) -> bool:
        rc = lib.gv_stream_read_into(self._ptr, self.id, ffi.NULL, 0)
        if rc == lib.UV_EALREADY:
            return False
        check(rc, 'take back a buffer')
        self._release_into()
        return True

    def _release_into(self) -> None:
        if self._into is not None:
            ffi.release(self._into)
            self._into = None

    def set_deadline(self, which: int, seconds: float | None) -> None:
        """Set one of the DEADLINE_*, in *seconds* from now; None is off.

        ``handle_timeout(which)`` follows when it comes, once.
        """
        ms = -1 if seconds is None else min(max(0, round(seconds * 1000)), 2**32 - 2)
        check(lib.gv_stream_deadline(self._ptr, self.id, which, ms), 'set a deadline')

    def close(self) -> None:
        """Close behind what is queued. Doing so again does nothing.

        The deadlines stay in force, and ``handle_timeout()`` is still called.
        """
        if self.closed:
            return
        self._flushing = check(lib.gv_stream_close(self._ptr, self.id), 'close') > 0
        self._shut()

    def abort(self) -> None:
        """Close now, and drop what is queued; TCP sends an RST. Doing so again does nothing."""
        if self.closed and not self._flushing:
            return
        rc = lib.gv_stream_abort(self._ptr, self.id)
        if rc != lib.UV_EBADF:  # it may just have closed by itself
            check(rc, 'abort')
        self._flushing = False
        self._shut()

    def _shut(self) -> None:
        self.closed = True
        self.on_data = discard
        self._release_into()

    # TLS; see csrc/tls_stream.h.

    @property
    def has_tls(self) -> bool:
        """Whether an engine is between the stream and its socket."""
        return self._tls is not None

    @property
    def engine(self) -> TlsEngine | None:
        """What ``start_tls()`` was given."""
        return self._tls

    def start_tls(self, engine: TlsEngine, linger: float) -> None:
        """Put *engine* between the stream and its socket, and begin the handshake.

        ``close()`` then waits *linger* seconds at most for the peer's close_notify.

        :raises TransportError: not connected, closed, or descriptors can be passed.
        """
        ms = round(linger * 1000)
        # Ours first: a signal handler that raises must not leave C with what nobody holds.
        self._tls = engine
        rc = lib.gv_stream_tls_start(self._ptr, self.id, engine._ptr, ms)
        if rc < 0:
            self._tls = None
        check(rc, 'start TLS')

    def continue_tls(self) -> None:
        """Go on with the handshake, after the engine was told what to use."""
        check(lib.gv_stream_tls_continue(self._ptr, self.id), 'go on with the handshake')

    def shutdown_tls(self) -> None:
        """Say close_notify behind what is queued.

        :raises TransportError: there was no handshake.
        """
        check(lib.gv_stream_tls_shutdown(self._ptr, self.id), 'end TLS')

    def stop_tls(self) -> None:
        """Go on without the engine, after both sides have said close_notify.

        :raises TransportError: they have not.
        """
        check(lib.gv_stream_tls_stop(self._ptr, self.id), 'take TLS away')
        self._tls = None

    def listen(self, backlog: int) -> None:
        """Accept connections; the kernel keeps up to *backlog* that were not accepted yet.

        :raises TransportError: not bound, or the address is in use.
        """
        check(lib.gv_stream_listen(self._ptr, self.id, backlog), 'listen')

    def accept(self, on: bool) -> None:
        """Accept, or do not; who connects then waits in the backlog.

        :raises TransportError: it does not listen.
        """
        check(lib.gv_stream_accept(self._ptr, self.id, on), 'accept')

    def refuse(self) -> None:
        """Let nobody begin to connect any more, as far as the system can do that.

        It is the socket that refuses, also for other processes that have it.
        """
        lib.gv_stream_refuse(self._ptr, self.id)

    def accept_rest(self) -> bool:
        """Accept who waits; return False if nobody did, else the loop has to turn first.

        :raises TransportError: it does not listen, or there are no descriptors left.
        """
        return bool(check(lib.gv_stream_accept_rest(self._ptr, self.id), 'accept'))

    def getsockname(self) -> Address:
        """Return the name of our end: a tuple for IP, a string for Unix sockets."""
        return self._name(0, 'get the name of the socket')

    def getpeername(self) -> Address:
        """Return the name of the peer, which TCP knows also after the peer is gone."""
        return self._name(1, 'get the name of the peer')

    def _name(self, peer: int, doing: str) -> Address:
        name = ffi.new('gv_address *')
        check(lib.gv_stream_name(self._ptr, self.id, peer, name), doing)
        text = bytes(ffi.buffer(name.text, name.length))
        if name.family == socket.AF_INET:
            return text.decode('ascii'), name.port
        if name.family == socket.AF_INET6:
            return text.decode('ascii'), name.port, name.flow, name.scope
        return os.fsdecode(text)


def _accepted(listener: StreamHandle, handle_id: int) -> None:
    handle = type(listener).__new__(type(listener))
    handle._attach(listener.loop, handle_id)
    if listener.closed:  # in this very batch
        handle.abort()
        return
    try:
        listener.owner.handle_accepted(handle)
    except BaseException:
        handle.abort()
        raise


def _read_into(handle: StreamHandle, nbytes: int) -> None:
    if not handle.closed:
        handle._release_into()
        handle.owner.handle_read_into(nbytes)


def _written(handle: StreamHandle, done: int) -> None:
    lent = handle._lent
    assert lent is not None
    while handle._lent_done < done:
        handle._lent_done += 1
        ffi.release(lent.popleft())


def _timeout(handle: StreamHandle, which: int) -> None:
    if not handle.closed or handle._flushing:
        handle.owner.handle_timeout(which)


def _tls(handle: StreamHandle, events: int) -> None:
    if not handle.closed:
        handle.owner.handle_tls(events)


DISPATCH[lib.GV_ACCEPTED] = _accepted
DISPATCH[lib.GV_READ_INTO] = _read_into
DISPATCH[lib.GV_WRITTEN] = _written
DISPATCH[lib.GV_TIMEOUT] = _timeout
DISPATCH[lib.GV_TLS] = _tls
