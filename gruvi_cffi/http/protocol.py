"""The name under which Gruvi has both sides of a connection."""

from __future__ import annotations

from typing import Any, Optional

from .requesting import HttpClientProtocol
from .serving import Handler, HttpServerProtocol


class HttpProtocol:
    """A call makes an ``HttpClientProtocol`` or, if *server_side*, an ``HttpServerProtocol``.

    *handler* is the server's. A client speaks *version* '1.1' or '1.0', and waits *timeout* seconds
    for a response; a server answers in the version that it is asked in.

    :raises ValueError: a server has no *handler*; or *version* is another one.
    """

    def __new__(
        cls,
        handler: Optional[Handler] = None,
        server_side: bool = False,
        server_name: Optional[str] = None,
        version: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Any:
        if server_side and handler is None:
            raise ValueError('a server needs a handler')
        if server_side:
            assert handler is not None
            return HttpServerProtocol(handler)
        return HttpClientProtocol(timeout, version=version)
