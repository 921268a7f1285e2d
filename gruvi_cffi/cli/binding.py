"""Unix sockets that others have left, or that several processes share."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
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


class Shared:
    """*places* as several processes can use them, with a descriptor for each Unix socket.

    Only one process can bind that.

    :raises OSError: one cannot be bound.
    """

    def __init__(self, places: list[Any]) -> None:
        self._sockets: list[socket.socket] = []
        self._bound: list[tuple[str, int]] = []  # names, and the numbers of their files
        try:
            self.places = [
                self._bind(place) if isinstance(place, str) else place for place in places
            ]
            for place in self.places:
                if isinstance(place, int):
                    # Who closes it gives back a mode that it has changed. That is the other
                    # processes' mode too, who would wait in accept() then.
                    os.set_blocking(place, False)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Shared:
        return self

    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()

    def _bind(self, path: str) -> int:
        remove_stale(path)
        bound = socket.socket(socket.AF_UNIX)
        self._sockets.append(bound)
        bound.bind(path)
        self._bound.append((path, os.stat(path).st_ino))
        return bound.fileno()

    def unlink(self) -> None:
        """Let nobody connect any more; who has connected can still be accepted."""
        while self._bound:
            path, inode = self._bound.pop()
            with contextlib.suppress(OSError):
                if os.stat(path).st_ino == inode:  # it may be somebody else's by now
                    os.unlink(path)

    def close(self) -> None:
        """Close our descriptors, and leave no names."""
        self.unlink()
        for each in self._sockets:
            each.close()
