"""Sockets as in the standard library, for fibers.

``Socket`` is a ``socket.socket``, so whatever accepts one takes it: a client that is written in
Python runs in a fiber, and no module is patched for that. New code is better off with streams.
"""

from __future__ import annotations

import errno
import os
import socket as _socket
import weakref
from collections.abc import Callable
from threading import get_ident
from time import monotonic
from typing import Any, Optional, Union

from ._native.poll import READABLE, WRITABLE, PollHandle
from .address import getaddrinfo
from .errors import ResolverError, Timeout
from .hub import get_hub, switch_back, switchpoint

__all__ = ['Socket', 'create_connection', 'create_server', 'fromfd', 'socketpair']

_WAITS = (errno.EINPROGRESS, errno.EALREADY, errno.EAGAIN)

Address = Union[tuple[Any, ...], str, bytes]


class _Readiness:
    """Lets the fibers of one hub wait for a socket. Owns the handle for as long as that is open."""

    def __init__(self, hub: Any, fd: int) -> None:
        self.hub = hub
        self._waiters: dict[int, list[Any]] = {READABLE: [], WRITABLE: []}
        self._watched = 0
        self._handle = PollHandle(hub.loop, fd)
        self._handle.owner = self

    @property
    def usable(self) -> bool:
        return not self._handle.closed

    @property
    def busy(self) -> bool:
        return self.usable and any(self._waiters.values())

    def wait(self, event: int, timeout: float | None) -> None:
        """Wait for *event*.

        :raises Timeout: it did not come.
        :raises OSError: EBADF if the socket was closed.
        """
        waiters = self._waiters[event]
        with switch_back(timeout, self.hub) as switcher:
            waiters.append(switcher)
            try:
                if not self._watched & event:
                    self._watched |= event
                    self._handle.start(self._watched)
                self.hub.switch()
            finally:
                if switcher in waiters:
                    waiters.remove(switcher)

    def handle_ready(self, events: int, error: Exception | None) -> None:
        if error is not None:
            events = READABLE | WRITABLE
        for event, waiters in self._waiters.items():
            if not events & event:
                continue
            if waiters:
                for switcher in waiters:
                    switcher.switch()
                waiters.clear()
            else:  # nobody any more: most ask again before it is ready again
                self._watched &= ~event
                self._handle.start(self._watched)

    def close(self) -> None:
        for waiters in self._waiters.values():
            for switcher in waiters:
                switcher.throw(OSError(errno.EBADF, os.strerror(errno.EBADF)))
            waiters.clear()
        self._handle.close()

    def handle_closed(self) -> None:
        """It was closed by us, or the hub is."""


def _drop(readiness: _Readiness) -> None:
    """Close it in its hub, which may be another thread's: the collector has taken the socket."""
    if readiness.usable and readiness.hub.is_alive():
        readiness.hub.run_callback(readiness.close)


