"""An HTTP message as its receiver sees it: the head at once, the body as a stream."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, Optional

from .. import limits
from .._native import http as engine
from ..bytestream import Stream
from ..hub import switchpoint
from ..streambuffer import Size, StreamBuffer
from ..wire.http_fields import parse_content_type
from ..wire.http_forwarded import Forwarded
from ..wire.http_url import ParsedUrl, parse_url
from .known import KnownHead

REQUEST, RESPONSE = range(2)


_AHEAD = 4  # times as much as has come is the room that is made for more


class BodyBuffer(StreamBuffer):
    """The body of a message that still comes in; *wanted* is called before a reader waits.

    It will have *length* bytes, unless that is -1.
    """

    __slots__ = ('_dropped', '_length', '_on_wanted')

    def __init__(self, source: Any, wanted: Callable[[], object], length: int = -1) -> None:
        super().__init__(source)
        self._length = length
        self._on_wanted = wanted
        self._dropped = False

    def discard(self, error: Exception) -> None:
        self._dropped = True
        super().discard(error)

    @switchpoint
    def get_chunk(
        self, size: int = -1, delim: bytes | None = None, timeout: float | None = -1
    ) -> bytes:
        waits = self.timeout if timeout == -1 else timeout
        if size >= 0 or waits is not None or self._eof or self._reading:
            return super().get_chunk(size, delim, timeout)
        return self._gather()

    def _gather(self) -> bytes:
        """Return all that comes up to the end, each piece put in its place at once.

        To keep the pieces, and join them in the end, takes twice the memory, which malloc() then
        gives back to the system after each body: a page fault for every page of the next one.
        """
        whole = BytesIO()
        room = 0
        try:
            while True:
                self.wait_for_data()
                if not self._size:
                    break
                if whole.tell() + self._size > room < self._length:
                    # What a peer has announced is no reason to believe that it will come.
                    room = min(self._length, _AHEAD * (whole.tell() + self._size))
                    _make_room(whole, room)
                whole.write(self.take_chunk())
        except BaseException:
            whole.truncate()
            if not self._dropped:
                self.put_back(whole.getvalue())
                self._adjust()
            raise
        if self._dropped or not whole.tell():
            self.check()
        whole.truncate()
        return whole.getvalue()

    def _wait_for_data(self, timeout: float | None) -> None:
        if not (self._size or self._eof or self._error is not None):
            self._on_wanted()
        super()._wait_for_data(timeout)

    @switchpoint
    def wait_until(
        self, ready: Callable[[], object], wanted: Size, timeout: float | None = -1
    ) -> None:
        if not (self._eof or self._error is not None):
            self._on_wanted()
        super().wait_until(ready, wanted, timeout)


def _make_room(whole: BytesIO, size: int) -> None:
    at = whole.tell()
    whole.seek(size - 1)
    whole.write(b'\0')
    whole.seek(at)


class HttpMessage:
    """A request or a response whose head is complete.

    Of what only the other one has, the value is None. ``headers`` are pairs in the order of the
    wire; once the body was read to its end, they end with the trailers, if it had any.
    """

    __slots__ = (
        '__weakref__', '_body', '_headers', '_parts', '_source', 'buffer', 'complete', 'flags',
        'forwarded', 'known', 'length', 'message_type', 'whole',
    )  # fmt: skip

    def __init__(
        self,
        message_type: int,
        parts: Optional[list[str]],
        flags: int,
        length: int,
        source: Any = None,
        known: Optional[KnownHead] = None,
    ) -> None:
        self._parts = parts
        self.known = known  # what it is made of, if that is known and *parts* is None
        self.flags = flags
        self.length = length  # of the body in bytes, or -1
        self.message_type = message_type
        self._source = source
        self._headers: Optional[list[tuple[str, str]]] = None
        self._body: Optional[Stream] = None
        self.buffer: Optional[BodyBuffer] = None
        self.whole = b''  # the body, if it came at once: then there is no buffer
        self.complete = False  # the body has come, and the trailers
        self.forwarded: Optional[Forwarded] = None  # who asks, as a trusted proxy says

    def __repr__(self) -> str:
        what = f'{self.method} {self.url}' if self.method else f'{self.status_code} {self.reason}'
        return f'<HttpMessage {what}>'

    @property
    def parts(self) -> list[str]:
        """Method and target, or status and reason; then names and values."""
        if self._parts is None:
            assert self.known is not None
            _, line, fields, _ = self.known
            self._parts = [line.method, line.target, *fields.parts]
        return self._parts

    @property
    def method(self) -> str | None:
        """Of a request."""
        return None if self.message_type else self.parts[0]

    @property
    def url(self) -> str | None:
        """Of a request: its target, as it is on the wire."""
        return None if self.message_type else self.parts[1]

    @property
    def status_code(self) -> int | None:
        """Of a response."""
        return int(self.parts[0]) if self.message_type else None

    @property
    def reason(self) -> str | None:
        """Of a response: the words behind its status."""
        return self.parts[1] if self.message_type else None

    @property
    def parsed_url(self) -> ParsedUrl | None:
        """Of a request: the parts of its target."""
        if self.message_type:
            return None
        return parse_url(self.parts[1], is_connect=self.parts[0] == 'CONNECT')

    @property
    def charset(self) -> str | None:
        """The charset that the Content-Type names, if that is a kind of text."""
        kind, given = parse_content_type(self.get_header('Content-Type', ''))
        return given.get('charset') if kind.startswith('text/') else None

    @property
    def version(self) -> str:
        """'1.0' or '1.1'."""
        return '1.1' if self.flags & engine.MINOR else '1.0'

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Pairs of name and value, in the order and spelling of the wire."""
        if self._headers is None:
            self._headers = list(self.fields())
        return self._headers

    def fields(self) -> Any:
        """Return an iterator over the fields of the head: pairs of name and value."""
        rest = iter(self.parts)
        next(rest), next(rest)
        return zip(rest, rest)

    def drop_fields(self, names: frozenset[str]) -> None:
        """Forget the fields of the head with these *names*, in lower case."""
        kept = [each for pair in self.fields() if pair[0].lower() not in names for each in pair]
        self._parts = [*self.parts[:2], *kept]
        self._headers = self.known = None

    def add_trailers(self, parts: list[str]) -> None:
        """Append what came behind the body."""
        rest = iter(parts)
        self.headers.extend(zip(rest, rest))

    def get_header(self, name: str, default: Any = None) -> Any:
        """Return the value of the first field with this name, in any case, or *default*."""
        name = name.lower()
        for key, value in self.headers:
            if key.lower() == name:
                return value
        return default

    @property
    def body(self) -> Stream:
        """The body, for reading."""
        if self._body is None:
            self._body = _BodyStream(self._source, self.buffer, self.whole)
        return self._body


class _BodyStream(Stream):
    """A stream over the buffer of a message's body, or over the *whole* of it."""

    __slots__ = ()

    def __init__(self, source: Any, buffer: BodyBuffer | None, whole: bytes) -> None:
        super().__init__(source, 'r', buffer=buffer)
        if buffer is None:
            assert self._buffer is not None
            self._buffer.feed(whole)
            self._buffer.feed_eof()


RESPONSE_LIMITS = engine.HttpLimits(
    line=limits.HTTP_RESPONSE_HEAD,
    head=limits.HTTP_RESPONSE_HEAD,
    fields=limits.HTTP_RESPONSE_FIELDS,
)
