"""Cookies: what the jar of the standard library needs to see of our messages (RFC 6265)."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import Message
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urlsplit

from .headers import Headers


class _Asked:
    """A request, as ``urllib.request.Request`` looks to a jar."""

    unverifiable = False

    def __init__(self, url: str, headers: Headers) -> None:
        self._url = url
        self._headers = headers
        parts = urlsplit(url)
        self.type = parts.scheme
        self.host = self.origin_req_host = parts.hostname or ''

    def get_full_url(self) -> str:
        return self._url

    def has_header(self, name: str) -> bool:
        return name in self._headers

    def get_header(self, name: str, default: Any = None) -> Any:
        return self._headers.get(name, default)

    def add_unredirected_header(self, name: str, value: str) -> None:
        self._headers[name] = value


class _Answered:
    """A response, as ``urllib.response`` looks to a jar."""

    def __init__(self, headers: Headers) -> None:
        self._message = Message()
        for name, value in headers.pairs:
            if name.lower() in ('set-cookie', 'set-cookie2'):
                self._message[name] = value

    def info(self) -> Message:
        return self._message


def add_cookies(jar: CookieJar, extra: Mapping[str, str], url: str, headers: Headers) -> None:
    """Put the cookies for *url* into *headers*, and those of *extra*, which go before.

    :raises ValueError: one of *extra* cannot be sent.
    """
    if extra:
        for name, value in extra.items():
            if not name or set('=;, ') & set(name) or set(';, "\\') & set(value):
                raise ValueError(f'the cookie {name!r} cannot be {value!r}')
    if next(iter(jar), None) is not None and 'Cookie' not in headers:
        jar.add_cookie_header(_Asked(url, headers))  # type: ignore[arg-type]
    if extra:
        line = '; '.join(f'{name}={value}' for name, value in extra.items())
        known = headers.get('Cookie')
        headers['Cookie'] = f'{line}; {known}' if known else line


def keep_cookies(jar: CookieJar, url: str, headers: Headers) -> None:
    """Put what a response from *url* sets into *jar*."""
    if 'Set-Cookie' in headers:
        jar.extract_cookies(_Answered(headers), _Asked(url, Headers()))  # type: ignore[arg-type]


def cookies_of(url: str, headers: Headers) -> dict[str, str]:
    """Return the names and values of the cookies that a response from *url* sets."""
    jar = CookieJar()
    keep_cookies(jar, url, headers)
    return {cookie.name: cookie.value or '' for cookie in jar}
