"""The connections of a session: kept while they are good, and no more of them than allowed."""

from __future__ import annotations

from collections import deque
from time import monotonic
from typing import Any

from .. import limits
from ..errors import Timeout
from ..hub import get_hub, sleep, switch_back, switchpoint
from ..transports import DEADLINE_READ, DEADLINE_TOTAL
from .opening import open_connection
from .proxies import Route
from .requesting import HttpClientProtocol
from .timeouts import Clock


class Pool:
    """Lends connections: *each* to one origin at most, *total* in all, kept for *idle* seconds.

    *context* is for those over TLS.

    One that is lent belongs to a single request until it is given back.
    """

    def __init__(self, each: int, total: int, idle: float, context: Any) -> None:
        self._each = each
        self._total = total
        self._idle_seconds = idle
        self._context = context
        self._hub = get_hub()
        self._closed = False
        # Of each route: connections that wait to be lent, with the time they were given back;
        # how many there are with those in use; and fibers that wait for one.
        self._idle: dict[Route, list[tuple[HttpClientProtocol, float]]] = {}
        self._open: dict[Route, int] = {}
        self._waiting: dict[Route, deque[Any]] = {}
        self._protocols: set[HttpClientProtocol] = set()
        self._count = 0

    @property
    def size(self) -> int:
        """How many connections there are, and are being made."""
        return self._count

    @switchpoint
    def acquire(
        self, route: Route, clock: Clock, fresh: bool = False
    ) -> tuple[HttpClientProtocol, bool]:
        """Return a connection, and whether it was used before, which it never was if *fresh*.

        :raises ConnectError: there is none.
        :raises HttpTimeout: it was not there in time.
        :raises RuntimeError: the session is closed, or of another thread.
        """
        until = clock.connect_until()
        waited = False
        while True:
            self._check()
            found = None if fresh else self._take(route)
            if found is not None:
                return found, True
            if self._reserve(route):
                break
            self._wait(route, clock, until, waited)
            waited = True
        try:
            protocol = open_connection(route, self._context, clock, until)
        except BaseException:
            self._forget(route)
            raise
        self._protocols.add(protocol)
        protocol.transport.add_close_callback(self._lost, route, protocol)
        if self._closed:
            protocol.transport.abort()
            self._check()
        return protocol, False

    def release(self, route: Route, protocol: HttpClientProtocol) -> None:
        """Take *protocol* back: to be lent again, or to be closed if anything is left in it."""
        transport = protocol.transport
        if transport.is_closing():
            return
        if self._closed or not self._idle_seconds or not protocol.idle:
            transport.close() if protocol.done else transport.abort()
            return
        transport.set_deadline(DEADLINE_TOTAL, None)
        transport.set_deadline(DEADLINE_READ, self._idle_seconds)
        self._idle.setdefault(route, []).append((protocol, monotonic()))
        self._wake(route)

    def close(self) -> None:
        """Close all; those in use are cut."""
        self._closed = True
        for protocol in tuple(self._protocols):
            if protocol.idle:
                protocol.transport.close()
            else:
                protocol.transport.abort()
        for line in self._waiting.values():
            while line:
                line.popleft().switch()

    def _check(self) -> None:
        if self._closed:
            raise RuntimeError('the session is closed')
        if get_hub() is not self._hub:
            raise RuntimeError('the session belongs to another thread')

    # The connections.

    def _take(self, route: Route) -> HttpClientProtocol | None:
        kept = self._idle.get(route)
        while kept:
            protocol, since = kept.pop()
            if not kept:
                self._idle.pop(route, None)
            if monotonic() - since > limits.HTTP_POOL_CHECK:
                self._look_at(route, protocol, since)
                kept = self._idle.get(route)
            if protocol.idle and not protocol.transport.is_closing():
                return protocol
            protocol.transport.close()
        return None

    def _look_at(self, route: Route, protocol: HttpClientProtocol, since: float) -> None:
        """Have the loop look at a kept connection: its end may have come."""
        try:
            sleep(0)
        except BaseException:
            if not protocol.transport.is_closing():
                self._idle.setdefault(route, []).append((protocol, since))
                self._wake(route)
            raise

    def _reserve(self, route: Route) -> bool:
        if self._open.get(route, 0) >= self._each:
            return False
        if self._count >= self._total:
            self._evict()
            return False
        self._open[route] = self._open.get(route, 0) + 1
        self._count += 1
        return True

    def _evict(self) -> None:
        """Close the connection of any route that was not used for longest; its place is then free.

        There is none if all are in use.
        """
        oldest = min(self._idle, key=lambda route: self._idle[route][0][1], default=None)
        if oldest is not None:
            kept = self._idle[oldest]
            kept.pop(0)[0].transport.abort()
            if not kept:
                del self._idle[oldest]

    def _lost(self, route: Route, protocol: HttpClientProtocol) -> None:
        self._protocols.discard(protocol)
        kept = [pair for pair in self._idle.pop(route, ()) if pair[0] is not protocol]
        if kept:
            self._idle[route] = kept
        self._forget(route)

    def _forget(self, route: Route) -> None:
        self._count -= 1
        self._open[route] -= 1
        if not self._open[route]:
            del self._open[route]
        self._wake(route)

    # The fibers.

    def _wait(self, route: Route, clock: Clock, until: float | None, again: bool) -> None:
        line = self._waiting.setdefault(route, deque())
        seconds = None if until is None else max(until - monotonic(), 0)
        with switch_back(seconds) as switcher:
            # Who was woken in vain stays the first.
            line.appendleft(switcher) if again else line.append(switcher)
            try:
                self._hub.switch()
            except BaseException as error:
                if switcher in line:
                    line.remove(switcher)
                else:
                    self._wake(route)  # somebody else can have what this one was woken for
                if isinstance(error, Timeout) and error is switcher.timeout:
                    raise clock.connect_error() from None
                raise
            finally:
                if not line and self._waiting.get(route) is line:
                    del self._waiting[route]

    def _wake(self, route: Route) -> None:
        """Wake one fiber that waits for *route*, or else for any where there may be one more."""
        lines = self._waiting
        if lines.get(route):
            lines[route].popleft().switch()
            return
        for other, line in lines.items():
            if line and self._open.get(other, 0) < self._each:
                line.popleft().switch()
                return
