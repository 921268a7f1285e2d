"""The transport for datagrams."""

from __future__ import annotations

import errno
from collections import deque
from typing import Any

from .. import limits
from .._native.stream import Buffer
from .._native.udp import UdpHandle
from ..errors import TransportError
from .base import CLOSED, CLOSING, NEW, OPEN, BaseTransport

_WHY = {NEW: 'was not started', CLOSING: 'is closing', CLOSED: 'was closed'}


class DatagramTransport(BaseTransport):
    """Moves datagrams between a UDP handle and a protocol, which is duck-typed.

    The protocol has ``datagram_received(data, address)`` and ``error_received(exc)``; one for
    asyncio will do. Empty datagrams count as any.

    :raises TypeError: *handle* is no UDP handle.
    :raises ValueError: *mode* is none of 'r', 'w', 'rw'.
    """

    __slots__ = ('_held', '_paused', '_queued')

    _handle: UdpHandle

    def __init__(self, handle: UdpHandle, mode: str = 'rw') -> None:
        if not isinstance(handle, UdpHandle):
            raise TypeError(f'need a UDP handle, not {type(handle).__name__}')
        super().__init__(handle, mode)
        self._paused = False
        self._queued = 0  # bytes at most
        self._held: deque[tuple[bytes, Any]] = deque()  # what the batch had when reading paused

    def start(self, protocol: Any) -> None:
        """Bind *protocol*, call its ``connection_made()``, then receive.

        :raises TransportError: it was started before, or aborted.
        """
        if self._state != NEW:
            raise TransportError(f'the transport {_WHY.get(self._state, "was started already")}')
        self._handle.set_watermarks(self._high, self._low)
        self._state = OPEN
        self._writable = 'w' in self._mode
        self._protocol = protocol
        try:
            protocol.connection_made(self)
        except Exception as error:
            self._break(error)
            raise
        self._open_gate()
        if self.is_reading():
            self._handle.read_start()

    def set_protocol(self, protocol: Any) -> None:
        """Have everything from now on go to *protocol*."""
        self._protocol = protocol
        self._open_gate()

    # Sending.

    def sendto(self, data: Buffer, addr: tuple[Any, ...] | None = None) -> None:
        """Queue *data* as one datagram for *addr*; None is the peer of a connected socket.

        *addr* is ``(host, port)`` with a numeric host. More than ``limits.DATAGRAM_QUEUE`` bytes
        are not queued: what comes then is dropped, and ``error_received()`` is told ENOBUFS.

        :raises TypeError: *data* is no bytes-like object.
        :raises ValueError: *addr* is another than that of the peer, of a connected socket.
        :raises TransportError: not started, not for writing, closed; no address and no peer; or no
            datagram can be so large.
        """
        if not self._writable:
            why = _WHY.get(self._state, 'is not for writing')
            raise TransportError(f'the transport {why}')
        if self._queued > limits.DATAGRAM_QUEUE < self._handle.write_queue_size:
            error = TransportError.from_errno(errno.ENOBUFS, 'send a datagram')
            self._handle.loop.defer(self._handle, lambda: self.handle_refused(error))
            return
        try:
            self._queued = size = self._send(data, addr)
        except TypeError:
            raise TypeError(f'need a bytes-like object, not {type(data).__name__}') from None
        if size > self._high and not self._writing_paused:
            self._pause_writing()

    def _send(self, data: Buffer, addr: tuple[Any, ...] | None) -> int:
        try:
            return self._handle.send(data, addr)
        except TransportError as error:
            if error.errno != errno.EISCONN or addr is None:
                raise
        peer = self._handle.getpeername()
        if tuple(addr[:2]) != peer[:2]:
            raise ValueError(f'the socket is connected to {peer}, and cannot send to {addr}')
        return self._handle.send(data)

    def handle_refused(self, error: TransportError) -> None:
        if self._protocol is not None and self._state == OPEN:
            self._protocol.error_received(error)

    # Receiving.

    def is_reading(self) -> bool:
        """Return True unless reading is paused, or the transport is closing."""
        return self._state == OPEN and not self._paused and 'r' in self._mode

    def pause_reading(self) -> None:
        """Call ``datagram_received()`` no more. What the kernel cannot keep is lost. Twice is once.

        :raises TransportError: not started, or not for reading.
        """
        self._check_readable()
        if self.is_reading():
            self._paused = True
            self._handle.deliver = self._hold
            self._handle.read_stop()

    def resume_reading(self) -> None:
        """Receive on; what has come meanwhile is delivered in the next turn. Twice is once.

        :raises TransportError: not started, or not for reading.
        """
        self._check_readable()
        if self._paused and self._state == OPEN:
            self._paused = False
            self._handle.loop.defer(self._handle, self._deliver_held)

    def _check_readable(self) -> None:
        self._check_started()
        if 'r' not in self._mode:
            raise TransportError('the transport is not for reading')

    def _deliver_held(self) -> None:
        while self._held and self.is_reading():
            self._protocol.datagram_received(*self._held.popleft())
        if self.is_reading():
            self._open_gate()
            self._handle.read_start()

    def _open_gate(self) -> None:
        reads = self.is_reading() and not self._held
        self._handle.deliver = self._protocol.datagram_received if reads else self._hold

    def _hold(self, data: bytes, address: tuple[Any, ...]) -> None:
        self._held.append((data, address))

    def handle_exception(self, error: BaseException) -> None:
        """What ``datagram_received()`` raises was logged, and is no reason to close: as asyncio."""

    # The end, and what is known about it.

    def close(self) -> None:
        """Close behind what is queued; ``connection_lost(None)`` follows. Twice is once.

        :raises TransportError: not started.
        """
        self._check_started()
        if self._state == OPEN:
            self._begin_to_close()
            self._handle.close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known under *name*, or *default*: ``handle``, ``peername``, ``sockname``.

        :raises RuntimeError: called from another thread.
        """
        if self.closed or name not in ('handle', 'peername', 'sockname'):
            return default
        if name == 'handle':
            return self._handle
        try:
            return self._handle.getpeername() if name == 'peername' else self._handle.getsockname()
        except OSError:
            return default
