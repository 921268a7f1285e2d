"""Sessions: requests to anywhere, with what they have in common, over connections that are kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from http.cookiejar import CookieJar
from time import monotonic
from typing import Any, Union
from urllib.parse import quote

from .. import limits
from ..errors import TransportError
from ..hub import get_hub, switchpoint
from ..transports import DEADLINE_READ, DEADLINE_TOTAL
from .auth import Auth, authenticate
from .bodies import Data, Progress, encode
from .cookies import add_cookies, keep_cookies
from .decoding import ACCEPTED
from .errors import ConnectionLost, RedirectError, TooManyRedirects
from .headers import Fields
from .httprequest import HttpRequest
from .message import HttpMessage
from .multipart import Files
from .pool import Pool
from .prepared import PreparedRequest, merge
from .proxies import Environment, Proxy, Route, proxy_of, route_to
from .received import HttpResponse
from .requesting import HttpClientProtocol
from .secure import https_context
from .timeouts import Clock, HttpTimeouts, Timeouts, timeouts_of
from .urls import Params, Url, url_of

Hooks = Mapping[str, Union[Callable[[Any], object], list[Callable[[Any], object]]]]

_DEFAULT = HttpTimeouts()
_UNSET: Any = object()


class Lease:
    """The use of a connection by one request."""

    __slots__ = ('_hub', '_pool', '_route', 'protocol')

    def __init__(self, pool: Pool, route: Route, protocol: HttpClientProtocol) -> None:
        self._hub = get_hub()
        self._pool = pool
        self._route = route
        self.protocol = protocol

    def give_back(self) -> None:
        self._pool.release(self._route, self.protocol)

    def drop(self) -> None:
        """Cut the connection. From any thread, or from a finalizer."""
        with contextlib.suppress(RuntimeError):  # its hub is closed, and so is the connection
            self._hub.run_callback(self.protocol.transport.abort)


class HttpSession:
    """Sends requests, and keeps connections and cookies for the next ones.

    What is given here is for all requests: *base_url*, to which URLs are relative (RFC 3986, 5);
    *headers*; *params* of the query; *cookies*, a mapping or a ``http.cookiejar.CookieJar``;
    *auth*, (user, password) or what is called with each request, as a ``BearerAuth``; *timeout*, an
    ``HttpTimeouts``, or seconds for each of its parts but the total; *proxy*, a URL or a ``Proxy``,
    by default what the environment says, None for none; *ssl*, a context, True for one that trusts
    whom the system trusts, or a function; *unix*, the name of a Unix socket to which all goes;
    *follow_redirects*, up to *max_redirects* of them; *hooks*, which maps 'request' and 'response'
    to what is called with each of them, redirections included; *max_content*, the bytes that a
    response may have which is no stream.

    Of connections there are up to *max_per_origin* to one origin, and *max_connections* in all; who
    needs one more waits. They are kept for *keepalive* seconds, not at all if that is 0.

    A session belongs to the thread that made it; many fibers may use it at once.

    :raises TypeError: something is of a type that it cannot be.
    :raises ValueError: something cannot be so.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        headers: Fields = None,
        params: Params = None,
        cookies: CookieJar | Mapping[str, str] | None = None,
        auth: Auth = None,
        timeout: Timeouts = _DEFAULT,
        proxy: Proxy | str | None = _UNSET,
        ssl: Any = True,
        unix: str | None = None,
        follow_redirects: bool = True,
        max_redirects: int = limits.HTTP_REDIRECTS,
        hooks: Hooks | None = None,
        max_content: int = limits.HTTP_CONTENT,
        max_connections: int = limits.HTTP_POOL,
        max_per_origin: int = limits.HTTP_POOL_ORIGIN,
        keepalive: float = limits.HTTP_POOL_IDLE,
    ) -> None:
        for name, number, least in (
            ('max_redirects', max_redirects, 0),
            ('max_content', max_content, 0),
            ('max_connections', max_connections, 1),
            ('max_per_origin', max_per_origin, 1),
            ('keepalive', keepalive, 0),
        ):
            if not number >= least:
                raise ValueError(f'{name} must be {least} or more, not {number!r}')
        self._base = None if base_url is None else _whole(url_of(base_url))
        self.headers = merge({'Accept': '*/*', 'Accept-Encoding': ACCEPTED}, headers)
        self._params = params
        self.cookies = cookies if isinstance(cookies, CookieJar) else CookieJar()
        self._extra = dict(cookies) if isinstance(cookies, Mapping) else {}
        self._auth = auth
        self._timeouts = timeouts_of(timeout)
        self._environment = Environment() if proxy is _UNSET else None
        self._proxy = None if proxy is _UNSET else proxy_of(proxy)
        self._unix = unix
        self._follow = follow_redirects
        self._max_redirects = max_redirects
        self._hooks = _hooks_of(hooks)
        self._max_content = max_content
        self._pool = Pool(max_per_origin, max_connections, keepalive, https_context(ssl))

    def __repr__(self) -> str:
        where = f' to {url_of(self._base)}' if self._base else ''  # without its password
        return f'<{type(self).__name__}{where}, {self.connections} connections>'

    def __enter__(self) -> HttpSession:
        return self

    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()

    @property
    def connections(self) -> int:
        """How many connections there are, in use, kept, and being made."""
        return self._pool.size

    def close(self) -> None:
        """Close all connections; those in use are cut. A request afterwards is a RuntimeError."""
        self._pool.close()

    @switchpoint
    def request(
        self,
        method: str,
        url: str,
        *,
        params: Params = None,
        headers: Fields = None,
        cookies: Mapping[str, str] | None = None,
        data: Data = None,
        json: Any = None,
        files: Files | None = None,
        auth: Auth = _UNSET,
        timeout: Timeouts = _UNSET,
        follow_redirects: bool | None = None,
        stream: bool = False,
        on_upload: Progress | None = None,
        on_download: Progress | None = None,
    ) -> HttpResponse:
        """Send a request, and return what answers it in the end.

        That may be a redirection that is not followed: to what is no HTTP, from https to http, or
        one that would have the body sent to another origin.

        The body is *data*: bytes, text in UTF-8, a file of bytes, an iterable of bytes, or fields
        of a form, as a mapping or a list of pairs; *json*: what is sent as JSON; or *files*, with
        the fields in *data*: a mapping or pairs of names and files, bytes, or tuples of filename,
        file or bytes, and perhaps content type. The other arguments go before those of the session;
        a header that is None is not sent. With *stream*, the body of the response is left for
        ``iter_bytes()`` and its like. *on_upload* and *on_download* are called with the bytes so
        far, and how many it will be, or None.

        :raises ConnectError: there is no connection.
        :raises ConnectionLost: it ended before anything of an answer had come.
        :raises HttpTimeout: something took too long; its ``phase`` says what.
        :raises MessageError: the server has broken the protocol; it is a MessageTruncated if the
            response breaks off, and a MessageTooLarge if it is beyond a limit.
        :raises RedirectError: a redirection leads nowhere, its body cannot be sent again, or there
            are too many.
        :raises RuntimeError: the session is closed, or of another thread.
        :raises TypeError: something is of a type that cannot be sent.
        :raises ValueError: something cannot be sent, or *url* is no URL.
        """
        where = url_of(url, self._base, params)
        if self._params:
            where = url_of(_whole(where), None, self._params)
        body = encode(data, json, files)
        kind = {'Content-Type': body.kind} if body is not None and body.kind else None
        request = PreparedRequest(method, where, merge(self.headers, kind, headers), body)
        if any(where.userinfo) and auth is _UNSET:
            auth = where.userinfo
        authenticate(request, self._auth if auth is _UNSET else auth)
        clock = Clock(self._timeouts if timeout is _UNSET else timeouts_of(timeout))
        follow = self._follow if follow_redirects is None else follow_redirects
        response = self._follow_to(
            request, clock, {**self._extra, **(cookies or {})}, follow, on_upload, on_download
        )
        if not stream:
            try:
                response.read(self._max_content)
            except BaseException:
                response.close()
                raise
        return response

    def _follow_to(
        self,
        request: PreparedRequest,
        clock: Clock,
        cookies: Mapping[str, str],
        follow: bool,
        on_upload: Progress | None,
        on_download: Progress | None,
    ) -> HttpResponse:
        history: list[HttpResponse] = []
        origin = request.where.origin
        while True:
            extra = cookies if request.where.origin == origin else {}
            add_cookies(self.cookies, extra, request.url, request.headers)
            response = self._ask(request, clock, on_upload, on_download)
            response.history = history[:]
            if not (follow and response.is_redirect):
                return response
            following = _next_of(request, response)
            if following is None:
                return response
            history.append(response)
            with response:
                if len(history) > self._max_redirects:
                    raise TooManyRedirects(f'more than {self._max_redirects} redirections')
                response.skip()
            request = following

    def _ask(
        self,
        request: PreparedRequest,
        clock: Clock,
        on_upload: Progress | None,
        on_download: Progress | None,
    ) -> HttpResponse:
        for hook in self._hooks['request']:
            hook(request)
        began = monotonic()
        lease, message = self._exchange(request, clock, on_upload)
        response = HttpResponse(message, request, monotonic() - began, lease, on_download)
        try:
            keep_cookies(self.cookies, request.url, response.headers)
            for hook in self._hooks['response']:
                hook(response)
        except BaseException:
            response.close()
            raise
        return response

    def _exchange(
        self, request: PreparedRequest, clock: Clock, progress: Progress | None
    ) -> tuple[Lease, HttpMessage]:
        """Send *request*, once more if a connection that was kept proves to be dead."""
        route = route_to(request.where, self._proxy_for(request.where), self._unix)
        fresh = False
        while True:
            protocol, used = self._pool.acquire(route, clock, fresh)
            try:
                message = _send(protocol, route, request, clock, progress)
                return Lease(self._pool, route, protocol), message
            except ConnectionLost:
                protocol.transport.abort()
                if not used or not request.can_repeat():
                    raise
                fresh = True
            except BaseException:
                protocol.transport.abort()
                raise

    def _proxy_for(self, where: Url) -> Proxy | None:
        return self._environment.proxy_for(where) if self._environment else self._proxy

    @switchpoint
    def get(self, url: str, **kwargs: Any) -> HttpResponse:
        """Get *url*; see ``request()``."""
        return self.request('GET', url, **kwargs)

    @switchpoint
    def head(self, url: str, **kwargs: Any) -> HttpResponse:
        """Get the head of *url*; see ``request()``."""
        return self.request('HEAD', url, **kwargs)

    @switchpoint
    def options(self, url: str, **kwargs: Any) -> HttpResponse:
        """Ask what *url* allows; see ``request()``."""
        return self.request('OPTIONS', url, **kwargs)

    @switchpoint
    def post(self, url: str, data: Data = None, **kwargs: Any) -> HttpResponse:
        """Send *data* to *url*; see ``request()``."""
        return self.request('POST', url, data=data, **kwargs)

    @switchpoint
    def put(self, url: str, data: Data = None, **kwargs: Any) -> HttpResponse:
        """Store *data* at *url*; see ``request()``."""
        return self.request('PUT', url, data=data, **kwargs)

    @switchpoint
    def patch(self, url: str, data: Data = None, **kwargs: Any) -> HttpResponse:
        """Change *url* as *data* says; see ``request()``."""
        return self.request('PATCH', url, data=data, **kwargs)

    @switchpoint
    def delete(self, url: str, **kwargs: Any) -> HttpResponse:
        """Delete *url*; see ``request()``."""
        return self.request('DELETE', url, **kwargs)


