"""Every exception, ordered by what a caller asks: whose fault, and may it still happen?"""

from __future__ import annotations

import errno as _errno
import os
import socket
from typing import Optional

# What libuv adds to the system's numbers; the rest is -errno.
_UV_ONLY = {
    -3000: ('UV_EAI_ADDRFAMILY', 'address family not supported'),
    -3001: ('UV_EAI_AGAIN', 'temporary failure'),
    -3002: ('UV_EAI_BADFLAGS', 'bad ai_flags value'),
    -3003: ('UV_EAI_CANCELED', 'request canceled'),
    -3004: ('UV_EAI_FAIL', 'permanent failure'),
    -3005: ('UV_EAI_FAMILY', 'ai_family not supported'),
    -3006: ('UV_EAI_MEMORY', 'out of memory'),
    -3007: ('UV_EAI_NODATA', 'no address'),
    -3008: ('UV_EAI_NONAME', 'unknown node or service'),
    -3009: ('UV_EAI_OVERFLOW', 'argument buffer overflow'),
    -3010: ('UV_EAI_SERVICE', 'service not available for socket type'),
    -3011: ('UV_EAI_SOCKTYPE', 'socket type not supported'),
    -3013: ('UV_EAI_BADHINTS', 'invalid value for hints'),
    -3014: ('UV_EAI_PROTOCOL', 'resolved protocol is unknown'),
    -4080: ('UV_ECHARSET', 'invalid Unicode character'),
    -4095: ('UV_EOF', 'end of file'),
}


class Error(Exception):
    """Base class: catch this to catch anything the package reports."""


class Timeout(Error, TimeoutError):
    """It did not happen in time. It may still happen; nothing was undone."""


class Cancelled(BaseException):
    """Someone asked this fiber to stop. Let it pass; clean up on the way."""


class TransportError(Error, OSError):
    """The connection could not be made, or broke.

    *errno* may be the system's positive number or libuv's negative one. Afterwards ``errno`` is the
    positive one and ``uv_errno`` libuv's; both are None where there is none. Where Python has a
    class for the number (ConnectionRefusedError, BrokenPipeError ...), ``from_errno`` makes an
    error that is an instance of that too.
    """

    uv_errno: Optional[int]

    def __init__(self, message: str = '', errno: int | None = None) -> None:
        number = abs(errno) if errno is not None and errno not in _UV_ONLY else None
        if number is None:
            super().__init__(message)
        else:
            super().__init__(number, message)
        self.uv_errno = -number if number is not None else errno
        self._message = message

    @classmethod
    def from_errno(cls, errno: int, doing: str | None = None) -> TransportError:
        """Return the error for *errno*, either sign.

        *doing* completes the sentence "could not ..."; without it, the text is libuv's name and
        message.
        """
        name, text = describe(errno)
        message = f'{name}: {text}' if doing is None else f'could not {doing}: {text}'
        kind = cls
        if cls is TransportError:
            kind = _BY_ERRNO.get(abs(errno), cls)
        return kind(message, errno)

    def __str__(self) -> str:
        return self._message

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self).__name__, self._message, self.uv_errno)


class ConnectTimeout(TransportError, Timeout):
    """No connection was made in time."""

    def __init__(self, message: str = '', errno: int | None = _errno.ETIMEDOUT) -> None:
        super().__init__(message, errno)


class TlsError(TransportError):
    """TLS has failed, and with it the connection."""

    plain_http = False  # the peer has spoken HTTP, without TLS


class CertificateError(TlsError):
    """The peer's certificate could not be verified, or is for another name."""


class TlsTruncated(TlsError):
    """The connection has ended, but the peer had not said that it would: data may be missing."""


class ResolverError(TransportError, socket.gaierror):
    """A name or a service could not be looked up; ``errno`` is one of getaddrinfo(3), EAI_*."""

    def __init__(self, message: str = '', errno: int | None = None) -> None:
        super().__init__(message, None)
        self.errno = errno
        self.uv_errno = errno

    @classmethod
    def from_gaierror(cls, error: OSError, doing: str) -> ResolverError:
        """Return the error for what the socket module raised."""
        return cls(f'could not {doing}: {(error.strerror or str(error)).lower()}', error.errno)


class ProtocolError(Error):
    """The peer broke the rules of the protocol. The connection is lost."""


class StreamError(Error):
    """A stream cannot do what it was asked to: it is closed, or made for the other direction."""


class IncompleteRead(Error, EOFError):
    """The stream ended in the middle. *partial* is what there was, which counts as read."""

    def __init__(self, partial: bytes, expected: int | None = None) -> None:
        self.partial = partial
        self.expected = expected
        what = 'the delimiter' if expected is None else f'the end of {expected}'
        super().__init__(f'the stream ended after {len(partial)} bytes, before {what}')

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.partial, self.expected)


class QueueEmpty(Exception):
    """There was nothing to get."""


class QueueFull(Exception):
    """There was no room to put it."""


def check_timeout(seconds: float | None) -> None:
    """Raise ValueError if *seconds* is negative, or no number at all."""
    if seconds is not None and not seconds >= 0:
        raise ValueError(f'need a timeout of 0 seconds or more, or None, not {seconds!r}')


def describe(errno: int) -> tuple[str, str]:
    """Return libuv's name and the message for a number of either sign."""
    if errno in _UV_ONLY:
        return _UV_ONLY[errno]
    name = _errno.errorcode.get(abs(errno))
    return ('UV_' + name if name else f'UV_UNKNOWN ({errno})'), os.strerror(abs(errno)).lower()


def _with_builtin(builtin: type[OSError]) -> type[TransportError]:
    name = f'Transport{builtin.__name__}'
    return type(
        name, (TransportError, builtin), {'__module__': __name__, '__doc__': builtin.__doc__}
    )


# OSError picks its subclass by number only when OSError itself is called.
_BUILTINS = {
    BlockingIOError: (_errno.EAGAIN, _errno.EALREADY, _errno.EINPROGRESS),
    BrokenPipeError: (_errno.EPIPE, _errno.ESHUTDOWN),
    ConnectionAbortedError: (_errno.ECONNABORTED,),
    ConnectionRefusedError: (_errno.ECONNREFUSED,),
    ConnectionResetError: (_errno.ECONNRESET,),
    FileExistsError: (_errno.EEXIST,),
    FileNotFoundError: (_errno.ENOENT,),
    InterruptedError: (_errno.EINTR,),
    IsADirectoryError: (_errno.EISDIR,),
    NotADirectoryError: (_errno.ENOTDIR,),
    PermissionError: (_errno.EACCES, _errno.EPERM),
    ProcessLookupError: (_errno.ESRCH,),
    TimeoutError: (_errno.ETIMEDOUT,),
}
_COMBINED: dict[type[OSError], type[TransportError]] = {
    builtin: _with_builtin(builtin) for builtin in _BUILTINS
}
_BY_ERRNO = {
    number: _COMBINED[builtin] for builtin, numbers in _BUILTINS.items() for number in numbers
}
_KINDS: list[type[TransportError]] = [
    TransportError, ConnectTimeout, ResolverError, TlsError, CertificateError, TlsTruncated
]  # fmt: skip
_BY_NAME = {kind.__name__: kind for kind in _KINDS + list(_COMBINED.values())}


def _rebuild(name: str, message: str, errno: int | None) -> TransportError:
    return _BY_NAME.get(name, TransportError)(message, errno)
