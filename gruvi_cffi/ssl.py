"""TLS: contexts, and what takes one.

Wherever *ssl* is a parameter it may be False, True (a client that trusts whom the system trusts), a
TlsContext, a context of the standard library, or a function that returns one of these when it is
called with the handle of the connection.
"""

from __future__ import annotations

import os
import ssl
import sys
from typing import Any, Optional, Union

from .errors import CertificateError, TlsError, TlsTruncated
from .pem import Source
from .sslpipe import SslPipe
from .tlscontext import TlsContext
from .transports.stdlib import StdlibContext
from .transports.tls import SslTransport, TlsTransport
from .transports.tlsinfo import CHANNEL_BINDING_TYPES, TlsInfo

__all__ = [
    'CHANNEL_BINDING_TYPES', 'CertificateError', 'SslPipe', 'SslTransport', 'TlsContext',
    'TlsError', 'TlsInfo', 'TlsTransport', 'TlsTruncated', 'as_context', 'check_context',
    'create_default_context',
]  # fmt: skip


Context = Union[TlsContext, StdlibContext]

_default: Optional[TlsContext] = None


def create_default_context(
    purpose: bool | ssl.Purpose | None = None,
    cafile: Source | None = None,
    capath: str | None = None,
    cadata: str | bytes | None = None,
) -> TlsContext:
    """Return a context with safe settings.

    With *purpose* None, False or ``ssl.Purpose.SERVER_AUTH`` it is for clients, and trusts those in
    *cafile*, *capath* or *cadata*, or else whom the system trusts. With True or
    ``ssl.Purpose.CLIENT_AUTH`` it is for servers: give it a certificate by ``load_cert_chain()``.
    A server that is to verify its clients trusts whom it is told, and nobody else.

    As the standard library's, it takes ``keylog_filename`` from the environment (SSLKEYLOGFILE),
    unless Python was started with -E or -I.

    :raises OSError: a file cannot be read, or that one not be written.
    :raises ValueError: it holds no certificates, or *purpose* is none.
    """
    if purpose not in (None, False, True, ssl.Purpose.SERVER_AUTH, ssl.Purpose.CLIENT_AUTH):
        raise ValueError(f'need True for a server or None for a client, not {purpose!r}')
    server_side = purpose is True or purpose == ssl.Purpose.CLIENT_AUTH
    context = TlsContext(server_side)
    if cafile is not None or capath is not None or cadata is not None:
        context.load_verify_locations(cafile, capath, cadata)
    elif not server_side:
        context.load_default_certs()
    keylog = os.environ.get('SSLKEYLOGFILE')
    if keylog and not sys.flags.ignore_environment:
        context.keylog_filename = keylog
    return context


def as_context(given: Any, server_side: bool, handle: Any = None) -> Context | None:
    """Return what the transports want for an argument *ssl*; None for False and None.

    A function is called with the *handle* of the connection.

    :raises TypeError: it is none of what the module speaks of.
    :raises ValueError: the context is for the other side, or a server has no certificate.
    """
    if callable(given):
        given = given(handle)
    if given is None or given is False:
        return None
    if given is True:
        given = _default_context(server_side)
    elif isinstance(given, ssl.SSLContext):
        given = StdlibContext(given)
    if not isinstance(given, (TlsContext, StdlibContext)):
        raise TypeError(f'ssl must be a bool, a context or a function, not {given!r}')
    given.check_side(server_side)
    return given


def check_context(given: Any) -> None:
    """Raise what ``as_context()`` would for a server, if that is known before a connection."""
    if not callable(given):
        as_context(given, server_side=True)


def _default_context(server_side: bool) -> TlsContext:
    global _default
    if server_side:
        raise ValueError('a server needs a certificate: ssl must be a context, not True')
    if _default is None:
        _default = create_default_context()
    return _default
