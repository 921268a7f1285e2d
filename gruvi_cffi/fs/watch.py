"""Being told what changes in the file system."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple, Optional

from .. import limits
from .._native.fs import FsEventHandle, Path
from ..errors import TransportError
from ..hub import get_hub, switch_back, switchpoint
from .requests import error_of


class Change(NamedTuple):
    """What has changed: *kind* is 'renamed' (it came, went or has another name) or 'changed'.

    *name* is that in the watched folder, or of the watched file. A *kind* of 'overflow', without a
    name, says that there were more than could be kept: look at everything.
    """

    kind: str
    name: Optional[str]


class Watch:
    """An iterator of the changes of a file or a folder. Made by ``watch()``; close it.

    The system says what it wants: one write may be several changes, and several writes one. On
    Linux a folder's own folders are not watched.
    """

    def __init__(self, path: Path, recursive: bool) -> None:
        self._changes: deque[Change] = deque()
        self._switcher: Any = None
        self._error: Optional[Exception] = None
        try:
            self._handle = FsEventHandle(get_hub().loop, path, recursive)
        except TransportError as error:
            raise error_of(error.errno or 0, path) from None
        self._handle.owner = self

    @switchpoint
    def next(self, timeout: float | None = None) -> Change:
        """Return the next change.

        :raises Timeout: nothing has changed in *timeout* seconds.
        :raises ValueError: it is closed, also while waiting.
        :raises RuntimeError: another fiber waits already.
        """
        if self._switcher is not None:
            raise RuntimeError('another fiber waits for a change')
        while not self._changes:
            if self._error is not None:
                raise self._error
            if self._handle.closed:
                raise ValueError('the watch is closed')
            with switch_back(timeout) as switcher:
                self._switcher = switcher
                try:
                    get_hub().switch()
                finally:
                    self._switcher = None
        return self._changes.popleft()

    def __iter__(self) -> Iterator[Change]:
        return self

    @switchpoint
    def __next__(self) -> Change:
        """Return the next change; the end comes when the watch is closed."""
        try:
            return self.next()
        except ValueError:
            raise StopIteration from None

    def close(self) -> None:
        """Watch no more. Doing so again does nothing."""
        self._handle.abort()
        self._wake()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # What the handle reports.

    def handle_change(self, kind: str, name: str | None) -> None:
        if len(self._changes) < limits.FILE_CHANGES:
            self._changes.append(Change(kind, name))
        elif self._changes[-1].kind != 'overflow':
            self._changes.append(Change('overflow', None))
        self._wake()

    def handle_refused(self, error: TransportError) -> None:
        """There was no room, or it cannot be watched any more."""
        if error.errno == errno.ENOBUFS:
            self.handle_change('overflow', None)
        else:
            self._error = error
            self._wake()

    def handle_closed(self) -> None:
        self._wake()

    def _wake(self) -> None:
        if self._switcher is not None:
            self._switcher.switch()


def watch(path: Path, *, recursive: bool = False) -> Watch:
    """Watch a file, or what is in a folder, and return an iterator of the changes.

    With *recursive* also what is in its folders, where the system can (not on Linux).

    :raises OSError: there is nothing of that name, or the system watches enough already.
    """
    return Watch(os.fspath(path), recursive)
