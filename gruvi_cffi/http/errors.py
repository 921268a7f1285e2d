"""What can go wrong with HTTP."""

from __future__ import annotations

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
    """The peer took too long for a part of a message."""

    def __init__(self, message: str = '', status: int = 408) -> None:
        super().__init__(message, status)
