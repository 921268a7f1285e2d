"""The HTTP server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Any, Optional

from .. import limits
from ..endpoints import Server, wait_closed
from ..errors import TransportError
from ..hub import sleep, switchpoint
from ..transports import Transport
from ..transports.tls import TlsTransport
from .accesslog import AccessLog
from .forwarding import ProxyHeaders, ProxyProtocol
from .httpoptions import HttpOptions
from .serving import Handler, HttpServerProtocol
from .trusting import Trusted
from .wsgi import WsgiAdapter

_LOOK = 0.01  # seconds between two looks whether TLS handshakes have ended


class HttpsTransport(TlsTransport):
    """Over TLS, with a word for those who do not know that."""

    answer_to_http = (
        b'HTTP/1.1 400 Bad Request\r\n'
        b'Content-Type: text/plain; charset=utf-8\r\n'
        b'Content-Length: 59\r\n'
        b'Connection: close\r\n\r\n'
        b'This is a port for HTTPS: the URL has to begin with https.\n'
    )

    __slots__ = ()


class HttpServer(Server):
    """Serves *application* over HTTP/1.1, each request in a fiber of its own.

    *adapter* makes *application* a handler of messages, see ``HttpServerProtocol``; it is a
    ``WsgiAdapter`` by default. *server_name* is what WSGI applications are told; *options* say how
    much a client may send and how long it may take; *access_log* is told of each answer.
    """

    default_adapter: Callable[..., Handler] = WsgiAdapter
    tls_transport = HttpsTransport

    def __init__(
        self,
        application: Any,
        server_name: str | None = None,
        adapter: Optional[Callable[[Any], Handler]] = None,
        timeout: float | None = None,
        options: HttpOptions | None = None,
        access_log: Optional[AccessLog] = None,
    ) -> None:
        if adapter is None:
            self.handler: Handler = self.default_adapter(application, server_name)
        else:
            self.handler = adapter(application)
        self.options = options or HttpOptions()
        if self.options.proxy_headers:
            self.handler = ProxyHeaders(self.handler, self.options.proxy_headers)
        self._proxies = Trusted(self.options.proxy_protocol)
        self._full = False
        self._grace: Optional[float] = None  # while it closes
        self._access_log = access_log
        super().__init__(
            self._make_proxied if self.options.proxy_protocol else self._make_protocol, timeout
        )

    def _start(self, transport: Transport) -> None:
        super()._start(transport)
        if self._grace is not None:
            self._connections[transport].finish(self._grace)
        if len(self._connections) >= self.options.connections and not self._full:
            self._full = True
            self.accept(False)

    def forget(self, transport: Transport) -> None:
        super().forget(transport)
        if self._full:
            self._full = False
            self.accept(True)

    @switchpoint
    def close(self, timeout: float | None = None, grace: float = limits.HTTP_GRACE) -> None:
        """Accept no more, answer what was asked and what is about to be, and wait for that.

        Each answer says that it is the last one of its connection. A connection without a request
        is closed *grace* seconds after its last answer, so that none is lost that its client sends
        meanwhile; a TLS handshake has as long to end. After *timeout* seconds those that are left
        are aborted, and their handlers cancelled.
        """
        self._grace = grace
        try:
            self.accept_rest()  # whom the kernel has told that we are here
            self._finish_handshakes(grace if timeout is None else min(grace, timeout))
        finally:
            self._grace = None
            self.stop_listening()
        transports = list(self._connections)
        for transport in transports:
            with suppress(TransportError):  # it has just broken
                self._connections[transport].finish(grace)
        wait_closed(transports, timeout)

    def _finish_handshakes(self, seconds: float) -> None:
        until = monotonic() + seconds
        while self._handshakes.transports and monotonic() < until:
            sleep(_LOOK)

    def _make_protocol(self) -> HttpServerProtocol:
        return HttpServerProtocol(self.handler, self.options, self._access_log)

    def _make_proxied(self) -> ProxyProtocol:
        return ProxyProtocol(self._make_protocol, self._proxies, self.options.header_timeout)
