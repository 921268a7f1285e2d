"""Sockets as in the standard library, for fibers.

``Socket`` is a ``socket.socket``, so whatever accepts one takes it: a client that is written in
Python runs in a fiber, and no module is patched for that. New code is better off with streams.
"""

from __future__ import annotations

import errno
import os
import socket as _socket
import sys
from collections.abc import Callable
from itertools import chain, repeat
from time import monotonic
from typing import TYPE_CHECKING, Any, Optional, Union

from . import limits, threads
from ._native.poll import READABLE, WRITABLE
from .address import getaddrinfo
from .connect import RETRY_DELAYS
from .errors import ResolverError, Timeout
from .hub import get_hub, sleep, switchpoint
from .readiness import Readiness
from .ssl import as_context

if TYPE_CHECKING:
    from .tlssocket import TlsSocket
if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

__all__ = ['Socket', 'create_connection', 'create_server', 'fromfd', 'socketpair']

# Libraries pass it on, so a marker of our own would not do.
_DEFAULT: Any = getattr(_socket, '_GLOBAL_DEFAULT_TIMEOUT', object())
_UNIX = getattr(_socket, 'AF_UNIX', None)

Address = Union[tuple[Any, ...], str, bytes]


class Socket(_socket.socket):
    """A socket whose methods wait as those of ``socket.socket`` do, but let other fibers run.

    Arguments, results and errors are the standard library's: a call that takes longer than the
    timeout raises ``socket.timeout``; with a timeout of 0 it raises BlockingIOError instead of
    waiting. Closing it wakes the fibers that wait for it with an OSError of EBADF. It may be used
    by the fibers of one thread at a time (RuntimeError). What waits is a switch point.
    """

    __slots__ = ('_calls', '_readiness', '_seconds')

    def __init__(
        self,
        family: int = -1,
        type: int = -1,  # noqa: A002 - as in socket
        proto: int = -1,
        fileno: Optional[int] = None,
    ) -> None:
        super().__init__(family, type, proto, fileno)
        self._seconds: Optional[float] = _socket.getdefaulttimeout()
        self._readiness: Optional[Readiness] = None
        self._calls = 0  # since others had a turn
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
        self._calls = 0
        left = None if until is None else max(0.0, until - monotonic())
        hub = get_hub()
        readiness = self._readiness
        if readiness is None or readiness.hub is not hub or not readiness.usable:
            if readiness is not None and readiness.busy:
                raise RuntimeError('fibers of another thread wait for this socket')
            self._let_go()
            readiness = self._readiness = Readiness(hub, self)
        try:
            readiness.wait(event, left)
        except Timeout:
            raise _socket.timeout('timed out') from None

    def _until(self) -> float | None:
        return None if self._seconds is None else monotonic() + self._seconds

    def _take_turn(self) -> None:
        """Let others run if there was no need to wait for a long time.

        Before a call: what a call has brought would be lost if the fiber was cancelled here.
        """
        self._calls += 1
        if self._calls < limits.SOCKET_CALLS or self._seconds == 0:
            return
        self._calls = 0
        hub = threads.find()
        if hub is not None and hub.is_alive():
            sleep(0)

    def _retry(self, event: int, call: Callable[..., Any], *args: Any) -> Any:
        until = self._until()
        self._take_turn()
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
        address = self._resolved(address)
        until = self._until()
        code = super().connect_ex(address)
        if code == errno.EAGAIN and self.family == _UNIX and self._seconds != 0:
            code = self._connect_again(address, until)
        if code not in (errno.EINPROGRESS, errno.EALREADY) or self._seconds == 0:
            return code
        self._wait(WRITABLE, until)
        return self.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)

    def _connect_again(self, address: Any, until: float | None) -> int:
        """Connect to a Unix socket whose backlog is full; nothing says when it is not."""
        for delay in chain(RETRY_DELAYS, repeat(RETRY_DELAYS[-1])):
            if until is not None and monotonic() >= until:
                break
            sleep(delay if until is None else min(delay, max(0.0, until - monotonic())))
            code = super().connect_ex(address)
            if code != errno.EAGAIN:
                return code
        raise _socket.timeout('timed out')

    def _resolved(self, address: Any) -> Any:
        """Return *address* with its host looked up; what is no address is for the system to say."""
        if self.family not in (_socket.AF_INET, _socket.AF_INET6) or not isinstance(address, tuple):
            return address
        host = address[0] if len(address) >= 2 else ''
        if not isinstance(host, str) or host in ('', '<broadcast>'):
            return address
        timeout = limits.RESOLVER_TIMEOUT if self._seconds == 0 else self._seconds
        try:
            found = getaddrinfo(host, 0, self.family, self.type, timeout=timeout)
        except ResolverError as error:
            raise _socket.gaierror(error.errno, str(error)) from None
        except Timeout:
            raise _socket.timeout('timed out') from None
        number, _, *scope = found[0].sockaddr
        return (number, *(address[1:] if len(address) > 2 else (address[1], *scope)))

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
        self._take_turn()
        with memoryview(data) as whole, whole.cast('B') as view:
            sent = 0
            while True:
                try:
                    sent += super().send(view[sent:], flags)
                    if sent >= len(view):
                        return
                except BlockingIOError:
                    if self._seconds == 0:
                        raise
                    self._wait(WRITABLE, until)

    @switchpoint
    def sendto(self, data: Any, *args: Any) -> int:
        """Send a datagram: ``sendto(data, [flags,] address)``; return how many bytes."""
        if args:
            args = (*args[:-1], self._resolved(args[-1]))
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

    # TLS.

    @switchpoint
    def wrap(
        self, context: Any = True, server_side: bool = False, server_hostname: str | None = None
    ) -> TlsSocket:
        """Begin TLS, and return a socket that speaks it; this one is detached then.

        *context* is a ``TlsContext``, one of the standard library, or True for a client that trusts
        whom the system trusts. A client asks for *server_hostname*, for which the server's
        certificate must be. The timeout holds for each wait of the handshake, and
        ``limits.TLS_HANDSHAKE_TIMEOUT`` for all of it. If that fails, the connection is closed.

        :raises CertificateError: the peer's certificate is not trusted, or for another name.
        :raises TlsError: the handshake has failed.
        :raises TypeError: *context* is none.
        :raises ValueError: it is for the other side, or there is no name to be checked.
        :raises socket.timeout: it took too long.
        """
        from .tlssocket import TlsSocket

        found = as_context(context, server_side, self)
        if found is None:
            raise ValueError(f'need a context or True, not {context!r}')
        peer = None if server_side else self._peer()
        engine = found.make_engine(server_side, server_hostname, peer)  # nothing is taken over yet
        made = TlsSocket(self.family, self.type, self.proto, fileno=self.detach())
        try:
            made.settimeout(self._seconds)
            made.begin(found, engine, server_side, server_hostname, self._read_ahead())
            made.do_handshake()
        except BaseException:
            made.close()
            raise
        return made

    def _read_ahead(self) -> bytes:
        """Return what was read already, and not received by anyone."""
        return b''

    def _peer(self) -> Any:
        try:
            return self.getpeername()
        except OSError:  # which the handshake will say
            return None

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
        if readiness is not None:
            readiness.let_go()


