"""Files as answers of WSGI applications (PEP 3333, "Platform-Specific File Handling")."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from typing import Any, Optional

from .. import fs
from .response import Response


class FileWrapper:
    """The body is what *file* has from where it stands, read in blocks of *size* bytes.

    A regular file goes from the kernel's cache to the connection, without a copy in between.
    """

    def __init__(self, file: Any, size: int = 64 * 1024) -> None:
        self._file = file
        self._size = size
        if hasattr(file, 'close'):
            self.close = file.close

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self._file.read(self._size), b'')

    def send(self, response: Response) -> None:
        """Send it as the body of *response*.

        :raises HttpError: it is not as long as the Content-Length says.
        :raises TransportError: the connection is lost.
        """
        found = self._regular()
        if found is None or not response.sendfile(*found):
            left = response.length
            for data in self:
                # A part of a file is asked for by where it stands, and the Content-Length.
                if left is not None:
                    data = data[:left]
                    left -= len(data)
                    if not data:
                        break
                response.write(data)
        response.end()

    def _regular(self) -> Optional[tuple[int, int, int]]:
        """Return the descriptor, where it stands, and the bytes from there; None if it has none."""
        # Others may have a descriptor too, of what is behind what they read: gzip's do.
        file = self._file
        raw = file.raw if type(file) in (io.BufferedReader, io.BufferedRandom) else file
        if type(raw) is not io.FileIO and not isinstance(file, fs.File):
            return None
        try:
            fd = self._file.fileno()
            at = self._file.tell()
            known = os.fstat(fd)
        except (AttributeError, OSError, ValueError):
            return None
        left = known.st_size - at
        return (fd, at, left) if stat.S_ISREG(known.st_mode) and left > 0 else None
