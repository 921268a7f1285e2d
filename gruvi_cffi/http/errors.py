"""What can go wrong with HTTP."""

from __future__ import annotations

from typing import Any

from ..errors import ProtocolError, Timeout


class HttpError(ProtocolError):
    """HTTP has failed. Of a request, *status* is what it is answered with."""

    def __init__(self, message: str = '', status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class MessageError(HttpError):
    """The peer has broken the protocol."""


class MessageTruncated(MessageError):
    """The connection ended in the middle of a message."""


class MessageTooLarge(MessageError):
    """The peer sends more than a limit allows."""


class HttpTimeout(HttpError, Timeout):
    """It took too long.

    ``phase`` says what: 'connect' (with the wait for a connection of the pool), 'send', 'response'
    (its head), 'body', or 'total'; on a server it is ''.
    """

    def __init__(self, message: str = '', status: int = 408, phase: str = '') -> None:
        super().__init__(message, status)
        self.phase = phase


class ConnectError(HttpError):
    """There is no connection: nobody listens, the host is unknown, or a proxy refuses."""


class ConnectionLost(HttpError):
    """The connection ended before anything of the answer had come."""


class RedirectError(HttpError):
    """A redirection leads where no request may be sent."""


class TooManyRedirects(RedirectError):
    """A redirection led to the next too often."""


class StatusError(HttpError):
    """The server says that the request failed (4xx, 5xx); *response* is its answer."""

    def __init__(self, message: str, response: Any) -> None:
        super().__init__(message, response.status_code)
        self.response = response
