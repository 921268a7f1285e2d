"""Fields of HTTP messages: their parts, and how they go on the wire (RFC 9110, RFC 9112)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.utils import formatdate
from typing import Any, Optional, Union

Fields = Iterable[tuple[str, str]]
Headers = list[tuple[str, str]]

# They belong to a connection, and no application may set them (RFC 9110, 7.6.1).
hop_by_hop = frozenset({
    'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'te', 'trailers',
    'transfer-encoding', 'upgrade',
})  # fmt: skip

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_MEDIA_TYPE = re.compile(rf'\s*({_TOKEN}/{_TOKEN})\s*')
_PARAMETER = re.compile(rf';\s*({_TOKEN})=({_TOKEN}|{_QUOTED})\s*')
_CODING = re.compile(rf'\s*({_TOKEN})\s*(?:;\s*q=([^,\s]*)\s*)?(?:,|$)')
_WEIGHT = re.compile(r'0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?')
_NAME = re.compile(rf'\s*({_TOKEN})\s*(?:,|$)')


def s2b(text: str) -> bytes:
    """Return *text* as it goes on the wire: ISO-8859-1."""
    return text.encode('latin-1')


def b2s(data: bytes) -> str:
    """Return what came from the wire, of which every byte is a character."""
    return data.decode('latin-1')


def rfc1123_date(timestamp: Optional[float] = None) -> str:
    """Return a date as HTTP has it: that of *timestamp*, in seconds since 1970, or of now."""
    return formatdate(timestamp, usegmt=True)


# Taking values apart. What is malformed ends it; nothing is raised for what others sent.


def parse_content_type(header: str) -> tuple[str, dict[str, str]]:
    """Return the media type and its parameters; ``('', {})`` if it is none."""
    found = _MEDIA_TYPE.match(header)
    if found is None:
        return '', {}
    parameters: dict[str, str] = {}
    at = found.end()
    while part := _PARAMETER.match(header, at):
        parameters[part[1]] = _unquote(part[2])
        at = part.end()
    return found[1], parameters


def _unquote(value: str) -> str:
    return re.sub(r'\\(.)', r'\1', value[1:-1]) if value[0] == '"' else value


def parse_te(header: str) -> list[tuple[str, Optional[str]]]:
    """Return the codings of a TE field and their weights, None where there is no good one."""
    codings: list[tuple[str, Optional[str]]] = []
    at = 0
    while found := _CODING.match(header, at):
        weight = found[2]
        good = weight is not None and _WEIGHT.fullmatch(weight)
        codings.append((found[1], weight if good else None))
        at = found.end()
    return codings


def parse_trailer(header: str) -> list[str]:
    """Return the names in a Trailer field, up to a wrong separator."""
    names = []
    at = 0
    while found := _NAME.match(header, at):
        names.append(found[1])
        at = found.end()
    return names


def get_header(headers: Fields, name: str, default: Any = None) -> Any:
    """Return the value of the first field called *name*, in any case, or *default*."""
    name = name.lower()
    for key, value in headers:
        if key.lower() == name:
            return value
    return default


def remove_headers(headers: Headers, name: str) -> Headers:
    """Remove all fields called *name*, in any case, from the list, and return it."""
    name = name.lower()
    headers[:] = [field for field in headers if field[0].lower() != name]
    return headers


# Putting messages together. Nothing is checked here: ``gruvi_cffi.http`` does so before.


def create_request(version: str, method: str, url: str, headers: Fields) -> bytes:
    """Return the head of a request."""
    return s2b(f'{method} {url} HTTP/{version}\r\n{_lines(headers)}\r\n')


def create_response(version: str, status: str, headers: Fields) -> bytes:
    """Return the head of a response; *status* is a code and words."""
    return s2b(f'HTTP/{version} {status}\r\n{_lines(headers)}\r\n')


def create_chunk(data: Union[bytes, bytearray, memoryview]) -> bytes:
    """Return *data*, which is not empty, as a chunk of a body (RFC 9112, 7.1)."""
    return b'%X\r\n%b\r\n' % (len(data), bytes(data))


def create_chunked_body_end(trailers: Fields = ()) -> bytes:
    """Return what ends a body in chunks."""
    return s2b(f'0\r\n{_lines(trailers)}\r\n')


def _lines(headers: Fields) -> str:
    return ''.join([f'{name}: {value}\r\n' for name, value in headers])
