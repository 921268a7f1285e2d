"""The TLS of HTTPS (RFC 9110, 4.2.2)."""

from __future__ import annotations

from typing import Any, Optional

from ..ssl import TlsContext, as_context, create_default_context

ALPN = ('http/1.1',)  # RFC 7301; we speak nothing else

_default: Optional[TlsContext] = None


def https_context(given: Any) -> Any:
    """Return what is to be used for an argument *ssl* of a client's.

    For True that is a context that trusts whom the system trusts. A context of the caller's is used
    as it is.

    :raises TypeError: it is no context.
    :raises ValueError: it is False or None, or a server's.
    """
    global _default
    if not given:
        raise ValueError(f'HTTPS needs a context, or True, not {given!r}')
    if given is not True:
        if not callable(given):
            as_context(given, server_side=False)
        return given
    if _default is None:
        _default = create_default_context()
        _default.set_alpn_protocols(ALPN)
    return _default
