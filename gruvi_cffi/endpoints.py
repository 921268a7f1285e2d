"""Endpoints: clients and servers, which connect protocols with transports."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, ItemsView
from functools import partial
from typing import Any, Optional

from . import limits
from ._native.loop import Loop
from ._native.pipe import PipeHandle
from ._native.stream import StreamHandle
from .address import check_ip, getaddrinfo
from .connect import Deadline, Target, connect_tcp, connect_unix, open_fd, open_socket
from .errors import Timeout, TransportError, check_timeout
from .handshakes import Handshakes, wait_secured
from .hub import get_hub, sleep, switch_back, switchpoint
from .listeners import Listener, bind_tcp, bind_unix
from .protocols import BaseProtocol
from .ssl import as_context, check_context
from .switchpoints import assert_no_switchpoints
from .transports import Transport
from .transports.tls import TlsTransport

__all__ = ['Client', 'Endpoint', 'Server', 'create_connection', 'create_server', 'getaddrinfo']


_UNBOUND = (('0.0.0.0', 0), ('::', 0, 0, 0))  # what the system then listens on, at any port


_MOST_ROUNDS = 100  # each takes a part of the backlog


@switchpoint
def create_connection(
    protocol_factory: Callable[[], Any],
    address: Target,
    ssl: Any = False,
    server_hostname: str | None = None,
    local_address: tuple[Any, ...] | None = None,
    family: int = 0,
    flags: int = 0,
    ipc: bool = False,
    timeout: float | None = None,
    mode: str = 'rw',
) -> tuple[Transport, Any]:
    """Connect to *address*, and return the transport and the protocol.

    *address* is the name of a Unix socket, ``(host, port)``, an open file descriptor or a socket of
    Python's (which is taken over, and closed if anything fails from then on), or a connected
    handle. Of the addresses that a host has, the
    next is tried when one has failed or did not answer within ``limits.ATTEMPT_DELAY`` (RFC 8305).
    *timeout*, in seconds, holds for all of it. *family* and *flags* are for ``getaddrinfo()``. With
    *ipc*, descriptors can be passed over it: see ``Transport.write()`` and ``take_fd()``.

    For *ssl* see ``gruvi_cffi.ssl``: unless it is False, the protocol's ``connection_made()`` is
    called behind the TLS handshake. The server's certificate must be for *server_hostname*, which
    is by default the host that was connected to.

    :raises CertificateError: the peer's certificate is not trusted, or for another name.
    :raises ConnectTimeout: the time was over; a handshake has ``limits.TLS_HANDSHAKE_TIMEOUT``.
    :raises ResolverError: the host is unknown.
    :raises TlsError: the TLS handshake has failed.
    :raises TransportError: nobody listens there, or the descriptor cannot be used.
    :raises TypeError: *address* is none of these, or *ssl* is no context.
    :raises ValueError: the port, the mode or the timeout is none; *ipc* is true, but it is no Unix
        socket, or there is *ssl* too; there is no name to be checked; or the context is a server's.
    """
    _check_plain(ssl, ipc, mode)
    context = None if callable(ssl) else as_context(ssl, server_side=False)
    hub = get_hub()
    address = os.fspath(address) if isinstance(address, os.PathLike) else address
    deadline = Deadline(timeout, address)
    if local_address is not None:
        if not isinstance(address, tuple):
            raise ValueError(f'a local address is for TCP, not for {address!r}')
        check_ip(local_address)
    if isinstance(address, tuple):
        check_ip(address)
        handle = connect_tcp(
            hub, address, deadline, family=family, flags=flags, local_address=local_address
        )
        server_hostname = server_hostname or address[0]
    elif isinstance(address, (str, bytes)):
        handle = connect_unix(hub, address, deadline)
    else:
        handle = _take_over(hub.loop, address)
    try:
        if ipc:
            _allow_passing(handle)
        if callable(ssl):
            context = as_context(ssl, False, handle)
        if context is None:
            transport = Transport(handle, server_hostname, mode)
        else:
            transport = TlsTransport(handle, context, False, server_hostname)
    except BaseException:
        if handle is not address:
            handle.abort()
        raise
    try:
        protocol = _make_protocol(protocol_factory, timeout)
        if isinstance(transport, TlsTransport):
            wait_secured(transport, partial(transport.start, protocol), deadline.left())
        else:
            with assert_no_switchpoints():  # as for all callbacks of protocols
                transport.start(protocol)
    except BaseException:
        transport.abort()
        raise
    return transport, protocol


@switchpoint
def create_server(
    protocol_factory: Callable[[], Any],
    address: Target | None = None,
    ssl: Any = False,
    family: int = 0,
    flags: int = 0,
    ipc: bool = False,
    backlog: int = limits.BACKLOG,
    reuse_port: bool = False,
    timeout: float | None = None,
) -> Server:
    """Return a server that listens on *address*, unless that is None; see ``Server.listen()``.

    *timeout* is that of the server.
    """
    server = Server(protocol_factory, timeout)
    if address is not None:
        server.listen(address, ssl, family, flags, ipc, backlog, reuse_port)
    return server


def _check_plain(ssl: Any, ipc: bool, mode: str = 'rw') -> None:
    """Raise ValueError for what is not possible with TLS."""
    if ssl and ipc:
        raise ValueError('descriptors cannot be passed over TLS')
    if ssl and mode != 'rw':
        raise ValueError(f'TLS needs both directions, not the mode {mode!r}')


def _allow_passing(handle: StreamHandle) -> None:
    if not isinstance(handle, PipeHandle):
        raise ValueError(f'descriptors travel only over Unix sockets, not over {handle!r}')
    handle.allow_passing(limits.PASSED_FDS)


def _take_over(loop: Loop, given: Any) -> StreamHandle:
    if isinstance(given, StreamHandle):
        return given
    if isinstance(given, socket.socket):
        return open_socket(loop, given)
    if isinstance(given, int) and not isinstance(given, bool):
        return open_fd(loop, given)
    raise TypeError(f'need a name, (host, port), a descriptor or a socket, not {given!r}')


def _take_passed(loop: Loop, transport: Transport) -> StreamHandle:
    fd = transport.take_fd()
    if fd is None:
        raise TransportError(f'no descriptor was passed to {transport!r}')
    try:
        return open_fd(loop, fd)
    except BaseException:
        os.close(fd)
        raise


def _take_over_bound(loop: Loop, given: Any) -> StreamHandle:
    if isinstance(given, socket.socket) and given.getsockname() in _UNBOUND:
        raise ValueError(f'need a socket that is bound, not {given!r}')
    return _take_over(loop, given)


def _make_protocol(protocol_factory: Callable[[], Any], timeout: float | None) -> Any:
    protocol = protocol_factory()
    if timeout is not None and isinstance(protocol, BaseProtocol):
        protocol._timeout = timeout
    return protocol


class Endpoint:
    """What clients and servers share. *timeout*, in seconds, is that of their protocols.

    :raises ValueError: *timeout* is negative, or no number.
    """

    def __init__(self, protocol_factory: Callable[[], Any], timeout: float | None = None) -> None:
        check_timeout(timeout)
        self._protocol_factory = protocol_factory
        self._timeout = timeout

    @property
    def timeout(self) -> float | None:
        return self._timeout


class Client(Endpoint):
    """Makes one connection at a time. After one was lost, or closed, it can make another."""

    def __init__(self, protocol_factory: Callable[[], Any], timeout: float | None = None) -> None:
        super().__init__(protocol_factory, timeout)
        self._transport: Optional[Transport] = None
        self._protocol: Any = None
        self._connecting = False

    @property
    def transport(self) -> Transport | None:
        """The transport, None before ``connect()`` and after ``close()``."""
        return self._transport

    @property
    def protocol(self) -> Any:
        """The protocol, None before ``connect()`` and after ``close()``."""
        return self._protocol

    @switchpoint
    def connect(self, address: Target, **kwargs: Any) -> None:
        """Connect to *address*; arguments and errors are those of ``create_connection()``.

        :raises RuntimeError: it is connected.
        """
        if self._connecting or (self._transport is not None and not self._transport.closed):
            raise RuntimeError('the client is connected already')
        kwargs.setdefault('timeout', self._timeout)
        self._connecting = True
        try:
            made = create_connection(self._protocol_factory, address, **kwargs)
        finally:
            self._connecting = False
        self._transport, self._protocol = made

    @switchpoint
    def close(self, timeout: float | None = None) -> None:
        """Close the connection, and wait until it is closed; after *timeout* seconds abort it.

        Does nothing if not connected. It can connect again afterwards.
        """
        transport, self._transport, self._protocol = self._transport, None, None
        if transport is not None:
            transport.close()
            wait_closed([transport], timeout)


@switchpoint
def wait_closed(transports: list[Transport], timeout: float | None) -> None:
    """Wait until all are closed. Those that are not after *timeout* seconds are aborted."""
    try:
        in_time = _all_closed(transports, timeout)
    except BaseException:
        for transport in transports:
            transport.abort()
        raise
    if not in_time:
        for transport in transports:
            transport.abort()
        _all_closed(transports, None)


def _all_closed(transports: list[Transport], timeout: float | None) -> bool:
    """Return True once all are closed, or False after *timeout* seconds."""
    left = {transport for transport in transports if not transport.closed}

    def one_less(transport: Transport) -> None:
        left.discard(transport)
        if not left:
            switcher.switch()

    if not left:
        return True
    with switch_back(timeout) as switcher:
        for transport in tuple(left):
            transport.add_close_callback(one_less, transport)
        try:
            get_hub().switch()
        except Timeout as expired:
            if expired is not switcher.timeout:
                raise
            return False
    return True


class Server(Endpoint):
    """Accepts connections, and gives each a transport and a protocol of its own.

    ``max_connections`` bounds how many there are at once; one more is accepted and closed.
    """

    max_connections: Optional[int] = None
    tls_transport: type[TlsTransport] = TlsTransport

    def __init__(self, protocol_factory: Callable[[], Any], timeout: float | None = None) -> None:
        super().__init__(protocol_factory, timeout)
        self._listeners: list[Listener] = []
        self._addresses: list[Any] = []
        self._connections: dict[Transport, Any] = {}
        self._handshakes = Handshakes(
            self.tls_transport, self._start, partial(self._hold, 'handshakes')
        )
        self._held_by: set[str] = set()  # why nothing is accepted

    @property
    def addresses(self) -> list[Any]:
        """The addresses that were bound, with the ports that the system chose."""
        return self._addresses

    @property
    def connections(self) -> ItemsView[Transport, Any]:
        """The connections that are open: pairs of transport and protocol."""
        return self._connections.items()

    @switchpoint
    def listen(
        self,
        address: Target,
        ssl: Any = False,
        family: int = 0,
        flags: int = 0,
        ipc: bool = False,
        backlog: int = limits.BACKLOG,
        reuse_port: bool = False,
    ) -> None:
        """Listen on *address*; more addresses may follow.

        That is the name of a Unix socket, ``(host, port)`` (each address of the host), a bound
        socket of Python's (which is taken over), or a bound handle. The kernel keeps up to
        *backlog* connections that were not accepted yet; with *reuse_port* several processes may
        listen on the port. With *ipc*, descriptors can be passed over the connections.

        For *ssl* see ``gruvi_cffi.ssl``. The protocol is made when the TLS handshake is done; who
        fails in that, or takes longer than ``limits.TLS_HANDSHAKE_TIMEOUT``, is dropped, which is
        logged for debugging. There can be ``limits.TLS_HANDSHAKES`` at once; then accepting pauses.

        :raises ResolverError: the host is unknown.
        :raises TransportError: the address is in use, or not ours; nothing listens then.
        :raises TypeError: *address* is none of these, or *ssl* is no context.
        :raises ValueError: the socket is not bound; *ipc* is true, but it is no Unix socket, or
            there is *ssl* too; or the context is a client's, or has no certificate.
        """
        _check_plain(ssl, ipc)
        check_context(ssl)
        loop = get_hub().loop
        address = os.fspath(address) if isinstance(address, os.PathLike) else address
        if ipc and isinstance(address, tuple):
            raise ValueError(f'descriptors travel only over Unix sockets, not over {address!r}')
        if isinstance(address, tuple):
            check_ip(address)
            host, port = address[:2]
            flags |= socket.AI_PASSIVE
            found = getaddrinfo(host or None, port, family, socket.SOCK_STREAM, 0, flags)
            listeners = bind_tcp(loop, found, reuse_port)
        elif isinstance(address, (str, bytes)):
            listeners = bind_unix(loop, address)
        else:
            listeners = [Listener(_take_over_bound(loop, address))]
        accept = self._accept_passing if ipc else partial(self.handle_accepted, ssl=ssl)
        try:
            for listener in listeners:
                listener.listen(backlog, accept)
            self._addresses += [listener.handle.getsockname() for listener in listeners]
        except BaseException:
            for listener in listeners:
                listener.close()
            raise
        self._listeners += listeners

    def _accept_passing(self, handle: StreamHandle) -> None:
        _allow_passing(handle)
        self.handle_accepted(handle)

    def accept_connection(
        self, source: Transport | StreamHandle | socket.socket | int, ssl: Any = False
    ) -> None:
        """Start a connection over a descriptor that another process has accepted.

        *source* is the transport that it was passed to, whose ``take_fd()`` has it (what cannot be
        used is closed), or a connected descriptor, socket or handle, which is taken over.

        :raises TransportError: nothing was passed, or it is no connection.
        :raises ValueError: it is a socket of another type; the transport was not made with
            ``ipc=True``; or the context is a client's, or has no certificate.
        """
        check_context(ssl)
        loop = get_hub().loop
        if isinstance(source, Transport):
            handle = _take_passed(loop, source)
        else:
            handle = _take_over(loop, source)
        try:
            self.handle_accepted(handle, ssl)
        except BaseException:
            handle.abort()
            raise

    def handle_accepted(self, handle: StreamHandle, ssl: Any = False) -> None:
        """Start a connection over a handle that was accepted."""
        count = len(self._connections) + len(self._handshakes.transports)
        if self.max_connections is not None and count >= self.max_connections:
            handle.close()
        elif context := as_context(ssl, True, handle):
            self._handshakes.begin(handle, context)
        else:
            self._start(Transport(handle))

    def _start(self, transport: Transport) -> None:
        try:
            protocol = _make_protocol(self._protocol_factory, self._timeout)
            self._connections[transport] = protocol
            transport.keeper = self
            self.connection_made(transport, protocol)
            transport.start(protocol)
        except BaseException:
            transport.abort()
            raise

    def forget(self, transport: Transport) -> None:
        """Drop a connection that was closed."""
        protocol = self._connections.pop(transport)
        self.connection_lost(transport, protocol, transport.error)

    def connection_made(self, transport: Transport, protocol: Any) -> None:
        """Called before the protocol's ``connection_made()``; for subclasses."""

    def connection_lost(
        self, transport: Transport, protocol: Any, exc: Exception | None = None
    ) -> None:
        """Called before the protocol's ``connection_lost()``; for subclasses."""

    @switchpoint
    def close(self, timeout: float | None = None) -> None:
        """Accept no more, close the connections behind what is queued, and wait for all of them.

        After *timeout* seconds those that are left are aborted; without it, each is given time for
        as long as its peer takes something every ``limits.FLUSH_TIMEOUT`` seconds. It can listen
        again afterwards.
        """
        self.stop_listening()
        transports = list(self._connections)
        for transport in transports:
            transport.close()
        wait_closed(transports, timeout)

    def accept(self, on: bool) -> None:
        """Accept connections, or let those who connect wait until this is called again."""
        self._hold('the program', not on)

    def _hold(self, why: str, on: bool) -> None:
        """Accept nothing while there is a reason for that."""
        (self._held_by.add if on else self._held_by.discard)(why)
        for listener in self._listeners:
            listener.accept(not self._held_by)

    @switchpoint
    def accept_rest(self) -> None:
        """Accept who has connected by now, and listen no more: nobody who waited is cut.

        Where the system can do it (Linux, TCP and Unix sockets of our own), nobody can connect from
        the beginning of this call on, and so nobody is cut who would between the last accept and
        the end.
        """
        for listener in self._listeners:
            listener.refuse()
        for listener in self._listeners[:]:
            with contextlib.suppress(TransportError):  # without descriptors they cannot be helped
                # Where they cannot be kept from coming, they might do so for ever.
                for _ in range(_MOST_ROUNDS):
                    if not listener.accept_rest():
                        break
                    sleep(0)
            if listener in self._listeners:
                self._listeners.remove(listener)
                listener.close()

    def stop_listening(self) -> None:
        """Accept no more; the connections that there are stay, but not half a TLS handshake."""
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.close()
        self._handshakes.abort()

    @switchpoint
    def run(self) -> None:
        """Serve until KeyboardInterrupt, which is swallowed. Nothing is closed."""
        with contextlib.suppress(KeyboardInterrupt):
            sleep(None)
