"""Log records as lines of JSON, with the request that they are about."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone
from typing import Any

from .serving import HttpServerProtocol

_SERVE = HttpServerProtocol._serve.__code__


class JsonFormatter(logging.Formatter):
    """Makes a line of JSON of a record of any logger.

    It has ``time``, ``level``, ``logger`` and ``message``; ``method``, ``target`` and ``peer`` of
    the request that the fiber answers which says it; ``error`` and ``traceback`` of an exception,
    and ``stack``. What there is not is left out.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        time = datetime.fromtimestamp(record.created, timezone.utc)
        said = {
            'time': time.isoformat(timespec='milliseconds'),
            'level': record.levelname.lower(),
            'logger': record.name,
            'message': getattr(record, 'said', None) or record.getMessage(),
            **_request(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            said['error'] = record.exc_info[0].__name__
            said['traceback'] = self.formatException(record.exc_info)
        if record.stack_info:
            said['stack'] = self.formatStack(record.stack_info)
        return json.dumps(said)


def _request() -> dict[str, Any]:
    """Return what is known of the request that is being answered here."""
    # A variable that says so would have to be set for each request; this looks for it on the stack
    # of its fiber, and costs who says nothing nothing.
    frame: Any = sys._getframe()
    while frame is not None and frame.f_code is not _SERVE:
        frame = frame.f_back
    if frame is None:
        return {}
    message, protocol = frame.f_locals['message'], frame.f_locals['self']
    forwarded = message.forwarded
    peer = protocol.peer if forwarded is None else (forwarded.address, forwarded.port)
    found = {'method': message.method, 'target': message.url}
    if isinstance(peer, tuple):
        found['peer'] = f'[{peer[0]}]:{peer[1]}' if ':' in peer[0] else f'{peer[0]}:{peer[1]}'
    return found
