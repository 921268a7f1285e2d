"""What the io module promises of every stream, and a stream over a connection does not have."""

from __future__ import annotations

import io
from typing import NoReturn


class Unseekable:
    """The methods of ``io.IOBase`` that make no sense here: they say so."""

    __slots__ = ()

    def seekable(self) -> bool:
        """Return False."""
        return False

    def isatty(self) -> bool:
        """Return False."""
        return False

    def fileno(self) -> NoReturn:
        """Raise ``io.UnsupportedOperation``: who reads past the stream puts it out of step."""
        raise io.UnsupportedOperation('fileno')

    def seek(self, offset: int, whence: int = 0) -> NoReturn:
        """Raise ``io.UnsupportedOperation``."""
        raise io.UnsupportedOperation('seek')

    def tell(self) -> NoReturn:
        """Raise ``io.UnsupportedOperation``."""
        raise io.UnsupportedOperation('tell')

    def truncate(self, size: int | None = None) -> NoReturn:
        """Raise ``io.UnsupportedOperation``."""
        raise io.UnsupportedOperation('truncate')

    def detach(self) -> NoReturn:
        """Raise ``io.UnsupportedOperation``."""
        raise io.UnsupportedOperation('detach')
