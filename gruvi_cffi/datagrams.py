"""Datagrams: sockets with a protocol."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Union

from . import limits
from ._native.loop import Loop
from ._native.udp import UdpHandle
from .address import AddressInfo, check_ip, getaddrinfo
from .errors import TransportError, check_timeout
from .hub import get_hub, switchpoint
from .switchpoints import assert_no_switchpoints
from .transports import DatagramTransport

__all__ = ['create_datagram_endpoint']

Source = Union[tuple[Any, ...], socket.socket, int, UdpHandle, None]


@switchpoint
def create_datagram_endpoint(
    protocol_factory: Callable[[], Any],
    local_address: Source = None,
    remote_address: tuple[Any, ...] | None = None,
    *,
    family: int = 0,
    reuse_port: bool = False,
    broadcast: bool = False,
    timeout: float | None = limits.RESOLVER_TIMEOUT,
) -> tuple[DatagramTransport, Any]:
    """Make a UDP socket, and return the transport and the protocol.

    *local_address*, ``(host, port)``, is where it receives; without one the system chooses. It may
    also be an open descriptor, a socket of Python's (both are taken over), or a UDP handle. With
    *remote_address* it sends there, and receives from there only. *family* is AF_INET or AF_INET6
    for an endpoint without any address, or to choose among those of a name. *timeout*, in seconds,
    is for looking up names.

    :raises ResolverError: a name is unknown.
    :raises TransportError: the address is in use, or not one of this machine; or the descriptor is
        no datagram socket.
    :raises TypeError: an address is none.
    :raises ValueError: the addresses have no family in common, or it is the name of a Unix socket,
        which libuv has no datagrams for.
    """
    check_timeout(timeout)
    hub = get_hub()
    if local_address is None or isinstance(local_address, (tuple, str, bytes)):
        pair = _look_up(local_address, remote_address, family, timeout)
        handle = _open(hub.loop, *pair, family, reuse_port)
    else:
        handle = _take_over(hub.loop, local_address)
        if remote_address is not None:
            _connect(handle, _addresses(remote_address, family, timeout)[0])
    try:
        if broadcast:
            handle.set_broadcast(True)
        transport = DatagramTransport(handle)
    except BaseException:
        handle.abort()
        raise
    try:
        protocol = protocol_factory()
        with assert_no_switchpoints():  # as for all callbacks of protocols
            transport.start(protocol)
    except BaseException:
        transport.abort()
        raise
    return transport, protocol


def _addresses(address: Any, family: int, timeout: float | None) -> list[AddressInfo]:
    if isinstance(address, (str, bytes)):
        raise ValueError(f'there are no datagrams for Unix sockets such as {address!r}')
    check_ip(address)
    host, port, *rest = address
    found = getaddrinfo(host, port, family, socket.SOCK_DGRAM, timeout=timeout)
    if rest:  # with flow and scope
        found = [info._replace(sockaddr=info.sockaddr[:2] + tuple(rest)) for info in found]
    return found


def _look_up(
    local: Any, remote: Any, family: int, timeout: float | None
) -> tuple[AddressInfo | None, AddressInfo | None]:
    """Return the first pair of addresses that are of one family."""
    ours = [None] if local is None else _addresses(local, family, timeout)
    theirs = [None] if remote is None else _addresses(remote, family, timeout)
    for their in theirs:
        for our in ours:
            if our is None or their is None or our.family == their.family:
                return our, their
    raise ValueError(f'{local!r} and {remote!r} have no family of addresses in common')


def _open(
    loop: Loop, local: AddressInfo | None, remote: AddressInfo | None, family: int, reuse_port: bool
) -> UdpHandle:
    info = local or remote
    handle = UdpHandle(loop, family or socket.AF_INET if info is None else info.family)
    try:
        if local is not None:
            handle.bind(*local.sockaddr, reuse_port=reuse_port)
        if remote is not None:
            handle.connect(*remote.sockaddr)
    except BaseException:
        handle.abort()
        raise
    return handle


def _take_over(loop: Loop, given: Any) -> UdpHandle:
    if isinstance(given, UdpHandle):
        return given
    if isinstance(given, socket.socket):
        handle = UdpHandle(loop, fd=given.fileno())
        given.detach()
        return handle
    if isinstance(given, int) and not isinstance(given, bool):
        return UdpHandle(loop, fd=given)
    raise TypeError(f'need (host, port), a descriptor or a socket, not {given!r}')


def _connect(handle: UdpHandle, info: AddressInfo) -> None:
    try:
        handle.connect(*info.sockaddr)
    except TransportError:
        handle.abort()
        raise
