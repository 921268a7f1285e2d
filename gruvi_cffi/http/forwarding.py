"""A server behind proxies: who really asks.

socket ---> ProxyProtocol ---> HttpServerProtocol ---> ProxyHeaders ---> handler
            (PROXY header)                             (Forwarded, X-Forwarded-For ...)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Optional

from .. import limits
from ..logging import get_logger
from ..protocols import Protocol
from ..transports import DEADLINE_TOTAL
from ..wire.http_forwarded import originator
from ..wire.proxy_protocol import parse_proxy_header
from .errors import HttpError
from .message import HttpMessage
from .serving import Handler, HttpServerProtocol
from .trusting import Trusted

_log = get_logger()

_FIELDS = frozenset({'forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'})


class ProxyHeaders:
    """A handler that tells *handler* who asks, as the fields of *trusted* proxies say it.

    Those of others are dropped. What is malformed is answered with 400.
    """

    def __init__(self, handler: Handler, trusted: Iterable[str]) -> None:
        self._handler = handler
        self._trusted = Trusted(trusted)

    def __call__(self, message: HttpMessage, transport: Any, protocol: Any) -> None:
        fields: dict[str, list[str]] = {}
        for name, value in message.fields():
            lower = name.lower()
            if lower in _FIELDS:
                fields.setdefault(lower, []).append(value)
        if fields:
            if protocol.peer in self._trusted:
                try:
                    message.forwarded = originator(fields, self._trusted.has)
                except ValueError as error:
                    raise HttpError(str(error), 400) from None
            else:
                message.drop_fields(_FIELDS)
        self._handler(message, transport, protocol)


class ProxyProtocol(Protocol):
    """Takes the PROXY header of *trusted* proxies, and hands over to what *make* returns.

    From others there is none. Who sends no header, or a malformed one, is cut; so is who takes
    more than *seconds* for it.
    """

    def __init__(
        self, make: Callable[[], HttpServerProtocol], trusted: Trusted, seconds: float | None
    ) -> None:
        super().__init__()
        self._make = make
        self._trusted = trusted
        self._seconds = seconds
        self._data = bytearray()
        self._transport: Any = None
        self._inner: Optional[HttpServerProtocol] = None
        self._grace: Optional[float] = None  # once the server ends

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        if transport.get_extra_info('peername') not in self._trusted:
            self._hand_over(None)
        else:
            transport.set_deadline(DEADLINE_TOTAL, self._seconds)

    def data_received(self, data: bytes) -> None:
        self._data += data
        try:
            found = parse_proxy_header(self._data, limits.PROXY_HEADER)
        except ValueError as error:
            peer = self._transport.get_extra_info('peername')
            _log.warning('a connection from {} is refused: {}', peer, error)
            self._transport.abort()
            return
        if found is not None:
            said, size = found
            rest = bytes(self._data[size:])
            self._transport.set_deadline(DEADLINE_TOTAL, None)
            inner = self._hand_over(said.source)
            if rest:
                inner.data_received(rest)

    def deadline_expired(self, which: int) -> None:
        self._transport.abort()

    def _hand_over(self, peer: Any) -> HttpServerProtocol:
        self._inner = inner = self._make()
        if peer is not None:
            inner.peer = peer
        inner.connection_made(self._transport)
        self._transport.set_protocol(inner)
        if self._grace is not None:
            inner.finish(self._grace)
        return inner

    def finish(self, grace: float) -> None:
        """See ``HttpServerProtocol.finish()``."""
        self._grace = grace
        if self._inner is not None:
            self._inner.finish(grace)
        else:
            self._transport.set_deadline(DEADLINE_TOTAL, grace)
