"""Proxies: which one a request goes through, and what it is told (RFC 9110, 7.6 and 9.3.6)."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from typing import NamedTuple, Optional, Union

from .auth import basic
from .urls import Url, url_of


class Proxy(NamedTuple):
    """A proxy for HTTP at ``(host, port)``.

    *tunnel*: requests go through it by CONNECT; *secure*: it is spoken to over TLS.
    """

    host: str
    port: int
    credentials: Optional[str] = None
    tunnel: bool = False
    secure: bool = False

    def __str__(self) -> str:
        return f'[{self.host}]:{self.port}' if ':' in self.host else f'{self.host}:{self.port}'


def proxy_of(given: Union[Proxy, str, None], tunnel: bool = False) -> Optional[Proxy]:
    """Return the proxy that a URL such as ``http://user:password@host:3128`` means.

    :raises ValueError: it is none, or speaks no HTTP.
    """
    if given is None or isinstance(given, Proxy):
        return given
    url = url_of(given if '://' in given else f'http://{given}')
    credentials = basic(*url.userinfo) if any(url.userinfo) else None
    return Proxy(url.host, url.port, credentials, tunnel, url.scheme == 'https')


class Environment:
    """The proxies that the environment names: http_proxy, https_proxy, all_proxy, no_proxy."""

    def __init__(self) -> None:
        self._proxies: Mapping[str, str] = urllib.request.getproxies_environment()

    def proxy_for(self, url: Url) -> Optional[Proxy]:
        """Return the proxy for *url*, or None.

        :raises ValueError: what the environment has is none.
        """
        given = self._proxies.get(url.scheme) or self._proxies.get('all')
        if not given:
            return None
        host = f'{url.host}:{url.port}'
        bypass = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
        return None if bypass(host, self._proxies) else proxy_of(given)


class Route(NamedTuple):
    """The way to an origin. Requests of the same way can share a connection."""

    scheme: str
    host: str
    port: int
    proxy: Optional[Proxy] = None
    unix: Optional[str] = None

    def __str__(self) -> str:
        end = f' through {self.proxy}' if self.proxy else ''
        return self.unix or f'{self.host}:{self.port}{end}'


def route_to(url: Url, proxy: Optional[Proxy], unix: Optional[str]) -> Route:
    """Return the way to the origin of *url*.

    A proxy that forwards is one way to all of them. A Unix socket needs no proxy.
    """
    if unix is not None:
        return Route(*url.origin, None, unix)
    if proxy is None:
        return Route(*url.origin)
    if url.scheme == 'https' and not proxy.tunnel:
        proxy = proxy._replace(tunnel=True)
    if not proxy.tunnel:
        return Route('http', proxy.host, proxy.port, proxy)
    return Route(*url.origin, proxy)