def _whole(url: Url) -> str:
    """Return *url* with all that belongs to it."""
    name, password = (quote(part, safe='') for part in url.userinfo)
    who = f'{name}:{password}@' if password else f'{name}@' if name else ''
    return str(url).replace('://', f'://{who}', 1)


def _next_of(request: PreparedRequest, response: HttpResponse) -> PreparedRequest | None:
    """Return what follows *response*, a redirection, or None if that must not be.

    :raises RedirectError: it leads nowhere, or the body cannot be sent again.
    """
    try:
        found = request.redirected(response.status_code, _location(response))
    except BaseException:
        response.close()
        raise
    if isinstance(found, str):
        response.not_followed = found
        return None
    return found


def _location(response: HttpResponse) -> str:
    """Return where a redirection leads to, of which many servers send UTF-8 as it is.

    :raises RedirectError: it leads nowhere, or to several places.
    """
    places = set(response.headers.get_list('Location'))
    if len(places) != 1 or '' in places:
        raise RedirectError(f'{response.url} redirects to {sorted(places)}')
    raw = places.pop().encode('latin-1')
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode('latin-1')


def _hooks_of(given: Hooks | None) -> dict[str, list[Callable[[Any], object]]]:
    hooks: dict[str, list[Callable[[Any], object]]] = {'request': [], 'response': []}
    for name, calls in (given or {}).items():
        if name not in hooks:
            raise ValueError(f"there are hooks for 'request' and 'response', not for {name!r}")
        hooks[name] += calls if isinstance(calls, (list, tuple)) else [calls]
    return hooks


def _send(
    protocol: HttpClientProtocol,
    route: Route,
    request: PreparedRequest,
    clock: Clock,
    progress: Progress | None,
) -> HttpMessage:
    """Send *request*, and return its final response, of which the body may still come."""
    transport = protocol.transport
    left = clock.left()
    try:
        transport.set_deadline(DEADLINE_READ, None)
        if left is not None:
            transport.set_deadline(DEADLINE_TOTAL, left)
        proxy = route.proxy if route.proxy is not None and not route.proxy.tunnel else None
        hop = []
        if proxy is not None and proxy.credentials:
            hop.append(('Proxy-Authorization', proxy.credentials))
        target = request.where.target if proxy is None else request.url.partition('#')[0]
        body = None if request.body is None else request.body.source(progress)
        HttpRequest(protocol, hop).send(request.method, target, request.fields(), body)
        transport.set_deadline(DEADLINE_READ, clock.timeouts.read)
    except TransportError as error:
        if not protocol.answered:
            if protocol.error is not None:
                raise protocol.error from None
            raise ConnectionLost(f'the connection to {route} broke: {error}') from error
        protocol.abandon()
    while True:
        message = protocol.getresponse(None)
        if (message.status_code or 0) >= 200:
            return message
