"""Forms with files, sent while they are read (RFC 7578)."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Optional, Union

Files = Union[Mapping[str, Any], Iterable[tuple[str, Any]]]

_PIECE = 64 * 1024  # bytes that are read of a file at once
# As HTML has it (4.10.22.8): these cannot stand in a quoted string.
_ESCAPES = str.maketrans({'"': '%22', '\r': '%0D', '\n': '%0A'})


class Multipart:
    """A body of parts: *fields* are pairs, of which a value is bytes or has a str().

    Of *files*, each is a file, bytes, or ``(filename, file or bytes[, content type])``. *measure*
    returns where a file stands and its size in bytes. Each iteration sends it from the start.

    :raises TypeError: something is neither bytes nor a file of them.
    """

    def __init__(
        self,
        fields: Iterable[tuple[str, Any]],
        files: Files,
        measure: Callable[[Any], tuple[Optional[int], Optional[int]]],
    ) -> None:
        self._boundary = os.urandom(16).hex()
        self._parts: list[tuple[bytes, Any, Optional[int]]] = []  # head, source, start of a file
        self.size: Optional[int] = len(self._end())
        for name, value in fields:
            data = value if isinstance(value, bytes) else str(value).encode()
            self._add(self._head(name, None, None), data, None, len(data))
        for name, given in files.items() if isinstance(files, Mapping) else files:
            filename, source, kind = _file_of(name, given)
            if isinstance(source, (bytes, bytearray, memoryview)):
                start, size = None, memoryview(source).nbytes
            elif hasattr(source, 'read'):
                start, size = measure(source)  # type: ignore[assignment]
            else:
                raise TypeError(f'the file {name!r} must be a file or bytes, not {source!r}')
            self._add(self._head(name, filename, kind), source, start, size)

    @property
    def kind(self) -> str:
        """The media type."""
        return f'multipart/form-data; boundary={self._boundary}'

    def _end(self) -> bytes:
        return f'--{self._boundary}--\r\n'.encode()

    def _head(self, name: str, filename: Optional[str], kind: Optional[str]) -> bytes:
        lines = f'Content-Disposition: form-data; name="{name.translate(_ESCAPES)}"'
        if filename is not None:
            lines += f'; filename="{filename.translate(_ESCAPES)}"'
        if kind is not None:
            if not kind.isascii() or not kind.isprintable():
                raise ValueError(f'the content type of {name!r} cannot be {kind!r}')
            lines += f'\r\nContent-Type: {kind}'
        return f'--{self._boundary}\r\n{lines}\r\n\r\n'.encode()

    def _add(self, head: bytes, source: Any, start: Optional[int], size: Optional[int]) -> None:
        self._parts.append((head, source, start))
        if size is None or self.size is None:
            self.size = None
        else:
            self.size += len(head) + size + 2

    def __iter__(self) -> Iterator[bytes]:
        for head, source, start in self._parts:
            yield head
            if isinstance(source, (bytes, bytearray, memoryview)):
                yield bytes(source)
            else:
                if start is not None:
                    source.seek(start)
                yield from iter(lambda read=source.read: read(_PIECE), b'')  # type: ignore[misc]
            yield b'\r\n'
        yield self._end()


def _file_of(name: str, given: Any) -> tuple[str, Any, str]:
    """Return the filename, the source and the content type."""
    kind: Optional[str] = None
    if isinstance(given, tuple):
        filename, source, *rest = given
        kind = rest[0] if rest else None
    else:
        source = given
        path = getattr(source, 'name', None)
        filename = os.path.basename(path) if isinstance(path, str) else name
    guessed = mimetypes.guess_type(filename)[0]
    return filename, source, kind or guessed or 'application/octet-stream'
