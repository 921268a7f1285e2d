"""A request as a session will send it."""

from __future__ import annotations

import re
from typing import Any

from .bodies import RequestBody
from .errors import RedirectError
from .headers import Fields, Headers
from .urls import Url, url_of

_IDEMPOTENT = frozenset({'GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'})  # RFC 9110, 9.2.2
_SECRET = ('authorization', 'proxy-authorization', 'cookie')
_SCHEME = re.compile(r'([A-Za-z][A-Za-z0-9+.\-]*):')  # RFC 3986, 3.1
_OF_BODY = ('content-type', 'content-length', 'content-encoding', 'content-language', 'trailer')


class PreparedRequest:
    """A request: ``method``, ``url`` (a string), ``headers``, and its ``body`` or None.

    A hook may change the headers.
    """

    def __init__(self, method: str, where: Url, headers: Headers, body: RequestBody | None) -> None:
        self.method = method
        self.where = where
        self.url = str(where)
        self.headers = headers
        self.body = body

    def __repr__(self) -> str:
        return f'<PreparedRequest {self.method} {self.url}>'

    def can_repeat(self) -> bool:
        """Return True if sending it twice is as good as once, and possible."""
        return self.method in _IDEMPOTENT and self._rewind()

    def _rewind(self) -> bool:
        return self.body is None or self.body.rewind()

    def fields(self) -> list[tuple[str, Any]]:
        """Return the fields to be sent, with the size of the body if that is known."""
        pairs = [pair for pair in self.headers.pairs if pair[0].lower() != 'content-length']
        if 'Host' not in self.headers:
            pairs.insert(0, ('Host', self.where.authority))
        if self.body is not None and self.body.size is not None:
            pairs.append(('Content-Length', str(self.body.size)))
        return pairs

    def redirected(self, status: int, location: str) -> PreparedRequest | str:
        """Return what follows a redirection (RFC 9110, 15.4), or why nothing must.

        Nobody else gets the credentials, the cookies, or the body.

        :raises RedirectError: it leads nowhere, or the body cannot be sent again.
        """
        scheme = _SCHEME.match(location)
        if scheme is not None and scheme[1].lower() not in ('http', 'https'):
            return f'{location} is no HTTP'
        try:
            where = url_of(location, str(self.where))
        except ValueError as error:
            raise RedirectError(f'{self.url} redirects to nowhere: {error}') from None
        if self.where.scheme == 'https' and where.scheme == 'http':
            return f'{where} is not secure'
        where = where if where.fragment else where._replace(fragment=self.where.fragment)
        headers = Headers(self.headers)
        headers.pop('Host', None)
        headers.pop('Cookie', None)  # the jar gives anew what is for there
        elsewhere = where.origin != self.where.origin
        if elsewhere:
            _drop(headers, _SECRET)
        method, body = self.method, self.body
        if (status == 303 and method != 'HEAD') or (status in (301, 302) and method == 'POST'):
            method, body = 'GET', None
            _drop(headers, _OF_BODY)
        elif body is not None and elsewhere:
            return f'the body would be sent to {where}, another origin'
        elif not self._rewind():
            raise RedirectError(f'{self.url} redirects, but the body cannot be sent twice')
        return PreparedRequest(method, where._replace(userinfo=('', '')), headers, body)


def _drop(headers: Headers, names: tuple[str, ...]) -> None:
    for name in names:
        headers.pop(name, None)


def merge(*sources: Fields) -> Headers:
    """Return all fields of *sources*; a later one replaces an earlier, and None removes it."""
    merged = Headers(sources[0])
    for source in sources[1:]:
        if source:
            _merge_into(merged, Headers(source))
    return merged


def _merge_into(merged: Headers, more: Headers) -> None:
    names: set[str] = set()
    for name, value in more.pairs:
        if not isinstance(name, str):
            raise TypeError(f'the name of a field must be a string, not {name!r}')
        if value is None:
            merged.pop(name, None)
        elif name in merged and name.lower() not in names:
            merged[name] = value
        else:
            merged.pairs.append((name, value))
        names.add(name.lower())
