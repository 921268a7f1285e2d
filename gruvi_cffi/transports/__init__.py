"""Transports: they move bytes, call a protocol, and never switch (PEP 3156)."""

from __future__ import annotations

from ..errors import TransportError as TransportError
from .base import BaseTransport as BaseTransport
from .datagram import DatagramTransport as DatagramTransport
from .stream import Transport as Transport
from .view import TransportSocket as TransportSocket

__all__ = ['BaseTransport', 'DatagramTransport', 'Transport', 'TransportError', 'TransportSocket']