@switchpoint
def create_connection(
    address: tuple[str, int],
    timeout: float | None = _DEFAULT,
    source_address: tuple[str, int] | None = None,
    *,
    all_errors: bool = False,
    family: int = 0,
) -> Socket:
    """Connect to the first of the addresses of *address* that answers, and return the socket.

    *timeout*, in seconds, is for each of them, and stays that of the socket. *family* is one of
    ``AF_INET`` and ``AF_INET6``; this the standard library does not have.

    :raises OSError: none could be connected to: the last error, or with *all_errors* an
        ExceptionGroup of all.
    """
    host, port = address
    errors: list[OSError] = []
    for info in getaddrinfo(host, port, family, _socket.SOCK_STREAM):
        sock = None
        try:
            sock = Socket(info.family, info.socktype, info.proto)
            if timeout is not _DEFAULT:
                sock.settimeout(timeout)
            if source_address is not None:
                sock.bind(source_address)
            sock.connect(info.sockaddr)
            return sock
        except OSError as error:
            errors.append(error)
            if sock is not None:
                sock.close()
        except BaseException:
            if sock is not None:
                sock.close()
            raise
    try:
        raise ExceptionGroup('create_connection failed', errors) if all_errors else errors[-1]
    finally:
        errors.clear()  # they refer to this frame


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
