"""The server's side of a connection: one request at a time, each in a fiber of its own.

    data_received() --> engine --> HttpMessage --> fiber: handler(message, transport, protocol)
                          |                                        |
                          +-----> its body buffer <--- read() -----+

What comes behind a request waits, as bytes, until that one is answered. A connection between two
requests has no fiber.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from contextvars import Context, copy_context
from http import HTTPStatus
from time import monotonic
from typing import Any, Optional

from .. import limits
from .._native import http as engine
from ..errors import TransportError
from ..fibers import Fiber, spawn
from ..logging import get_logger
from ..switchpoints import assert_no_switchpoints
from ..transports import DEADLINE_READ, DEADLINE_TOTAL, DEADLINE_WRITE
from .connection import HttpConnection
from .errors import HttpError, HttpTimeout, MessageError, MessageTooLarge, MessageTruncated
from .httpoptions import HttpOptions
from .message import REQUEST, BodyBuffer, HttpMessage
from .response import Response

_log = get_logger()

_HEAD, _END = engine.HEAD, engine.END
_WHOLE = [engine.HEAD, engine.DATA, engine.END]
_LOOK = 1.0  # seconds between two looks at a connection whose reading is paused

Handler = Callable[[HttpMessage, Any, Any], object]
Answered = Callable[[HttpMessage, Optional[Response], Any, float], object]


class HttpServerProtocol(HttpConnection):
    """Answers the requests of a connection with *handler*.

    It is called as ``handler(message, transport, protocol)``, and writes through ``writer``, or a
    ``Response``. When it returns, the request is answered; what it raises is logged, and answered
    with 500 if nothing was yet. When the connection is lost, it is cancelled.
    """

    __slots__ = (
        '_answered', '_begun', '_body_counted', '_body_seen', '_body_timed', '_context', '_engine',
        '_eof', '_fiber', '_finished', '_handed', '_handler', '_held', '_held_heads', '_lingering',
        '_message', '_options', '_paused', '_peer', '_response', '_timing', '_to_continue',
        'closing', 'data',
    )  # fmt: skip

    def __init__(
        self,
        handler: Handler,
        options: HttpOptions | None = None,
        answered: Answered | None = None,
    ) -> None:
        super().__init__()
        self._handler = handler
        self._options = options or HttpOptions()
        self._answered = answered
        self._begun = 0.0  # when the request came, in seconds, if that is asked for
        self._engine = engine.HttpEngine(False, self._options.of_messages())
        self._message: Optional[HttpMessage] = None  # that is being received or answered
        self._response: Optional[Response] = None  # to it
        self._fiber: Optional[Fiber] = None
        self._held = b''  # what came behind it
        self._context: Optional[Context] = None  # in which that came
        self._held_heads = 0
        self._paused = False  # because of that
        self._eof = False
        self._lingering = False  # all was said, and what comes is dropped
        self._timing = False  # how long the head takes
        self._to_continue = False  # the client waits for a 100
        self._body_seen = 0  # bytes of the body
        self._body_counted = 0  # when its rate was last looked at
        self._body_timed = False
        self._finished = 0.0  # when the last request was, in seconds
        # The answer that is being given is the last one.
        self.closing = self._options.keepalive_timeout == 0
        self._peer: Any = None
        self._handed = False  # the connection is another protocol's
        self.data: Any = None  # for the handler

    @property
    def peer(self) -> Any:
        """The address of the client, that before a proxy if that has told it."""
        return self._peer or self.transport.get_extra_info('peername')

    @peer.setter
    def peer(self, address: Any) -> None:
        self._peer = address

    @property
    def write_timeout(self) -> float | None:
        """Seconds in which the client has to take something."""
        return self._options.write_timeout

    # What the transport calls.

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._finished = monotonic()
        transport.set_deadline(DEADLINE_READ, self._options.idle_timeout)
        transport.set_deadline(DEADLINE_WRITE, self._options.write_timeout)

    def data_received(self, data: bytes) -> None:
        message = self._message
        if message is not None and message.complete:
            self._hold(data)
        elif not self._lingering:
            self._parse(data, spawn)

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
        elif not self._timing and self._engine.busy:
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
            self.transport.set_deadline(DEADLINE_TOTAL, _LOOK)

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

    def goes_on(self, message: HttpMessage) -> bool:
        """Return whether the connection is kept behind the answer to *message*."""
        if not message.complete and (
            self._to_continue or message.length - self._body_seen > limits.HTTP_DRAIN
        ):
            self.closing = True  # rather than to wait for a body that nobody has read by now
        return not self.closing

    def respond(self, message: HttpMessage) -> Response:
        """Return what answers *message*."""
        self._response = response = Response(message, self)
        return response

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
        if self.closing or self.transport.is_closing():
            self._linger()
            return
        self._message = None
        self._finished = monotonic()
        if self._held:
            held, self._held = self._held, b''
            if self._paused:
                self._paused = False
                self.transport.set_deadline(DEADLINE_TOTAL, None)
                self.transport.resume_reading()
            self._parse(held, self._spawn_next)
        if self._eof:
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

    def _tell_answered(self, message: HttpMessage) -> None:
        """Tell the log what was answered, or what there is of it."""
        if self._answered is None:
            return
        seconds = monotonic() - self._begun
        said = message.forwarded
        peer = self.peer if said is None else (said.address, said.port)
        response = self._response
        is_sent = response is not None and response.sent
        self._answered(message, response if is_sent else None, peer, seconds)

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

    def _fail(self, message: HttpMessage, error: Exception) -> None:
        """The handler has raised *error*: say so, if it said nothing yet, and close."""
        lost = self._handed or self.transport.is_closing()
        status = error.status if isinstance(error, HttpError) else 500
        if status < 500 or (lost and isinstance(error, (TransportError, HttpError))):
            _log.debug('{} {} has failed: {}', message.method, message.url, error)
        else:
            _log.exception('the handler of {} {} has failed', message.method, message.url)
        response = self._response
        is_sent = response is not None and response.sent
        if not lost and not is_sent:
            self._answer(status, message)
        if not self._handed:
            self._tell_answered(message)
        if lost:
            return
        if is_sent and response is not None and not response.ended:
            self.transport.close()  # behind what was sent, and without its end
        else:
            self._linger()

    def _refuse(self, status: int, why: str) -> None:
        """What the client sends is no HTTP, or not within the limits."""
        self.closing = True
        message = self._message
        if message is not None and message.buffer is not None:
            error = MessageTruncated if self._eof else MessageError
            message.buffer.discard((MessageTooLarge if status == 413 else error)(why, status))
            return
        _log.debug('a request was refused with {}: {}', status, why)
        if message is None:  # there is no more of it than what was refused
            message = HttpMessage(REQUEST, ['-', '-'], engine.MINOR, 0)
            self._begun = monotonic()
        if not self._eof:
            self._answer(status, message)
            self._tell_answered(message)
        self._linger()

    def _answer(self, status: int, message: HttpMessage) -> None:
        self.closing = True
        try:
            reason = HTTPStatus(status).phrase
        except ValueError:
            reason = 'Error'
        self._response = response = Response(message, self)
        response.start(f'{status} {reason}', [('Content-Type', 'text/plain')])
        body = f'{reason}\n'.encode()
        head = response._finish_head(len(body))
        self.transport.write(head if response.bodyless else head + body)

    # The end.

    def _linger(self) -> None:
        """Close, but not while the client still sends, or an RST could overtake the answer."""
        transport = self.transport
        if transport.is_closing():
            return
        if self._eof or not transport.can_write_eof():  # TLS lingers by itself
            transport.close()
            return
        self.closing = True
        self._lingering = True
        self._held, self._message = b'', None
        transport.write_eof()
        transport.set_deadline(DEADLINE_TOTAL, limits.HTTP_LINGER)
        transport.resume_reading()

    def deadline_expired(self, which: int) -> None:
        """Called by the transport: the client takes too long, or it is time to look."""
        transport = self.transport
        if which == DEADLINE_WRITE:
            transport.fail(TransportError.from_errno(errno.ETIMEDOUT, 'send what was queued'))
        elif self._lingering:
            transport.close()
        elif self._message is None:
            self._idle_too_long(which)
        elif not self._message.complete:
            self._look_at_body(which)
        elif which == DEADLINE_TOTAL and self._paused:
            self._look_for_reset()
        elif which == DEADLINE_READ:
            transport.set_deadline(DEADLINE_READ, self._options.idle_timeout)

    def _idle_too_long(self, which: int) -> None:
        if which == DEADLINE_TOTAL:
            self._refuse(408, 'the head takes too long')
            return
        allowed = self._options.idle_timeout
        left = 0.0
        if allowed is not None and not self.closing:
            left = self._finished + allowed - monotonic()
        if left > 0.05:  # it counts from the last answer
            self.transport.set_deadline(DEADLINE_READ, left)
        elif not self._timing:
            self.transport.close()

    def _look_at_body(self, which: int) -> None:
        """Give up a client whose body takes too long, unless it is the handler that does."""
        message, seconds = self._message, self._options.body_timeout
        assert message is not None and message.buffer is not None and seconds is not None
        if which == DEADLINE_TOTAL:
            came, self._body_counted = self._body_seen - self._body_counted, self._body_seen
            if came >= seconds * self._options.body_rate or not self.transport.is_reading():
                self.transport.set_deadline(DEADLINE_TOTAL, seconds)
                return
        self.closing = True
        message.buffer.discard(HttpTimeout('the body takes too long'))

    def finish(self, grace: float) -> None:
        """Give the answer that is due as the last one, and close.

        A client that has just had an answer may already be sending: it has *grace* seconds from
        then on to be answered once more.
        """
        self.closing = True
        if self.transport.is_closing():
            return
        if self._handed:
            self.transport.close()
        elif self._message is None and not self._lingering:
            left = self._finished + grace - monotonic()
            if left > 0:
                self.transport.set_deadline(DEADLINE_READ, left)
            elif not self._timing:
                self.transport.close()

    def _look_for_reset(self) -> None:
        """See whether the client is gone, which reading would have told."""
        view = self.transport.get_extra_info('socket')
        code = 0 if view is None else view.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self.transport.fail(TransportError.from_errno(code, 'read'))
        else:
            self.transport.set_deadline(DEADLINE_TOTAL, _LOOK)
