"""Codes from C become exceptions here, and only here."""

from __future__ import annotations

from .._gv import lib
from ..errors import TlsError, TransportError

_MISUSE = {
    lib.GV_ETHREAD: 'called from another thread than the one that made the loop',
    lib.GV_EFORKED: 'the loop belongs to the parent process',
}


def error_from(code: int, doing: str) -> Exception:
    """Return the exception for a negative *code*; *doing* completes "could not ..."."""
    if code in _MISUSE:
        return RuntimeError(f'could not {doing}: {_MISUSE[code]}')
    if code == lib.GV_TLS_ERROR:
        return TlsError(f'could not {doing}: TLS has failed')
    return TransportError.from_errno(code, doing)


def check(code: int, doing: str) -> int:
    """Return *code* unless it is negative, in which case raise.

    :raises TransportError: the operation failed.
    :raises RuntimeError: the loop belongs to another thread, or to the parent of this process.
    """
    if code >= 0:
        return code
    raise error_from(code, doing)
