"""Sends datagrams to a server that echoes them, and prints how many have come back.

Some are always under way. One that is lost is missed after a while, and another sent instead.
"""

from __future__ import annotations

import socket
import sys
from time import monotonic

UNDER_WAY = 50  # fewer than a socket of the system holds
SIZE = 100  # bytes
PATIENCE = 0.1  # seconds until what has not come back is taken for lost


def main() -> int:
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.connect(('127.0.0.1', port))
        peer.settimeout(PATIENCE)
        print(exchange(peer, monotonic() + seconds))
    return 0


def exchange(peer: socket.socket, until: float) -> int:
    """Return how many datagrams come back up to that time."""
    message, came = bytes(SIZE), 0
    for _ in range(UNDER_WAY):
        peer.send(message)
    while monotonic() < until:
        try:
            for _ in range(UNDER_WAY):
                peer.recv(SIZE)
                came += 1
                peer.send(message)
        except socket.timeout:  # another than TimeoutError before Python 3.10
            for _ in range(UNDER_WAY):
                peer.send(message)
    return came


if __name__ == '__main__':
    sys.exit(main())
