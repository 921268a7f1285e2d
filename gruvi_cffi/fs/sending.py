"""From a file to a connection, without a copy in Python."""

from __future__ import annotations

import contextlib
import os
from time import monotonic
from typing import Any

from ..errors import check_timeout
from ..futures import Future, get_io_pool
from ..hub import sleep, switchpoint
from ..poll import wait_writable
from ..transports import Transport

_LARGEST = 1 << 20  # bytes of one request
_PIECE = 1 << 18  # bytes that are read at once where the kernel cannot send them


@switchpoint
def sendfile(
    target: Any,
    file: Any,
    offset: int = 0,
    count: int | None = None,
    timeout: float | None = None,
    stall: float | None = None,
) -> int:
    """Send *file* from *offset* on, up to its end or *count* bytes; return how many were sent.

    *target* is a Transport, or a Stream over one, for TCP or a Unix socket; the file goes behind
    what was written to it, and nobody else may write meanwhile. *file* is a descriptor, or
    something with one; where it stands does not matter, and does not change. Nothing is copied
    where the kernel can do without; with TLS, everything is.

    :raises Timeout: it was not sent in *timeout* seconds, or the peer took nothing for *stall*
        seconds; a part may have been sent.
    :raises TypeError: *target* is none of these.
    :raises OSError: the connection broke, or the file cannot be read.
    """
    check_timeout(timeout)
    check_timeout(stall)
    transport = target if isinstance(target, Transport) else getattr(target, 'transport', None)
    if not isinstance(transport, Transport):
        raise TypeError(f'need a transport or a stream, not {type(target).__name__}')
    waiting = _Waiting(None if timeout is None else monotonic() + timeout, stall)
    source = file if isinstance(file, int) else file.fileno()
    with contextlib.ExitStack() as stack:
        sender = (_Sender if transport.tls is None else _Copier)(transport, source)
        stack.callback(sender.close)
        sender.send_queue(waiting)
        sent = 0
        while count is None or sent < count:
            most = _LARGEST if count is None else min(_LARGEST, count - sent)
            done = sender.send(offset + sent, most, waiting)
            if not done:
                break
            sent += done
        return sent


class _Waiting:
    """How long it may take: *until* then, and *stall* seconds without progress."""

    def __init__(self, until: float | None, stall: float | None) -> None:
        self._until = until
        self._stall = stall

    def left(self) -> float | None:
        return None if self._until is None else max(0.0, self._until - monotonic())

    def once_writable(self, fd: int) -> None:
        limits = [each for each in (self.left(), self._stall) if each is not None]
        wait_writable(fd, min(limits, default=None))


class _Sender:
    """Sends from the descriptor *source* to *sink*, by duplicates of its own.

    So what others close meanwhile, and its number used again, is neither read nor written.
    """

    def __init__(self, transport: Transport, source: int) -> None:
        self._transport = transport
        self._sink = os.dup(transport.get_extra_info('handle').fileno())
        try:
            self._source = os.dup(source)
        except BaseException:
            os.close(self._sink)
            raise
        self._call: Future | None = None  # under way

    def send_queue(self, waiting: _Waiting) -> None:
        """Wait until what was written has left."""
        while self._transport.get_write_buffer_size():
            waiting.once_writable(self._sink)
            sleep(0)  # the next turn sends it

    def send(self, offset: int, most: int, waiting: _Waiting) -> int:
        """Send up to *most* bytes from *offset* on; return how many were."""
        while True:
            # In a thread, because the disk may be slow. Not by uv_fs_sendfile(): where
            # copy_file_range() refuses a socket, libuv 1.44 copies, and waits for the peer.
            self._call = get_io_pool().submit(os.sendfile, self._sink, self._source, offset, most)
            try:
                sent: int = self._call.result(waiting.left())
                return sent
            except BlockingIOError:
                pass
            finally:
                if self._call.done():
                    self._call = None
            waiting.once_writable(self._sink)

    def close(self) -> None:
        """Close the duplicates, once nobody uses them any more."""
        if self._call is None:
            os.close(self._sink)
            os.close(self._source)
        else:
            call, self._call = self._call, None
            call.add_done_callback(self.close)


class _Copier(_Sender):
    """Sends through the transport, which encrypts."""

    def send(self, offset: int, most: int, waiting: _Waiting) -> int:
        size = min(most, _PIECE)
        self._call = get_io_pool().submit(os.pread, self._source, size, offset)
        try:
            data: bytes = self._call.result(waiting.left())
        finally:
            if self._call.done():
                self._call = None
        self._transport.write(data)
        self.send_queue(waiting)
        return len(data)
