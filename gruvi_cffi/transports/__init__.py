"""Transports: they move bytes, call a protocol, and never switch (PEP 3156)."""

from __future__ import annotations

from .._native.stream import DEADLINE_READ as DEADLINE_READ
from .._native.stream import DEADLINE_TOTAL as DEADLINE_TOTAL
from .._native.stream import DEADLINE_WRITE as DEADLINE_WRITE
from ..errors import TransportError as TransportError
from .base import BaseTransport as BaseTransport
from .datagram import DatagramTransport as DatagramTransport
from .stream import Transport as Transport
from .view import TransportSocket as TransportSocket

__all__ = [
    'DEADLINE_READ', 'DEADLINE_TOTAL', 'DEADLINE_WRITE', 'BaseTransport', 'DatagramTransport',
    'Transport', 'TransportError', 'TransportSocket',
]  # fmt: skip
