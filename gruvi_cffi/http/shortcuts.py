"""Requests without a session: each has a connection of its own."""

from __future__ import annotations

from typing import Any

from ..hub import switchpoint
from .bodies import Data
from .received import HttpResponse
from .session import HttpSession

_OF_SESSION = frozenset({'proxy', 'ssl', 'unix', 'max_redirects', 'hooks', 'max_content'})


@switchpoint
def request(method: str, url: str, **kwargs: Any) -> HttpResponse:
    """Send a request; arguments and errors are those of ``HttpSession.request()``.

    *proxy*, *ssl*, *unix*, *max_redirects*, *hooks* and *max_content* are those of a session.
    """
    of_session = {name: kwargs.pop(name) for name in _OF_SESSION & kwargs.keys()}
    return HttpSession(keepalive=0, **of_session).request(method, url, **kwargs)


@switchpoint
def get(url: str, **kwargs: Any) -> HttpResponse:
    """Get *url*; see ``request()``."""
    return request('GET', url, **kwargs)


@switchpoint
def head(url: str, **kwargs: Any) -> HttpResponse:
    """Get the head of *url*; see ``request()``."""
    return request('HEAD', url, **kwargs)


@switchpoint
def options(url: str, **kwargs: Any) -> HttpResponse:
    """Ask what *url* allows; see ``request()``."""
    return request('OPTIONS', url, **kwargs)


@switchpoint
def post(url: str, data: Data = None, **kwargs: Any) -> HttpResponse:
    """Send *data* to *url*; see ``request()``."""
    return request('POST', url, data=data, **kwargs)


@switchpoint
def put(url: str, data: Data = None, **kwargs: Any) -> HttpResponse:
    """Store *data* at *url*; see ``request()``."""
    return request('PUT', url, data=data, **kwargs)


@switchpoint
def patch(url: str, data: Data = None, **kwargs: Any) -> HttpResponse:
    """Change *url* as *data* says; see ``request()``."""
    return request('PATCH', url, data=data, **kwargs)


@switchpoint
def delete(url: str, **kwargs: Any) -> HttpResponse:
    """Delete *url*; see ``request()``."""
    return request('DELETE', url, **kwargs)
