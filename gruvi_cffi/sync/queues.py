"""Queues: items from those who put to those who get, with a bound on what lies between."""

from __future__ import annotations

import heapq
from collections import deque
from time import monotonic
from typing import Any

from ..errors import QueueEmpty, QueueFull, Timeout
from ..hub import switchpoint
from .events import Event
from .mutex import Line, Mutex, wait_in_line

Entry = tuple[Any, int]  # an item and its size


class Queue:
    """A queue, first in first out, whose items have no more than *maxsize* together; 0: no bound.

    An item has the size 1 unless it is put with another.
    """

    __slots__ = (
        '__weakref__', '_done', '_entries', '_getters', '_maxsize', '_mutex', '_putters', '_size',
        '_unfinished',
    )  # fmt: skip

    def __init__(self, maxsize: int = 0) -> None:
        self._maxsize = maxsize
        self._mutex = Mutex()
        self._getters = Line()
        self._putters = Line()
        self._entries: Any = self._make()
        self._size = 0
        self._unfinished = 0
        self._done = Event()
        self._done.set()

    def __repr__(self) -> str:
        return f'<{type(self).__name__} of size {self._size}, maxsize={self._maxsize}>'

    # How entries lie in it; subclasses have another order.

    def _make(self) -> Any:
        return deque()

    def _append(self, entry: Entry) -> None:
        self._entries.append(entry)

    def _pop(self) -> Entry:
        entry: Entry = self._entries.popleft()
        return entry

    def _undo_pop(self, entry: Entry) -> None:
        self._entries.appendleft(entry)

    # What can be asked.

    @property
    def maxsize(self) -> int:
        return self._maxsize

    @property
    def unfinished_tasks(self) -> int:
        """How many items were put for which ``task_done()`` was not called yet."""
        return self._unfinished

    def qsize(self) -> int:
        """Return the sum of the items' sizes."""
        return self._size

    def empty(self) -> bool:
        """Return True if that is 0."""
        return self._size == 0

    def full(self) -> bool:
        """Return True if nothing more would fit."""
        return 0 < self._maxsize <= self._size

    # Putting.

    @switchpoint
    def put(
        self,
        item: Any,
        block: bool = True,
        timeout: float | None = None,
        size: int | None = None,
    ) -> None:
        """Put *item*, after waiting for room if need be. Its rank is that of this call.

        One who is cancelled while waiting has not put it, unless there was room already.

        :raises QueueFull: there is no room, without *block* or after *timeout* seconds.
        :raises ValueError: an item of that *size* can never fit.
        """
        entry = self._entry(item, size)
        self._mutex.acquire()
        try:
            if self._fits(entry) and not self._putters:
                self._insert(entry)
                return
            if not block:
                raise QueueFull(f'the queue is full: {self._size} of {self._maxsize}')
            waiter = self._putters.join(entry)
        finally:
            self._mutex.release()
        try:
            wait_in_line(self._mutex, self._putters, waiter, timeout)
        finally:
            if waiter.gone:
                self._mutex.run(self._admit)  # one who is smaller may have stood behind us
        if waiter.gone:
            raise QueueFull(f'the queue stayed full for {timeout} seconds')

    def put_nowait(self, item: Any, size: int | None = None) -> None:
        """Put *item* without waiting. From any thread, signal handler or finalizer.

        :raises QueueFull: there is no room.
        :raises ValueError: an item of that *size* can never fit.
        """
        entry = self._entry(item, size)
        if self._mutex.lock.acquire(False):
            try:
                if not self._fits(entry) or self._putters:
                    raise QueueFull(f'the queue is full: {self._size} of {self._maxsize}')
                self._insert(entry)
            finally:
                self._mutex.release()
        elif self._fits(entry):
            self._mutex.run(self._insert, entry)  # as soon as its user is through
        else:
            raise QueueFull(f'the queue is full: {self._size} of {self._maxsize}')

    def _entry(self, item: Any, size: int | None) -> Entry:
        size = 1 if size is None else size
        if size < 0 or 0 < self._maxsize < size:
            raise ValueError(f'an item of size {size} cannot be in a queue of {self._maxsize}')
        return item, size

    def _fits(self, entry: Entry) -> bool:
        return self._maxsize <= 0 or self._size + entry[1] <= self._maxsize

    def _insert(self, entry: Entry) -> None:
        if self._unfinished == 0:
            self._done.clear()
        self._unfinished += 1
        try:
            self._supply(entry)
        except BaseException:
            self._finish_one()
            raise

    def _supply(self, entry: Entry) -> None:
        # Getters wait only while it is empty, so the order is that of any kind of queue.
        if not self._getters.hand(entry):
            self._append(entry)
            self._size += entry[1]

    # Getting.

    @switchpoint
    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return the next item, after waiting for one if need be.

        :raises QueueEmpty: there is none, without *block* or after *timeout* seconds.
        """
        self._mutex.acquire()
        try:
            if self._entries:
                return self._take()
            if not block:
                raise QueueEmpty('the queue is empty')
            waiter = self._getters.join()
        finally:
            self._mutex.release()
        if not wait_in_line(self._mutex, self._getters, waiter, timeout, self._pass_on):
            raise QueueEmpty(f'the queue stayed empty for {timeout} seconds')
        return waiter.result[0]

    def get_nowait(self) -> Any:
        """Return the next item without waiting.

        :raises QueueEmpty: there is none.
        """
        self._mutex.acquire()
        try:
            if not self._entries:
                raise QueueEmpty('the queue is empty')
            return self._take()
        finally:
            self._mutex.release()

    def _take(self) -> Any:
        item, size = self._pop()
        self._size -= size
        self._admit()
        return item

    def _admit(self) -> None:
        """Let in those who wait to put, as far as there is room."""
        while self._putters and self._fits(self._putters.first().item):
            waiter = self._putters.pop()
            if waiter.hand():
                self._insert(waiter.item)

    def _pass_on(self, entry: Entry) -> None:
        self._mutex.run(self._take_back, entry)

    def _take_back(self, entry: Entry) -> None:
        if not self._getters.hand(entry):
            self._undo_pop(entry)
            self._size += entry[1]

    # Knowing that everything was worked on.

    def task_done(self) -> None:
        """Say that an item which was got has been worked on.

        :raises RuntimeError: called more often than there were items.
        """
        if self._unfinished <= 0:
            raise RuntimeError('task_done() was called more often than items were put')
        self._mutex.run(self._finish_one)

    def _finish_one(self) -> None:
        self._unfinished -= 1
        if self._unfinished == 0:
            self._done.set()

    @switchpoint
    def join(self, timeout: float | None = None) -> None:
        """Wait until ``task_done()`` was called for each item.

        :raises Timeout: it was not, after *timeout* seconds.
        """
        until = None if timeout is None else monotonic() + timeout
        while self._unfinished:
            left = None if until is None else max(0.0, until - monotonic())
            if not self._done.wait(left):
                raise Timeout(f'{self._unfinished} items were not done after {timeout} seconds')


class LifoQueue(Queue):
    """A queue, last in first out."""

    __slots__ = ()

    def _make(self) -> Any:
        return []

    def _pop(self) -> Entry:
        entry: Entry = self._entries.pop()
        return entry

    def _undo_pop(self, entry: Entry) -> None:
        self._entries.append(entry)


class PriorityQueue(Queue):
    """A queue, smallest first. Items are compared with each other, usually ``(priority, item)``."""

    __slots__ = ()

    def _make(self) -> Any:
        return []

    def _append(self, entry: Entry) -> None:
        try:
            heapq.heappush(self._entries, entry)
        except BaseException:  # it cannot be compared, and is in the heap already
            self._entries = [each for each in self._entries if each is not entry]
            heapq.heapify(self._entries)
            raise

    def _pop(self) -> Entry:
        entry: Entry = heapq.heappop(self._entries)
        return entry

    def _undo_pop(self, entry: Entry) -> None:
        heapq.heappush(self._entries, entry)
