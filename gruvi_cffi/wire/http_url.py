"""URLs and request targets (RFC 3986, RFC 9112 section 3.2)."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

_PORTS = {'http': 80, 'ws': 80, 'https': 443, 'wss': 443}

_URL = re.compile(
    r'(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://)?'
    r'(?:(?P<userinfo>[^/?#@\[\]]*)@)?'
    r'(?:\[(?P<literal>[0-9A-Fa-f:.]+(?:%[!-~]+?)?)\]|(?P<host>[^/?#@:\[\]]*))'
    r'(?::(?P<port>[0-9]+))?'
    r'(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?'
)
_ORIGIN = re.compile(r'(?P<path>/[^?#]*)(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?')


class ParsedUrl(NamedTuple):
    """The parts of a URL, as they are written, '' where there is none."""

    scheme: str = ''
    host: str = ''
    path: str = ''
    query: str = ''
    fragment: str = ''
    port: str = ''
    userinfo: str = ''

    @property
    def addr(self) -> tuple[str, Optional[int]]:
        """The host and the port, that of the scheme if there is none."""
        port = int(self.port) if self.port else _PORTS.get(self.scheme.lower())
        return self.host, port

    @property
    def ssl(self) -> bool:
        """True if the scheme asks for TLS."""
        return self.scheme.lower() in ('https', 'wss')

    @property
    def target(self) -> str:
        """What a request asks the host for."""
        path = self.path or '/'
        return f'{path}?{self.query}' if self.query else path


def parse_url(url: str, default_scheme: str = 'http', is_connect: bool = False) -> ParsedUrl:
    """Return the parts of a URL, or of the target of a request.

    That is ``scheme://host/path``, where a missing scheme is *default_scheme*, or ``/path``, or
    ``*``; with *is_connect* it is ``host:port`` and nothing else.

    :raises ValueError: it is none.
    """
    if not url or re.search(r'[^!-~\x80-\U0010ffff]', url):
        raise ValueError(f'{url!r} is no URL')
    if url == '*' and not is_connect:
        return ParsedUrl(path='*')
    if url[0] == '/' and not is_connect:
        return _named(_ORIGIN.fullmatch(url), url)
    found = _URL.fullmatch(url)
    parts = _named(found, url)
    if not parts.host or (parts.port and int(parts.port) > 65535):
        raise ValueError(f'{url!r} is no URL with a host and a port')
    if is_connect:
        if parts != ParsedUrl(host=parts.host, port=parts.port) or not parts.port:
            raise ValueError(f'{url!r} is no host:port')
        return parts
    return parts if parts.scheme else parts._replace(scheme=default_scheme)


def _named(found: Optional[re.Match[str]], url: str) -> ParsedUrl:
    if found is None:
        raise ValueError(f'{url!r} is no URL')
    parts = {name: value or '' for name, value in found.groupdict().items()}
    literal = parts.pop('literal', '')
    if literal:
        parts['host'] = literal
    return ParsedUrl(**parts)
