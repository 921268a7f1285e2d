"""Carriers: the greenlets that fibers run on.

A new greenlet costs twenty times as much as one that is used again, so a fiber leases a carrier
from its hub's pool when it first runs, and gives it back when it ends. Name, context, result and
exception belong to the fiber.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Optional

from greenlet import GreenletExit, getcurrent, greenlet

from . import limits


class BareFiber:
    """Whatever runs on a stack of its own: the root of a thread, its hub, or a Fiber.

    ``carrier`` is the greenlet it runs on, None before it starts and after it ended. ``context`` is
    free for the application.
    """

    __slots__ = ('__weakref__', '_name', 'carrier', 'context')

    carrier: Optional[greenlet]
    context: Any
    _name: str

    def __init__(self, name: str, carrier: greenlet | None) -> None:
        self._name = name
        self.carrier = carrier
        self.context = None

    def __repr__(self) -> str:
        return f'<{type(self).__name__} {self.name!r}>'

    @property
    def name(self) -> str:
        return self._name

    @property
    def alive(self) -> bool:
        return self.carrier is not None

    def is_alive(self) -> bool:
        """Return True until it has ended."""
        return self.alive


def current_fiber() -> BareFiber:
    """Return what is running: a Fiber, or the thread's root or hub."""
    current: Any = getcurrent()
    try:
        fiber: BareFiber = current.fiber
        return fiber
    except AttributeError:
        return adopt(current, 'Root')


def adopt(native: Any, name: str) -> BareFiber:
    """Give a greenlet that is not a carrier what makes it known as a fiber."""
    fiber = BareFiber(name, native)
    native.fiber = fiber
    return fiber


class Carrier(greenlet):
    """A greenlet that works for one fiber after the other."""

    __slots__ = ('_pool', 'fiber', 'serial')  # a dict would weigh 100 bytes more

    fiber: Any

    def __init__(self, pool: Carriers, serial: int) -> None:
        super().__init__(parent=pool.parent)
        self._pool = pool
        self.serial = serial

    def run(self) -> None:
        pool = self._pool
        pause = pool.parent.switch
        while True:
            self.fiber.work()
            # Otherwise an idle carrier would keep alive whatever the last context held.
            self.gr_context = None
            self.fiber = None
            pool.idle.append(self)
            pause()


class Carriers:
    """The carriers of a hub, whose greenlet is *parent*."""

    def __init__(self, parent: greenlet) -> None:
        self.parent = parent
        self.idle: list[Carrier] = []
        self._serial = 0

    def make(self) -> Carrier:
        """Return a new carrier. It works for its ``fiber`` once it is switched to."""
        self._serial += 1
        return Carrier(self, self._serial)

    def trim(self, live: int) -> None:
        """Free the carriers that are too many beside *live* fibers.

        In order of creation: to end a random half of a million stacks punches so many holes into
        the address space that the kernel refuses (vm.max_map_count). A quarter at a time, so that
        the sorting costs little.
        """
        most = max(limits.IDLE_CARRIERS, live)
        if len(self.idle) > most:
            self.idle.sort(key=attrgetter('serial'))
            self.free(len(self.idle) - most + most // 4)

    def free(self, count: int) -> None:
        """Free the first *count* idle carriers. In the hub's fiber."""
        freed = self.idle[:count]
        del self.idle[:count]
        for carrier in freed:
            carrier.throw(GreenletExit)
