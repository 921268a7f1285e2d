"""UDP handles."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from .._gv import ffi, lib
from .errors import check, error_from
from .loop import DISPATCH, Handle, Loop
from .stream import Buffer

_ADDRESS = lib.GV_UDP_ADDRESS
_KNOWN = 1024  # addresses that need not be made again
_gv_udp_send_to = lib.gv_udp_send_to


class UdpHandle(Handle):
    """A UDP socket of *family*, AF_INET or AF_INET6, or the datagram socket *fd*, taken over.

    Hosts are numeric. Datagrams go to ``deliver(data, address)``, which may be changed at any time;
    what the kernel refuses to send, or says of those sent before, to ``owner.handle_refused(exc)``.

    :raises TransportError: there are no descriptors or no memory, or *fd* is no such socket.
    """

    __slots__ = ('_flushing', '_senders', '_targets', 'deliver')

    deliver: Callable[[bytes, tuple[Any, ...]], object]

    def __init__(self, loop: Loop, family: int = socket.AF_INET, fd: int | None = None) -> None:
        if fd is None:
            rc = lib.gv_udp_new(loop._ptr, family)
            self._attach(loop, check(rc, 'make a UDP handle'))
        else:
            rc = lib.gv_udp_open(loop._ptr, fd)
            self._attach(loop, check(rc, f'open file descriptor {fd} for datagrams'))
        self._senders: dict[bytes, tuple[Any, ...]] = {}
        self._targets: dict[tuple[Any, ...], bytes] = {}  # the same the other way
        self._flushing = False  # closed, but the queue still leaves

    def on_data(self, data: bytes) -> None:
        """Take a datagram behind the address that it is from."""
        if self.closed:
            return
        raw = data[:_ADDRESS]
        address = self._senders.get(raw)
        if address is None:
            name = ffi.new('gv_address *')
            check(lib.gv_udp_sender(raw, name), 'tell where a datagram is from')
            address = _tuple_of(name)
            if len(self._senders) >= _KNOWN:
                self._senders.clear()
                self._targets.clear()
            self._senders[raw] = address
            self._targets[address] = raw
        self.deliver(data[_ADDRESS:], address)

    def bind(
        self, host: str, port: int, flow: int = 0, scope: int = 0, *,
        ipv6_only: bool = False, reuse_port: bool = False,
    ) -> None:  # fmt: skip
        """Bind to an address; the port 0 lets the system choose one."""
        flags = (lib.GV_BIND_IPV6ONLY if ipv6_only else 0) | (
            lib.GV_BIND_REUSEPORT if reuse_port else 0
        )
        rc = lib.gv_udp_bind(self._ptr, self.id, host.encode(), port, flow, scope, flags)
        check(rc, f'bind to {host} port {port}')

    def connect(self, host: str, port: int, flow: int = 0, scope: int = 0) -> None:
        """Talk to one peer only."""
        rc = lib.gv_udp_connect(self._ptr, self.id, host.encode(), port, flow, scope)
        check(rc, f'connect to {host} port {port}')

    def disconnect(self) -> None:
        """Talk to everybody again."""
        check(lib.gv_udp_connect(self._ptr, self.id, ffi.NULL, 0, 0, 0), 'disconnect')

    def send(self, data: Buffer, address: tuple[Any, ...] | None = None) -> int:
        """Queue one datagram; return the size of the queue in bytes.

        :raises TransportError: EDESTADDRREQ without an address unless connected, EISCONN with one
            if connected, EMSGSIZE if no datagram can be so large, or the handle is closed.
        """
        if type(data) is not bytes:
            with memoryview(data) as view:
                data = view.tobytes()
        if address is None:
            rc = lib.gv_udp_send(self._ptr, self.id, data, len(data), ffi.NULL, 0, 0, 0)
        else:
            raw = self._targets.get(address)
            if raw is None:
                raw = self._target(address)
            rc = _gv_udp_send_to(self._ptr, self.id, data, len(data), raw)
        if rc < 0:
            raise error_from(rc, 'send a datagram')
        return int(rc)

    def _target(self, address: tuple[Any, ...]) -> bytes:
        host, port, flow, scope = (*address, 0, 0)[:4]
        raw = ffi.new('char[]', _ADDRESS)
        rc = lib.gv_udp_target(raw, host.encode(), port, flow, scope)
        check(rc, f'send a datagram to {host} port {port}')
        if len(self._targets) >= _KNOWN:
            self._targets.clear()
        made = self._targets[address] = bytes(ffi.buffer(raw))
        return made

    @property
    def write_queue_size(self) -> int:
        """How many bytes are queued; 0 once it is closed."""
        return max(0, int(lib.gv_udp_pending(self._ptr, self.id)))

    def set_watermarks(self, high: int, low: int) -> None:
        """Have ``handle_drain()`` called when the queue falls from above *high* to *low* bytes."""
        check(lib.gv_udp_watermarks(self._ptr, self.id, high, low), 'set the watermarks')

    def read_start(self) -> None:
        """Receive datagrams; a handle that is not bound gets a port by that."""
        check(lib.gv_udp_read_start(self._ptr, self.id), 'start to receive')

    def read_stop(self) -> None:
        """Receive no more; what this batch still holds comes."""
        check(lib.gv_udp_read_stop(self._ptr, self.id), 'stop to receive')

    # Options.

    def join(self, group: str, local: str | None = None, source: str | None = None) -> None:
        """Receive what is sent to the multicast *group*, by *source* if that is given.

        *local* says on which interface: its address, or for IPv6 ``'%name'`` or ``'::%name'``.
        """
        self._member(lib.GV_UDP_JOIN, group, local, source)

    def leave(self, group: str, local: str | None = None, source: str | None = None) -> None:
        """Take back the ``join()`` of the same arguments."""
        self._member(lib.GV_UDP_LEAVE, group, local, source)

    def _member(self, what: int, group: str, local: str | None, source: str | None) -> None:
        texts = [ffi.NULL if text is None else text.encode() for text in (local, source)]
        rc = lib.gv_udp_member(self._ptr, self.id, what, group.encode(), *texts)
        check(rc, f'{"join" if what else "leave"} the group {group}')

    def set_interface(self, local: str | None) -> None:
        """Send to groups through the interface with this address; None leaves it to the system."""
        text = ffi.NULL if local is None else local.encode()
        check(lib.gv_udp_interface(self._ptr, self.id, text), f'send through {local}')

    def set_broadcast(self, on: bool) -> None:
        """Allow to send to broadcast addresses."""
        self._set(lib.GV_UDP_BROADCAST, on, 'broadcast')

    def set_ttl(self, hops: int) -> None:
        """Let datagrams pass so many routers, 1 to 255."""
        self._set(lib.GV_UDP_TTL, hops, 'set the time to live')

    def set_multicast_ttl(self, hops: int) -> None:
        """The same for those to groups."""
        self._set(lib.GV_UDP_MULTICAST_TTL, hops, 'set the time to live')

    def set_multicast_loop(self, on: bool) -> None:
        """Let sockets of this host have what is sent to groups."""
        self._set(lib.GV_UDP_MULTICAST_LOOP, on, 'set IP_MULTICAST_LOOP')

    def set_buffers(self, receive: int | None = None, send: int | None = None) -> None:
        """Ask the kernel for buffers of so many bytes; it has a limit of its own."""
        if receive is not None:
            self._set(lib.GV_UDP_RECEIVE_BUFFER, receive, 'set the size of a buffer')
        if send is not None:
            self._set(lib.GV_UDP_SEND_BUFFER, send, 'set the size of a buffer')

    def _set(self, option: int, value: int, doing: str) -> None:
        check(lib.gv_udp_set(self._ptr, self.id, option, value), doing)

    # Names, and the end.

    def getsockname(self) -> tuple[Any, ...]:
        """Return our address."""
        return self._name(0, 'get the name of the socket')

    def getpeername(self) -> tuple[Any, ...]:
        """Return that of the peer.

        :raises TransportError: ENOTCONN if there is none.
        """
        return self._name(1, 'get the name of the peer')

    def _name(self, peer: int, doing: str) -> tuple[Any, ...]:
        name = ffi.new('gv_address *')
        check(lib.gv_udp_name(self._ptr, self.id, peer, name), doing)
        return _tuple_of(name)

    def close(self) -> None:
        """Close behind what is queued. Doing so again does nothing."""
        if not self.closed:
            self._flushing = check(lib.gv_udp_close(self._ptr, self.id), 'close') > 0
            self.closed = True

    def abort(self) -> None:
        """Close now, and drop what is queued. Doing so again does nothing."""
        if not self._flushing:
            super().abort()
            return
        self._flushing = False
        rc = lib.gv_handle_close(self._ptr, self.id)
        if rc not in (lib.UV_EBADF, lib.UV_EALREADY):  # it may just have closed by itself
            check(rc, 'abort')


def _tuple_of(name: Any) -> tuple[Any, ...]:
    text = bytes(ffi.buffer(name.text, name.length)).decode('ascii')
    if name.family == socket.AF_INET:
        return text, name.port
    return text, name.port, name.flow, name.scope


def _refused(handle: UdpHandle, code: int) -> None:
    if not handle.closed:
        handle.owner.handle_refused(error_from(code, 'send a datagram'))


DISPATCH[lib.GV_REFUSED] = _refused
