"""URLs of clients: what is written becomes what can be sent (RFC 3986, RFC 9110 section 4.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Optional, Union
from urllib.parse import quote, unquote, urlencode, urljoin

from ..hostnames import ascii_name
from ..wire.http_url import parse_url

Params = Union[Mapping[str, Any], Iterable[tuple[str, Any]], str, None]

_CACHED = 512
_PORTS = {'http': 80, 'https': 443}
_CONTROLS = re.compile(r'[\x00-\x1f\x7f]')
_HOST = re.compile(  # a name, or an IPv6 address with its zone
    r"[!$&'()*+,\-.0-9;=A-Z_a-z~]+|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:%[!-~]+)?"
)
_SAFE = "!$%&'()*+,-./:;=?@_~"  # what stays; a '%' is somebody else's escape


class Url(NamedTuple):
    """Where a request goes. ``host`` is lower case and in ASCII, an IPv6 address without brackets;
    ``target`` begins with a slash; ``userinfo`` is ('', '') if there is none."""

    scheme: str
    host: str
    port: int
    target: str
    fragment: str = ''
    userinfo: tuple[str, str] = ('', '')

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port (RFC 6454)."""
        return self[:3]

    @property
    def authority(self) -> str:
        """What the Host field says."""
        host = f'[{self.host}]' if ':' in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f'{host}:{self.port}'

    def __str__(self) -> str:
        """Return the URL, without a password."""
        end = f'#{self.fragment}' if self.fragment else ''
        return f'{self.scheme}://{self.authority}{self.target}{end}'


def url_of(text: str, base: Optional[str] = None, params: Params = None) -> Url:
    """Return what *text* means, relative to *base* (RFC 3986, 5), with *params* in its query.

    What may not be in a URL, such as a space, is escaped, and a host in another script is encoded.

    :raises TypeError: *text* is no string.
    :raises ValueError: it is no URL of HTTP.
    """
    if not isinstance(text, str):
        raise TypeError(f'a URL must be a string, not {text!r}')
    return _parse(text, base, _query_of(params))


@lru_cache(_CACHED)  # most programs ask for the same few
def _parse(text: str, base: Optional[str], more: str) -> Url:
    if _CONTROLS.search(text):
        raise ValueError(f'there is a control character in the URL {text!r}')
    full = urljoin(base, text) if base else text
    parts = parse_url(_escape(full), default_scheme='')
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not parts.host:
        raise ValueError(f'need a URL that begins with http:// or https://, not {full!r}')
    query = '&'.join(filter(None, (parts.query, more)))
    target = f'{parts.path or "/"}?{query}' if query else parts.path or '/'
    name, _, password = parts.userinfo.partition(':')
    return Url(
        scheme, _host_of(parts.host, full), int(parts.port) if parts.port else _PORTS[scheme],
        target, parts.fragment, (unquote(name), unquote(password)),
    )  # fmt: skip


def _escape(text: str) -> str:
    head, slashes, rest = text.partition('://')
    host, slash, path = rest.partition('/') if slashes else ('', '', text)
    # A query or a fragment may follow the host at once.
    cut = min((at for at in map(host.find, '?#') if at >= 0), default=len(host))
    host, tail = host[:cut], host[cut:] + slash + path
    bare, found, fragment = tail.partition('#')
    return head + slashes + host + quote(bare, safe=_SAFE + '[]') + found + quote(fragment, _SAFE)


def _host_of(host: str, url: str) -> str:
    host = ascii_name(host)
    if not _HOST.fullmatch(host):
        raise ValueError(f'{host!r} is no name of a host, in {url!r}')
    return host.lower()


def _query_of(params: Params) -> str:
    if params is None:
        return ''
    if isinstance(params, str):
        return quote(params, safe=_SAFE)
    pairs = params.items() if isinstance(params, Mapping) else params
    return urlencode([(name, value) for name, value in pairs if value is not None], doseq=True)
