"""Who looks up names: the system, or an object of the application."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from typing import Any, Optional, Protocol, Union

from .hub import get_hub, switch_back, switchpoint
from .lookups import Lookups
from .resolverthreads import get_threads

__all__ = ['Resolver', 'SystemResolver', 'get_resolver', 'set_resolver']

Text = Union[str, bytes, None]
Found = tuple[int, int, int, str, tuple[Any, ...]]  # as the socket module has it


class Resolver(Protocol):
    """What an object needs to be given to ``set_resolver()``.

    Its methods are called in a fiber of their own and may wait as fibers do. What blocks belongs
    into ``blocking()``. They are cancelled when nobody waits for the answer any more, and may be
    called in several threads at once. A name that cannot be looked up is a ``ResolverError``, or
    any other OSError.
    """

    def getaddrinfo(
        self,
        node: Text,
        service: str | bytes | int | None,
        family: int,
        socktype: int,
        protocol: int,
        flags: int,
    ) -> Sequence[Found]:
        """Return the addresses of *node*, as ``socket.getaddrinfo()`` does."""

    def getnameinfo(self, sockaddr: tuple[Any, ...], flags: int) -> tuple[str, str]:
        """Return the names of a host and a service, as ``socket.getnameinfo()`` does."""


class SystemResolver:
    """Asks getaddrinfo(3) and getnameinfo(3), in a few daemon threads that do nothing else."""

    @switchpoint
    def getaddrinfo(
        self,
        node: Text,
        service: str | bytes | int | None,
        family: int,
        socktype: int,
        protocol: int,
        flags: int,
    ) -> Sequence[Found]:
        """See ``Resolver.getaddrinfo()``."""
        args = (node, service, family, socktype, protocol, flags)
        found: Sequence[Found] = _in_thread(socket.getaddrinfo, args)
        return found

    @switchpoint
    def getnameinfo(self, sockaddr: tuple[Any, ...], flags: int) -> tuple[str, str]:
        """See ``Resolver.getnameinfo()``."""
        names: tuple[str, str] = _in_thread(socket.getnameinfo, (sockaddr, flags))
        return names


def _in_thread(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    hub = get_hub()
    with switch_back() as switcher:
        # When nobody waits any more, it is inactive: a late answer is dropped.
        get_threads().submit(function, args, switcher)
        (result, error), _ = hub.switch()
    if error is not None:
        raise error
    return result


_lookups = Lookups(SystemResolver())


def get_resolver() -> Resolver:
    """Return the resolver that all threads use: what was set, or a ``SystemResolver``."""
    return _lookups.resolver


def set_resolver(resolver: Optional[Resolver]) -> None:
    """Make all threads use *resolver* from now on; None is the system's.

    What was answered so far is forgotten, also if it is the same as before.

    :raises TypeError: it has not both methods.
    """
    global _lookups
    resolver = SystemResolver() if resolver is None else resolver
    for method in ('getaddrinfo', 'getnameinfo'):
        if not callable(getattr(resolver, method, None)):
            raise TypeError(f'need a resolver, which has {method}(), not {resolver!r}')
    _lookups = Lookups(resolver)


def get_lookups() -> Lookups:
    """Return what all questions go through."""
    return _lookups


def _after_fork() -> None:
    set_resolver(_lookups.resolver)  # who was asked, and who holds the lock, stays in the parent


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_after_fork)
