"""The transport that has TLS from its beginning."""

from __future__ import annotations

from typing import Any

from .._native.stream import StreamHandle
from .secured import nobody
from .securing import Done
from .stream import Transport


class TlsTransport(Transport):
    """A Transport over TLS.

    ``start()`` begins the handshake; the protocol's ``connection_made()`` is called once it is
    done, so that the peer is known by then. Without *do_handshake_on_connect* the connection starts
    without TLS, until ``do_handshake()``. Unless *close_on_unwrap*, a close_notify of the peer's
    ends TLS, but not the connection.
    """

    answer_to_http = b''  # what a client is told, in plain text, that does not speak TLS but HTTP

    __slots__ = ('_context', '_handshake_first', '_server_side')

    def __init__(
        self,
        handle: StreamHandle,
        context: Any,
        server_side: bool,
        server_hostname: str | None = None,
        do_handshake_on_connect: bool = True,
        close_on_unwrap: bool = True,
    ) -> None:
        super().__init__(handle, server_hostname)
        self._context = context
        self._server_side = server_side
        self._handshake_first = do_handshake_on_connect
        self.close_on_unwrap = close_on_unwrap

    def start(self, protocol: Any, done: Done = nobody) -> None:
        """Begin the handshake, then bind *protocol*, call its ``connection_made()``, and read.

        Then ``done(None)`` is called, or ``done(error)`` if the handshake, or
        ``connection_made()``, has failed; without a handshake it is not.

        :raises TransportError: it was started before, or aborted.
        """

        def secured(error: Exception | None) -> None:
            if error is None:
                try:
                    super(TlsTransport, self).start(protocol)
                except Exception as failed:
                    error = failed
            done(error)

        if self._handshake_first and self._layer is None:
            self.do_handshake(done=secured)
        else:
            super().start(protocol)

    def do_handshake(self, received: bytes = b'', done: Done = nobody) -> None:
        """Begin the handshake, with the context that the transport was made with.

        See ``start_tls()`` for the arguments and the errors.
        """
        hostname = self._server_hostname
        self.start_tls(self._context, self._server_side, hostname, received, done)


SslTransport = TlsTransport  # Gruvi's name for it
