"""TLS of a transport: from start_tls() to close_notify, whoever's the engine is.

    begin() --> handshake --> secured --+--> eof, close          (the connection ends)
                    |                   +--> unwrap() --> ended  (it goes on without TLS)
                    +--> failed

The engine is below the handle in C (StreamHandle), or above it in Python (PipedHandle); both report
the same events.
"""

from __future__ import annotations

from typing import Any, Callable, Optional

from .. import limits
from .._native.stream import DEADLINE_TOTAL, StreamHandle
from .._native.tls import ENDED, FAILED, HELLO, SECURED, TICKETS, TlsEngine
from ..errors import ConnectTimeout, TransportError
from .piped import PipedHandle
from .stdlib import as_ours

Done = Callable[[Optional[Exception]], object]

HANDSHAKING, SECURE, UNWRAPPING, OVER = range(4)


class TlsLayer:
    """TLS of *transport*. *done* is called once, with None or with why there was no handshake."""

    __slots__ = (
        '_after', '_done', '_held', 'below', 'context', 'engine', 'hostname', 'server_side',
        'state', 'transport',
    )  # fmt: skip

    def __init__(
        self, transport: Any, context: Any, server_side: bool, hostname: str | None, done: Done
    ) -> None:
        self.transport = transport
        self.context = as_ours(context)
        self.server_side = server_side
        self.hostname = hostname
        peer = None if server_side else transport.get_extra_info('peername')
        self.engine = self.context.make_engine(server_side, hostname, peer)
        self.state = HANDSHAKING
        self.below: Optional[TlsLayer] = None
        self._done: Optional[Done] = done
        self._after: list[Callable[[], object]] = []  # who waits for the end of unwrap()
        self._held: list[bytes] = []  # written since unwrap()

    def begin(self, received: bytes) -> None:
        """Begin the handshake; *received* was read already, and is the peer's."""
        transport, handle = self.transport, self.transport._handle
        native = isinstance(self.engine, TlsEngine) and isinstance(handle, StreamHandle)
        handle.set_deadline(DEADLINE_TOTAL, limits.TLS_HANDSHAKE_TIMEOUT)
        if native and not handle.has_tls:
            if received:
                self.engine.feed(received)
            handle.on_data = self.engine.feed  # of this batch; what comes later stays in C
            handle.start_tls(self.engine, limits.TLS_LINGER)
            return
        piped = PipedHandle(handle, self.engine, transport, limits.TLS_LINGER)
        transport._handle = piped
        piped.set_watermarks(transport._high, transport._low)
        piped.begin(received)

    # What the handle reports.

    def handle_tls(self, events: int) -> None:
        if events & HELLO:
            self.context.choose(self.engine, self.engine.name)
            self.transport._handle.continue_tls()
        if events & SECURED:
            self._secured()
        if events & TICKETS:
            self.context.keep_session(self.engine)
        if events & FAILED:
            self.fail(self.engine.error())
        if events & ENDED:
            self._ended()

    def _secured(self) -> None:
        self.state = SECURE
        handle = self.transport._handle
        handle.set_deadline(DEADLINE_TOTAL, None)
        self.transport._open_secured()
        self._say(None)

    def _say(self, error: Exception | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(error)

    def fail(self, error: Exception) -> None:
        """Close behind the alert that tells the peer why."""
        self.state = OVER
        if getattr(error, 'plain_http', False):
            self._answer(getattr(self.transport, 'answer_to_http', b''))
        self.transport._fail_softly(error)
        self._say(error)

    def _answer(self, data: bytes) -> None:
        handle = self._remove_engine()
        if data:
            handle.write(data)

    def wants_eof(self) -> bool:
        """Return whether the peer's close_notify means to go on without TLS."""
        if self.state == SECURE and not self.transport.close_on_unwrap:
            self.transport._writable = False
            self.unwrap(None)  # which may be the end already
            return True
        return self.state == UNWRAPPING

    def timed_out(self) -> None:
        """The handshake has taken too long."""
        seconds = limits.TLS_HANDSHAKE_TIMEOUT
        self.transport._break(ConnectTimeout(f'no TLS handshake within {seconds:g} seconds'))

    def closed(self) -> None:
        """The connection is closed."""
        self.state = OVER
        if self.below is not None:
            self.below.closed()
        error = self.transport.error
        self.transport = None  # which still knows us: so the engine is freed without the collector
        self._say(error or TransportError('closed during the TLS handshake'))

    # Going on without TLS.

    def unwrap(self, after: Callable[[], object] | None) -> None:
        """Say close_notify; call *after* once the peer has said it too."""
        if self.state not in (SECURE, UNWRAPPING):
            raise TransportError('there is no TLS to be ended')
        if after is not None:
            self._after.append(after)
        if self.state == SECURE:  # else the peer was first
            self.state = UNWRAPPING
            self.transport._handle.shutdown_tls()

    @property
    def holds(self) -> bool:
        """Whether what is written waits for the end of ``unwrap()``."""
        return self.state == UNWRAPPING

    def hold(self, data: Any) -> int:
        """Keep what is written since ``unwrap()``; return how many bytes that are."""
        self._held.append(bytes(data))
        return sum(map(len, self._held))

    def lost(self) -> TransportError | None:
        """Return the error for what was held, and is not sent; None if nothing was."""
        size = sum(map(len, self._held))
        text = f'{size} bytes were not sent: the peer has not ended TLS before we have closed'
        return TransportError(text) if size else None

    def _remove_engine(self) -> Any:
        transport, handle = self.transport, self.transport._handle
        handle.stop_tls()
        if isinstance(handle, PipedHandle):
            transport._handle = handle.below
        return transport._handle

    def _ended(self) -> None:
        self.state = OVER
        rest = self.engine.rest()
        self._remove_engine()
        self.transport._layer = self.below
        self.transport._go_on(rest, self._held)
        for after in self._after:
            after()
