"""Data of which every fiber has its own."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from .carriers import BareFiber, current_fiber


class local:  # noqa: N801 - the name that threading uses
    """An object whose attributes are the current fiber's own.

    They go away with the fiber.
    """

    __slots__ = ('_of_fiber',)

    _of_fiber: WeakKeyDictionary[BareFiber, dict[str, Any]]

    def __init__(self) -> None:
        object.__setattr__(self, '_of_fiber', WeakKeyDictionary())

    def __getattr__(self, name: str) -> Any:
        try:
            return self._of_fiber[current_fiber()][name]
        except KeyError:
            raise AttributeError(f'{name!r} is not set in this fiber') from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._of_fiber.setdefault(current_fiber(), {})[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self._of_fiber[current_fiber()][name]
        except KeyError:
            raise AttributeError(f'{name!r} is not set in this fiber') from None
