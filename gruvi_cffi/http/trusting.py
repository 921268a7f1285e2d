"""Whom a server believes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, Union

_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class Trusted:
    """The proxies that are believed: addresses and networks, 'unix' for all of a Unix socket.

    :raises ValueError: one is none of these.
    """

    def __init__(self, places: Iterable[str]) -> None:
        self._networks: list[_Network] = []
        self._unix = False
        for place in places:
            if place == 'unix':
                self._unix = True
            else:
                self._networks.append(ipaddress.ip_network(place, strict=False))

    def __contains__(self, peer: Any) -> bool:
        """Return True if *peer*, as a socket names it, is trusted."""
        return self.has(peer[0]) if isinstance(peer, tuple) else self._unix

    def has(self, address: str) -> bool:
        """Return True if *address* is trusted."""
        try:
            parsed = ipaddress.ip_address(address.partition('%')[0])
        except ValueError:
            return False
        mapped = getattr(parsed, 'ipv4_mapped', None)
        return any((mapped or parsed) in network for network in self._networks)
