"""Making the connections of a session, through proxies if need be."""

from __future__ import annotations

from time import monotonic
from typing import Any

from ..endpoints import create_connection
from ..errors import Timeout, TransportError
from ..handshakes import start_tls
from ..hub import switchpoint
from ..transports import DEADLINE_WRITE
from .errors import ConnectError, HttpError
from .httprequest import HttpRequest
from .proxies import Proxy, Route
from .requesting import HttpClientProtocol
from .timeouts import Clock


@switchpoint
def open_connection(
    route: Route, context: Any, clock: Clock, until: float | None
) -> HttpClientProtocol:
    """Return a connection that goes *route*; *until* is in seconds of the monotonic clock.

    *context* is for TLS: with a server, with a proxy, and through that with a server.

    :raises ConnectError: there is none.
    :raises HttpTimeout: it was not there in time.
    """
    proxy = route.proxy
    address: Any = route.unix or ((proxy.host, proxy.port) if proxy else (route.host, route.port))
    secure = proxy.secure if proxy else route.scheme == 'https'
    try:
        transport, protocol = create_connection(
            HttpClientProtocol,
            address,
            ssl=secure and context,
            server_hostname=proxy.host if proxy else route.host,
            timeout=_left(until, clock),
        )
    except Timeout:
        raise clock.connect_error() from None
    except TransportError as error:
        raise ConnectError(str(error)) from error
    try:
        if proxy is not None and proxy.tunnel:
            protocol = _tunnel(protocol, route, proxy, _left(until, clock), clock)
            if route.scheme == 'https':
                start_tls(transport, context, False, route.host, timeout=_left(until, clock))
        transport.set_deadline(DEADLINE_WRITE, clock.timeouts.write)
    except Timeout:
        transport.abort()
        raise clock.connect_error() from None
    except TransportError as error:
        transport.abort()
        raise ConnectError(f'the connection to {route} broke: {error}') from error
    except BaseException:
        transport.abort()
        raise
    assert isinstance(protocol, HttpClientProtocol)
    return protocol


def _left(until: float | None, clock: Clock) -> float | None:
    if until is None:
        return None
    seconds = until - monotonic()
    if seconds <= 0:
        raise clock.connect_error()
    return seconds


def _tunnel(
    protocol: HttpClientProtocol, route: Route, proxy: Proxy, seconds: float | None, clock: Clock
) -> HttpClientProtocol:
    """Have *proxy* connect us, and return the protocol for what is behind it."""
    host = f'[{route.host}]' if ':' in route.host else route.host
    authority = f'{host}:{route.port}'
    hop = [('Proxy-Authorization', proxy.credentials)] if proxy.credentials else []
    transport = protocol.transport
    try:
        HttpRequest(protocol, hop).send('CONNECT', authority, [('Host', authority)], None)
        message = protocol.getresponse(seconds)
    except Timeout:
        raise clock.connect_error() from None
    except (HttpError, TransportError) as error:
        raise ConnectError(f'the proxy {proxy} does not connect to {authority}: {error}') from error
    status = message.status_code or 0
    if not 200 <= status < 300:
        what = f'{status} {message.reason}'
        raise ConnectError(f'the proxy {proxy} does not connect to {authority}: it says {what}')
    inner = HttpClientProtocol()
    inner.connection_made(transport)
    transport.set_protocol(inner)
    return inner
