"""The TLS of HTTPS (RFC 9110, 4.2.2)."""

from __future__ import annotations

from typing import Any, Optional

from ..ssl import TlsContext, create_default_context

ALPN = ('http/1.1',)  # RFC 7301; we speak nothing else

_default: Optional[TlsContext] = None


def https_context(given: Any) -> Any:
    """Return what is to be used for an argument *ssl* of a client's.

    For True that is a context that trusts whom the system trusts. A context of the caller's is used
    as it is.

    :raises ValueError: it is False or None.
    """
    global _default
    if not given:
        raise ValueError(f'HTTPS needs a context, or True, not {given!r}')
    if given is not True:
        return given
    if _default is None:
        _default = create_default_context()
        _default.set_alpn_protocols(ALPN)
    return _default
