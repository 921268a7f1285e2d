"""Making a connection: one socket, or a race of several (RFC 8305, "happy eyeballs")."""

from __future__ import annotations

import errno
import itertools
import os
import socket
import stat
from collections import deque
from collections.abc import Iterable
from time import monotonic
from typing import Any, Optional, Union

from . import limits
from ._native.loop import Loop
from ._native.pipe import PipeHandle
from ._native.stream import StreamHandle
from ._native.tcp import TcpHandle
from ._native.tty import TtyHandle
from .address import AddressInfo, forget_address, getaddrinfo, saddr
from .errors import ConnectTimeout, Timeout, TransportError, check_timeout
from .hub import Hub, sleep, switch_back

Target = Union[str, bytes, 'os.PathLike[str]', tuple[Any, ...], int, socket.socket, StreamHandle]

# Seconds; a full backlog empties soon or not at all.
RETRY_DELAYS = (0.001, 0.005, 0.01, 0.05, 0.1)


class Deadline:
    """Until when a connection has to be there."""

    def __init__(self, seconds: float | None, address: Any) -> None:
        check_timeout(seconds)
        self._seconds = seconds
        self._at = None if seconds is None else monotonic() + seconds
        self._address = address

    def left(self) -> float | None:
        """Return the seconds that are left, or None if there is no limit."""
        return None if self._at is None else max(0.0, self._at - monotonic())

    def error(self) -> ConnectTimeout:
        """Return the error for a connection that was not there in time."""
        where = saddr(self._address).replace('\0', '@')  # an abstract name, as ss(8) shows it
        return ConnectTimeout(f'could not connect to {where} within {self._seconds} seconds')


def open_fd(loop: Loop, fd: int) -> StreamHandle:
    """Take over *fd*: a stream socket, a pipe, a FIFO, or a terminal.

    :raises TransportError: it is none of them, or closed.
    :raises ValueError: it is a socket of another type.
    """
    try:
        kind = kind_of(fd)
    except OSError as error:
        doing = f'open file descriptor {fd}'
        raise TransportError.from_errno(error.errno or errno.EBADF, doing) from None
    handle = kind(loop)
    try:
        handle.open(fd)
    except BaseException:
        handle.abort()
        raise
    return handle


def kind_of(fd: int) -> type[TcpHandle] | type[PipeHandle] | type[TtyHandle]:
    """Return which handle is for *fd*.

    :raises OSError: it is closed.
    :raises ValueError: it is a socket of another type.
    """
    if not stat.S_ISSOCK(os.fstat(fd).st_mode):
        return TtyHandle if os.isatty(fd) else PipeHandle
    borrowed = socket.socket(fileno=fd)
    family, kind = borrowed.family, borrowed.type
    borrowed.detach()
    if kind != socket.SOCK_STREAM:
        raise ValueError(f'need a stream socket, not one of type {kind!r}')
    return TcpHandle if family in (socket.AF_INET, socket.AF_INET6) else PipeHandle


def open_socket(loop: Loop, given: socket.socket) -> StreamHandle:
    """Take over a socket of Python's, which is detached.

    :raises TransportError: it is closed.
    :raises ValueError: it is no stream socket.
    """
    handle = open_fd(loop, given.fileno())
    given.detach()
    return handle


def connect_unix(hub: Hub, name: str | bytes, deadline: Deadline) -> StreamHandle:
    """Return a handle that is connected to a Unix socket.

    :raises TransportError: nobody listens there.
    :raises ConnectTimeout: the listener's backlog stayed full.
    """
    handle = PipeHandle(hub.loop)
    race = _Race(hub)
    delays = itertools.chain(RETRY_DELAYS, itertools.repeat(RETRY_DELAYS[-1]))
    try:
        while True:
            try:
                handle.connect(name)
                break
            except BlockingIOError:
                _wait_to_retry(deadline, next(delays))
        race.enter(handle, name)
        return race.run(deadline)
    except BaseException:
        handle.abort()
        raise


def _wait_to_retry(deadline: Deadline, delay: float) -> None:
    left = deadline.left()
    if left == 0:
        raise deadline.error()
    sleep(delay if left is None else min(delay, left))


def connect_tcp(
    hub: Hub,
    address: tuple[Any, ...],
    deadline: Deadline,
    *,
    family: int = 0,
    flags: int = 0,
    local_address: tuple[Any, ...] | None = None,
) -> StreamHandle:
    """Return a handle that is connected to one of the addresses that *address* means.

    :raises ResolverError: its name is unknown.
    :raises TransportError: none could be connected to.
    :raises ConnectTimeout: the time is over.
    """
    found = _look_up(address, family, flags, deadline)
    local = None if local_address is None else _look_up(local_address, family, 0, deadline)
    try:
        return _Race(hub, interleave(found), local).run(deadline)
    except TransportError:
        # The host may have moved.
        host, port = address[:2]
        forget_address(host, port, family, socket.SOCK_STREAM, 0, flags)
        raise


