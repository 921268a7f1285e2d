"""Unix sockets that others have left, or that several processes share."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from typing import Any


def remove_stale(path: str) -> None:
    """Remove a socket's file on which nobody listens: a process has left it when it was killed."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
    except OSError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except OSError:
            return


@contextlib.contextmanager
def shared(places: list[Any]) -> Iterator[list[Any]]:
    """Give *places* with a descriptor for each Unix socket, which one process alone can bind.

    :raises OSError: one cannot be bound.
    """
    with contextlib.ExitStack() as stack:
        yield [_bind(place, stack) if isinstance(place, str) else place for place in places]


def _bind(path: str, stack: contextlib.ExitStack) -> int:
    remove_stale(path)
    bound = stack.enter_context(socket.socket(socket.AF_UNIX))
    bound.bind(path)
    stack.callback(_remove, path, os.stat(path).st_ino)
    return bound.fileno()


def _remove(path: str, inode: int) -> None:
    """Remove what was bound, unless it is somebody else's by now."""
    with contextlib.suppress(OSError):
        if os.stat(path).st_ino == inode:
            os.unlink(path)
