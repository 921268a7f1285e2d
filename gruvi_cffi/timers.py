"""The timers of a hub: a heap with lazy cancel, and a list of those that are new.

Nearly every timer is cancelled, and soon: it guards a wait that ends in time. So the new ones stand
in no order, of which only the earliest time is known; they go into the heap when that comes, or
when they are many, and by then most of them are gone. Cancelling only empties the timer, and when
half of the heap is empty ones, it is rebuilt without them.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from typing import Any

Call = tuple[Callable[..., object], tuple[Any, ...]]

_FEW = 64  # cancelled timers that are not worth a rebuild
_NEW = 512  # timers that need no order yet

_CALL = 2


class Timer(list[Any]):
    """A call that will be made at ``when``, in seconds of ``time.monotonic()``."""

    # It is its own entry in the heap: [when, number, call or None, timers]. The number decides
    # between equal times, so a comparison never comes to the call. With an object beside the entry,
    # starting and cancelling took twice as long.
    __slots__ = ()

    @property
    def when(self) -> float:
        when: float = self[0]
        return when

    @property
    def active(self) -> bool:
        return self[_CALL] is not None

    def cancel(self) -> None:
        """Take the call back. Does nothing if it was made or cancelled."""
        if self[_CALL] is not None:
            self[_CALL] = None
            timers: Timers = self[3]
            timers.cancelled += 1
            if timers.cancelled > _FEW:
                timers.tidy()


class Timers:
    """What is to be called when."""

    def __init__(self) -> None:
        self.heap: list[Timer] = []
        self.new: list[Timer] = []
        self._from = math.inf  # none of the new ones is due before that
        self.cancelled = 0  # of those in both
        self._number = itertools.count()

    def __len__(self) -> int:
        return len(self.heap) + len(self.new) - self.cancelled

    def add(self, when: float, call: Call) -> Timer:
        """Start a timer for *call* at *when*.

        :raises ValueError: *when* is no time: in a heap, all behind it would be late.
        """
        if not when > -math.inf:
            raise ValueError(f'need a time in seconds, not {when!r}')
        timer = Timer((when, next(self._number), call, self))
        self.new.append(timer)
        if when < self._from:
            self._from = when
        if len(self.new) > _NEW:
            self._settle()
        return timer

    def _settle(self) -> None:
        """Put those of the new ones into the heap that are not cancelled."""
        new, self.new = self.new, []
        self._from = math.inf
        try:
            while new:
                timer = new[-1]
                if timer[_CALL] is None:
                    self.cancelled -= 1
                else:
                    heapq.heappush(self.heap, timer)
                new.pop()
        except BaseException:  # of a signal handler
            self.new += new
            self._from = -math.inf
            raise

    def nearest(self) -> float | None:
        """Return when the next call may be due, or None if there is none."""
        heap = self.heap
        while heap and heap[0][_CALL] is None:
            heapq.heappop(heap)
            self.cancelled -= 1
        first = min(heap[0][0], self._from) if heap else self._from
        return first if self.new or heap else None

    def next_number(self) -> int:
        """Return a number that only timers added from now on exceed."""
        return next(self._number)

    def pop_due(self, now: float, number: int) -> Call | None:
        """Take out the next call that is due at *now* and was added before *number* was taken."""
        if self._from <= now:
            self._settle()
        heap = self.heap
        while heap and heap[0][0] <= now and heap[0][1] < number:
            timer = heapq.heappop(heap)
            call: Call | None = timer[_CALL]
            if call is not None:
                timer[_CALL] = None
                return call
            self.cancelled -= 1
        return None

    def tidy(self) -> None:
        """Drop the cancelled timers if they are the half."""
        if self.cancelled * 2 <= len(self.heap) + len(self.new):
            return
        self._settle()
        if self.cancelled * 2 > len(self.heap):
            self.heap = [timer for timer in self.heap if timer[_CALL] is not None]
            heapq.heapify(self.heap)
            self.cancelled = 0