def _look_up(
    address: tuple[Any, ...], family: int, flags: int, deadline: Deadline
) -> list[AddressInfo]:
    host, port = address[:2]
    left = deadline.left()
    timeout = limits.RESOLVER_TIMEOUT if left is None else left
    try:
        found = getaddrinfo(host, port, family, socket.SOCK_STREAM, 0, flags, timeout=timeout)
    except Timeout as expired:
        if deadline.left() != 0:
            raise  # not ours
        raise deadline.error() from expired
    if len(address) > 2:  # with flow and scope
        found = [info._replace(sockaddr=info.sockaddr[:2] + address[2:]) for info in found]
    return found


def interleave(found: Iterable[AddressInfo]) -> list[AddressInfo]:
    """Return the addresses with the families taking turns (RFC 8305, section 4)."""
    families: dict[int, list[AddressInfo]] = {}
    for info in found:
        families.setdefault(info.family, []).append(info)
    rounds = itertools.zip_longest(*families.values())
    return [info for some in rounds for info in some if info is not None]


class _Attempt:
    """The owner of a handle that is connecting."""

    __slots__ = ('_race', 'address', 'handle')

    def __init__(self, race: _Race, handle: StreamHandle, address: Any) -> None:
        self._race = race
        self.handle = handle
        self.address = address

    def handle_connected(self, error: TransportError | None) -> None:
        self._race.report(self, error)

    def handle_closed(self) -> None:
        """It lost."""


class _Race:
    """Attempts to connect that begin one after the other; the first that succeeds wins."""

    def __init__(
        self,
        hub: Hub,
        candidates: Iterable[AddressInfo] = (),
        local: list[AddressInfo] | None = None,
    ) -> None:
        self._hub = hub
        self._candidates = deque(candidates)
        self._local = local
        self._running: list[_Attempt] = []
        self._finished: deque[tuple[_Attempt, Optional[TransportError]]] = deque()
        self._errors: list[TransportError] = []
        self._switcher: Any = None

    def enter(self, handle: StreamHandle, address: Any) -> None:
        """Let a handle that is connecting take part."""
        attempt = _Attempt(self, handle, address)
        handle.owner = attempt
        self._running.append(attempt)

    def report(self, attempt: _Attempt, error: TransportError | None) -> None:
        self._finished.append((attempt, error))
        if self._switcher is not None:
            self._switcher.switch()

    def run(self, deadline: Deadline) -> StreamHandle:
        """Return the first handle that is connected; the others are closed."""
        try:
            while True:
                if self._candidates:
                    self._start(self._candidates.popleft())
                while self._running and self._wait(deadline):
                    winner = self._take_finished()
                    if winner is not None:
                        self._running.remove(winner)
                        return winner.handle
                    if self._candidates:
                        break  # one has failed: the next need not wait
                if not self._running and not self._candidates:
                    raise self._failure()
        finally:
            for attempt in self._running:
                attempt.handle.abort()

    def _start(self, info: AddressInfo) -> None:
        try:
            handle = TcpHandle(self._hub.loop, info.family)
        except TransportError as error:
            self._errors.append(error)
            return
        try:
            if self._local is not None:
                self._bind(handle, info)
            handle.set_nodelay(True)
            handle.connect(*info.sockaddr)
        except TransportError as error:
            handle.abort()
            self._errors.append(error)
        except BaseException:
            handle.abort()
            raise
        else:
            self.enter(handle, info.sockaddr)

    def _bind(self, handle: TcpHandle, remote: AddressInfo) -> None:
        for info in self._local or ():
            if info.family == remote.family:
                host, port, *rest = info.sockaddr
                handle.bind(host, port, scope=rest[1] if rest else 0)
                return
        where = saddr(remote.sockaddr)
        raise TransportError(
            f'could not connect to {where}: the local address is of another family'
        )

    def _wait(self, deadline: Deadline) -> bool:
        """Wait until an attempt has finished; return False when the next is to start."""
        if self._finished:
            return True
        left = deadline.left()
        if left == 0:
            raise deadline.error()
        if self._candidates:
            left = limits.ATTEMPT_DELAY if left is None else min(left, limits.ATTEMPT_DELAY)
        with switch_back(left) as self._switcher:
            try:
                self._hub.switch()
            except Timeout as timeout:
                if timeout is not self._switcher.timeout:
                    raise
                return False
            finally:
                self._switcher = None
        return True

    def _take_finished(self) -> _Attempt | None:
        attempt, error = self._finished.popleft()
        if error is None:
            return attempt
        self._running.remove(attempt)
        attempt.handle.abort()
        doing = f'connect to {saddr(attempt.address)}'
        self._errors.append(TransportError.from_errno(error.uv_errno or 0, doing))
        return None

    def _failure(self) -> TransportError:
        if len(self._errors) == 1:
            return self._errors[0]
        last = self._errors[-1]
        return type(last)('; '.join(str(error) for error in self._errors), last.uv_errno)
