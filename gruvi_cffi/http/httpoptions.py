"""What may be set of a server: how much a client may send, and how long it may take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from .. import limits
from .._native.http import HttpLimits
from .trusting import Trusted

_NEVER_0 = frozenset({'line', 'head', 'fields', 'chunk_line', 'connections'})  # nothing would pass
_MOST = 2**31 - 1  # that the engine can count


def _check_count(name: str, value: object, least: int) -> None:
    most = float('inf') if name == 'body' else _MOST
    if not (isinstance(value, int) and least <= value <= most):
        raise ValueError(f'{name} must be a number, {least} or more, not {value!r}')


def _check_time(name: str, value: object) -> None:
    if value is None or (value == 0 and name == 'keepalive_timeout'):
        return
    if not (isinstance(value, (int, float)) and 0 < value < float('inf')):
        raise ValueError(f'{name} must be more than 0 seconds, or None, not {value!r}')


@dataclass
class HttpOptions:
    """Limits in bytes but for counts, and times in seconds; None is no limit.

    ``line``: of a request line (414); ``head`` and ``fields``: of a head with its trailers (431);
    ``body`` (413), where 0 allows none; ``chunk_line``, and ``chunk_extensions`` of a message,
    where 0 allows none (400). ``pipeline``: requests of a connection that may wait; with 0 reading
    pauses as soon as something comes behind a request. ``connections``: of the server; more wait to
    be accepted. ``header_timeout``: for a head from its first byte on (408); ``keepalive_timeout``:
    between two requests, where 0 allows one on a connection; ``body_timeout``: between two reads of
    a body, which also has to bring ``body_rate`` bytes a second over that time, unless that is 0;
    ``write_timeout``: in which a client has to take something.

    ``proxy_headers``: addresses and networks of proxies, or 'unix', that are believed when they say
    who asks (Forwarded, X-Forwarded-For, -Proto and -Host); ``proxy_protocol``: of those that have
    to say it in a PROXY header, version 1 or 2.

    :raises ValueError: one is less than it can be, or no number, or no address.
    """

    line: int = limits.HTTP_LINE
    head: int = limits.HTTP_HEAD
    fields: int = limits.HTTP_FIELDS
    body: Optional[int] = None
    chunk_line: int = limits.HTTP_CHUNK_LINE
    chunk_extensions: int = limits.HTTP_CHUNK_EXTENSIONS
    pipeline: int = limits.HTTP_PIPELINE
    connections: int = limits.HTTP_CONNECTIONS
    header_timeout: Optional[float] = limits.HTTP_HEADER_TIMEOUT
    keepalive_timeout: Optional[float] = limits.HTTP_KEEPALIVE_TIMEOUT
    body_timeout: Optional[float] = limits.HTTP_BODY_TIMEOUT
    body_rate: int = limits.HTTP_BODY_RATE
    write_timeout: Optional[float] = limits.HTTP_WRITE_TIMEOUT
    proxy_headers: Sequence[str] = ()
    proxy_protocol: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name.startswith('proxy_'):
                Trusted(value)
            elif name.endswith('_timeout'):
                _check_time(name, value)
            elif value is not None or name != 'body':
                _check_count(name, value, 1 if name in _NEVER_0 else 0)

    @property
    def idle_timeout(self) -> Optional[float]:
        """Seconds in which a request has to begin."""
        # A connection that is for one request has to have that in time.
        return self.header_timeout if self.keepalive_timeout == 0 else self.keepalive_timeout

    def of_messages(self) -> HttpLimits:
        """Return what the engine needs to know."""
        body = -1 if self.body is None else self.body
        return HttpLimits(
            self.line, self.head, self.fields, self.chunk_line, self.chunk_extensions, body
        )
