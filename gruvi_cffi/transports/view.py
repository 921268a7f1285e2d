"""A look at the socket of a transport, for its options and names."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Union

from .._native.stream import StreamHandle


class TransportSocket:
    """The socket below a transport, without what would read, write or close it.

    Each method asks the system anew, and raises what a ``socket.socket`` would.
    """

    __slots__ = ('_handle',)

    def __init__(self, handle: StreamHandle) -> None:
        self._handle = handle

    def __repr__(self) -> str:
        return f'<TransportSocket fd={self.fileno()}>'

    @contextmanager
    def _borrowed(self) -> Iterator[socket.socket]:
        borrowed = socket.socket(fileno=self._handle.fileno())
        try:
            # It waits as long as the default timeout says, and on PyPy the descriptor with it. So
            # would a duplicate, which shares that: then the hub would stand still.
            borrowed.setblocking(False)
            yield borrowed
        finally:
            borrowed.detach()

    @property
    def family(self) -> int:
        with self._borrowed() as borrowed:
            return borrowed.family

    @property
    def type(self) -> int:
        with self._borrowed() as borrowed:
            return borrowed.type

    @property
    def proto(self) -> int:
        with self._borrowed() as borrowed:
            return borrowed.proto

    def fileno(self) -> int:
        """Return the descriptor, which stays the transport's, or -1 once that is closed."""
        return -1 if self._handle.closed else self._handle.fileno()

    def dup(self) -> socket.socket:
        """Return a socket of its own for the same connection; the caller closes it.

        It does not block, since the transport's would, too, if it did.
        """
        with self._borrowed() as borrowed:
            return borrowed.dup()

    def getsockname(self) -> Any:
        """Return the name of our end, in Python's form."""
        with self._borrowed() as borrowed:
            return borrowed.getsockname()

    def getpeername(self) -> Any:
        """Return the name of the peer, in Python's form."""
        with self._borrowed() as borrowed:
            return borrowed.getpeername()

    def getsockopt(self, level: int, name: int, buflen: int = 0) -> Union[int, bytes]:
        """Return an option: a number, or *buflen* bytes if that is positive."""
        with self._borrowed() as borrowed:
            if buflen:
                return borrowed.getsockopt(level, name, buflen)
            return borrowed.getsockopt(level, name)

    def setsockopt(self, level: int, name: int, value: int | bytes) -> None:
        """Set an option."""
        with self._borrowed() as borrowed:
            borrowed.setsockopt(level, name, value)
