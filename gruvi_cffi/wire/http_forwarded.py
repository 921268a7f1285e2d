"""What proxies say of a request's origin: Forwarded (RFC 7239) and the X-Forwarded fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_address
from typing import NamedTuple, Optional

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PAIR = re.compile(rf'[ \t]*(?:({_TOKEN})=({_TOKEN}|"(?:[^"\\]|\\.)*"))?[ \t]*(;|,|$)')
_NODE = re.compile(r'(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)|(unknown|_[A-Za-z0-9._\-]+))(?::(\w+))?')
_HOST = re.compile(r"[!$&'()*+,\-.0-9;=A-Z_a-z~\[\]:%]+")


class Forwarded(NamedTuple):
    """Who asks: its *address*, '' if the proxy hides it, and *port*, '' if that is not said.

    *scheme* and *host* are what it has asked for, None if that is not said.
    """

    address: str
    port: str = ''
    scheme: Optional[str] = None
    host: Optional[str] = None


def parse_forwarded(value: str) -> list[dict[str, str]]:
    """Return the elements of Forwarded fields, the nearest proxy's last.

    :raises ValueError: it is malformed.
    """
    elements: list[dict[str, str]] = [{}]
    at = 0
    while True:
        found = _PAIR.match(value, at)
        if found is None:
            raise ValueError(f'malformed Forwarded: {value!r}')
        name, text, end = found.groups()
        if name is not None:
            name = name.lower()
            if name in elements[-1]:
                raise ValueError(f'malformed Forwarded: two {name} in {value!r}')
            elements[-1][name] = re.sub(r'\\(.)', r'\1', text[1:-1]) if text[0] == '"' else text
        at = found.end()
        if not end:
            break
        if end == ',':
            elements.append({})
    return [element for element in elements if element]


def node_of(text: str) -> tuple[str, str]:
    """Return the address and the port of a node (RFC 7239, 6); '' is what is hidden.

    :raises ValueError: it is none.
    """
    found = _NODE.fullmatch(text)
    if found is None:
        raise ValueError(f'malformed address of a client: {text!r}')
    six, four, hidden, port = found.groups()
    if hidden:
        return '', ''
    return str(ip_address(six or four)), port if port and port.isdigit() else ''


def _loose_node(text: str) -> tuple[str, str]:
    """Return a node of X-Forwarded-For, in which IPv6 addresses have no brackets."""
    try:
        return str(ip_address(text)), ''
    except ValueError:
        return node_of(text)


def originator(
    fields: dict[str, list[str]], is_trusted: Callable[[str], bool]
) -> Optional[Forwarded]:
    """Return who asks, as the *fields* of a trusted proxy say, or None if they say nothing.

    *fields* are values by lower-case names, each with those of all its lines. The client is the
    last address that is not trusted, since what stands before it anybody may have written.
    Forwarded goes before the others.

    :raises ValueError: one of them is malformed.
    """
    if 'forwarded' in fields:
        return _by_forwarded(parse_forwarded(','.join(fields['forwarded'])), is_trusted)
    chain = [part.strip() for part in ','.join(fields.get('x-forwarded-for', ())).split(',')]
    nodes = [_loose_node(part) for part in chain if part]
    scheme = _last(fields, 'x-forwarded-proto')
    host = _last(fields, 'x-forwarded-host')
    if not nodes and scheme is None and host is None:
        return None
    address, port = _first_foreign(nodes, is_trusted) if nodes else ('', '')
    return _checked(Forwarded(address, port, scheme, host))


def _last(fields: dict[str, list[str]], name: str) -> Optional[str]:
    values = ','.join(fields.get(name, ())).split(',')
    return values[-1].strip() or None


def _first_foreign(
    nodes: list[tuple[str, str]], is_trusted: Callable[[str], bool]
) -> tuple[str, str]:
    for node in reversed(nodes):
        if not node[0] or not is_trusted(node[0]):
            return node
    return nodes[0]


def _by_forwarded(
    elements: list[dict[str, str]], is_trusted: Callable[[str], bool]
) -> Optional[Forwarded]:
    if not elements:
        return None
    for element in reversed(elements):
        address, port = node_of(element['for']) if 'for' in element else ('', '')
        if not address or not is_trusted(address):
            break
    return _checked(Forwarded(address, port, element.get('proto'), element.get('host')))


def _checked(said: Forwarded) -> Forwarded:
    scheme = None if said.scheme is None else said.scheme.lower()
    if scheme not in (None, 'http', 'https'):
        raise ValueError(f'malformed scheme of a proxy: {scheme!r}')
    if said.host is not None and not _HOST.fullmatch(said.host):
        raise ValueError(f'malformed host of a proxy: {said.host!r}')
    return said._replace(scheme=scheme)
