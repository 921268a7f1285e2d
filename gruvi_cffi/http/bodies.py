"""What a session sends: bytes, forms, JSON, files, and what is made while it is sent."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Optional, Union
from urllib.parse import urlencode

from .multipart import Files, Multipart

Progress = Callable[[int, Optional[int]], object]
Data = Union[bytes, str, Mapping[str, Any], Iterable[Any], None]

_FORM = 'application/x-www-form-urlencoded'
_JSON = 'application/json'
_PIECE = 64 * 1024  # bytes between two calls of a progress callback


class RequestBody:
    """A body, its type, and its *size* in bytes; None if that is not known.

    *source* is bytes, an iterable of bytes, or a file, which is sent from where it stands.
    """

    def __init__(self, source: Any, kind: Optional[str] = None, size: Optional[int] = None) -> None:
        self.kind = kind
        self._source = source
        self._start: Optional[int] = None
        if isinstance(source, (bytes, bytearray, memoryview)):
            size = memoryview(source).nbytes
        elif hasattr(source, 'read'):
            self._start, size = measure(source)
        self.size = size

    def rewind(self) -> bool:
        """Return True if it can be sent once more, from its start."""
        if self._start is not None:
            self._source.seek(self._start)
            return True
        return isinstance(self._source, (bytes, bytearray, memoryview, Multipart))

    def source(self, progress: Progress | None) -> Any:
        """Return what is to be sent; *progress* is told how much was, and how much it is."""
        return self._source if progress is None else self._counted(progress)

    def _counted(self, progress: Progress) -> Iterator[bytes]:
        sent = 0
        for piece in _pieces(self._source):
            yield piece
            sent += len(piece)
            progress(sent, self.size)


def _pieces(source: Any) -> Iterable[bytes]:
    if isinstance(source, (bytes, bytearray, memoryview)):
        view = memoryview(source).cast('B')
        return (bytes(view[at : at + _PIECE]) for at in range(0, len(view), _PIECE))
    if hasattr(source, 'read'):
        return iter(lambda: source.read(_PIECE), b'')
    pieces: Iterable[bytes] = source
    return pieces


def measure(file: Any) -> tuple[Optional[int], Optional[int]]:
    """Return where *file* stands, and how much is behind that, in bytes; None for what it hides.

    :raises TypeError: it is a file of text.
    """
    if isinstance(file, io.TextIOBase):
        raise TypeError(f'need a file of bytes, opened with "rb", not {file!r}')
    try:
        start = file.tell()
        size = file.seek(0, io.SEEK_END) - start
        file.seek(start)
    except (OSError, AttributeError, TypeError):
        return None, None
    return start, max(size, 0)


def encode(data: Data, json_: Any, files: Files | None) -> Optional[RequestBody]:
    """Return the body that a call of ``request()`` asks for, or None.

    :raises TypeError: one of them is of no type that can be sent.
    :raises ValueError: two of them are bodies, or something in *json_* is not of JSON.
    """
    if json_ is not None and (data is not None or files is not None):
        raise ValueError('json goes alone, without data and files')
    if json_ is not None:
        text = json.dumps(json_, ensure_ascii=False, separators=(',', ':'), allow_nan=False)
        return RequestBody(text.encode(), _JSON)
    if files is not None:
        form = Multipart(_fields_of(data), files, measure)
        return RequestBody(form, form.kind, form.size)
    if data is None:
        return None
    if isinstance(data, str):
        return RequestBody(data.encode(), 'text/plain; charset=utf-8')
    if isinstance(data, Mapping) or _is_pairs(data):
        return RequestBody(urlencode(list(_fields_of(data)), doseq=True).encode(), _FORM)
    if hasattr(data, 'read') or isinstance(data, (bytes, bytearray, memoryview)):
        return RequestBody(data)
    if not isinstance(data, Iterable):
        raise TypeError(f'the body cannot be {data!r}')
    return RequestBody(data)


def _is_pairs(data: Any) -> bool:
    return isinstance(data, (list, tuple)) and bool(data) and isinstance(data[0], tuple)


def _fields_of(data: Any) -> list[tuple[str, Any]]:
    """Return the fields of a form, of which a list gives as many as it has items."""
    if data is None:
        return []
    if not (isinstance(data, Mapping) or _is_pairs(data) or data in ([], ())):
        raise TypeError(f'the fields beside files must be a mapping or pairs, not {data!r}')
    return [
        (name, each)
        for name, value in (data.items() if isinstance(data, Mapping) else data)
        for each in (value if isinstance(value, (list, tuple)) else (value,))
        if each is not None
    ]
