"""A line for each request that was answered: common and combined log format, or JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Optional

from .message import HttpMessage
from .response import Response

FORMATS = ('common', 'combined', 'json')

_log = logging.getLogger('gruvi_cffi.access')

# What a client can put into a field must not end the line, or the quotes.
_ESCAPES = {code: f'\\x{code:02x}' for code in (*range(32), ord('"'), ord('\\'), *range(127, 256))}


class AccessLog:
    """Logs what was answered, with the logger 'gruvi_cffi.access', in one of FORMATS.

    :raises ValueError: there is no such format.
    """

    def __init__(self, format_: str = 'combined') -> None:
        if format_ not in FORMATS:
            raise ValueError(f'need one of {", ".join(FORMATS)}, not {format_!r}')
        self._line: Callable[..., str] = _json if format_ == 'json' else _common
        self._combined = format_ == 'combined'

    def __call__(
        self, message: HttpMessage, response: Optional[Response], peer: Any, seconds: float
    ) -> None:
        """Log the answer to *message* of *peer*, a socket's address, which took *seconds*."""
        address = peer[0] or '-' if isinstance(peer, tuple) else '-'
        status = response.status[:3] if response is not None else '-'
        size = response.size if response is not None and message.method != 'HEAD' else 0
        line = self._line(message, address, status, size, seconds)
        if self._combined:
            referrer = _safe(message.get_header('referer', '-'))
            line += f' "{referrer}" "{_safe(message.get_header("user-agent", "-"))}"'
        _log.info('%s', line)


def _safe(text: str) -> str:
    return text.translate(_ESCAPES)


def _request_line(message: HttpMessage) -> str:
    return f'{message.method} {message.url} HTTP/{message.version}'


def _common(message: HttpMessage, address: str, status: str, size: int, seconds: float) -> str:
    now = datetime.now(timezone.utc).strftime('%d/%b/%Y:%H:%M:%S %z')
    return f'{address} - - [{now}] "{_safe(_request_line(message))}" {status} {size or "-"}'


def _json(message: HttpMessage, address: str, status: str, size: int, seconds: float) -> str:
    return json.dumps(
        {
            'time': datetime.now(timezone.utc).isoformat(timespec='milliseconds'),
            'address': address,
            'request': _request_line(message),
            'status': int(status) if status.isdigit() else None,
            'bytes': size,
            'seconds': round(seconds, 6),
            'referer': message.get_header('referer'),
            'user_agent': message.get_header('user-agent'),
        }
    )
