"""Certificates and keys, as one gives them: in files, or in PEM."""

from __future__ import annotations

import os
import re
from typing import Callable, Union

Source = Union[str, bytes, 'os.PathLike[str]']  # a path, or the PEM itself as bytes
Password = Union[str, bytes, bytearray, Callable[[], Union[str, bytes, bytearray]], None]

_ENCRYPTED = re.compile(rb'-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED')


def read(source: Source) -> bytes:
    """Return the PEM.

    :raises OSError: the file cannot be read.
    """
    if isinstance(source, bytes):
        return source
    with open(source, 'rb') as file:
        return file.read()


def name_of(source: Source) -> str:
    """Return what to call it in an error."""
    return 'given as bytes' if isinstance(source, bytes) else repr(os.fspath(source))


def secret_for(key: bytes, password: Password) -> bytes | None:
    """Return the password of *key*, which is PEM; None if that is not encrypted, or there is none.

    :raises TypeError: it is neither str nor bytes.
    :raises ValueError: it cannot be used.
    """
    if not _ENCRYPTED.search(key):
        return None
    given = password() if callable(password) else password
    if given is None:
        return None
    secret = given.encode() if isinstance(given, str) else given
    if not isinstance(secret, (bytes, bytearray)):
        raise TypeError(f'a password must be str or bytes, not {type(secret).__name__}')
    if 0 in secret:  # where C would end
        raise ValueError('a password must not have a NUL')
    return bytes(secret)
