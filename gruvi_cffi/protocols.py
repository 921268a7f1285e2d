"""Base classes for protocols: what a transport calls (PEP 3156). Deriving from them is optional."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Optional

from .errors import ProtocolError
from .fibers import Fiber, spawn
from .logging import get_logger

__all__ = [
    'BaseProtocol',
    'BufferedProtocol',
    'DatagramProtocol',
    'MessageProtocol',
    'Protocol',
    'ProtocolError',
]


class BaseProtocol:
    """What all protocols have. *timeout* is in seconds, for whoever waits on its behalf."""

    _timeout: Optional[float] = None

    def __init__(self, timeout: float | None = None) -> None:
        self._timeout = timeout

    def connection_made(self, transport: Any) -> None:
        """The connection is there; *transport* is how to write to it."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: *exc* says why, None if as planned. The last call."""

    def pause_writing(self) -> None:
        """More is queued than the high watermark: please do not write."""

    def resume_writing(self) -> None:
        """The queue has fallen to the low watermark."""


class Protocol(BaseProtocol):
    """A protocol for streams."""

    def data_received(self, data: bytes) -> None:
        """*data* has arrived, cut anywhere."""

    def eof_received(self) -> bool | None:
        """The peer will send no more. A true result keeps the connection open for writing."""
        return None


class DatagramProtocol(BaseProtocol):
    """A protocol for datagrams."""

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """*data*, which may be empty, has come from *addr*."""

    def error_received(self, exc: OSError) -> None:
        """A datagram was not sent, or came back (ECONNREFUSED). The transport stays open."""


class BufferedProtocol(BaseProtocol):
    """A protocol for streams that says where the bytes go."""

    def get_buffer(self, sizehint: int) -> bytearray | memoryview:
        """Return a writable buffer of at least one byte; *sizehint* is -1 or a number of bytes."""
        raise TypeError(f'{type(self).__name__} has no get_buffer()')

    def buffer_updated(self, nbytes: int) -> None:
        """*nbytes* have arrived at the start of the buffer."""

    def eof_received(self) -> bool | None:
        """The peer will send no more. A true result keeps the connection open for writing."""
        return None


class MessageProtocol(Protocol):
    """A protocol whose messages are handled one after the other, in a fiber of the connection.

    A subclass calls ``message_received()`` for each message. *message_handler* is called as
    ``handler(message, transport, protocol)``; what it raises is logged and closes the connection.
    While ``max_queue_size`` messages wait, reading is paused. When the connection is lost, the
    handler is cancelled, and what waits is dropped.
    """

    max_queue_size = 10

    # Class attributes, because a subclass need not call __init__().
    _transport: Any = None
    _dispatcher: Optional[Fiber] = None  # there is one while there is something to handle
    _messages: Optional[deque[Any]] = None
    _message_handler: Optional[Callable[[Any, Any, Any], object]] = None

    def __init__(
        self,
        message_handler: Callable[[Any, Any, Any], object] | None = None,
        timeout: float | None = None,
    ) -> None:
        super().__init__(timeout)
        self._message_handler = message_handler

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._messages = deque()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = self._messages = None
        if self._dispatcher is not None:
            self._dispatcher.cancel('the connection is lost')

    def message_received(self, message: Any) -> None:
        """Have *message* handled. Without a connection, or a handler, it is dropped."""
        if self._messages is None or self._message_handler is None:
            return
        self._messages.append(message)
        if len(self._messages) >= self.max_queue_size:
            self._transport.pause_reading()
        if self._dispatcher is None:
            self._dispatcher = spawn(self._dispatch, self._transport)

    def _dispatch(self, transport: Any) -> None:
        assert self._message_handler is not None
        try:
            while self._messages:
                message = self._messages.popleft()
                if len(self._messages) < self.max_queue_size:
                    transport.resume_reading()
                self._message_handler(message, transport, self)
        except BaseException as error:
            transport.close()
            if not isinstance(error, Exception):
                raise
            get_logger().exception('the message handler has failed')
        finally:
            self._dispatcher = None
