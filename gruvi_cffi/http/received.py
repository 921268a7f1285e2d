"""What answers the request of a session."""

from __future__ import annotations

import codecs
import json
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Optional

from .. import limits
from ..errors import TransportError
from ..hub import switchpoint
from ..wire.http_fields import parse_content_type
from .bodies import Progress
from .cookies import cookies_of
from .decoding import Decoder
from .errors import HttpError, MessageError, MessageTooLarge, MessageTruncated, StatusError
from .headers import Headers
from .message import HttpMessage
from .prepared import PreparedRequest

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PIECE = 64 * 1024  # bytes of a body that are taken at once


class HttpResponse:
    """A response: ``status_code``, ``reason``, ``headers``, and a body that may still come.

    ``request`` is what it answers and ``url`` of what, ``history`` the redirections before, and
    ``elapsed`` the seconds from the request to the head; ``not_followed`` says why, if it is a
    redirection that must not be followed. Unless it was asked for as a stream, the
    body is there as ``content``. A stream has to be read to its end, or closed: only then its
    connection is free.
    """

    def __init__(
        self,
        message: HttpMessage,
        request: PreparedRequest,
        elapsed: float,
        lease: Any,
        progress: Optional[Progress] = None,
    ) -> None:
        assert message.status_code is not None
        assert message.reason is not None
        self.status_code: int = message.status_code
        self.reason: str = message.reason
        self.version = message.version
        self.headers = Headers(message.fields())  # without trailers, which may be there
        self.request = request
        self.url = request.url
        self.history: list[HttpResponse] = []
        self.not_followed: Optional[str] = None  # why, if it is a redirection that must not be
        self.elapsed = elapsed
        self._message = message
        self._lease: Any = lease  # gives the connection back, or cuts it
        self._progress = progress
        self._content: Optional[bytes] = None
        self._encoding: Optional[str] = None
        self._reading = self._closed = False
        if message.complete and not message.length:
            self._end()

    def __repr__(self) -> str:
        return f'<HttpResponse {self.status_code} {self.reason} of {self.url}>'

    # The head.

    @property
    def ok(self) -> bool:
        """True if the status is below 400."""
        return self.status_code < 400

    @property
    def is_redirect(self) -> bool:
        """True if it says where to go instead."""
        return self.status_code in REDIRECTS and 'Location' in self.headers

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that it sets."""
        return cookies_of(self.url, self.headers)

    @property
    def size(self) -> Optional[int]:
        """The size of the body in bytes, as it is on the wire; None if the head does not say.

        Behind HEAD it is that which GET would bring.
        """
        if self.request.method == 'HEAD':
            said = self.headers.first('Content-Length') or ''
            return int(said) if said.isdigit() else None
        return None if self._message.length < 0 else self._message.length

    @property
    def trailers(self) -> Headers:
        """The fields that came behind the body; empty until that was read."""
        return Headers(self._message.headers[len(list(self._message.fields())) :])

    def raise_for_status(self) -> HttpResponse:
        """Return the response itself.

        :raises StatusError: the request has failed, or it is a redirection that is not followed.
        """
        if self.not_followed is not None:
            what = f'{self.status_code} {self.reason} from {self.url} is not followed'
            raise StatusError(f'{what}: {self.not_followed}', self)
        if not self.ok:
            raise StatusError(f'{self.status_code} {self.reason} from {self.url}', self)
        return self

    @property
    def encoding(self) -> str:
        """The charset of the text: as the Content-Type says, else UTF-8. It can be set."""
        if self._encoding is None:
            given = parse_content_type(self.headers.get('Content-Type', ''))[1]
            named = {name.lower(): value for name, value in given.items()}.get('charset', 'utf-8')
            self._encoding = named if _is_charset(named) else 'utf-8'
        return self._encoding

    @encoding.setter
    def encoding(self, name: str) -> None:
        codecs.lookup(name)
        self._encoding = name

    # The body.

    @property
    def content(self) -> bytes:
        """The body. Of a stream, see ``read()``.

        :raises HttpError: it is a stream, and was not read.
        """
        if self._content is None:
            raise HttpError('the body was not read: call read(), or iterate')
        return self._content

    @property
    def text(self) -> str:
        """The body as text; what is malformed is replaced."""
        return self.content.decode(self.encoding, 'replace')

    def json(self, **kwargs: Any) -> Any:
        """Return what the body means; *kwargs* are for ``json.loads()``.

        :raises ValueError: it is no JSON.
        """
        return json.loads(self.content, **kwargs)

    @switchpoint
    def read(self, limit: int = limits.HTTP_CONTENT) -> bytes:
        """Return the whole body, which is then ``content``.

        :raises MessageError: the server breaks the protocol, or the connection.
        :raises MessageTooLarge: it has more than *limit* bytes, decoded.
        :raises HttpTimeout: no more of it came in time.
        """
        if self._is_plain(len(self._message.whole), limit):
            self._reading = True
            self._content = self._message.whole
            self._end()
        elif self._is_plain(self._message.length, limit):
            self._content = self._read_plain()
        if self._content is None:
            pieces, size = [], 0
            for piece in self.iter_bytes():
                size += len(piece)
                if size > limit:
                    self.close()
                    raise MessageTooLarge(f'the body has more than {limit} bytes')
                pieces.append(piece)
            self._content = pieces[0] if len(pieces) == 1 else b''.join(pieces)
        return self._content

    def _is_plain(self, size: int, limit: int) -> bool:
        """Return whether a body of *size* bytes needs nothing done to it."""
        return (
            0 < size <= limit
            and not self._reading
            and self._progress is None
            and self.headers.first('Content-Encoding') is None
        )

    def _read_plain(self) -> bytes:
        self._reading = True
        body = self._message.body
        content = self._take(body.read, -1)
        if len(content) < self._message.length:
            self._take(body.read1, _PIECE)  # which raises why
        self._end()
        return content

    def iter_bytes(self) -> Iterator[bytes]:
        """Iterate over the body as it comes, decompressed, in pieces of any size.

        Each step is a switch point, and may raise:

        :raises HttpError: it was read already, or closed.
        :raises MessageError: the server breaks the protocol, or the connection.
        :raises HttpTimeout: no more of it came in time.
        """
        if self._content is not None:
            return iter((self._content,))
        decoder = Decoder(self.headers.get_list('Content-Encoding'))
        return self._decoded(decoder) if decoder else self._raw()

    def iter_raw(self) -> Iterator[bytes]:
        """Iterate over the body as ``iter_bytes()``, but leave it compressed."""
        return self._raw()

    def iter_text(self) -> Iterator[str]:
        """Iterate over the body as ``iter_bytes()``, in text; what is malformed is replaced."""
        decoder = codecs.getincrementaldecoder(self.encoding)('replace')
        for piece in self.iter_bytes():
            try:
                text = decoder.decode(piece)
            except UnicodeError:  # UTF-16 or 32 without a mark at its beginning
                piece = decoder.getstate()[0] + piece
                decoder = codecs.getincrementaldecoder(f'{self.encoding}-le')('replace')
                text = decoder.decode(piece)
            if text:
                yield text
        last = decoder.decode(b'', True)
        if last:
            yield last

    def iter_lines(self, limit: int = limits.LINE_LIMIT) -> Iterator[str]:
        """Iterate over the lines of ``iter_text()``, without their ends, LF or CRLF.

        :raises MessageTooLarge: one has more than *limit* characters.
        """
        rest = ''
        for text in self.iter_text():
            first, *more = text.split('\n')
            rest += first
            for line in more:
                yield rest[:-1] if rest.endswith('\r') else rest
                rest = line
            if len(rest) > limit:
                self.close()
                raise MessageTooLarge(f'a line has more than {limit} characters')
        if rest:
            yield rest

    def _raw(self) -> Iterator[bytes]:
        if self._reading:
            raise HttpError('the body was read already, or closed')
        self._reading = True
        done = 0
        body = self._message.body
        while piece := self._take(body.read1, _PIECE):
            yield piece
            done += len(piece)
            if self._progress is not None:
                self._progress(done, self.size)
        self._end()

    def _take(self, read: Callable[[int], bytes], size: int) -> bytes:
        if self._closed:
            raise HttpError('the response was closed')
        try:
            return read(size)
        except TransportError as error:
            self.close()
            raise MessageTruncated(f'the connection broke: {error}') from error
        except BaseException:
            self.close()
            raise

    def _decoded(self, decoder: Decoder) -> Iterator[bytes]:
        try:
            for data in self._raw():
                yield from decoder.feed(data)
            decoder.finish()
        except MessageError:
            self.close()
            raise

    @switchpoint
    def skip(self) -> None:
        """Close, and read what is left before, if that is little: the connection can be kept."""
        if self._lease is not None and 0 <= self._message.length <= limits.HTTP_DRAIN:
            for _ in self._raw():
                pass
        self.close()

    # The end.

    def _end(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.give_back()

    def close(self) -> None:
        """Have no more of the body: a connection on which more would come is cut."""
        self._closed = self._reading = True
        self._end()

    def __enter__(self) -> HttpResponse:
        return self

    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()

    def __del__(self) -> None:
        if getattr(self, '_lease', None) is not None:
            warnings.warn(f'{self!r} was neither read nor closed', ResourceWarning, stacklevel=2)
            self._lease.drop()


def _is_charset(name: str) -> bool:
    """Return whether any bytes can be decoded by *name*; Python has codecs of other kinds too."""
    try:
        return isinstance(b'a\xff'.decode(name, 'replace'), str)
    except (LookupError, ValueError):
        return False
