"""The transport for streams: TCP connections, Unix sockets, pipes, terminals."""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from typing import Any, Optional

from .. import limits
from .._native.pipe import PipeHandle
from .._native.stream import DEADLINE_READ, DEADLINE_WRITE, LEND_SIZE, Buffer, StreamHandle
from .._native.tty import TtyHandle
from ..errors import TransportError
from .base import CLOSED, CLOSING, NEW, OPEN, log
from .reading import ReadingTransport
from .secured import SecurableTransport
from .tlsinfo import TlsInfo
from .view import TransportSocket


class Transport(SecurableTransport):
    """Moves bytes between a stream handle and a protocol.

    The protocol is duck-typed: one written for asyncio will do, with ``data_received()`` or, as an
    ``asyncio.BufferedProtocol``, with ``get_buffer()`` and ``buffer_updated()``. What such a one
    writes to a connection that is closing or broken is dropped, as asyncio does it; any other
    gets a TransportError.

    :raises TypeError: *handle* is no stream handle.
    :raises TransportError: it belongs to another transport.
    :raises ValueError: *mode* is none of 'r', 'w', 'rw'.
    """

    __slots__ = ('_drops', '_names', '_server_hostname')

    patient = False  # True: close() gives the peer as long as it likes to take what is queued

    def __init__(
        self, handle: StreamHandle, server_hostname: str | None = None, mode: str = 'rw'
    ) -> None:
        if not isinstance(handle, StreamHandle):
            raise TypeError(f'need a stream handle, not {type(handle).__name__}')
        if isinstance(handle.owner, ReadingTransport):
            raise TransportError(f'the handle belongs to {handle.owner!r}')
        super().__init__(handle, mode)
        self._server_hostname = server_hostname
        self._names: Optional[dict[str, Any]] = None  # once the handle no longer knows them
        self._drops = False

    def __repr__(self) -> str:
        state = ('new', 'open', 'closing', 'closed')[self._state]
        return f'<{type(self).__name__} {state} peername={self.get_extra_info("peername")!r}>'

    def start(self, protocol: Any) -> None:
        """Bind *protocol*, call its ``connection_made()``, then read.

        :raises TransportError: it was started before, or aborted.
        """
        if self._state != NEW:
            raise TransportError(f'the transport {_WHY[self._state]}')
        self._handle.set_watermarks(self._high, self._low)
        self._state = OPEN
        self._writable = 'w' in self._mode
        self._handle.on_data = self._hold
        self._bind(protocol)
        try:
            protocol.connection_made(self)
        except Exception as error:
            self._break(error)
            raise
        if self.is_reading():
            self._read_on()

    def set_protocol(self, protocol: Any) -> None:
        """Have everything from now on go to *protocol*."""
        self._bind(protocol)
        self._open_gate()

    def _bind(self, protocol: Any) -> None:
        self._protocol = protocol
        self._buffered = hasattr(protocol, 'get_buffer') and hasattr(protocol, 'buffer_updated')
        asyncio = sys.modules.get('asyncio.protocols')
        self._drops = asyncio is not None and isinstance(protocol, asyncio.BaseProtocol)

    # Writing.

    def write(self, data: Buffer, handle: Any = None) -> None:
        """Queue *data* (any length); it leaves in order, with whatever else this turn writes.

        With *handle*, a descriptor or something with a ``fileno()``, a duplicate of that travels
        with the first byte; see ``take_fd()``. Both ends need ``ipc=True`` for it.

        :raises TypeError: *data* is no bytes-like object, or *handle* has no descriptor.
        :raises ValueError: this connection cannot pass *handle*, or there is no data.
        :raises TransportError: not started, not for writing, closed, broken, or after
            ``write_eof()``; or *handle* is closed, or there is no descriptor left for it.
        """
        if handle is not None:
            size = self._pass(data, handle)
        elif type(data) is bytes and self._writable and (size := len(data)) < LEND_SIZE:
            handle = self._handle
            size = handle.put(handle.id, data, size)  # what mostly happens, in one call
        else:
            size = -1
        if size < 0:
            size = self._write(data)
        if size > self._high and not self._writing_paused:
            self._pause_writing()

    def _write(self, data: Buffer) -> int:
        if not self._writable:
            if self._layer is not None and self._layer.holds:
                return self._layer.hold(data)
            self._refuse()
            return 0
        try:
            return self._handle.write(data)
        except TransportError as error:
            self._break(error)
            self._refuse()
            return 0
        except TypeError:
            raise TypeError(f'need a bytes-like object, not {type(data).__name__}') from None

    def _pass(self, data: Buffer, handle: Any) -> int:
        fd = _descriptor_of(handle)
        if not self._writable:
            self._refuse()
            return 0
        return self._pipe().pass_fd(data, fd)

    def _pipe(self) -> PipeHandle:
        if not isinstance(self._handle, PipeHandle):
            raise ValueError('descriptors travel only over Unix sockets')
        return self._handle

    def take_fd(self) -> int | None:
        """Return the descriptor that came first of those that the peer has passed, or None.

        It is the caller's, to be closed. When a byte has been delivered, the descriptor that came
        with it is there; those of later bytes may be there already. While
        ``limits.PASSED_FDS`` were not taken, nothing is read. What was not taken when the transport
        is closed, is closed too.

        :raises ValueError: the connection was not made with ``ipc=True``.
        :raises TransportError: the transport is closed.
        """
        return self._pipe().take_fd()

    def handle_paused(self, error: TransportError) -> None:
        if self._pipe().passed >= limits.PASSED_FDS:  # the protocol may have taken them since
            log.warning('%r reads no more: it was passed descriptors that nobody takes', self)

    def writelines(self, list_of_data: Iterable[Buffer]) -> None:
        """Write all of *list_of_data*, as ``write()`` does."""
        self.write(b''.join(list_of_data))

    def write_eof(self) -> None:
        """Send EOF behind what is queued; reading goes on. Twice is once.

        :raises TransportError: not started, not for writing, closed, or broken; or it has TLS,
            whose peers take that for the end.
        """
        if self._layer is not None:
            raise TransportError('there is no EOF for one direction in TLS')
        if self._writable and self._mode == 'w':
            self.close()  # pipes cannot be half-closed, and there is no other half
        elif self._writable:
            self._handle.write_eof()
            self._writable = False
        elif self._state != OPEN or 'w' not in self._mode:
            self._refuse()

    def can_write_eof(self) -> bool:
        """Return whether the connection can be half-closed: not with TLS."""
        return self._layer is None

    def _refuse(self) -> None:
        """Raise why nothing can be written, unless the protocol does not want to know."""
        error = self._error
        if self._state >= CLOSING and self._drops:
            return
        if isinstance(error, TransportError):
            raise type(error)(str(error), error.uv_errno)
        if self._state != OPEN:
            raise TransportError(f'the transport {_WHY[self._state]}')
        if 'w' not in self._mode:
            raise TransportError('the transport is not for writing')
        raise TransportError('cannot write after write_eof()')

    # The end.

    def close(self) -> None:
        """Close behind what is queued; ``connection_lost(None)`` follows. Twice is once.

        A peer that takes nothing for ``limits.FLUSH_TIMEOUT`` seconds loses the rest, and
        ``connection_lost()`` is told so.

        :raises TransportError: not started.
        """
        self._check_started()
        if self._state != OPEN:
            return
        if self._layer is not None and self._layer.holds:
            self._error = self._layer.lost()
        self._begin_to_close()
        if self._handle.write_queue_size and not self.patient:
            self._handle.set_deadline(DEADLINE_WRITE, limits.FLUSH_TIMEOUT)
        self._handle.close()

    def set_deadline(self, which: int, seconds: float | None) -> None:
        """Have the protocol's ``deadline_expired(which)`` called, once; None takes it back.

        DEADLINE_READ: nothing came for so long, though it could have; DEADLINE_WRITE: something was
        queued for so long, and nothing of it left; DEADLINE_TOTAL: that long after this call. For a
        protocol without such a method the connection has failed then.

        :raises TransportError: closed.
        """
        self._handle.set_deadline(which, seconds)

    def fail(self, error: Exception) -> None:
        """Close now, drop what is queued, and have ``connection_lost(error)`` called."""
        self._break(error)

    def handle_timeout(self, which: int) -> None:
        if self._is_handshake_late(which):
            return
        expired = getattr(self._protocol, 'deadline_expired', None)
        if expired is None or self._state != OPEN:
            doing = 'read' if which == DEADLINE_READ else 'send what was queued'
            self._break(TransportError.from_errno(errno.ETIMEDOUT, doing))
        else:
            expired(which)

    def _begin_to_close(self) -> None:
        if self._state < CLOSING:
            self._names = {name: self.get_extra_info(name) for name in ('peername', 'sockname')}
        super()._begin_to_close()

    # What is known about it.

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known under *name*, or *default*.

        ``peername``, ``sockname``, ``socket`` (a TransportSocket), ``handle``, ``server_hostname``,
        ``pipe`` (the handle, of anything but TCP), of a Unix socket on Linux ``unix_creds``: the
        peer's (pid, uid, gid), and of a terminal ``winsize``: the window's (columns, lines), an
        ``os.terminal_size``. With TLS also ``sslcontext``, ``ssl_object`` (a TlsInfo; ``ssl`` is
        the same), ``peercert``, ``cipher``, ``compression``, ``alpn_protocol`` and ``tls_version``.
        Of a closed transport only the names and what belongs to TLS are known.
        """
        look_up = _EXTRA.get(name) or (_TLS_EXTRA.get(name) if self._layer is not None else None)
        if look_up is None:
            return default
        try:
            value = look_up(self)
        except OSError:
            return default
        return default if value is None else value

    def _name(self, which: str) -> Any:
        if self._names is not None:
            return self._names[which]
        return self._handle.getpeername() if which == 'peername' else self._handle.getsockname()

    def _winsize(self) -> os.terminal_size | None:
        handle = self._handle
        return os.terminal_size(handle.get_winsize()) if isinstance(handle, TtyHandle) else None

    def _unix_creds(self) -> tuple[int, ...] | None:
        view = TransportSocket(self._handle)
        if _SO_PEERCRED is None or view.family != socket.AF_UNIX:
            return None
        raw = view.getsockopt(socket.SOL_SOCKET, _SO_PEERCRED, struct.calcsize('3i'))
        return struct.unpack('3i', raw)  # type: ignore[arg-type]


def _descriptor_of(handle: Any) -> int:
    if isinstance(handle, int) and not isinstance(handle, bool):
        return handle
    try:
        return int(handle.fileno())
    except AttributeError:
        raise TypeError(f'need a descriptor or something that has one, not {handle!r}') from None


# PyPy 7.3.11 has no name for it.
_SO_PEERCRED: Optional[int] = getattr(
    socket, 'SO_PEERCRED', 17 if sys.platform == 'linux' else None
)

_WHY = {
    NEW: 'was not started',
    OPEN: 'was started already',
    CLOSING: 'is closing',
    CLOSED: 'was closed',
}

_TLS_EXTRA: dict[str, Callable[[Transport], Any]] = {
    'alpn_protocol': lambda transport: TlsInfo(transport._layer).selected_alpn_protocol(),
    'cipher': lambda transport: TlsInfo(transport._layer).cipher(),
    'compression': lambda transport: TlsInfo(transport._layer).compression(),
    'peercert': lambda transport: TlsInfo(transport._layer).getpeercert(),
    'ssl': lambda transport: transport.tls,
    'ssl_object': lambda transport: transport.tls,
    'sslcontext': lambda transport: TlsInfo(transport._layer).context,
    'sslctx': lambda transport: TlsInfo(transport._layer).context,
    'tls_version': lambda transport: TlsInfo(transport._layer).version(),
}

_EXTRA: dict[str, Callable[[Transport], Any]] = {
    'handle': lambda transport: None if transport.closed else transport._handle,
    'peername': lambda transport: transport._name('peername'),
    'pipe': lambda transport: (
        transport._handle
        if isinstance(transport._handle, (PipeHandle, TtyHandle)) and not transport.closed
        else None
    ),
    'server_hostname': lambda transport: transport._server_hostname,
    'sockname': lambda transport: transport._name('sockname'),
    'socket': lambda transport: None if transport.closed else TransportSocket(transport._handle),
    'unix_creds': Transport._unix_creds,
    'winsize': Transport._winsize,
}
