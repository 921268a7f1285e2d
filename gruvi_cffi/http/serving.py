"""The server's side of a connection: one request at a time, each in a fiber of its own.

    data_received() --> engine --> HttpMessage --> fiber: handler(message, transport, protocol)
                          |                                        |
                          +-----> its body buffer <--- read() -----+

What comes behind a request waits, as bytes, until that one is answered. A connection between two
requests has no fiber.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from time import monotonic
from typing import Any, Optional

from .. import limits
from .._native import http as engine
from ..fibers import Fiber, spawn
from ..switchpoints import assert_no_switchpoints
from ..transports import DEADLINE_READ, DEADLINE_TOTAL, DEADLINE_WRITE
from .answering import Answered, AnsweringConnection
from .errors import HttpError, MessageTruncated
from .httpoptions import HttpOptions
from .known import NO_TEMPLATE, known_heads
from .message import REQUEST, BodyBuffer, HttpMessage
from .timed import LOOK

_HEAD, _END = engine.HEAD, engine.END
_WHOLE = [engine.HEAD, engine.DATA, engine.END]

Handler = Callable[[HttpMessage, Any, Any], object]


class HttpServerProtocol(AnsweringConnection):
    """Answers the requests of a connection with *handler*.

    It is called as ``handler(message, transport, protocol)``, and writes through ``writer``, or a
    ``Response``. When it returns, the request is answered; what it raises is logged, and answered
    with 500 if nothing was yet. When the connection is lost, it is cancelled.
    """

    __slots__ = (
        '_context', '_engine', '_fiber', '_handler', '_held_heads', '_in_engine', '_known', '_last',
        'data',
    )  # fmt: skip

    def __init__(
        self,
        handler: Handler,
        options: HttpOptions | None = None,
        answered: Answered | None = None,
    ) -> None:
        super().__init__(options or HttpOptions(), answered)
        self._handler = handler
        limit = self._options.of_messages()
        self._engine = engine.HttpEngine(False, limit)
        self._in_engine = False  # the engine has begun with the next request
        self._known = known_heads(limit)
        self._last = NO_TEMPLATE  # of the head that came last, of those
        self._fiber: Optional[Fiber] = None
        self._context: Optional[Context] = None  # in which came what is held
        self._held_heads = 0
        self.data: Any = None  # for the handler

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        message = self._message
        if message is not None:
            if message.complete:
                self._hold(data)
            else:
                self._parse(data, spawn)
        elif self._in_engine or self.closing:
            if not self._lingering:
                self._parse(data, spawn)
        else:
            head = self._last.head
            if data != head[0]:
                found = self._known.find(data)
                if found is None:
                    self._parse(data, spawn)
                    self._learn(data)
                    return
                head = found
                self._last = head[3] or NO_TEMPLATE
            # As it mostly is.
            self._message = message = HttpMessage(REQUEST, None, head[1].flags, 0, self, head)
            message.complete = True
            if self._answered is not None:
                self._begun = monotonic()
            self._fiber = fiber = Fiber(self._serve, (message,), None, None, self.hub)
            fiber.start()

    def eof_received(self) -> bool:
        self._eof = True
        message = self._message
        if message is None or self._lingering:
            return False
        if not message.complete:
            self._read_events(self._engine.eof(), b'')
        return True  # the answer may still be written, and those to what came behind it

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.closing = True
        message = self._message
        if message is not None and message.buffer is not None and not message.complete:
            message.buffer.discard(exc or MessageTruncated('the client is gone'))
        if self._fiber is not None:
            self._fiber.cancel('the connection is lost')

    # Taking requests apart.

    def _parse(self, data: bytes, start: Callable[..., Fiber]) -> None:
        while data:
            words, used = self._engine.feed(data, 1)
            if len(words) == 10 and words[0] == _HEAD and words[5] == _END and not words[4]:
                self._begin(words, start).complete = True  # as it mostly is: no body
            elif len(words) == 15 and words[::5] == _WHOLE:
                body = data[words[6] : words[6] + words[7]]
                self._begin(words, start, body).complete = True
            else:
                self._read_events(words, data, start)
            data = data[used:]
            message = self._message
            if message is not None and message.complete:
                if data:
                    self._hold(data)
                return
            if self._lingering or not used:
                return
            if not data:
                self._time(message)

    def _time(self, message: HttpMessage | None) -> None:
        """The rest of a head or a body is to come in time."""
        if message is not None:
            if not self._body_timed:
                self._body_timed = True
                self.transport.set_deadline(DEADLINE_READ, self._options.body_timeout)
                self.transport.set_deadline(DEADLINE_TOTAL, self._options.body_timeout)
            return
        self._in_engine = True  # if only with an empty line: it counts them
        if not self._timing and self._engine.busy:
            self._timing = True
            self.transport.set_deadline(DEADLINE_TOTAL, self._options.header_timeout)

    def _read_events(
        self, words: list[int], data: bytes, start: Callable[..., Fiber] = spawn
    ) -> None:
        for at in range(0, len(words), 5):
            kind, a, b = words[at : at + 3]
            if kind == engine.HEAD:
                self._begin(words[at : at + 5], start)
            elif kind == engine.DATA:
                self._feed_body(data[a : a + b])
            elif kind == engine.END:
                self._end()
            elif kind == engine.TRAILERS:
                assert self._message is not None
                self._message.add_trailers(self._engine.text_of(a, b))
            elif kind == engine.ERROR:
                self._refuse(a, engine.error_text(b))
            if self._lingering:
                return

    def _begin(
        self, words: list[int], start: Callable[..., Fiber], whole: bytes = b''
    ) -> HttpMessage:
        _, at, size, flags, length = words[:5]
        self._message = message = HttpMessage(
            REQUEST, self._engine.text_of(at, size), flags, length, self
        )
        self._in_engine = False
        if self._answered is not None:
            self._begun = monotonic()
        if self._timing:
            self._timing = False
            self.transport.set_deadline(DEADLINE_TOTAL, None)
        if flags & engine.CONNECT:
            self._refuse(501, 'the method is unknown')
            return message
        if whole:
            message.whole = whole
        elif length:
            message.buffer = BodyBuffer(self, self._send_continue, length)
            self._to_continue = bool(flags & engine.CONTINUE)
            self._body_seen = self._body_counted = 0
        self._fiber = start(self._serve, message)
        return message

    def _learn(self, data: bytes) -> None:
        """Remember what has just come, if it was a head and nothing else."""
        message = self._message
        if message is None or message.length or self._held or not message.complete:
            return
        self._known.learn(data, message.parts, message.flags)

    def _feed_body(self, data: bytes) -> None:
        self._to_continue = False
        self._body_seen += len(data)
        assert self._message is not None and self._message.buffer is not None
        self._message.buffer.feed(data)

    def _end(self) -> None:
        message = self._message
        assert message is not None
        message.complete = True
        if self._body_timed:
            self._body_timed = False
            self.transport.set_deadline(DEADLINE_READ, self._options.idle_timeout)
            self.transport.set_deadline(DEADLINE_TOTAL, None)
        if message.buffer is not None:
            message.buffer.feed_eof()

    def _hold(self, data: bytes) -> None:
        """Keep what came behind a request that is not answered yet."""
        if self._context is None:
            self._context = copy_context()
        held = self._held
        start = max(0, len(held) - 3)
        self._held_heads = self._held_heads if held else 0
        self._held = held = held + data if held else data
        # Each request has an empty line. So may a body, and then we pause a little early.
        self._held_heads += held.count(b'\r\n\r\n', start)
        if len(held) > limits.STREAM_HIGH or self._held_heads >= self._options.pipeline:
            self._paused = True
            self.transport.pause_reading()
            self.transport.set_deadline(DEADLINE_TOTAL, LOOK)

    # For the buffer of a body.

    def pause_reading(self) -> None:
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._paused:
            self.transport.resume_reading()

    def _send_continue(self) -> None:
        """The handler wants to read: tell the client that waits for that (RFC 9110, 10.1.1)."""
        if self._to_continue:
            self._to_continue = False
            if self._response is None or not self._response.sent:
                self.transport.write(b'HTTP/1.1 100 Continue\r\n\r\n')

    # Answering them.

    def _serve(self, message: HttpMessage) -> None:
        try:
            self._handler(message, self.transport, self)
            if self._handed:
                return
            response = self._response
            if response is not None and not response.ended:
                response.end()
            self._finish(message)
        except Exception as error:
            self._fail(message, error)
        except SystemExit as error:  # one request's handler is not to end the others'
            self._fail(message, HttpError(f'the handler wants to exit: {error}', 500))
        except BaseException:
            self._tell_answered(message)
            self.transport.abort()
            raise

    def hand_over(self, protocol: Any) -> None:
        """Give the connection to *protocol*, with all that came behind the request."""
        transport = self.transport
        self._handed = True
        held, self._held = self._held, b''
        for which in (DEADLINE_READ, DEADLINE_TOTAL, DEADLINE_WRITE):
            transport.set_deadline(which, None)
        with assert_no_switchpoints():  # as for all callbacks of protocols
            protocol.connection_made(transport)
            transport.set_protocol(protocol)
            if self.writing_paused:
                protocol.pause_writing()
            if held:
                protocol.data_received(held)
            if self._eof and not protocol.eof_received():
                transport.close()
        if self._paused and not transport.is_closing():
            transport.resume_reading()

    def _finish(self, message: HttpMessage) -> None:
        """The request is answered: go on with the next, if there is to be one."""
        if not message.complete and not self.closing:
            self._skip_body(message)
        if self._answered is not None:
            self._tell_answered(message)
        self._response = self._fiber = None
        if self.closing:
            self._linger()
            return
        self._message = None
        self._finished = self.hub.now
        if self._held and not self.transport.is_closing():
            held, self._held = self._held, b''
            if self._paused:
                self._paused = False
                self.transport.set_deadline(DEADLINE_TOTAL, None)
                self.transport.resume_reading()
            self._parse(held, self._spawn_next)
        if self._eof and not self.transport.is_closing():
            self._end_behind_eof()

    def _spawn_next(self, func: Callable[..., object], *args: Any) -> Fiber:
        """Start a fiber at once, in the context of the connection instead of that of a request.

        So the answers to requests that came together leave together.
        """
        assert self._context is not None
        fiber = self._context.run(Fiber, func, args)
        fiber.start_next()
        return fiber

    def _end_behind_eof(self) -> None:
        if self._message is None:
            self._linger()
        elif not self._message.complete:
            self._read_events(self._engine.eof(), b'')

    def _skip_body(self, message: HttpMessage) -> None:
        """Read what the handler has left of the body, or give up the connection."""
        buffer = message.buffer
        assert buffer is not None
        if not self.goes_on(message):
            return
        left = limits.HTTP_DRAIN
        while not message.complete and left > 0:
            left -= len(buffer.read_chunk())
        self.closing = self.closing or not message.complete
