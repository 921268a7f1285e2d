"""What the tests of streams share: a stream of ours, and a plain socket at its other end."""

from __future__ import annotations

import contextlib
import socket
import threading

from gruvi_cffi import StreamProtocol, create_connection


@contextlib.contextmanager
def pair(**options):
    """Yield a stream and the socket at its other end."""
    ours, theirs = socket.socketpair()
    transport, protocol = create_connection(lambda: StreamProtocol(**options), ours)
    theirs.settimeout(20)
    with theirs:
        try:
            yield protocol.stream, theirs
        finally:
            transport.abort()


@contextlib.contextmanager
def in_thread(function, *args):
    """Run *function* in a thread, and yield what will hold its result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function(*args)))
    thread.start()
    try:
        yield results
    finally:
        thread.join(20)
        assert not thread.is_alive()


def receive_all(theirs):
    """Read a socket to its end."""
    pieces = []
    while True:
        piece = theirs.recv(1 << 16)
        if not piece:
            return b''.join(pieces)
        pieces.append(piece)
