"""From a file to a connection, without a copy in Python."""

from __future__ import annotations

import errno
import os
from time import monotonic
from typing import Any

from .._native import fs as native
from .._native.fs import FsCall
from ..errors import check_timeout
from ..hub import sleep, switchpoint
from ..poll import wait_writable
from ..transports import Transport
from .requests import run

_LARGEST = 1 << 20  # bytes of one request


@switchpoint
def sendfile(
    target: Any,
    file: Any,
    offset: int = 0,
    count: int | None = None,
    timeout: float | None = None,
) -> int:
    """Send *file* from *offset* on, up to its end or *count* bytes; return how many were sent.

    *target* is a Transport, or a Stream over one, for TCP or a Unix socket; the file goes behind
    what was written to it, and nobody else may write meanwhile. *file* is a descriptor, or
    something with one; where it stands does not matter, and does not change. Nothing is copied
    where the kernel can do without.

    :raises Timeout: it was not sent in *timeout* seconds; a part may have been.
    :raises TypeError: *target* is none of these.
    :raises OSError: the connection broke, or the file cannot be read.
    """
    check_timeout(timeout)
    transport = target if isinstance(target, Transport) else getattr(target, 'transport', None)
    if not isinstance(transport, Transport):
        raise TypeError(f'need a transport or a stream, not {type(target).__name__}')
    until = None if timeout is None else monotonic() + timeout
    source = file if isinstance(file, int) else file.fileno()
    # Of our own: what is closed meanwhile, and its number used again, must not get it.
    fd = os.dup(transport.get_extra_info('handle').fileno())
    try:
        _send_queue(transport, fd, until)
        sent = 0
        while count is None or sent < count:
            most = _LARGEST if count is None else min(_LARGEST, count - sent)
            done = _send_some(fd, source, offset + sent, most, until)
            if not done:
                break
            sent += done
        return sent
    finally:
        os.close(fd)


def _left(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - monotonic())


def _send_queue(transport: Transport, fd: int, until: float | None) -> None:
    while transport.get_write_buffer_size():
        wait_writable(fd, _left(until))
        sleep(0)  # the next turn sends it


def _send_some(fd: int, source: int, offset: int, most: int, until: float | None) -> int:
    call = FsCall(native.SENDFILE, fd=fd, a=source, offset=offset, length=most)
    while True:
        try:
            return int(run(call, _left(until)))
        except OSError as error:
            if error.errno != errno.EAGAIN:
                raise
        wait_writable(fd, _left(until))
