"""TLS handshakes, for those who wait for them: a fiber, or a server that counts them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from . import limits
from .errors import ConnectTimeout
from .hub import get_hub, switch_back, switchpoint
from .logging import get_logger
from .ssl import as_context
from .transports import Transport
from .transports.tls import TlsTransport

_log = get_logger()


@switchpoint
def start_tls(
    transport: Transport,
    ssl: Any = True,
    server_side: bool = False,
    server_hostname: str | None = None,
    received: bytes = b'',
    timeout: float | None = None,
) -> None:
    """Go on with TLS over an open connection (STARTTLS), and wait for the handshake.

    *ssl* is a context, or True for a client that trusts whom the system trusts. A client's
    *server_hostname* is by default the name that was connected to. What was *received* already is
    taken for the peer's TLS; a protocol that does not know how much that may be, pauses reading
    before it has the peer begin. *timeout* is in seconds, at most ``limits.TLS_HANDSHAKE_TIMEOUT``.
    If it fails, or the caller is cancelled, the connection closes. A transport that has TLS gets
    TLS within TLS.

    :raises CertificateError: the peer's certificate is not trusted, or for another name.
    :raises ConnectTimeout: it took too long.
    :raises TlsError: the handshake has failed, or the peer closed.
    :raises TransportError: the connection is closing, or not for reading and writing.
    :raises TypeError: *ssl* is no context.
    :raises ValueError: it is for the other side, or there is no name to be checked.
    """
    context = as_context(ssl, server_side, transport.get_extra_info('handle'))
    if context is None:
        raise ValueError(f'ssl must be a context or True, not {ssl!r}')
    if server_hostname is None and not server_side:
        server_hostname = transport.get_extra_info('server_hostname')
    begin = partial(transport.start_tls, context, server_side, server_hostname, received)
    wait_secured(transport, begin, timeout)


@switchpoint
def wait_secured(transport: Transport, begin: Callable[..., object], timeout: float | None) -> None:
    """Call ``begin(done=...)``, and wait until that is called; raise the error that it is told.

    If the caller gives up, the transport is aborted.
    """
    with switch_back(timeout) as switcher:
        begin(done=switcher.switch)
        try:
            error = get_hub().switch()
        except BaseException as raised:
            transport.abort()
            if raised is switcher.timeout:
                raise ConnectTimeout('the TLS handshake was not done in time') from None
            raise
    if error is not None:
        raise error


class Handshakes:
    """The handshakes of a server: ``limits.TLS_HANDSHAKES`` at once.

    ``begin()`` one for each connection; *secured* is called with the transport when it is done, and
    *hold(on)* when there are too many, or no longer.
    """

    def __init__(
        self,
        transport_class: type[TlsTransport],
        secured: Callable[[Transport], object],
        hold: Callable[[bool], object],
    ) -> None:
        self.transports: set[Transport] = set()
        self._class = transport_class
        self._secured = secured
        self._hold = hold

    def begin(self, handle: Any, context: Any) -> None:
        """Begin the handshake of a connection that was accepted."""
        transport = self._class(handle, context, server_side=True)
        self.transports.add(transport)
        try:
            transport.do_handshake(done=partial(self._done, transport))
        except BaseException:
            self.transports.discard(transport)
            transport.abort()
            raise
        if len(self.transports) >= limits.TLS_HANDSHAKES:
            self._hold(True)

    def _done(self, transport: Transport, error: Exception | None) -> None:
        was_full = len(self.transports) >= limits.TLS_HANDSHAKES
        self.transports.discard(transport)
        if was_full:
            self._hold(False)
        if error is None:
            self._secured(transport)
        else:
            _log.debug('no TLS with {}: {}', transport.get_extra_info('peername'), error)

    def abort(self) -> list[Transport]:
        """Cut those that are not done, and return them."""
        transports = list(self.transports)
        for transport in transports:
            transport.abort()
        return transports
