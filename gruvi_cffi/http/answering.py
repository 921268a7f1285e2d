"""What is answered to a request, also if it is none, or its handler fails; and who is told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from time import monotonic
from typing import Any, Optional

from .. import limits
from .._native import http as engine
from ..errors import TransportError
from ..logging import get_logger
from .errors import HttpError, MessageError, MessageTooLarge, MessageTruncated
from .httpoptions import HttpOptions
from .message import REQUEST, HttpMessage
from .response import Response
from .timed import TimedConnection

_log = get_logger()

Answered = Callable[[HttpMessage, Optional[Response], Any, float], object]


class AnsweringConnection(TimedConnection):
    """A client's connection whose requests a subclass takes apart.

    *answered* is told of each, with its answer, if there was one, who asked, and the seconds that
    it took.
    """

    __slots__ = ('_answered', '_begun', '_peer', '_response', '_to_continue')

    def __init__(self, options: HttpOptions, answered: Answered | None) -> None:
        super().__init__(options)
        self._answered = answered
        self._begun = 0.0  # when the request came, in seconds, if that is asked for
        self._response: Optional[Response] = None  # to the message
        self._to_continue = False  # the client waits for a 100
        self._peer: Any = None

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
            self._close()  # behind what was sent, and without its end
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
        response.size = len(body)
        with suppress(TransportError):  # it has just broken, and the transport will say so
            self.transport.write(head if response.bodyless else head + body)
