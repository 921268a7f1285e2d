"""Green threads on libuv, with PEP 3156 transports and protocols, and no monkey patching.

The names below are the public interface, together with the modules they come from.
"""

from . import stdio as stdio
from ._version import __version__ as __version__
from .address import getaddrinfo as getaddrinfo
from .address import getnameinfo as getnameinfo
from .address import paddr as paddr
from .address import saddr as saddr
from .debug import dump_fibers as dump_fibers
from .debug import dump_fibers_on as dump_fibers_on
from .endpoints import Client as Client
from .endpoints import Endpoint as Endpoint
from .endpoints import Server as Server
from .endpoints import create_connection as create_connection
from .endpoints import create_server as create_server
from .errors import Cancelled as Cancelled
from .errors import ConnectTimeout as ConnectTimeout
from .errors import Error as Error
from .errors import IncompleteRead as IncompleteRead
from .errors import ProtocolError as ProtocolError
from .errors import QueueEmpty as QueueEmpty
from .errors import QueueFull as QueueFull
from .errors import ResolverError as ResolverError
from .errors import StreamError as StreamError
from .errors import Timeout as Timeout
from .errors import TransportError as TransportError
from .fibers import Fiber as Fiber
from .fibers import current_fiber as current_fiber
from .fibers import spawn as spawn
from .futures import FiberPool as FiberPool
from .futures import Future as Future
from .futures import ThreadPool as ThreadPool
from .futures import as_completed as as_completed
from .futures import blockify as blockify
from .futures import blocking as blocking
from .futures import get_cpu_pool as get_cpu_pool
from .futures import get_io_pool as get_io_pool
from .futures import wait as wait
from .groups import FiberGroup as FiberGroup
from .groups import timeout as timeout
from .hub import Hub as Hub
from .hub import assert_no_switchpoints as assert_no_switchpoints
from .hub import get_hub as get_hub
from .hub import sleep as sleep
from .hub import switch_back as switch_back
from .hub import switchpoint as switchpoint
from .local import local as local
from .protocols import BaseProtocol as BaseProtocol
from .protocols import BufferedProtocol as BufferedProtocol
from .protocols import MessageProtocol as MessageProtocol
from .protocols import Protocol as Protocol
from .stream import Stream as Stream
from .stream import StreamBuffer as StreamBuffer
from .stream import StreamClient as StreamClient
from .stream import StreamProtocol as StreamProtocol
from .stream import StreamServer as StreamServer
from .sync import Barrier as Barrier
from .sync import BoundedSemaphore as BoundedSemaphore
from .sync import BrokenBarrierError as BrokenBarrierError
from .sync import Condition as Condition
from .sync import Event as Event
from .sync import LifoQueue as LifoQueue
from .sync import Lock as Lock
from .sync import PriorityQueue as PriorityQueue
from .sync import Queue as Queue
from .sync import RLock as RLock
from .sync import Semaphore as Semaphore
from .transports import BaseTransport as BaseTransport
from .transports import Transport as Transport

__all__: list[str] = []  # a star imports nothing, so that grep finds where a name comes from
