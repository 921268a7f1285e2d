"""The answer to a request: head, body and trailers, framed as RFC 9112 wants it.

start() ---> write() ... ---> end()       the head leaves with the first of the body
start() ---> send()                       all of it at once
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Any, NoReturn, Optional

from .._native import http as engine
from ..errors import TransportError
from ..fs import sendfile
from ..hub import switchpoint
from ..transports import Transport
from .errors import HttpError
from .fields import NAME, check_field, date_line, line_of, status_line
from .message import HttpMessage

Headers = Iterable[tuple[str, str]]

_SENDFILE_FROM = 128 * 1024  # bytes; below that, a thread is further away than a copy

_NOT_IN_TRAILERS = frozenset({
    'authorization', 'connection', 'content-encoding', 'content-length', 'content-range',
    'content-type', 'host', 'set-cookie', 'trailer', 'transfer-encoding',
})  # fmt: skip

_GOES_ON = engine.MINOR | engine.KEEP_ALIVE

_CACHED = 1000  # heads that are kept; most applications send the same few
_CACHED_HEAD = 1000  # characters


class _Head:
    """What there is to know of a status and headers, which many responses have in common."""

    __slots__ = ('bodyless', 'has_date', 'length', 'made', 'special', 'status', 'text', 'trailers')

    def __init__(
        self,
        status: str,
        text: str = '',
        has_date: bool = False,
        length: Optional[int] = None,
        bodyless: bool = False,
        trailers: Sequence[str] = (),
    ) -> None:
        self.status = status
        self.text = text  # but for the framing, and the date if there is none
        self.has_date = has_date
        self.length = length  # that was said
        self.bodyless = bodyless  # there can be no body
        self.trailers = trailers  # names of those that were announced
        self.special = bodyless or bool(trailers) or not text
        # What frame() has returned last, until when that is right, and before how many bytes.
        self.made = 0.0, 0, b''

    def frame(self, size: int, now: float) -> bytes:
        """Return the head before a body of *size* bytes, where the connection goes on.

        It is empty if *size* does not fit, or there is more to say. *now* is that of monotonic().
        """
        if not size or self.special or self.length not in (None, size):
            return b''
        text = self.text if self.has_date else self.text + date_line()
        made = f'{text}Content-Length: {size}\r\n\r\n'.encode('latin-1')
        self.made = int(now) + 1.0, size, made
        return made


UNSAID = _Head('')

_heads: dict[Any, _Head] = {}


def _head_of(minor: int, status: str, headers: list[tuple[str, str]]) -> _Head:
    """Return what ``Response.start()`` needs to know of *status* and *headers*; it raises that."""
    line, bodyless = status_line('1.1' if minor else '1.0', status)
    lines = [line]
    length: Optional[int] = None
    has_date = has_server = False
    trailers: list[str] = []
    for name, value in headers:
        line, special = line_of(name, value)
        if special == 'content-length':
            length = _length_of(value, length)
            continue
        lines.append(line)
        has_date = has_date or special == 'date'
        has_server = has_server or special == 'server'
        if special == 'trailer':
            trailers += _announced(value)
    if length and status[:3] == '204':
        raise ValueError(f'a response with 204 has no body, and no Content-Length {length}')
    if not has_server:
        lines.append(f'Server: {NAME}\r\n')
    head = _Head(status, ''.join(lines), has_date, length, bodyless, trailers)
    if len(head.text) <= _CACHED_HEAD and all(type(field) is tuple for field in headers):
        if len(_heads) >= _CACHED:
            _heads.clear()
        _heads[(minor, status, *headers)] = head
    return head


def _length_of(value: str, said: int | None) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise ValueError(f'the Content-Length must be a number, not {value!r}')
    length = int(value)
    if said is not None and said != length:
        raise ValueError('there are two Content-Lengths')
    return length


def _announced(value: str) -> list[str]:
    names = [name.strip() for name in value.split(',')]
    for name in names:
        if name.lower() in _NOT_IN_TRAILERS:
            raise ValueError(f'{name} cannot be a trailer')
    return names


class Response:
    """Answers *message*, over *protocol*."""

    __slots__ = (
        '_chunked', '_head', '_headers', '_message', '_protocol', 'bodyless', 'ended', 'length',
        'sent', 'size',
    )  # fmt: skip

    def __init__(self, message: HttpMessage, protocol: Any) -> None:
        self._message = message
        self._protocol = protocol
        self._head = UNSAID
        self._headers: Any = None
        self._chunked = False
        self.sent = False  # the head is
        self.bodyless = False
        self.ended = False
        self.length: Optional[int] = None  # of the body, if it was said
        self.size = 0  # bytes of the body that were sent

    @property
    def status(self) -> str:
        """Code and words, '' as long as nothing was said."""
        return self._head.status

    def start(self, status: str, headers: Headers) -> None:
        """Say what the head will be; that can be done anew as long as ``sent`` is false.

        The framing, and what belongs to the connection, is not for the caller to say.

        :raises HttpError: the response has ended.
        :raises TypeError: something is no string.
        :raises ValueError: something cannot be sent.
        """
        if self.ended:
            raise HttpError('the response has ended', 500)
        if type(headers) is not list:
            headers = list(headers)
        minor = self._message.flags & engine.MINOR
        try:
            head = _heads.get((minor, status, *headers))
        except TypeError:  # a field is a list
            head = None
        if head is None:
            head = _head_of(minor, status, headers)
        self._head = head
        self.length = head.length
        self.bodyless = head.bodyless
        self._headers = headers

    # The head.

    def _finish_head(self, body_size: int | None) -> bytes:
        """Return the head; *body_size* is None if nobody knows yet how long the body will be."""
        head = self._head
        if head is UNSAID:
            raise HttpError('nothing was said yet of the status and the headers', 500)
        message, protocol = self._message, self._protocol
        flags = message.flags
        if head.trailers and flags & engine.MINOR:
            self.length = None  # only chunks have something behind them
        elif self.length is None and body_size is not None:
            self.length = body_size
        keep = bool(flags & engine.KEEP_ALIVE)
        keep = keep and (not protocol.closing if message.complete else protocol.goes_on(message))
        self.sent = True
        text = head.text if head.has_date else head.text + date_line()
        if self.bodyless:
            if self.length is not None and self.status[:3] == '304' and body_size is None:
                text += f'Content-Length: {self.length}\r\n'
        elif self.length is not None:
            text += f'Content-Length: {self.length}\r\n'
        elif flags & engine.MINOR:
            self._chunked = True
            text += 'Transfer-Encoding: chunked\r\n'
        else:
            keep = False
        if not keep:
            protocol.closing = True
            text += 'Connection: close\r\n'
        elif not flags & engine.MINOR:
            text += 'Connection: keep-alive\r\n'
        if flags & engine.HEAD_METHOD:
            self.bodyless = True
        return f'{text}\r\n'.encode('latin-1')

    @switchpoint
    def upgrade(self, name: str, protocol: Any, headers: Headers = ()) -> None:
        """Answer 101, and hand the connection over to *protocol*, which speaks what *name* says.

        It gets its ``connection_made()``, and what the client has sent behind its request. The
        request has to ask for it (RFC 9110, 7.8), and its body has to be read; *headers* are fields
        of the answer.

        :raises HttpError: that is not so.
        :raises ValueError: something cannot be sent.
        """
        if not self._message.flags & engine.UPGRADE or self.sent:
            raise HttpError('there is no request for another protocol to be answered', 500)
        if not self._message.complete:
            raise HttpError('the body was not read', 500)
        check_field('Upgrade', name)
        lines = [f'Upgrade: {name}\r\nConnection: Upgrade\r\n']
        lines += [line_of(*field)[0] for field in headers]
        self._head = _Head('101 Switching Protocols')
        self.sent = self.ended = True
        head = f'HTTP/1.1 {self.status}\r\n{"".join(lines)}\r\n'
        self._protocol.transport.write(head.encode('latin-1'))
        self._protocol.hand_over(protocol)

    # The body.

    @switchpoint
    def send(self, body: bytes) -> None:
        """Send the head, *body* as the whole body, and be done.

        :raises HttpError: it is not as long as the Content-Length says, or the status allows none.
        """
        self.send_now(body)

    def send_now(self, body: bytes) -> None:
        """Do what ``send()`` does, for who runs in the fiber of the request anyway."""
        head, message, protocol = self._head, self._message, self._protocol
        size = len(body)
        until, fits, made = head.made
        now = monotonic()  # not that of the hub: the handler may have taken seconds of this turn
        if fits != size or now >= until:
            made = head.frame(size, now)
        if (
            made
            and message.flags == _GOES_ON
            and message.complete
            and not (protocol.closing or self.sent)
        ):  # as it mostly is
            self.sent = self.ended = True
            self.size = size
            protocol.transport.write(made + body)
            if protocol.writing_paused:
                protocol.writer.drain()
            return
        if self.sent or not size or head.trailers:
            self.write(body)
            self.end()
            return
        if self.bodyless:
            self._refuse_body()
        if self.length is not None and self.length != size:
            self._check_size(size)
        data = self._finish_head(size)
        self.ended = True
        if not self.bodyless:
            self.size = size
            data += body
        self._write(data)

    @switchpoint
    def write(self, data: bytes) -> None:
        """Send *data* as the next part of the body, once the client keeps up.

        :raises HttpError: the body gets longer than its Content-Length says, or has ended, or the
            status allows none.
        :raises TransportError: the connection is lost.
        """
        if self.ended:
            raise HttpError('the response has ended', 500)
        if not data:
            return
        if self.bodyless and not self.sent:
            self._refuse_body()
        if self.length is not None and not self.bodyless and self.size + len(data) > self.length:
            self._check_size(self.size + len(data))
        pieces = [] if self.sent else [self._finish_head(None)]
        if self.bodyless:
            pass
        elif self._chunked:
            pieces += (b'%X\r\n' % len(data), data, b'\r\n')
        else:
            pieces.append(data)
        self.size += len(data)
        if pieces:
            self._write(pieces[0] if len(pieces) == 1 else b''.join(pieces))

    @switchpoint
    def end(self) -> None:
        """Be done: that was the body.

        :raises HttpError: it was shorter than its Content-Length says.
        """
        if self.ended:
            return
        is_head = bool(self._message.flags & engine.HEAD_METHOD)
        if self.length is not None and self.size < self.length and not (self.bodyless or is_head):
            self._check_size(self.size)
        self.ended = True
        if not self.sent:
            known = None if is_head or self.bodyless else 0
            self._write(self._finish_head(known))
        if self._chunked and not self.bodyless:
            self._write(f'0\r\n{self._trailer_lines()}\r\n'.encode('latin-1'))

    @switchpoint
    def sendfile(self, file: Any, offset: int, size: int) -> bool:
        """Have the kernel send *size* bytes of *file* from *offset* on, as the rest of the body.

        *file* is a regular file with a ``fileno()``. Returns False, and sends nothing, where the
        kernel cannot, or where it is not worth it.

        :raises OSError: the file cannot be read.
        :raises Timeout: the client takes nothing.
        :raises TransportError: the connection is lost.
        """
        if self.bodyless and not self.sent:
            self._refuse_body()
        transport = self._protocol.transport
        if size < _SENDFILE_FROM or self._head.trailers or type(transport) is not Transport:
            return False
        if not self.sent:
            if self.length is None:
                self.length = size
            self._write(self._finish_head(None))
        if self._chunked:
            return False
        if not self.bodyless and self.length is not None:
            size = min(size, self.length - self.size)
            stall = self._protocol.write_timeout
            self.size += sendfile(transport, file, offset, size, stall=stall)
        return True

    def _refuse_body(self) -> NoReturn:
        raise HttpError(f'a response with {self.status[:3]} has no body', 500)

    def _check_size(self, size: int) -> None:
        self._protocol.closing = True
        raise HttpError(f'the Content-Length is {self.length}, but the body has {size} bytes', 500)

    def _trailer_lines(self) -> str:
        lines = []
        wanted = {name.lower() for name in self._head.trailers}
        for name, value in self._headers:
            if name.lower() in wanted:
                check_field(name, value)
                lines.append(f'{name}: {value}\r\n')
        return ''.join(lines)

    def _write(self, data: bytes) -> None:
        try:
            self._protocol.transport.write(data)
        except TransportError:
            self._protocol.closing = True
            raise
        if self._protocol.writing_paused:
            self._protocol.writer.drain()
