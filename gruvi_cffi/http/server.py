"""The HTTP server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional

from ..endpoints import Server
from .options import HttpOptions
from .serving import Handler, HttpServerProtocol
from .wsgi import WsgiAdapter


class HttpServer(Server):
    """Serves *application* over HTTP/1.1, each request in a fiber of its own.

    *adapter* makes *application* a handler of messages, see ``HttpServerProtocol``; it is a
    ``WsgiAdapter`` by default. *server_name* is what WSGI applications are told; *options* say how
    much a client may send and how long it may take.
    """

    default_adapter: Callable[..., Handler] = WsgiAdapter

    def __init__(
        self,
        application: Any,
        server_name: str | None = None,
        adapter: Optional[Callable[[Any], Handler]] = None,
        timeout: float | None = None,
        options: HttpOptions | None = None,
    ) -> None:
        if adapter is None:
            self.handler: Handler = self.default_adapter(application, server_name)
        else:
            self.handler = adapter(application)
        self.options = options or HttpOptions()
        super().__init__(self._make_protocol, timeout)

    def _make_protocol(self) -> HttpServerProtocol:
        return HttpServerProtocol(self.handler, self.options)
