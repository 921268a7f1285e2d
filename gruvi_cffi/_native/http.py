"""The HTTP engine: bytes in, events out; see csrc/http.h."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple, Optional

from .. import limits
from .._gv import ffi, lib

HEAD: int = lib.GV_HTTP_HEAD
DATA: int = lib.GV_HTTP_DATA
TRAILERS: int = lib.GV_HTTP_TRAILERS
END: int = lib.GV_HTTP_END
UPGRADED: int = lib.GV_HTTP_UPGRADED
ERROR: int = lib.GV_HTTP_ERROR

MINOR: int = lib.GV_HTTP_MINOR
KEEP_ALIVE: int = lib.GV_HTTP_KEEP_ALIVE
CHUNKED: int = lib.GV_HTTP_CHUNKED
UPGRADE: int = lib.GV_HTTP_UPGRADE
CONTINUE: int = lib.GV_HTTP_CONTINUE
CONNECT: int = lib.GV_HTTP_CONNECT
HEAD_METHOD: int = lib.GV_HTTP_HEAD_METHOD

TO_ANY: int = lib.GV_HTTP_TO_ANY
TO_HEAD: int = lib.GV_HTTP_TO_HEAD
TO_CONNECT: int = lib.GV_HTTP_TO_CONNECT

_gv_http_feed = lib.gv_http_feed
_gv_http_plain_line = lib.gv_http_plain_line


class HttpLimits(NamedTuple):
    """What a peer may send at most, in bytes but for *fields*; a *body* of -1 has no limit."""

    line: int = limits.HTTP_LINE
    head: int = limits.HTTP_HEAD
    fields: int = limits.HTTP_FIELDS
    chunk_line: int = limits.HTTP_CHUNK_LINE
    chunk_extensions: int = limits.HTTP_CHUNK_EXTENSIONS
    body: int = -1


class _Batch:
    """What the engines of a thread leave their events in, for heads of *size* bytes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.ptr = ffi.gc(lib.gv_http_batch_new(2 * size), lib.gv_http_batch_free)
        if self.ptr == ffi.NULL:
            raise MemoryError(f'no {2 * size} bytes for the heads of HTTP')
        events = lib.gv_http_batch_events(self.ptr)
        self.events = _words(events, lib.GV_HTTP_EVENTS * lib.GV_HTTP_WORDS)
        self.text = memoryview(ffi.buffer(lib.gv_http_batch_text(self.ptr), 2 * size))
        self.consumed = ffi.new('int64_t *')
        self.used = _words(self.consumed, 1)


def _words(ptr: Any, count: int) -> memoryview:
    return memoryview(ffi.buffer(ptr, 8 * count)).cast('q')


class _OfThread(threading.local):
    batch: Optional[_Batch] = None


_of_thread = _OfThread()


def _batch_for(size: int) -> _Batch:
    """Return the batch of this thread, which is large enough for heads of *size* bytes."""
    batch = _of_thread.batch
    if batch is None or batch.size < size:
        batch = _of_thread.batch = _Batch(size)
    return batch


class HttpEngine:
    """Takes the bytes of one direction of a connection apart. It stays in its thread.

    :raises ValueError: a limit makes no sense.
    """

    __slots__ = ('_batch', '_batch_ptr', '_ptr')

    def __init__(self, of_responses: bool, limit: HttpLimits) -> None:
        kind = lib.GV_HTTP_RESPONSES if of_responses else lib.GV_HTTP_REQUESTS
        ptr = lib.gv_http_new(kind, [tuple(limit)])
        if ptr == ffi.NULL:
            raise ValueError(f'no HTTP can be within {limit}')
        self._ptr = ffi.gc(ptr, lib.gv_http_free)
        self._batch = _batch_for(limit.head)
        self._batch_ptr = self._batch.ptr

    def feed(self, data: bytes, messages: int) -> tuple[list[int], int]:
        """Return the words of the events, five each, and how many bytes were consumed."""
        batch = self._batch
        used = batch.consumed
        count = _gv_http_feed(self._ptr, self._batch_ptr, data, len(data), messages, used)
        return batch.events[: 5 * count].tolist(), batch.used[0]

    def text_of(self, start: int, size: int) -> list[str]:
        """Return the parts of the text that an event of the last feed speaks of."""
        if not size:
            return []
        return str(self._batch.text[start : start + size - 1], 'latin-1').split('\0')

    def eof(self) -> list[int]:
        """Return the words of the events when no more bytes come."""
        count = lib.gv_http_eof(self._ptr, self._batch_ptr)
        return self._batch.events[: 5 * count].tolist()

    def answer_to(self, request: int) -> None:
        """Say what the next response answers: TO_ANY, TO_HEAD or TO_CONNECT."""
        lib.gv_http_answer_to(self._ptr, request)

    @property
    def busy(self) -> bool:
        """True in the middle of a message."""
        return bool(lib.gv_http_busy(self._ptr))


def method_of_line(line: bytes) -> int:
    """Return how long the method of a request line is, if that is plain enough, or 0.

    Such a line is right for itself: GET or HEAD, a path with or without a query, and HTTP/1.1.
    """
    return int(_gv_http_plain_line(line, len(line)))


def error_text(why: int) -> str:
    """Return in words why an engine gave up."""
    return ffi.string(lib.gv_http_error_text(why)).decode()
