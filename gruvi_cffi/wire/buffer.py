"""A buffer of bytes: fed in chunks, taken in any other pieces."""

from __future__ import annotations

from collections import deque
from typing import Union

MANY = 64  # chunks, for a list whose first ones are taken out


class ByteBuffer:
    """A queue of bytes that keeps the chunks it is fed, so that what fits is passed on uncopied."""

    __slots__ = ('_chunks', '_delim', '_scanned', '_size', '_start', '_tail')

    def __init__(self) -> None:
        # A deque of nothing weighs 700 bytes more, and most buffers have a chunk at a time.
        self._chunks: Union[list[bytes], deque[bytes]] = []
        self._size = 0
        self._start = 0  # where the first chunk begins; what is before was taken
        self._delim = b''
        self._scanned = 0, 0  # chunks, and bytes in them, that hold no delimiter
        self._tail = b''  # their last bytes, in which one may have begun

    def __len__(self) -> int:
        return self._size

    def feed_data(self, data: bytes) -> None:
        """Append *data*."""
        if data:
            self._chunks.append(data)
            self._size += len(data)
            if len(self._chunks) == MANY:
                self._chunks = deque(self._chunks)

    def clear(self) -> None:
        """Drop everything."""
        self._chunks.clear()
        self._size = self._start = 0
        self._forget_scan(b'')

    def put_back(self, data: bytes) -> None:
        """Put *data* before everything else."""
        if self._start:
            self._chunks[0] = self._chunks[0][self._start :]
            self._start = 0
        if data:
            self._chunks.insert(0, data)
            self._size += len(data)
        self._forget_scan(b'')

    def peek_chunk(self) -> bytes:
        """Return the first chunk and leave it there; b'' if there is none."""
        return self._chunks[0][self._start :] if self._chunks else b''

    def take_chunk(self, size: int = -1) -> bytes:
        """Return the first chunk, *size* bytes of it at most; b'' if there is none."""
        if not self._chunks:
            return b''
        first = self._chunks[0]
        if self._start == 0 and (size < 0 or len(first) <= size):
            del self._chunks[0]
            self._size -= len(first)
            if self._delim:
                self._forget_scan(b'')
            return first
        left = len(first) - self._start
        return self.take(left if size < 0 else min(size, left))

    def take(self, size: int) -> bytes:
        """Return the first *size* bytes, or what there is."""
        size = min(size, self._size)
        pieces = []
        self._size -= size
        while size > 0:
            first = self._chunks[0]
            end = self._start + size
            if end < len(first):
                pieces.append(first[self._start : end])
                self._start = end
                break
            pieces.append(first[self._start :])
            size -= len(first) - self._start
            del self._chunks[0]
            self._start = 0
        self._forget_scan(b'')
        return pieces[0] if len(pieces) == 1 else b''.join(pieces)

    def find(self, delim: bytes) -> int:
        """Return where the first *delim* begins, or -1.

        Asking again after some more was fed looks at that only, so that a line which comes byte by
        byte is not searched from its beginning for each.
        """
        if delim != self._delim:
            self._forget_scan(delim)
        overlap = len(delim) - 1
        index, before = self._scanned
        while index < len(self._chunks):
            chunk = self._chunks[index]
            start = self._start if index == 0 else 0
            at: int = (self._tail + chunk[start : start + overlap]).find(delim)
            if at >= 0:
                return before - len(self._tail) + at
            at = chunk.find(delim, start)
            if at >= 0:
                return before + at - start
            before += len(chunk) - start
            if overlap:
                self._tail = (self._tail + chunk[start:][-overlap:])[-overlap:]
            index += 1
            self._scanned = index, before
        return -1

    def _forget_scan(self, delim: bytes) -> None:
        self._delim = delim
        self._scanned = 0, 0
        self._tail = b''
