"""Streams: transports that block, for fibers, and the endpoints that make them.

    handler fiber --- read1(), write() ---> Stream ---> StreamBuffer <--- feed() ---+
                                              |                                     |
                                              +---> Transport ----> handle ---------+

What a stream offers waits; what its transport offers never does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, Optional

from ._native.stream import Buffer
from .bytestream import Stream
from .endpoints import Client, Server
from .errors import ProtocolError, StreamError, Timeout
from .fibers import Fiber, current_fiber, spawn
from .hub import switchpoint
from .logging import get_logger
from .protocols import Protocol
from .streambuffer import StreamBuffer
from .textstream import TextStream
from .transports import Transport

__all__ = [
    'Stream', 'StreamBuffer', 'StreamClient', 'StreamError', 'StreamProtocol', 'StreamServer',
    'TextStream',
]  # fmt: skip

_log = get_logger()


class StreamProtocol(Protocol):
    """Makes the transport a stream. *timeout*, in seconds, is the stream's."""

    _stream: Optional[Stream] = None

    @property
    def stream(self) -> Stream:
        """The stream.

        :raises ProtocolError: not connected.
        """
        if self._stream is None:
            raise ProtocolError('not connected')
        return self._stream

    def connection_made(self, transport: Any) -> None:
        self._stream = stream = Stream(transport, autoclose=True, timeout=self._timeout)
        assert stream.buffer is not None
        # What comes goes straight to the buffer, without a call in between.
        self.data_received = stream.buffer.feed  # type: ignore[method-assign]

    def eof_received(self) -> bool:
        assert self._stream is not None and self._stream.buffer is not None
        self._stream.buffer.feed_eof()
        return True  # an answer may still be written

    def connection_lost(self, exc: Exception | None) -> None:
        if self._stream is not None:
            self._stream.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._stream is not None:
            self._stream.pause_writing()

    def resume_writing(self) -> None:
        if self._stream is not None:
            self._stream.resume_writing()


class StreamClient(Client):
    """A client whose connection is a stream. *timeout*, in seconds, holds for each call that waits.

    Reading and writing are those of ``stream``, and raise what they raise there.
    """

    def __init__(self, timeout: float | None = None) -> None:
        super().__init__(StreamProtocol, timeout)

    @property
    def stream(self) -> Stream:
        """The stream.

        :raises ProtocolError: not connected.
        """
        if self._protocol is None:
            raise ProtocolError('not connected')
        stream: Stream = self._protocol.stream
        return stream

    @switchpoint
    def read(self, size: int = -1, timeout: float | None = -1) -> bytes:
        """See ``Stream.read()``."""
        return self.stream.read(size, timeout)

    @switchpoint
    def read1(self, size: int = -1, timeout: float | None = -1) -> bytes:
        """See ``Stream.read1()``."""
        return self.stream.read1(size, timeout)

    @switchpoint
    def readline(self, limit: int = -1, delim: bytes = b'\n', timeout: float | None = -1) -> bytes:
        """See ``Stream.readline()``."""
        return self.stream.readline(limit, delim, timeout)

    @switchpoint
    def readlines(self, hint: int = -1, timeout: float | None = -1) -> list[bytes]:
        """See ``Stream.readlines()``."""
        return self.stream.readlines(hint, timeout)

    @switchpoint
    def write(self, data: Buffer, timeout: float | None = -1) -> None:
        """See ``Stream.write()``."""
        self.stream.write(data, timeout)

    @switchpoint
    def writelines(self, lines: Iterable[Buffer], timeout: float | None = -1) -> None:
        """See ``Stream.writelines()``."""
        self.stream.writelines(lines, timeout)

    @switchpoint
    def write_eof(self) -> None:
        """See ``Stream.write_eof()``."""
        self.stream.write_eof()


class StreamServer(Server):
    """A server that runs ``stream_handler(stream, transport, protocol)`` in a fiber per connection.

    When the handler returns, or raises, which is logged, the connection is closed behind what was
    written. When the connection is lost, the handler is cancelled; a client that only stops sending
    does not do that. *timeout*, in seconds, is the streams'.
    """

    def __init__(
        self, stream_handler: Callable[[Stream, Any, Any], object], timeout: float | None = None
    ) -> None:
        super().__init__(StreamProtocol, timeout)
        self._stream_handler = stream_handler
        self._handlers: dict[Transport, Fiber] = {}
        self._closers: set[Any] = set()  # fibers that are in close()

    def connection_made(self, transport: Transport, protocol: Any) -> None:
        # It runs in the next turn, when the stream is there. A bound method would wait with it.
        self._handlers[transport] = spawn(type(self)._serve, self, transport, protocol)

    def connection_lost(
        self, transport: Transport, protocol: Any, exc: Exception | None = None
    ) -> None:
        fiber = self._handlers.get(transport)
        # A handler that closes its stream, or the server, is to go on behind that.
        if fiber is not None and fiber not in self._closers and not protocol.stream.closed:
            fiber.cancel('the connection is lost')

    def _serve(self, transport: Transport, protocol: Any) -> None:
        try:
            self._stream_handler(protocol.stream, transport, protocol)
        except Exception:
            peer = transport.get_extra_info('peername')
            _log.exception('the handler of the connection from {!r} has failed', peer)
        finally:
            del self._handlers[transport]
            transport.close()

    @switchpoint
    def close(self, timeout: float | None = None) -> None:
        """Close as ``Server.close()`` does, and wait for the handlers, within *timeout* seconds.

        A handler may call it too; nobody waits for that one.
        """
        until = None if timeout is None else monotonic() + timeout
        handlers = list(self._handlers.values())
        self._closers.add(current_fiber())
        try:
            super().close(timeout)
            self._join(handlers, until)
        finally:
            self._closers.discard(current_fiber())

    def _join(self, handlers: list[Fiber], until: float | None) -> None:
        try:
            for fiber in handlers:
                if fiber not in self._closers:
                    fiber.join(None if until is None else max(0.0, until - monotonic()))
        except Timeout:
            _log.warning('a handler goes on although its connection was closed')
