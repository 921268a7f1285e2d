"""The HTTP client, one connection at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..connect import Target
from ..endpoints import Client
from ..hub import switchpoint
from .errors import HttpError
from .httprequest import Body
from .message import HttpMessage
from .requesting import HttpClientProtocol
from .secure import https_context


class HttpClient(Client):
    """Connects to one server, and asks it in *version* '1.1' or '1.0' of HTTP.

    *timeout*, in seconds, is for the head of a response.

    ``getresponse()`` has to be called once for each request, in the same order; several requests
    may be sent before.
    """

    def __init__(self, version: str | None = None, timeout: float | None = None) -> None:
        HttpClientProtocol(version=version)  # says now if there is no such version
        super().__init__(lambda: HttpClientProtocol(timeout, version=version))

    def _connected(self) -> HttpClientProtocol:
        if not isinstance(self.protocol, HttpClientProtocol):
            raise HttpError('not connected')
        return self.protocol

    @switchpoint
    def connect(self, address: Target, ssl: Any = False, **kwargs: Any) -> None:
        """Connect to *address*; see ``Client.connect()``. With *ssl* True, ALPN says HTTP/1.1."""
        super().connect(address, ssl=ssl and https_context(ssl), **kwargs)

    @switchpoint
    def request(
        self,
        method: str,
        url: str,
        headers: Iterable[tuple[str, str]] | None = None,
        body: Body = None,
    ) -> None:
        """See ``HttpClientProtocol.request()``."""
        self._connected().request(method, url, headers, body)

    @switchpoint
    def getresponse(self, timeout: float | None = -1) -> HttpMessage:
        """See ``HttpClientProtocol.getresponse()``."""
        return self._connected().getresponse(timeout)
