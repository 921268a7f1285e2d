"""Barriers: nobody goes on before everybody is there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Optional

from ..hub import switchpoint
from .mutex import Line, Mutex, wait_in_line

BrokenBarrierError = threading.BrokenBarrierError

_BROKEN = object()


class Barrier:
    """Lets *parties* fibers go on together; the last of them calls *action* first.

    Who comes meanwhile is one of the next *parties*.

    *timeout*, in seconds, is the default of ``wait()``.

    :raises ValueError: *parties* is less than 1.
    """

    __slots__ = ('__weakref__', '_action', '_broken', '_line', '_mutex', '_parties', '_timeout')

    def __init__(
        self,
        parties: int,
        action: Optional[Callable[[], object]] = None,
        timeout: float | None = None,
    ) -> None:
        if parties < 1:
            raise ValueError(f'need 1 party or more, not {parties}')
        self._parties = parties
        self._action = action
        self._timeout = timeout
        self._broken = False
        self._mutex = Mutex()
        self._line = Line()

    def __repr__(self) -> str:
        state = ', broken' if self._broken else ''
        return f'<{type(self).__name__} {self.n_waiting} of {self._parties}{state}>'

    @property
    def parties(self) -> int:
        return self._parties

    @property
    def n_waiting(self) -> int:
        """How many wait for others now."""
        return len(self._line)

    @property
    def broken(self) -> bool:
        return self._broken

    @switchpoint
    def wait(self, timeout: float | None = None) -> int:
        """Wait for the others, and return the number of one's arrival, from 0 on.

        :raises BrokenBarrierError: it is broken, was reset, or took longer than *timeout* seconds,
            which breaks it for everybody, as does being cancelled.
        """
        with_action = False
        self._mutex.acquire()
        try:
            if self._broken:
                raise BrokenBarrierError('the barrier is broken')
            index = len(self._line)
            with_action = index == self._parties - 1
            line = self._line
            if with_action:
                self._line = Line()
            else:
                waiter = line.join()
        finally:
            self._mutex.release()
        if with_action:
            self._let_go(line)
            return index
        try:
            limit = self._timeout if timeout is None else timeout
            in_time = wait_in_line(self._mutex, line, waiter, limit)
        except BaseException:
            if not waiter.handed:
                self.abort()
            raise
        if not in_time:
            self.abort()
        if not in_time or waiter.result is _BROKEN:
            raise BrokenBarrierError('the barrier was broken')
        return index

    def _let_go(self, line: Line) -> None:
        try:
            if self._action is not None:
                self._action()
        except BaseException:
            self.abort()
            self._mutex.run(line.hand_all, _BROKEN)
            raise
        self._mutex.run(line.hand_all)

    def abort(self) -> None:
        """Break it: whoever waits, or comes until ``reset()``, gets BrokenBarrierError."""
        self._broken = True
        self._mutex.run(self._line.hand_all, _BROKEN)

    def reset(self) -> None:
        """Make it as new; whoever waits gets BrokenBarrierError."""
        self._mutex.run(self._line.hand_all, _BROKEN)
        self._broken = False
