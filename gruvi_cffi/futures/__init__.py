"""Futures, pools of threads and fibers, and waiting for several things."""

from __future__ import annotations

from .blocks import blockify as blockify
from .blocks import blocking as blocking
from .blocks import get_cpu_pool as get_cpu_pool
from .blocks import get_io_pool as get_io_pool
from .executor import PoolExecutor as PoolExecutor
from .fiberpool import FiberPool as FiberPool
from .future import Future as Future
from .pools import PoolBase as PoolBase
from .threadpool import ThreadPool as ThreadPool
from .waiting import as_completed as as_completed
from .waiting import wait as wait

Pool = FiberPool

__all__ = [
    'FiberPool', 'Future', 'Pool', 'PoolBase', 'PoolExecutor', 'ThreadPool', 'as_completed',
    'blockify', 'blocking', 'get_cpu_pool', 'get_io_pool', 'wait',
]  # fmt: skip
