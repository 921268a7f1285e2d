"""redis-py on fibers: connections over our sockets, and waiting that lets other fibers run.

redis-py takes the class of its connections, of its locks and of the backoff between two attempts as
arguments, so nothing is patched. The rest of it works as it is.
"""

from __future__ import annotations

import queue
import socket
from time import monotonic
from typing import Any

import redis
import redis.backoff
import redis.lock

from ..hub import sleep, switchpoint
from ..local import local
from ..socket import Socket, create_connection
from ..sync import Semaphore

__all__ = ['Backoff', 'Connection', 'ConnectionPool', 'Lock', 'UnixDomainSocketConnection']


class Connection(redis.Connection):
    """A connection over TCP whose calls wait like those of a ``gruvi_cffi.socket.Socket``."""

    def _connect(self) -> Socket:
        address = (self.host, self.port)
        sock = create_connection(address, self.socket_connect_timeout, family=self.socket_type)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.socket_keepalive:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                for option, value in self.socket_keepalive_options.items():
                    sock.setsockopt(socket.IPPROTO_TCP, option, value)
            sock.settimeout(self.socket_timeout)
        except BaseException:
            sock.close()
            raise
        return sock


class UnixDomainSocketConnection(redis.UnixDomainSocketConnection):
    """The same over a Unix socket."""

    def _connect(self) -> Socket:
        sock = Socket(socket.AF_UNIX)
        try:
            sock.settimeout(self.socket_connect_timeout)
            sock.connect(self.path)
            sock.settimeout(self.socket_timeout)
        except BaseException:
            sock.close()
            raise
        return sock


class ConnectionPool(redis.BlockingConnectionPool):
    """Up to *max_connections* connections; who wants one more waits for *timeout* seconds.

    It has the arguments of redis-py's ``BlockingConnectionPool``. Of its connection classes those
    for TCP and Unix sockets are replaced by the ones above, so ``from_url()`` works too.

    :raises ValueError: *connection_class* is redis-py's for TLS, which this version has not.
    """

    def __init__(
        self,
        max_connections: int = 50,
        timeout: float | None = 20,
        connection_class: type[Any] = Connection,
        **kwargs: Any,
    ) -> None:
        if issubclass(connection_class, redis.SSLConnection):
            raise ValueError(f'this version has no TLS: {connection_class.__name__}')
        super().__init__(  # type: ignore[no-untyped-call]
            max_connections=max_connections,
            timeout=timeout,
            connection_class=_OURS.get(connection_class, connection_class),
            queue_class=_Stack,
            **kwargs,
        )


_OURS: dict[type[Any], type[Any]] = {
    redis.Connection: Connection,
    redis.UnixDomainSocketConnection: UnixDomainSocketConnection,
}


class _Stack:
    """What a pool needs of ``queue.LifoQueue``, for fibers."""

    def __init__(self, maxsize: int) -> None:
        self.queue: list[Any] = []
        self._maxsize = maxsize
        self._count = Semaphore(0)

    def put_nowait(self, item: Any) -> None:
        if len(self.queue) >= self._maxsize:
            raise queue.Full
        self.queue.append(item)
        self._count.release()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if not self._count.acquire(block, timeout):
            raise queue.Empty
        return self.queue.pop()


class Backoff(redis.backoff.AbstractBackoff):
    """Another backoff whose time passes while other fibers run. It is for ``redis.retry.Retry``."""

    def __init__(self, backoff: redis.backoff.AbstractBackoff) -> None:
        self._backoff = backoff

    def reset(self) -> None:
        """Begin anew."""
        self._backoff.reset()

    @switchpoint
    def compute(self, failures: int) -> float:
        """Wait as long as the other one says, and return 0: nothing is left to be waited for."""
        seconds = self._backoff.compute(failures)
        if seconds > 0:
            sleep(seconds)
        return 0.0


class Lock(redis.lock.Lock):
    """A lock in the server that fibers wait for, and that belongs to one: pass it as *lock_class*.

    ``client.lock('name', lock_class=Lock)``
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.thread_local:
            self.local = local()  # type: ignore[assignment]
            self.local.token = None

    @switchpoint
    def acquire(
        self,
        sleep: float | None = None,
        blocking: bool | None = None,
        blocking_timeout: float | None = None,
        token: str | None = None,
    ) -> bool:
        """Take the lock, and return True; False without *blocking* or after *blocking_timeout*."""
        pause = self.sleep if sleep is None else sleep
        blocking = self.blocking if blocking is None else blocking
        limit = self.blocking_timeout if blocking_timeout is None else blocking_timeout
        until = None if limit is None else monotonic() + limit
        while not super().acquire(blocking=False, token=token):
            if not blocking or (until is not None and monotonic() + pause > until):
                return False
            _sleep(pause)
        return True


_sleep = sleep  # which is the name of an argument above
