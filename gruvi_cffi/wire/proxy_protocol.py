"""The PROXY protocol, versions 1 and 2: who is at the other end of a proxy's connection.

See doc/proxy-protocol.txt of HAProxy.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import NamedTuple, Optional, Union

MAX_V1 = 107  # bytes of a line of version 1, its CRLF included
_SIGNATURE = b'\r\n\r\n\0\r\nQUIT\n'
_LINE = re.compile(rb'PROXY (?:UNKNOWN(?: [^\r]*)?|(TCP[46]) (\S+) (\S+) (\d{1,5}) (\d{1,5}))')
_PLAIN = re.compile(r'[0-9.]+|[0-9A-Fa-f:.]+')

_FAMILIES = {
    1: ('!4s4sHH', ipaddress.IPv4Address),
    2: ('!16s16sHH', ipaddress.IPv6Address),
}
_UNIX = 3


class Proxied(NamedTuple):
    """What a header says: the addresses of client and server, None for the connection's own."""

    source: Optional[tuple[str, int]]
    destination: Optional[tuple[str, int]]


def parse_proxy_header(data: Union[bytes, bytearray], limit: int) -> Optional[tuple[Proxied, int]]:
    """Return what the header at the start of *data* says and its length, or None: there is more.

    *limit* is how many bytes it may have.

    :raises ValueError: it is no header, or a longer one.
    """
    if data[:1] == b'P':
        return _parse_line(bytes(data[:MAX_V1]), len(data))
    if data[: len(_SIGNATURE)] != _SIGNATURE[: len(data)]:
        raise ValueError('there is no PROXY header')
    if len(data) < 16:
        return None
    version, family, size = struct.unpack('!BBH', data[12:16])
    if version >> 4 != 2 or version & 15 > 1:
        raise ValueError(f'a PROXY header of unknown version or command: {version:#x}')
    if 16 + size > limit:
        raise ValueError(f'a PROXY header of {16 + size} bytes, and {limit} are allowed')
    if len(data) < 16 + size:
        return None
    local = not version & 15
    return _addresses(bytes(data[16 : 16 + size]), family, local), 16 + size


def _parse_line(data: bytes, came: int) -> Optional[tuple[Proxied, int]]:
    if data[:6] != b'PROXY '[: len(data)]:
        raise ValueError('there is no PROXY header')
    line, end, _ = data.partition(b'\r\n')
    if not end:
        if came >= MAX_V1 or b'\n' in line:
            raise ValueError('a PROXY header without an end')
        return None
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError(f'a malformed PROXY header: {line!r}')
    if found[1] is None:
        return Proxied(None, None), len(line) + 2
    kind = ipaddress.IPv4Address if found[1] == b'TCP4' else ipaddress.IPv6Address
    addresses = []
    for text, port in ((found[2], found[4]), (found[3], found[5])):
        address = text.decode('latin-1')
        if not _PLAIN.fullmatch(address) or int(port) > 65535 or port != b'%d' % int(port):
            raise ValueError(f'a malformed PROXY header: {line!r}')
        addresses.append((str(kind(address)), int(port)))
    return Proxied(*addresses), len(line) + 2


def _addresses(data: bytes, family: int, local: bool) -> Proxied:
    if local or family == 0 or family >> 4 == _UNIX:
        return Proxied(None, None)  # the proxy's own connection, or one without an address
    known = _FAMILIES.get(family >> 4)
    if known is None or family & 15 != 1:
        raise ValueError(f'a PROXY header of unknown family {family:#x}')
    form, kind = known
    if len(data) < struct.calcsize(form):
        raise ValueError('a PROXY header without addresses')
    source, destination, source_port, port = struct.unpack_from(form, data)
    return Proxied((str(kind(source)), source_port), (str(kind(destination)), port))