class Socket(_socket.socket):
    """A socket whose methods wait as those of ``socket.socket`` do, but let other fibers run.

    Arguments, results and errors are the standard library's: a call that takes longer than the
    timeout raises ``socket.timeout``; with a timeout of 0 it raises BlockingIOError instead of
    waiting. Closing it wakes the fibers that wait for it with an OSError of EBADF. It may be used
    by the fibers of one thread at a time (RuntimeError). What waits is a switch point.
    """

    __slots__ = ('_readiness', '_seconds')

    def __init__(
        self,
        family: int = -1,
        type: int = -1,  # noqa: A002 - as in socket
        proto: int = -1,
        fileno: Optional[int] = None,
    ) -> None:
        super().__init__(family, type, proto, fileno)
        self._seconds: Optional[float] = _socket.getdefaulttimeout()
        self._readiness: Optional[_Readiness] = None
        super().settimeout(0)

    # Timeouts: the standard library's own would block the thread.

    @property
    def timeout(self) -> float | None:
        """The limit for each call that waits, in seconds; None is no limit."""
        return self._seconds

    def gettimeout(self) -> float | None:
        """Return the limit for each call that waits, in seconds; None is no limit."""
        return self._seconds

    def settimeout(self, value: float | None) -> None:
        """Limit each call that waits to *value* seconds; None is no limit, with 0 none waits.

        :raises ValueError: it is negative.
        """
        if value is not None and not value >= 0:
            raise ValueError('Timeout value out of range')
        self._seconds = None if value is None else float(value)

    def setblocking(self, flag: bool) -> None:
        """Wait without limit, or never."""
        self.settimeout(None if flag else 0)

    def getblocking(self) -> bool:
        """Return whether calls may wait."""
        return self._seconds != 0

    def _wait(self, event: int, until: float | None) -> None:
        left = None if until is None else max(0.0, until - monotonic())
        hub = get_hub()
        readiness = self._readiness
        if readiness is None or readiness.hub is not hub or not readiness.usable:
            if readiness is not None and readiness.busy:
                raise RuntimeError('fibers of another thread wait for this socket')
            self._let_go()
            readiness = self._readiness = _Readiness(hub, self.fileno())
            weakref.finalize(self, _drop, readiness).atexit = False
        try:
            readiness.wait(event, left)
        except Timeout:
            raise _socket.timeout('timed out') from None

    def _until(self) -> float | None:
        return None if self._seconds is None else monotonic() + self._seconds

    def _retry(self, event: int, call: Callable[..., Any], *args: Any) -> Any:
        until = self._until()
        while True:
            try:
                return call(*args)
            except BlockingIOError:
                if self._seconds == 0:
                    raise
            self._wait(event, until)

    # Connecting.

    @switchpoint
    def connect(self, address: Any) -> None:
        """Connect to *address*; a host's name is looked up beside the other fibers."""
        code = self._connect(address)
        if code:
            raise OSError(code, os.strerror(code))

    @switchpoint
    def connect_ex(self, address: Any) -> int:
        """Connect to *address*, and return 0, or the number of the error."""
        try:
            return self._connect(address)
        except _socket.timeout:
            return errno.EAGAIN

    def _connect(self, address: Any) -> int:
        code = super().connect_ex(self._resolved(address))
        if code not in _WAITS or self._seconds == 0:
            return code
        self._wait(WRITABLE, self._until())
        return self.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)

    def _resolved(self, address: Any) -> Any:
        if self.family not in (_socket.AF_INET, _socket.AF_INET6) or not isinstance(address, tuple):
            return address
        host, port, *rest = address
        if not isinstance(host, str) or not host:
            return address
        try:
            found = getaddrinfo(host, port, self.family, self.type, timeout=self._seconds)
        except ResolverError as error:
            raise _socket.gaierror(error.errno, str(error)) from None
        except Timeout:
            raise _socket.timeout('timed out') from None
        return (*found[0].sockaddr[:2], *rest)

    @switchpoint
    def accept(self) -> tuple[Socket, Any]:
        """Wait for a connection; return its socket, and the address of the peer."""
        fd, address = self._retry(READABLE, self._accept)  # type: ignore[attr-defined]
        made = type(self)(self.family, self.type, self.proto, fileno=fd)
        return made, address

    # Receiving.

    @switchpoint
    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Return up to *bufsize* bytes; none at the end."""
        return bytes(self._retry(READABLE, super().recv, bufsize, flags))

    @switchpoint
    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Receive into *buffer*; return how many bytes."""
        return int(self._retry(READABLE, super().recv_into, buffer, nbytes, flags))

    @switchpoint
    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Any]:
        """Return up to *bufsize* bytes, and where they come from."""
        result: tuple[bytes, Any] = self._retry(READABLE, super().recvfrom, bufsize, flags)
        return result

    @switchpoint
    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        """Receive into *buffer*; return how many bytes, and where they come from."""
        result: tuple[int, Any] = self._retry(
            READABLE, super().recvfrom_into, buffer, nbytes, flags
        )
        return result

    @switchpoint
    def recvmsg(self, *args: Any) -> Any:
        """Receive with ancillary data, as ``socket.recvmsg()``."""
        return self._retry(READABLE, super().recvmsg, *args)

    @switchpoint
    def recvmsg_into(self, *args: Any) -> Any:
        """The same into buffers, as ``socket.recvmsg_into()``."""
        return self._retry(READABLE, super().recvmsg_into, *args)

    # Sending.

    @switchpoint
    def send(self, data: Any, flags: int = 0) -> int:
        """Send what goes of *data*; return how many bytes."""
        return int(self._retry(WRITABLE, super().send, data, flags))

    @switchpoint
    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of *data*; the timeout holds for all of it."""
        until = self._until()
        with memoryview(data) as whole, whole.cast('B') as view:
            sent = 0
            while sent < len(view):
                try:
                    sent += super().send(view[sent:], flags)
                except BlockingIOError:
                    if self._seconds == 0:
                        raise
                    self._wait(WRITABLE, until)

    @switchpoint
    def sendto(self, data: Any, *args: Any) -> int:
        """Send a datagram: ``sendto(data, [flags,] address)``; return how many bytes."""
        return int(self._retry(WRITABLE, super().sendto, data, *args))

    @switchpoint
    def sendmsg(self, *args: Any) -> int:
        """Send with ancillary data, as ``socket.sendmsg()``."""
        return int(self._retry(WRITABLE, super().sendmsg, *args))

    @switchpoint
    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send *file* from *offset* on, up to its end or *count* bytes; return how many.

        As in the standard library, the position in the file is then behind what was sent.
        """
        self._check_sendfile_params(file, offset, count)  # type: ignore[attr-defined]
        if offset:
            file.seek(offset)
        total = 0
        try:
            while count is None or total < count:
                data = file.read(65536 if count is None else min(65536, count - total))
                if not data:
                    break
                self.sendall(data)
                total += len(data)
            return total
        finally:
            if total and hasattr(file, 'seek'):
                file.seek(offset + total)

    # The end.

    def dup(self) -> Socket:
        """Return another socket for the same connection."""
        fd = _socket.dup(self.fileno()) if hasattr(_socket, 'dup') else os.dup(self.fileno())
        made = type(self)(self.family, self.type, self.proto, fileno=fd)
        made.settimeout(self._seconds)
        return made

    def detach(self) -> int:
        """Return the descriptor, which is the caller's from now on, and non-blocking."""
        self._let_go()
        return super().detach()

    def _real_close(self, *args: Any) -> None:
        self._let_go()
        super()._real_close(*args)  # type: ignore[misc]

    def _let_go(self) -> None:
        readiness, self._readiness = self._readiness, None
        if readiness is None or not readiness.usable:
            return
        if readiness.hub.thread == get_ident():
            readiness.close()
        else:
            _drop(readiness)


