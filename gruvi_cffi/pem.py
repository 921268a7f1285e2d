"""Certificates and keys, as one gives them: in files, or in PEM."""

from __future__ import annotations

import os
import re
from typing import Callable, Union

Source = Union[str, bytes, 'os.PathLike[str]']  # a path, or the PEM itself as bytes
Password = Union[str, bytes, bytearray, Callable[[], Union[str, bytes, bytearray]], None]

_ENCRYPTED = re.compile(rb'-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED')


class Given:
    """Certificates or keys as they were given, and what was there then.

    :raises OSError: the file cannot be read.
    """

    __slots__ = ('data', 'source')

    def __init__(self, source: Source) -> None:
        self.source = source
        if isinstance(source, (bytes, bytearray)):
            self.data = bytes(source)
            return
        with open(os.fspath(source), 'rb') as file:  # and no descriptor
            self.data = file.read()

    def again(self) -> Given:
        """Return what is there now."""
        return Given(self.source)

    @property
    def name(self) -> str:
        """What to call it in an error."""
        source = self.source
        return (
            'given as bytes' if isinstance(source, (bytes, bytearray)) else repr(os.fspath(source))
        )


class Chain:
    """A certificate with those that vouch for it, its key, and the password of that.

    :raises OSError: a file cannot be read.
    :raises TypeError: the password is neither str nor bytes.
    :raises ValueError: the password cannot be used.
    """

    __slots__ = ('certs', 'key', 'password', 'secret')

    def __init__(self, certfile: Source, keyfile: Source | None, password: Password) -> None:
        self.certs = Given(certfile)
        self.key = self.certs if keyfile is None else Given(keyfile)
        self.password = password
        self.secret = secret_for(self.key.data, password)

    def again(self) -> Chain:
        """Return what is there now; a function is asked for the password of another key."""
        keyfile = None if self.key is self.certs else self.key.source
        made = Chain(self.certs.source, keyfile, None)
        same = made.key.data == self.key.data
        made.password = self.password
        made.secret = self.secret if same else secret_for(made.key.data, self.password)
        return made


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
