"""Carriers: the greenlets that fibers run on.

A new greenlet costs twenty times as much as one that is used again, so a fiber leases a carrier
from its hub's pool when it first runs, and gives it back when it ends. Name, context, result and
exception belong to the fiber.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Optional

from greenlet import GreenletExit, getcurrent, greenlet

from . import limits

_BLOCK = 64  # carriers whose stacks lie together


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

    __slots__ = ('fiber', 'pool', 'serial')  # a dict would weigh 100 bytes more

    fiber: Any

    def __init__(self, pool: Carriers, serial: int) -> None:
        super().__init__(_work, pool.parent)
        self.pool = pool
        self.serial = serial


def _work() -> None:
    # No method of the carrier, which would need 150 bytes more on the stack of each.
    carrier: Any = getcurrent()
    idle = carrier.pool.idle
    ready = carrier.pool.ready
    pause = carrier.pool.pause
    kind = type(carrier.fiber)
    while True:
        carrier.fiber.work()
        # What comes next mostly is a fiber that is to begin: it can do so right here. Its entry is
        # at the head until it is done with, as Hub.pause() has it.
        entry = ready[0]
        if entry.done:
            ready.popleft()
            entry = ready[0]
        if type(entry) is kind and not entry.done:
            entry.begin(carrier)
            entry.done = True
            entry = None  # it may be all that keeps the fiber
            continue
        entry = None
        # Otherwise an idle carrier would keep alive whatever the last context held.
        carrier.gr_context = None
        carrier.fiber = None
        try:
            idle.append(carrier)
            # If a fiber is to be started, it will be on this carrier.
            while carrier.fiber is None:
                pause()
        except GreenletExit:
            raise
        except BaseException:  # of a signal handler
            if carrier in idle:
                idle.remove(carrier)
            raise


def _whole_blocks(idle: list[Carrier], count: int) -> tuple[list[Carrier], list[Carrier]]:
    """Take some *count* of *idle*, which is in order, but only in whole blocks. Return the rest."""
    chosen: list[Carrier] = []
    rest: list[Carrier] = []
    at = 0
    while at < len(idle):
        end = at + _BLOCK
        first = idle[at].serial
        whole = (
            first % _BLOCK == 0 and end <= len(idle) and idle[end - 1].serial == first + _BLOCK - 1
        )
        if whole and len(chosen) < count:
            chosen += idle[at:end]
            at = end
        else:
            rest.append(idle[at])
            at += 1
    return chosen, rest


class Carriers:
    """The carriers of a hub, whose greenlet is *parent*.

    *ready* is its queue, and ``pause()`` is how one that has nothing to do lets others run.
    """

    def __init__(self, parent: greenlet, ready: deque[Any], pause: Callable[[], Any]) -> None:
        self.parent = parent
        self.ready = ready
        self.pause = pause
        self.idle: list[Carrier] = []
        self._surplus: list[Carrier] = []  # to be freed, the oldest at the end
        self._serial = 0
        self._not_above = sys.maxsize  # live fibers: beside more, nothing is to be found

    def make(self) -> Carrier:
        """Return a new carrier. It works for its ``fiber`` once it is switched to."""
        if self._surplus:
            return self._surplus.pop()
        self._serial += 1
        return Carrier(self, self._serial)

    def trim(self, live: int) -> bool:
        """Free a few of the carriers that are too many beside *live* fibers; False: none is left.

        A quarter is set aside at a time, so that the sorting costs little, and few are freed in a
        turn: each takes as long as some fibers do to run, and a million would stop the hub for ten
        seconds.
        """
        if not self._surplus:
            most = max(limits.IDLE_CARRIERS, live)
            if len(self.idle) <= most or live > self._not_above:
                return False
            self._choose(len(self.idle) - most + most // 4, live)
        for _ in range(min(limits.FREED_CARRIERS, len(self._surplus))):
            self._surplus.pop().throw(GreenletExit)
        return True

    def _choose(self, count: int, live: int) -> None:
        """Set *count* idle ones aside, in order of creation, which is that of the stacks in memory.

        Each that is left between two that are gone is a map of its own, and at 65,530 maps
        (vm.max_map_count) the kernel takes nothing back any more: a random half of a million would
        stay for ever. So beside many fibers only blocks go that are idle as a whole.
        """
        self.idle.sort(key=attrgetter('serial'))
        if live <= limits.SCATTERED_FIBERS:
            chosen, self.idle[:] = self.idle[:count], self.idle[count:]
        else:
            chosen, self.idle[:] = _whole_blocks(self.idle, count)
        # If there are too few now, the end of a few more fibers will not have made enough.
        self._not_above = sys.maxsize if len(chosen) >= count else live * 3 // 4
        self._surplus = chosen[::-1]

    def free(self) -> None:
        """Free all idle carriers. In the hub's fiber."""
        freed = sorted(self.idle + self._surplus, key=attrgetter('serial'))
        self.idle.clear()
        self._surplus.clear()
        for carrier in freed:
            carrier.throw(GreenletExit)
