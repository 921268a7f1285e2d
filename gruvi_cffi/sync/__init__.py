"""Synchronisation between fibers, also of different threads.

What wakes others (``set``, ``release``, ``put_nowait``) may be called from any thread, from signal
handlers and from finalizers. Whoever waits is served in the order of arrival.
"""

from __future__ import annotations

from ..errors import QueueEmpty as QueueEmpty
from ..errors import QueueFull as QueueFull
from .barriers import Barrier as Barrier
from .barriers import BrokenBarrierError as BrokenBarrierError
from .conditions import Condition as Condition
from .conditions import acquire_restore as acquire_restore
from .conditions import is_locked as is_locked
from .conditions import release_save as release_save
from .events import Event as Event
from .locks import Lock as Lock
from .locks import RLock as RLock
from .queues import LifoQueue as LifoQueue
from .queues import PriorityQueue as PriorityQueue
from .queues import Queue as Queue
from .semaphores import BoundedSemaphore as BoundedSemaphore
from .semaphores import Semaphore as Semaphore

__all__ = [
    'Barrier', 'BoundedSemaphore', 'BrokenBarrierError', 'Condition', 'Event', 'LifoQueue', 'Lock',
    'PriorityQueue', 'Queue', 'QueueEmpty', 'QueueFull', 'RLock', 'Semaphore', 'acquire_restore',
    'is_locked', 'release_save',
]  # fmt: skip
