"""TCP handles."""

from __future__ import annotations

from .._gv import lib
from .errors import check
from .loop import Loop
from .stream import StreamHandle


def _show(host: str, port: int) -> str:
    return f'[{host}]:{port}' if ':' in host else f'{host}:{port}'


class TcpHandle(StreamHandle):
    """A TCP connection or listener.

    One that is to be bound needs its *family*, AF_INET or AF_INET6. Hosts are numeric.

    :raises TransportError: there are no descriptors or no memory.
    :raises RuntimeError: the loop belongs to another thread.
    """

    __slots__ = ()

    def __init__(self, loop: Loop, family: int = 0) -> None:
        self._attach(loop, check(lib.gv_tcp_new(loop._ptr, family), 'make a TCP handle'))

    def bind(
        self,
        host: str,
        port: int,
        *,
        flow: int = 0,
        scope: int = 0,
        ipv6_only: bool = False,
        reuse_port: bool = False,
    ) -> None:
        """Bind to an address; the port 0 lets the system choose one."""
        flags = (lib.GV_BIND_IPV6ONLY if ipv6_only else 0) | (
            lib.GV_BIND_REUSEPORT if reuse_port else 0
        )
        rc = lib.gv_tcp_bind(self._ptr, self.id, host.encode(), port, flow, scope, flags)
        check(rc, f'bind to {_show(host, port)}')

    def connect(self, host: str, port: int, flow: int = 0, scope: int = 0) -> None:
        """Connect; ``owner.handle_connected(exc)`` follows."""
        rc = lib.gv_tcp_connect(self._ptr, self.id, host.encode(), port, flow, scope)
        check(rc, f'connect to {_show(host, port)}')

    def open(self, fd: int) -> None:
        """Take over a TCP socket. It stays the caller's if this raises."""
        check(lib.gv_tcp_open(self._ptr, self.id, fd), f'open file descriptor {fd} as TCP')

    def set_nodelay(self, on: bool) -> None:
        """Send small pieces at once (TCP_NODELAY); accepted connections do."""
        check(lib.gv_tcp_nodelay(self._ptr, self.id, on), 'set TCP_NODELAY')

    def set_keepalive(self, seconds: int | None) -> None:
        """Ask a peer that was silent for *seconds* whether it is there; None does not."""
        rc = lib.gv_tcp_keepalive(self._ptr, self.id, seconds is not None, seconds or 0)
        check(rc, 'set SO_KEEPALIVE')
