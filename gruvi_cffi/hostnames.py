"""Names of hosts, as DNS and TLS compare them: what is asked for, and what a server answers to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Callable, Generic, Optional, TypeVar

_LABELS = re.compile(r'[A-Za-z0-9._-]+')

Context = TypeVar('Context')
Choose = Callable[[Optional[str]], Optional[Context]]


def ascii_name(given: str) -> str:
    """Return the name of a host in ASCII (RFC 5890), as it is if it is that already.

    The package idna does that by IDNA 2008 and UTS 46, if it is there, and else the standard
    library by IDNA 2003, which takes an ß for ss.

    :raises ValueError: it is no name.
    """
    if given.isascii():
        return given
    try:
        # Label by label: what is ASCII may be no name, such as the * of a pattern.
        return '.'.join(label if label.isascii() else _encoded(label) for label in given.split('.'))
    except UnicodeError as error:
        raise ValueError(f'{given!r} is no name of a host: {error}') from None


def _encoded(label: str) -> str:
    try:
        import idna  # here, since few names need it
    except ImportError:
        name = label.encode('idna').decode()
        if not _LABELS.fullmatch(name):  # an a/c in one letter, say, which would split a URL
            raise UnicodeError(f'{name!r} has what names have not') from None
        return name
    return idna.encode(label, uts46=True).decode()


def normal_name(given: str) -> str:
    """Return the name of a host in lower case and ASCII (RFC 5890), without the dot of the root.

    An IPv6 address loses its zone, which no certificate knows.

    :raises TypeError: it is no str.
    :raises ValueError: it is no name.
    """
    if not isinstance(given, str):
        raise TypeError(f'the name of a host must be a str, not {given!r}')
    name = ascii_name(given).lower()
    if name.endswith('.'):
        name = name[:-1]
    if ':' in name:
        name = name.partition('%')[0]
    # What is empty, or ends at a NUL, would mean another name to OpenSSL.
    if '' in name.split('.') or not name.isprintable() or ' ' in name or len(name) > 253:
        raise ValueError(f'{given!r} is no name of a host')
    return name


class ServerNames(Generic[Context]):
    """Which context answers to which name.

    :raises TypeError: a name is no str.
    :raises ValueError: it is no name.
    """

    def __init__(self, names: Mapping[str, Context], choose: Choose[Context] | None = None) -> None:
        self._contexts = {normal_name(name): context for name, context in names.items()}
        self._choose = choose

    def __bool__(self) -> bool:
        return bool(self._contexts) or self._choose is not None

    def __iter__(self) -> Iterator[Context]:
        return iter(self._contexts.values())

    def find(self, name: str | None) -> Any:
        """Return the context for *name*, or what the function says."""
        asked = (name or '').lower().rstrip('.')
        found = self._contexts.get(asked)
        if found is None:
            first, _, rest = asked.partition('.')
            found = self._contexts.get('*.' + rest) if first else None
        if found is None and self._choose is not None:
            return self._choose(name)
        return found
