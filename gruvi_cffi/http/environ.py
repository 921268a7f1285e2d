"""What a request is in the environ of CGI (RFC 3875) and WSGI (PEP 3333)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

Environ = dict[str, Any]

_NOT_PREFIXED = {'content-type': 'CONTENT_TYPE', 'content-length': 'CONTENT_LENGTH'}
_PER_HOP = frozenset({'connection', 'keep-alive', 'transfer-encoding', 'te', 'upgrade'})
_CACHED = 1000  # keys that are kept
_CACHED_NAME = 100  # characters; a client may send names of 32 KiB

_keys: dict[str, str] = {}


def _key_of(name: str) -> str:
    """Return the key of the field *name*, '' if it has none."""
    lower = name.lower()
    if '_' in name or lower in _PER_HOP:
        key = ''  # X_Y would be taken for X-Y, which a proxy may have checked
    else:
        key = _NOT_PREFIXED.get(lower) or f'HTTP_{lower.upper().replace("-", "_")}'
    if len(name) <= _CACHED_NAME:
        if len(_keys) >= _CACHED:
            _keys.clear()
        _keys[name] = key
    return key


def add_line(environ: Environ, method: str, target: str, version: str) -> Environ:
    """Add what the first line says, and return *environ*."""
    environ['REQUEST_METHOD'] = method
    environ['REQUEST_URI'] = target
    environ['SERVER_PROTOCOL'] = f'HTTP/{version}'
    path, _, query = target.partition('?')
    if path[:1] not in '/*':
        path = '/' + path.partition('://')[2].partition('/')[2]
    if '%' in path:
        path = unquote_to_bytes(path).decode('latin-1')
    environ['PATH_INFO'] = path
    environ['QUERY_STRING'] = query
    return environ


def add_fields(environ: Environ, parts: Iterator[str]) -> Environ:
    """Add fields, whose names and values take turns in *parts*, and return *environ*."""
    for name, value in zip(parts, parts):
        try:
            key = _keys[name]
        except KeyError:
            key = _key_of(name)
        if key in environ:
            value = f'{environ[key]}{"; " if key == "HTTP_COOKIE" else ","}{value}'
        if key:
            environ[key] = value
    return environ
