"""How a fiber waits for a request, and what it has brought."""

from __future__ import annotations

import os
from typing import Any, Callable, Optional

from .._native.fs import FsCall, FsRequest, Path
from ..errors import check_timeout
from ..hub import get_hub, switch_back


class _Wait:
    """The owner of a request that a fiber waits for."""

    def __init__(self, switcher: Any) -> None:
        self._switcher = switcher
        self.result: Optional[int] = None

    def handle_done(self, result: int) -> None:
        self.result = result
        self._switcher.switch()


def run(
    call: FsCall,
    timeout: float | None = None,
    take: Optional[Callable[[FsRequest, int], Any]] = None,
) -> Any:
    """Do it, and return ``take(request, result)``, or the result.

    One that is cancelled or takes too long is not done, if it was not begun; what it opens is
    closed.

    :raises OSError: it failed, with the names of the files.
    :raises Timeout: it was not done in *timeout* seconds.
    """
    check_timeout(timeout)
    hub = get_hub()
    request = FsRequest(hub.loop, call)
    with switch_back(timeout) as switcher:
        wait = request.owner = _Wait(switcher)
        try:
            hub.switch()
        except BaseException:
            if wait.result is None:
                request.abort()
            else:  # it has ended in the turn in which we were cancelled
                request.discard(wait.result)
            raise
    result = wait.result
    assert result is not None
    try:
        if result < 0:
            raise error_of(-result, call.path, call.other)
        return result if take is None else take(request, result)
    finally:
        request.free()


def error_of(number: int, path: Path | None, other: Path | None = None) -> OSError:
    """Return the error for *number*, of the class that Python has for it."""
    text = os.strerror(number)
    if path is None:
        return OSError(number, text)
    if other is None:
        return OSError(number, text, path)
    return OSError(number, text, path, None, other)
