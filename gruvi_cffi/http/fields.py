"""Header fields on their way out: checked, and spelled as they go on the wire (RFC 9110, 5)."""

from __future__ import annotations

import re
from time import time
from typing import Any

from .._version import __version__
from ..wire.http_fields import hop_by_hop, rfc1123_date

NAME = f'gruvi_cffi/{__version__}'

_STATUS = re.compile(r'[1-9][0-9][0-9] [\t -~\x80-\xff]*')
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r'(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?')

# Those that say how a message is framed, or that are added unless they are there.
SPECIAL = frozenset({'content-length', 'date', 'server', 'trailer'})
_PER_HOP = frozenset(hop_by_hop)

_CACHED = 1000  # lines that are kept, spelled and checked; most servers send the same few
_CACHED_VALUE = 100  # characters

_lines: dict[tuple[str, str], tuple[str, str]] = {}


def line_of(name: str, value: str) -> tuple[str, str]:
    """Return the line of a field, and the name in lower case if it is one of SPECIAL, else ''.

    :raises TypeError: *name* or *value* is no string.
    :raises ValueError: one has characters that may not be there, or the field is of the connection.
    """
    try:
        return _lines[name, value]
    except (KeyError, TypeError):
        pass
    check_field(name, value)
    lower = name.lower()
    if lower in _PER_HOP:
        raise ValueError(f'the field {name!r} is of the connection, not of the message')
    made = f'{name}: {value}\r\n', lower if lower in SPECIAL else ''
    if len(value) <= _CACHED_VALUE:
        if len(_lines) >= _CACHED:
            _lines.clear()
        _lines[name, value] = made
    return made


def check_field(name: Any, value: Any) -> None:
    """Do nothing if a field may be called *name* and be *value*.

    :raises TypeError: one is no string.
    :raises ValueError: one has characters that may not be there.
    """
    if not isinstance(name, str):
        raise TypeError(f'the name of a field must be a string, not {name!r}')
    if not isinstance(value, str):
        raise TypeError(f'the value of {name!r} must be a string, not {value!r}')
    if not _NAME.fullmatch(name):
        raise ValueError(f'no field can be called {name!r}')
    if not _VALUE.fullmatch(value):
        raise ValueError(f'the value of {name!r} cannot be sent: {value!r}')


_dated = 0, ''  # the second, and its Date line


def date_line() -> str:
    """Return the line with the Date of now, which is made once a second."""
    global _dated
    second = int(time())
    if second != _dated[0]:
        _dated = second, f'Date: {rfc1123_date(second)}\r\n'
    return _dated[1]


# Status lines: version and status -> line, and whether there can be no body.
_statuses: dict[tuple[str, str], tuple[str, bool]] = {}


def status_line(version: str, status: str) -> tuple[str, bool]:
    """Return the first line of a response, and whether that can have no body.

    :raises TypeError: *status* is no string.
    :raises ValueError: it is no code and words, or the code is below 200.
    """
    try:
        return _statuses[version, status]
    except (KeyError, TypeError):
        pass
    if not isinstance(status, str):
        raise TypeError(f'the status must be a string, not {status!r}')
    if not _STATUS.fullmatch(status):
        raise ValueError(f'{status!r} is no status line such as "200 OK"')
    if status[0] == '1':
        raise ValueError(f'{status!r} is an interim status; the one of an answer is 200 or above')
    bodyless = status[:3] in ('204', '304')
    made = f'HTTP/{version} {status}\r\n', bodyless
    if len(_statuses) >= _CACHED:
        _statuses.clear()
    _statuses[version, status] = made
    return made
