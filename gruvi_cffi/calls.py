"""What a hub is asked to do, and what it asks when it is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional, Protocol


class Resumable(Protocol):
    """What the hub can be asked to continue. It must do so once, however often it is called."""

    def resume(self) -> None: ...


class _Hub(Protocol):
    def call(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None: ...


class Call:
    """A call that the hub is asked to make."""

    __slots__ = ('_args', '_callback', '_hub')

    def __init__(self, hub: _Hub, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._hub = hub
        self._callback: Optional[Callable[..., object]] = callback
        self._args = args

    def resume(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            self._hub.call(callback, self._args)


class NoLoop:
    """In place of the loop, once the hub is closed: nobody waits."""

    waiting = False
    failure = None

    def wake(self) -> None:
        """Wake nobody."""
