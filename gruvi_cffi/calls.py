"""What a hub is asked to do, and what it asks when it is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional, Protocol

NOBODY = object()  # what resume() returns if there was nothing to continue


class Resumable(Protocol):
    """What can stand in the queue of a hub, at whose head it stays until it is ``done``.

    ``resume()`` is called by the hub, or by a fiber that waits: instead of the hub, which would
    cost a switch more. It is done before it continues something. What it returns is then what the
    caller's own ``hub.switch()`` returns, when that is continued in its turn. Or it returns NOBODY
    at once; then it is done, or stands no more at the head.
    """

    done: bool

    def resume(self) -> Any: ...


class _Hub(Protocol):
    def call(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None: ...
    def in_hub(self) -> bool: ...
    def to_hub(self) -> Any: ...


class Call:
    """A call that the hub is asked to make."""

    __slots__ = ('_args', '_callback', '_hub', 'done')

    def __init__(self, hub: _Hub, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._hub = hub
        self._callback: Optional[Callable[..., object]] = callback
        self._args = args
        self.done = False

    def resume(self) -> Any:
        hub = self._hub
        if not hub.in_hub():
            return hub.to_hub()
        self.done = True
        callback, self._callback = self._callback, None
        if callback is not None:
            hub.call(callback, self._args)
        return NOBODY


class Mark:
    """A place in the queue that only *passed*, a method of the hub, takes away."""

    __slots__ = ('resume',)

    done = False

    def __init__(self, passed: Callable[[], Any]) -> None:
        self.resume = passed


class NoLoop:
    """In place of the loop, once the hub is closed: nobody waits."""

    waiting = False
    failure = None

    def wake(self) -> None:
        """Wake nobody."""