@switchpoint
def create_connection(
    address: tuple[str, int],
    timeout: float | None = None,
    source_address: tuple[str, int] | None = None,
) -> Socket:
    """Connect to the first of the addresses of *address* that answers, and return the socket.

    *timeout*, in seconds, is for each of them, and stays that of the socket.

    :raises OSError: none could be connected to.
    """
    host, port = address
    error: Optional[OSError] = None
    for info in getaddrinfo(host, port, 0, _socket.SOCK_STREAM):
        sock = None
        try:
            sock = Socket(info.family, info.socktype, info.proto)
            sock.settimeout(timeout)
            if source_address is not None:
                sock.bind(source_address)
            sock.connect(info.sockaddr)
            return sock
        except OSError as exc:
            error = exc
            if sock is not None:
                sock.close()
        except BaseException:
            if sock is not None:
                sock.close()
            raise
    raise error or OSError(f'no address was found for {host}')


def create_server(address: Address, **kwargs: Any) -> Socket:
    """Return a socket that listens; the arguments are those of ``socket.create_server()``."""
    made = _socket.create_server(address, **kwargs)
    return Socket(made.family, made.type, made.proto, fileno=made.detach())


def socketpair(*args: Any) -> tuple[Socket, Socket]:
    """Return two sockets that are connected, as ``socket.socketpair()``."""
    one, two = _socket.socketpair(*args)
    return (
        Socket(one.family, one.type, one.proto, fileno=one.detach()),
        Socket(two.family, two.type, two.proto, fileno=two.detach()),
    )


def fromfd(fd: int, family: int, type: int, proto: int = 0) -> Socket:  # noqa: A002 - as in socket
    """Return a socket for a duplicate of *fd*."""
    return Socket(family, type, proto, fileno=os.dup(fd))
