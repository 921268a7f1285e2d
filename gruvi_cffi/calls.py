"""What a hub is asked to do, and what it asks when it is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional, Protocol

from greenlet import getcurrent


class Resumable(Protocol):
    """What can stand in the queue of a hub, at whose head it stays until it is ``done``.

    ``target()`` returns the greenlet to switch to, and changes nothing that it would not find
    again when it is asked once more. The caller, which is the hub or a fiber that waits, then sets
    ``done``, unless it is the hub's greenlet, and switches. None: look at the head again, where it
    is done now, or stands no more.

    ``passed`` is what ``hub.switch()`` returns or raises there: (value, exception), or None.
    """

    done: bool

    @property
    def passed(self) -> Optional[Passed]: ...
    def target(self) -> Any: ...


Passed = tuple[Any, Optional[BaseException]]


class _Hub(Protocol):
    greenlet: Any

    def call(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None: ...


class Call:
    """A call that the hub is asked to make."""

    __slots__ = ('_args', '_callback', '_hub', 'done')

    passed = None

    def __init__(self, hub: _Hub, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._hub = hub
        self._callback = callback
        self._args = args
        self.done = False

    def target(self) -> Any:
        hub = self._hub
        if getcurrent() is not hub.greenlet:
            return hub.greenlet
        self.done = True
        hub.call(self._callback, self._args)
        return None


class Mark:
    """A place in the queue, which the hub takes away again; *target* is a method of it."""

    __slots__ = ('done', 'target')

    passed = None

    def __init__(self, target: Callable[[], Any]) -> None:
        self.done = False
        self.target = target


class NoLoop:
    """In place of the loop, once the hub is closed: nobody waits."""

    waiting = False
    failure = None

    def wake(self) -> None:
        """Wake nobody."""
