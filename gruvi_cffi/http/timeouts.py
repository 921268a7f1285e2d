"""How long the parts of a request may take."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import Optional, Union

from .. import limits
from .errors import HttpTimeout


@dataclass(frozen=True)
class HttpTimeouts:
    """Times in seconds; None is no limit.

    ``connect``: until there is a connection, with the lookup of names, the proxy, and the wait for
    a place in the pool; ``read``: for the head of a response, and between two reads of its body;
    ``write``: in which a server takes nothing of what is sent; ``total``: for all of it, with
    redirections, to the end of the body.

    :raises ValueError: one is negative, or no number.
    """

    connect: Optional[float] = limits.HTTP_CONNECT_TIMEOUT
    read: Optional[float] = limits.HTTP_READ_TIMEOUT
    write: Optional[float] = limits.HTTP_WRITE_TIMEOUT
    total: Optional[float] = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not (isinstance(value, (int, float)) and value >= 0):
                raise ValueError(f'{name} must be 0 seconds or more, or None, not {value!r}')


Timeouts = Union[HttpTimeouts, float, None]


def timeouts_of(value: Timeouts) -> HttpTimeouts:
    """Return *value*, where a number is the limit for each part but not for all, and None none."""
    if isinstance(value, HttpTimeouts):
        return value
    return HttpTimeouts(value, value, value)


class Clock:
    """Times one request, from now on."""

    __slots__ = ('_until', 'timeouts')

    def __init__(self, timeouts: HttpTimeouts) -> None:
        self.timeouts = timeouts
        self._until = None if timeouts.total is None else monotonic() + timeouts.total

    def left(self) -> float | None:
        """Return the seconds left in total, or None.

        :raises HttpTimeout: there are none.
        """
        if self._until is None:
            return None
        seconds = self._until - monotonic()
        if seconds <= 0:
            raise self.error('total')
        return seconds

    def connect_until(self) -> float | None:
        """Return when, in seconds of the monotonic clock, a connection has to be there, or None."""
        seconds = self.timeouts.connect
        if seconds is None:
            return self._until
        until = monotonic() + seconds
        return until if self._until is None else min(until, self._until)

    def connect_error(self) -> HttpTimeout:
        """Return the error for a connection that is not there in time."""
        passed = self._until is not None and monotonic() >= self._until
        return self.error('total' if passed else 'connect')

    def error(self, phase: str) -> HttpTimeout:
        """Return the error for *phase*, 'connect' or 'total'."""
        return HttpTimeout(_WHAT[phase].format(getattr(self.timeouts, phase)), phase=phase)


_WHAT = {'connect': 'no connection within {} seconds', 'total': 'not done within {} seconds'}
