"""The client's side of a connection: requests go out, and their responses come in that order.

request() ---> transport                      engine ---> HttpMessage ---> getresponse()
                                                |
                                                +---> the buffer of its body ---> body.read()
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Optional

from greenlet import getcurrent

from .. import limits
from .._native import http as engine
from ..errors import check_timeout
from ..hub import get_hub, switchpoint
from ..transports import DEADLINE_READ, DEADLINE_WRITE
from .connection import HttpConnection
from .errors import (
    ConnectionLost,
    HttpError,
    HttpTimeout,
    MessageError,
    MessageTooLarge,
    MessageTruncated,
)  # fmt: skip
from .httprequest import Body, HttpRequest
from .message import RESPONSE, RESPONSE_LIMITS, BodyBuffer, HttpMessage
from .status import HTTP_PORT, HTTPS_PORT

_WHOLE = [engine.HEAD, engine.DATA, engine.END]

# Said of a length that no number can hold, since bodies have no limit here.
_BODY_TOO_LARGE = 413

_KINDS = {'HEAD': engine.TO_HEAD, 'CONNECT': engine.TO_CONNECT}


class HttpClientProtocol(HttpConnection):
    """Sends requests and receives what answers them. *timeout*, in seconds, is for each answer.

    ``getresponse()`` has to be called once for each request, in the same order. *limit* bounds what
    a server may send. *version* is '1.1', or '1.0' for servers that know no other.

    :raises ValueError: *version* is another one.
    """

    __slots__ = (
        '_asked', '_engine', '_eof', '_error', '_host', '_interim', '_message', '_pausing',
        '_ready', '_sending', '_waiting', 'close_after', 'heads', 'version',
    )  # fmt: skip

    def __init__(
        self,
        timeout: float | None = None,
        limit: engine.HttpLimits = RESPONSE_LIMITS,
        version: str | None = None,
    ) -> None:
        if version not in (None, '1.1', '1.0'):
            raise ValueError(f"there are the versions '1.1' and '1.0', not {version!r}")
        super().__init__(timeout)
        self.version = version or '1.1'
        self._engine = engine.HttpEngine(True, limit)
        self._asked: deque[str] = deque()  # methods of the requests without a final response
        self._ready: deque[HttpMessage] = deque()  # responses that nobody has taken
        self._message: Optional[HttpMessage] = None  # whose body comes in
        self._sending: Optional[HttpRequest] = None  # that is not complete
        self._waiting: list[_Waiter] = []  # in getresponse()
        self._host = ''  # what the Host field says
        self.heads: dict[Any, bytes] = {}  # of requests that were sent, as they went
        self._interim = 0  # 1xx responses to the request whose turn it is
        self._pausing = 0  # bodies that are read too slowly
        self._eof = False
        self._error: Optional[HttpError] = None
        self.close_after = False  # no other request may be sent

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        while data and self._error is None:
            if self._message is None and not self._asked:
                self._fail(MessageError('the server sends what nobody has asked for'))
                return
            if self._message is None and not self._engine.busy:
                self._engine.answer_to(_KINDS.get(self._asked[0], engine.TO_ANY))
            words, used = self._engine.feed(data, 1)
            if len(words) == 15 and words[::5] == _WHOLE:
                _, a, b, flags, length, _, start, size = words[:8]
                message = HttpMessage(RESPONSE, self._engine.text_of(a, b), flags, length, self)
                message.whole = data[start : start + size]
                self._begin(message)
                self._end()
            else:
                self._read_events(words, data)
            data = data[used:]
            if not used:
                return

    def eof_received(self) -> bool:
        self._eof = True
        self._read_events(self._engine.eof(), b'')
        if self._asked and self._error is None:
            self._give_up(ConnectionLost('the server has closed without an answer'))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        error: HttpError
        if exc is None:
            error = ConnectionLost('the connection is closed')
        elif self._message is not None or self._engine.busy or self._interim:
            error = MessageTruncated(f'the connection broke in the middle of a response: {exc}')
        else:
            error = ConnectionLost(f'the connection broke: {exc}')
        error.__cause__ = exc
        self._give_up(error)

    def deadline_expired(self, which: int) -> None:
        if self.done:
            self.transport.close()
            return
        if which == DEADLINE_WRITE:
            error = HttpTimeout('the server does not take what is sent', phase='send')
        elif which != DEADLINE_READ:
            error = HttpTimeout('the response was not complete in time', phase='total')
        elif self._asked:
            error = HttpTimeout('no response within the time for reading', phase='response')
        else:
            error = HttpTimeout('no more of the body within the time for reading', phase='body')
        self._give_up(error)
        self.transport.abort()

    # Taking responses apart.

    def _read_events(self, words: list[int], data: bytes) -> None:
        for at in range(0, len(words), 5):
            kind, a, b, flags, length = words[at : at + 5]
            if kind == engine.HEAD:
                self._begin(HttpMessage(RESPONSE, self._engine.text_of(a, b), flags, length, self))
            elif kind == engine.DATA:
                assert self._message is not None and self._message.buffer is not None
                self._message.buffer.feed(data[a : a + b])
            elif kind == engine.TRAILERS:
                assert self._message is not None
                self._message.add_trailers(self._engine.text_of(a, b))
            elif kind == engine.END:
                self._end()
            elif kind == engine.UPGRADED:
                self.close_after = True
            elif kind == engine.ERROR:
                self._refuse(a, engine.error_text(b))
            if self._error is not None:
                return

    def _begin(self, message: HttpMessage) -> None:
        self._message = message
        assert message.status_code is not None
        if message.status_code >= 200:
            self._asked.popleft()
            self._interim = 0
            if not message.flags & engine.KEEP_ALIVE:
                self.close_after = True
            if self.answered:
                self.resume_writing()  # for who still sends the request, and need not
        else:
            if message.status_code == 101:
                self._fail(MessageError('the server switches to a protocol nobody has asked for'))
                return
            self._interim += 1
            if self._interim > limits.HTTP_INTERIM:
                self._fail(MessageTooLarge('the server sends too many interim responses'))
                return
        if message.length and not message.whole:
            message.buffer = BodyBuffer(self, _nothing, message.length)
        self._ready.append(message)
        self._wake()

    def _end(self) -> None:
        message, self._message = self._message, None
        assert message is not None
        message.complete = True
        if message.buffer is not None:
            message.buffer.feed_eof()

    def _refuse(self, status: int, why: str) -> None:
        if self._eof:
            self._fail(MessageTruncated(why))
        elif 'too ' in why and status != _BODY_TOO_LARGE:  # but long, large or many
            self._fail(MessageTooLarge(why))
        else:
            self._fail(MessageError(why))

    def _fail(self, error: HttpError) -> None:
        self._give_up(error)
        self.transport.close()

    def _give_up(self, error: HttpError) -> None:
        if self._error is None:
            self._error = error
        self.close_after = True
        message, self._message = self._message, None
        if message is not None and message.buffer is not None:
            message.buffer.feed_error(self._error)
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiting:
            waiter.wake()

    # For the buffers of bodies.

    def pause_reading(self) -> None:
        self._pausing += 1
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        self._pausing -= 1
        if not self._pausing:
            self.transport.resume_reading()

    # What fibers call.

    @property
    def host(self) -> str:
        """What the Host field says, unless the caller does (RFC 9110, 7.2).

        :raises HttpError: not connected.
        """
        if not self._host:
            self._host = self._find_host()
        return self._host

    def _find_host(self) -> str:
        if self.transport is None:
            raise HttpError('not connected')
        peer = self.transport.get_extra_info('peername')
        name = self.transport.get_extra_info('server_hostname')
        if not isinstance(peer, tuple):
            return name or 'localhost'
        name = name or peer[0]
        name = f'[{name}]' if ':' in name else name
        port = HTTP_PORT if self.transport.tls is None else HTTPS_PORT
        return name if peer[1] == port else f'{name}:{peer[1]}'

    @property
    def done(self) -> bool:
        """True if nothing is under way, in either direction."""
        return not (self._asked or self._ready or self._message or self._sending)

    @property
    def idle(self) -> bool:
        """True if nothing is under way, and another request may be sent."""
        return self.done and not self.close_after

    @property
    def error(self) -> HttpError | None:
        """What has ended the connection, or None."""
        return self._error

    @property
    def answered(self) -> bool:
        """True if the last request's response is there, although that may still be being sent."""
        return not self._asked and (self._sending is not None or bool(self._ready))

    def begin(self, request: HttpRequest, method: str) -> None:
        """Note that *request* begins: its response is the next that nobody has asked for.

        :raises HttpError: not connected, or no request can be sent now.
        """
        self.check()
        if self.close_after:
            raise HttpError('the connection takes no other request')
        if self._sending is not None:
            raise HttpError('another request is being sent')
        self._sending = request
        self._asked.append(method)

    def ended(self, request: HttpRequest) -> None:
        """Note that *request* was sent."""
        self._sending = None

    def abandon(self) -> None:
        """Note that the rest of the request will not be sent: the server has answered already."""
        self._sending = None
        self.close_after = True

    def check(self) -> None:
        """Do nothing if connected.

        :raises HttpError: not.
        """
        if self._error is not None:
            raise self._error.with_traceback(None)
        if self.transport is None or self.transport.is_closing():
            raise HttpError('not connected')

    @switchpoint
    def request(
        self,
        method: str,
        url: str,
        headers: Iterable[tuple[str, str]] | None = None,
        body: Body = None,
    ) -> None:
        """Send a request. Its response comes from ``getresponse()``.

        *body* is bytes, or an iterable of bytes, or a file, which is sent in chunks unless
        *headers* have a Content-Length.

        :raises HttpError: not connected.
        :raises TransportError: the connection broke.
        :raises TypeError: something is no string, or of *body* no bytes.
        :raises ValueError: something cannot be sent.
        """
        HttpRequest(self).send(method, url, headers, body)

    @switchpoint
    def getresponse(self, timeout: float | None = -1) -> HttpMessage:
        """Return the next response once its head is there; -1 is the timeout of the protocol.

        :raises ConnectionLost: the connection ended before it.
        :raises HttpError: nothing was asked for, or the peer has broken the protocol.
        :raises HttpTimeout: it did not come in time.
        """
        seconds = self._timeout if timeout == -1 else timeout
        check_timeout(seconds)
        if not self._ready:
            self._wait(seconds)
        return self._ready.popleft()

    def _wait(self, seconds: float | None) -> None:
        """Wait for a response that nobody has taken."""
        waiter = _Waiter()
        timer = None
        self._waiting.append(waiter)
        try:
            while not self._ready:
                self.check()
                if not self._asked:
                    raise HttpError('there is no request that is not answered')
                if timer is None and seconds is not None:
                    timer = waiter.hub.call_later(seconds, waiter.expire)
                waiter.wait()
                if waiter.expired and not self._ready and self._error is None:
                    message = f'no response within {seconds} seconds'
                    raise HttpTimeout(message, phase='response')
        finally:
            self._waiting.remove(waiter)
            if timer is not None:
                timer.cancel()


class _Waiter:
    """A fiber that waits, and is woken by the thread of its hub alone, maybe in vain.

    It takes less than ``switch_back()``, and a client needs it for each request.
    """

    __slots__ = ('_carrier', 'done', 'expired', 'hub')

    passed = None

    def __init__(self) -> None:
        self.hub = get_hub()
        self.expired = False
        self._carrier: Any = None
        self.done = True  # False: it stands in the queue of the hub

    def wait(self) -> None:
        self._carrier = getcurrent()
        try:
            self.hub.switch()
        finally:
            self._carrier = None

    def wake(self) -> None:
        if self._carrier is not None and self.done:
            self.done = False
            self.hub.enqueue(self)

    def expire(self) -> None:
        self.expired = True
        self.wake()

    def target(self) -> Any:
        """Return the greenlet of the fiber, or None if it waits no more. See ``Resumable``."""
        self.done = self._carrier is None
        return self._carrier


def _nothing() -> None:
    pass
