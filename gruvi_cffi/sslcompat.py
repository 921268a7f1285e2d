"""Gruvi's names for what the ssl module of old Pythons had not. All of it is the standard library's
now; an ``SSLContext`` is taken wherever a ``TlsContext`` is."""

from __future__ import annotations

from ssl import CertificateError, MemoryBIO, SSLContext, SSLObject

__all__ = ['CertificateError', 'MemoryBIO', 'SSLContext', 'get_reason', 'wrap_bio']


def wrap_bio(
    context: SSLContext,
    incoming: MemoryBIO,
    outgoing: MemoryBIO,
    server_side: bool = False,
    server_hostname: str | None = None,
) -> SSLObject:
    """Return ``context.wrap_bio(...)``."""
    return context.wrap_bio(incoming, outgoing, server_side, server_hostname)


def get_reason(exc: BaseException) -> str | None:
    """Return OpenSSL's name for why there was an ``ssl.SSLError``, such as 'WRONG_VERSION_NUMBER'.

    None if it has none.
    """
    reason: str | None = getattr(exc, 'reason', None)
    return reason
