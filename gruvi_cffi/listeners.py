"""Listening: binding the addresses of a server, and taking what is accepted."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable
from typing import Any, Optional

from ._native.loop import Loop
from ._native.pipe import PipeHandle
from ._native.stream import StreamHandle
from ._native.tcp import TcpHandle
from .address import AddressInfo, saddr
from .errors import TransportError
from .logging import get_logger

_log = get_logger()


class Listener:
    """The owner of a bound handle. *path* is what is to be removed when it closes.

    Unless it is *ours*, other processes may have the socket too.
    """

    def __init__(self, handle: StreamHandle, path: str | None = None, ours: bool = False) -> None:
        self.handle = handle
        self._ours = ours
        self._accept: Callable[[StreamHandle], object] = StreamHandle.abort
        self._path = None if path is None else os.path.abspath(path)
        self._inode = None if path is None else _inode(path)
        handle.owner = self

    def listen(self, backlog: int, accept: Callable[[StreamHandle], object]) -> None:
        """Call *accept* with the handle of each connection; it runs in the drain."""
        self._accept = accept
        self.handle.listen(backlog)

    def accept(self, on: bool) -> None:
        """Accept, or let those who connect wait."""
        self.handle.accept(on)

    def handle_accepted(self, handle: StreamHandle) -> None:
        self._accept(handle)

    def handle_paused(self, error: TransportError) -> None:
        address = self.handle.getsockname()
        _log.warning('accepting on {} pauses: {}', saddr(address), error)

    def handle_closed(self) -> None:
        self._remove_path()  # the hub may have closed it

    def refuse(self) -> None:
        """Let nobody begin to connect, as far as the system can do that; who has begun may end."""
        self._remove_path()
        if self._ours:
            self.handle.refuse()

    def accept_rest(self) -> bool:
        """Accept who waits; return False if nobody did, else the hub has to take a turn first.

        :raises TransportError: there are no descriptors left.
        """
        return self.handle.accept_rest()

    def close(self) -> None:
        """Listen no more. Who waits to be accepted is cut."""
        self._remove_path()
        self.handle.abort()

    def _remove_path(self) -> None:
        path, self._path = self._path, None
        # Somebody may have bound the name anew.
        if path is not None and self._inode is not None and _inode(path) == self._inode:
            with contextlib.suppress(OSError):
                os.unlink(path)


def _inode(path: str) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISSOCK(status.st_mode) else None


def bind_unix(loop: Loop, name: str | bytes) -> list[Listener]:
    """Bind a Unix socket.

    :raises TransportError: the name is taken, or cannot be used.
    """
    name = os.fsdecode(name)
    handle = PipeHandle(loop)
    try:
        handle.bind(name)
    except BaseException:
        handle.abort()
        raise
    return [Listener(handle, None if name.startswith('\0') else name)]


def bind_tcp(loop: Loop, found: list[AddressInfo], reuse_port: bool) -> list[Listener]:
    """Bind all of *found* that can be, with a warning for those that cannot.

    :raises TransportError: one is in use, or none can be bound.
    """
    listeners: list[Listener] = []
    failure: Optional[TransportError] = None
    port = 0  # if the system may choose, all addresses share what it has chosen for the first
    try:
        for info in found:
            try:
                listeners.append(Listener(_bind(loop, info, port, reuse_port), ours=True))
            except TransportError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                failure = error
                _log.warning('an address of the server is left out: {}', error)
            else:
                port = int(listeners[-1].handle.getsockname()[1])
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    if failure is not None and not listeners:
        raise failure
    return listeners


def _bind(loop: Loop, info: AddressInfo, chosen: int, reuse_port: bool) -> TcpHandle:
    host, port, *rest = info.sockaddr
    options: dict[str, Any] = {
        'scope': rest[1] if rest else 0,
        'ipv6_only': info.family == socket.AF_INET6,  # each family has a handle of its own
        'reuse_port': reuse_port,
    }
    handle = TcpHandle(loop, info.family)
    try:
        try:
            handle.bind(host, port or chosen, **options)
        except TransportError as error:
            if port or not chosen or error.errno != errno.EADDRINUSE:
                raise
            handle.bind(host, 0, **options)  # it is free in one family alone
    except BaseException:
        handle.abort()
        raise
    return handle
