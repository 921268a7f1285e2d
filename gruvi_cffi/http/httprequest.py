"""A request on its way out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Optional, Union

from .._version import __version__
from ..hub import switchpoint
from .errors import HttpError
from .fields import check_field, line_of

Body = Union[bytes, Iterable[bytes], None, Any]

USER_AGENT = f'gruvi_cffi/{__version__}'

_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(r'[!-~]+')
_PIECE = 64 * 1024  # bytes that are read of a file at once
_KEPT = 8  # heads that a connection remembers; most programs send the same again


class HttpRequest:
    """Sends one request over *protocol*: ``start_request()``, ``write()``..., ``end_request()``.

    *hop* are pairs of names and values for who is connected alone, such as a proxy.
    """

    __slots__ = ('_chunked', '_headers', '_hop', '_left', '_protocol', '_trailers')

    def __init__(self, protocol: Any, hop: Iterable[tuple[str, str]] = ()) -> None:
        self._protocol = protocol
        self._hop = hop
        self._chunked = False
        self._left: Optional[int] = 0  # bytes that were promised
        self._trailers: set[str] = set()
        self._headers: list[tuple[str, str]] = []

    @switchpoint
    def send(
        self, method: str, url: str, headers: Iterable[tuple[str, str]] | None, body: Body
    ) -> None:
        """Send all of it; see ``HttpClientProtocol.request()``."""
        if isinstance(body, str):
            raise TypeError('the body must be bytes, not str')
        if body is None or isinstance(body, (bytes, bytearray, memoryview)):
            if body is None and not self._hop:
                self._send_again(method, url, headers)
                return
            size = -1 if body is None else memoryview(body).nbytes
            head = self._start(method, url, headers, size)
            self._end_at_once(head + bytes(body or b''))
            return
        self.start_request(method, url, headers, None)
        for piece in _pieces(body):
            self.write(piece)
            if self._protocol.answered:
                self._protocol.abandon()
                return
        self.end_request()

    def _send_again(self, method: str, url: str, headers: Iterable[tuple[str, str]] | None) -> None:
        """Send a request without a body, as it went before if it is the same as one then."""
        headers = headers if isinstance(headers, list) else list(headers or ())
        heads = self._protocol.heads
        key = (method, url, *headers)
        try:
            head = heads.get(key)
        except TypeError:  # of something that is no string, which is told when it is looked at
            head = None
        if head is None:
            head = self._start(method, url, headers, -1)
            if self._chunked:  # there are trailers
                self._end_at_once(head)
                return
            if len(heads) >= _KEPT:
                heads.clear()
            heads[key] = head
        else:
            self._protocol.begin(self, method)
        self._write(head)
        self._protocol.ended(self)

    def _end_at_once(self, data: bytes) -> None:
        self._write(data)
        self._left = 0
        self.end_request()

    @switchpoint
    def start_request(
        self,
        method: str,
        url: str,
        headers: Iterable[tuple[str, str]] | None = None,
        bodylen: int | None = -1,
    ) -> None:
        """Send the head. *bodylen* is the size of the body in bytes, -1 without one, or None.

        :raises HttpError: not connected.
        :raises TypeError: something is no string.
        :raises ValueError: something cannot be sent.
        """
        self._write(self._start(method, url, headers, bodylen))

    def _start(
        self, method: str, url: str, headers: Iterable[tuple[str, str]] | None, bodylen: int | None
    ) -> bytes:
        lines, seen = self._lines(method, url, headers)
        if 'trailer' in seen:
            bodylen = None
        elif bodylen is None and 'content-length' in seen:
            bodylen = int(seen['content-length'])
        self._left = max(bodylen, 0) if bodylen is not None else None
        if bodylen is None and self._protocol.version != '1.1':
            raise HttpError('in HTTP/1.0, a body needs a Content-Length and has no trailers')
        if 'host' not in seen:
            lines.insert(1, f'Host: {self._protocol.host}\r\n')
        if 'user-agent' not in seen:
            lines.append(f'User-Agent: {USER_AGENT}\r\n')
        self._chunked = bodylen is None
        if bodylen is None:
            lines.append('Transfer-Encoding: chunked\r\n')
        elif bodylen >= 0:
            lines.append(f'Content-Length: {bodylen}\r\n')
        lines.append('\r\n')
        self._protocol.begin(self, method)
        return ''.join(lines).encode('latin-1')

    def _lines(
        self, method: str, url: str, headers: Iterable[tuple[str, str]] | None
    ) -> tuple[list[str], dict[str, str]]:
        if not isinstance(method, str) or not isinstance(url, str):
            raise TypeError(f'the method and the target must be strings, not {method!r}, {url!r}')
        if not _METHOD.fullmatch(method):
            raise ValueError(f'no method can be called {method!r}')
        if not _TARGET.fullmatch(url):
            raise ValueError(f'the target {url!r} cannot be sent')
        lines = [f'{method} {url} HTTP/{self._protocol.version}\r\n']
        if self._protocol.version != '1.1':
            lines.append('Connection: keep-alive\r\n')
        for name, value in self._hop:
            check_field(name, value)
            lines.append(f'{name}: {value}\r\n')
        seen: dict[str, str] = {}
        # Kept as it is, because a body that is made while it is sent may add its trailers.
        self._headers = headers if isinstance(headers, list) else list(headers or ())
        for name, value in self._headers:
            line, _ = line_of(name, value)
            lower = name.lower()
            if lower == 'host' and lower in seen:
                raise ValueError('there are two Hosts')
            if lower == 'content-length':
                if not value.isascii() or not value.isdigit():
                    raise ValueError(f'the Content-Length must be a number, not {value!r}')
            else:
                lines.append(line)
            if lower == 'trailer':
                self._trailers |= {each.strip().lower() for each in value.split(',')}
            seen[lower] = value
        return lines, seen

    @switchpoint
    def write(self, buf: bytes) -> None:
        """Send *buf* as the next part of the body.

        :raises HttpError: it is more than was promised.
        :raises TypeError: *buf* is no bytes.
        """
        if not isinstance(buf, (bytes, bytearray, memoryview)):
            raise TypeError(f'the body must be bytes, not {type(buf).__name__}')
        if type(buf) is not bytes:
            buf = bytes(memoryview(buf))  # whose items may have more bytes than one
        if not buf:
            return
        if self._left is not None:
            if len(buf) > self._left:
                self._protocol.transport.abort()
                raise HttpError('the body is longer than its Content-Length')
            self._left -= len(buf)
        self._write(b'%X\r\n%b\r\n' % (len(buf), buf) if self._chunked else buf)

    @switchpoint
    def end_request(self) -> None:
        """Be done: that was the body.

        :raises HttpError: it was less than was promised.
        """
        if self._left:
            self._protocol.transport.abort()
            raise HttpError('the body is shorter than its Content-Length')
        if self._chunked:
            lines = []
            for name, value in self._headers:
                if name.lower() in self._trailers:
                    check_field(name, value)
                    lines.append(f'{name}: {value}\r\n')
            self._write(f'0\r\n{"".join(lines)}\r\n'.encode('latin-1'))
        self._protocol.ended(self)

    def _write(self, data: bytes) -> None:
        self._protocol.transport.write(data)
        if self._protocol.writing_paused:
            self._protocol.writer.drain()


def _pieces(body: Any) -> Iterable[bytes]:
    read = getattr(body, 'read', None)
    return body if read is None else iter(lambda: read(_PIECE), b'')
