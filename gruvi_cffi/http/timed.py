"""How long a client may take, and how its connection ends."""

from __future__ import annotations

import errno
import socket
from abc import ABC, abstractmethod
from time import monotonic
from typing import Any, Optional

from .. import limits
from ..errors import TransportError
from ..hub import get_hub
from ..transports import DEADLINE_READ, DEADLINE_TOTAL, DEADLINE_WRITE
from .connection import HttpConnection
from .errors import HttpTimeout
from .httpoptions import HttpOptions
from .message import HttpMessage

LOOK = 1.0  # seconds between two looks at a connection whose reading is paused
_LAST_LOOK = 0.01  # seconds until the last one at a connection without a request, before it ends


class TimedConnection(HttpConnection, ABC):
    """A client's connection, whose requests a subclass takes apart and answers."""

    __slots__ = (
        '_body_counted', '_body_seen', '_body_timed', '_eof', '_finished', '_handed', '_held',
        '_lingering', '_looked', '_message', '_options', '_paused', '_timing', 'closing',
        'hub',
    )  # fmt: skip

    def __init__(self, options: HttpOptions) -> None:
        super().__init__()
        self._options = options
        self.hub = get_hub()
        self._message: Optional[HttpMessage] = None  # that is being received or answered
        self._held = b''  # what came behind it
        self._paused = False  # because of that
        self._eof = False
        self._lingering = False  # all was said, and what comes is dropped
        self._looked = False  # for the last time, whether a request has come
        self._timing = False  # how long the head takes
        self._body_seen = 0  # bytes of the body
        self._body_counted = 0  # when its rate was last looked at
        self._body_timed = False
        self._finished = 0.0  # in which turn the last answer was given, in seconds
        self._handed = False  # the connection is another protocol's
        # The answer that is being given is the last one.
        self.closing = options.keepalive_timeout == 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._finished = monotonic()
        transport.set_deadline(DEADLINE_READ, self._options.idle_timeout)
        transport.set_deadline(DEADLINE_WRITE, self._options.write_timeout)

    @abstractmethod
    def _refuse(self, status: int, why: str) -> None:
        """Answer what is no request."""

    def _linger(self) -> None:
        """Close, but not while the client still sends, or an RST could overtake the answer."""
        transport = self.transport
        if transport.is_closing():
            return
        if self._eof or not transport.can_write_eof():  # TLS lingers by itself
            self._close()
            return
        self.closing = True
        self._lingering = True
        self._held, self._message = b'', None
        transport.write_eof()
        transport.set_deadline(DEADLINE_TOTAL, limits.HTTP_LINGER)
        transport.resume_reading()

    def _close(self) -> None:
        """Close behind what was sent, which no longer has to do with how long a request took."""
        self.transport.set_deadline(DEADLINE_TOTAL, None)
        self.transport.close()

    def deadline_expired(self, which: int) -> None:
        """Called by the transport: the client takes too long, or it is time to look."""
        transport = self.transport
        if which == DEADLINE_WRITE:
            transport.fail(TransportError.from_errno(errno.ETIMEDOUT, 'send what was queued'))
        elif self._lingering:
            transport.close()
        elif self._message is None:
            self._idle_too_long(which)
        elif not self._message.complete:
            self._look_at_body(which)
        elif which == DEADLINE_TOTAL and self._paused:
            self._look_for_reset()
        elif which == DEADLINE_READ:
            transport.set_deadline(DEADLINE_READ, self._options.idle_timeout)

    def _idle_too_long(self, which: int) -> None:
        if which == DEADLINE_TOTAL:
            self._refuse(408, 'the head takes too long')
            return
        allowed = self._options.idle_timeout
        left = 0.0
        if allowed is not None and not self.closing:
            left = self._answered_at() + allowed - monotonic()
        if left > 0.05:  # it counts from the last answer
            self.transport.set_deadline(DEADLINE_READ, left)
        elif self.closing and not self._looked:  # what has come in a long turn is not read yet
            self._looked = True
            self.transport.set_deadline(DEADLINE_READ, _LAST_LOOK)
        elif not self._timing:
            self.transport.close()

    def _look_at_body(self, which: int) -> None:
        """Give up a client whose body takes too long, unless it is the handler that does."""
        message, seconds = self._message, self._options.body_timeout
        assert message is not None and message.buffer is not None and seconds is not None
        if which == DEADLINE_TOTAL:
            came, self._body_counted = self._body_seen - self._body_counted, self._body_seen
            if came >= seconds * self._options.body_rate or not self.transport.is_reading():
                self.transport.set_deadline(DEADLINE_TOTAL, seconds)
                return
        self.closing = True
        message.buffer.discard(HttpTimeout('the body takes too long'))

    def finish(self, grace: float) -> None:
        """Give the answer that is due as the last one, and close.

        A client that has just had an answer may already be sending: it has *grace* seconds from
        then on to be answered once more.
        """
        self.closing = True
        if self.transport.is_closing():
            return
        if self._handed:
            self.transport.close()
        elif self._message is None and not self._lingering:
            left = self._answered_at() + grace - monotonic()
            self.transport.set_deadline(DEADLINE_READ, max(left, _LAST_LOOK))

    def _answered_at(self) -> float:
        """Return when the last answer has left, which is behind the turn in which it was given."""
        if self._finished >= self.hub.now:
            return monotonic()
        for begin, end in self.hub.long_turns:
            if begin <= self._finished < end:
                return end
        return self._finished

    def _look_for_reset(self) -> None:
        """See whether the client is gone, which reading would have told."""
        view = self.transport.get_extra_info('socket')
        code = 0 if view is None else view.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self.transport.fail(TransportError.from_errno(code, 'read'))
        else:
            self.transport.set_deadline(DEADLINE_TOTAL, LOOK)
