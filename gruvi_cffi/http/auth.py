"""Saying who one is (RFC 7617, RFC 6750)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any, Union

Auth = Union[tuple[str, str], Callable[[Any], object], None]


def basic(user: str, password: str) -> str:
    """Return the credentials of Basic authentication, in UTF-8.

    :raises ValueError: there is a colon in *user*.
    """
    if ':' in user:
        raise ValueError(f'there can be no colon in the user {user!r}')
    return f'Basic {b64encode(f"{user}:{password}".encode()).decode()}'


class BearerAuth:
    """Authentication by a token: ``auth=BearerAuth(token)``."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: Any) -> None:
        request.headers['Authorization'] = f'Bearer {self._token}'


def authenticate(request: Any, auth: Auth) -> None:
    """Have *request* say who we are: (user, password), or what is called with the request."""
    if auth is None:
        return
    if callable(auth):
        auth(request)
    else:
        request.headers['Authorization'] = basic(*auth)
