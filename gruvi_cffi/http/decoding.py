"""Undoing the compression of a body, piece by piece and within bounds (RFC 9110, 8.4)."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Optional

from .. import limits
from .errors import MessageError, MessageTooLarge, MessageTruncated

_STEP = 64 * 1024  # bytes that come out of one step; br takes up to twice that


class _Zlib:
    """Undoes gzip, of which several may follow each other, and deflate."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._state = zlib.decompressobj(window)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._state.eof:
                self._state = zlib.decompressobj(self._window)
            piece = self._decompress(data)
            self._begun = True
            data = self._state.unconsumed_tail or self._state.unused_data
            yield piece
        # What fits into no step may still be inside.
        while not self._state.eof and (piece := self._state.decompress(b'', _STEP)):
            yield piece

    def _decompress(self, data: bytes) -> bytes:
        return self._state.decompress(data, _STEP)

    @property
    def complete(self) -> bool:
        return self._state.eof or not self._begun


class _Deflate(_Zlib):
    """Undoes deflate, which some servers send without the frame that RFC 1950 puts around it."""

    def __init__(self) -> None:
        super().__init__(zlib.MAX_WBITS)
        self._first: Optional[bytes] = b''  # until it is known which one it is

    def _decompress(self, data: bytes) -> bytes:
        if self._first is not None:
            data = self._first + data
            if len(data) < 2:
                self._first = data
                return b''
            self._first = None
            if data[0] & 15 != 8 or int.from_bytes(data[:2], 'big') % 31:
                self._window = -zlib.MAX_WBITS
                self._state = zlib.decompressobj(self._window)
        return super()._decompress(data)


class _Zstd:
    """Undoes zstd, with the module of Python 3.14 or what brings it to older ones."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._state = module.ZstdDecompressor()
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data or not (self._state.needs_input or self._state.eof):
            if self._state.eof:
                self._state = self._module.ZstdDecompressor()
            self._begun = True
            yield self._state.decompress(data, _STEP)
            data = self._state.unused_data if self._state.eof else b''

    @property
    def complete(self) -> bool:
        return not self._begun or bool(self._state.eof)


class _Brotli:
    """Undoes br; older libraries know no bound for what comes out, and are not used."""

    def __init__(self, module: Any) -> None:
        self._state = module.Decompressor()
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._begun = True
        piece = self._state.process(data, output_buffer_limit=_STEP)
        while piece:
            yield piece
            # It may have room for more, and yet something to say.
            piece = self._state.process(b'', output_buffer_limit=_STEP)

    @property
    def complete(self) -> bool:
        return not self._begun or bool(self._state.is_finished())


def _find() -> dict[str, Callable[[], Any]]:
    found: dict[str, Callable[[], Any]] = {
        'gzip': lambda: _Zlib(zlib.MAX_WBITS | 16),
        'deflate': _Deflate,
    }
    for name in ('brotli', 'brotlicffi'):
        module = _load(name)
        if hasattr(getattr(module, 'Decompressor', None), 'can_accept_more_data'):
            found.setdefault('br', lambda module=module: _Brotli(module))  # type: ignore[misc]
    for name in ('compression.zstd', 'backports.zstd'):
        module = _load(name)
        if module is not None:
            found.setdefault('zstd', lambda module=module: _Zstd(module))  # type: ignore[misc]
    return found


def _load(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


_CODINGS = _find()
_CODINGS['x-gzip'] = _CODINGS['gzip']

ACCEPTED = ', '.join(name for name in _CODINGS if name != 'x-gzip')


class Decoder:
    """Undoes what the Content-Encoding fields *values* say was done to a body.

    What it does not know is left as it is, with everything that was done before.

    :raises MessageTooLarge: there are too many.
    """

    def __init__(self, values: list[str]) -> None:
        names = [name.strip().lower() for value in values for name in value.split(',')]
        names = [name for name in names if name not in ('', 'identity')]
        if len(names) > limits.HTTP_CODINGS:
            raise MessageTooLarge(f'the body was encoded {len(names)} times')
        self._steps: list[Any] = []
        for name in reversed(names):
            if name not in _CODINGS:
                break
            self._steps.append(_CODINGS[name]())
        self._came = 0
        self._went = 0

    def __bool__(self) -> bool:
        """Return True if there is something to undo."""
        return bool(self._steps)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Iterate over what *data* becomes, in pieces of about 64 KiB.

        :raises MessageError: it is not what the fields say.
        :raises MessageTooLarge: it becomes ``limits.HTTP_DECODED_RATIO`` times as much.
        """
        self._came += len(data)
        try:
            for piece in self._through(self._steps, data):
                self._went += len(piece)
                self._check()
                if piece:
                    yield piece
        except MessageError:
            raise
        except Exception as error:  # each library has its own
            raise MessageError(f'the body cannot be decoded: {error}') from None

    def _through(self, steps: list[Any], data: bytes) -> Iterator[bytes]:
        if len(steps) == 1:
            yield from steps[0].feed(data)
            return
        for piece in steps[0].feed(data):
            yield from self._through(steps[1:], piece)

    def _check(self) -> None:
        most = max(limits.HTTP_DECODED_FREE, self._came * limits.HTTP_DECODED_RATIO)
        if self._went > most:
            raise MessageTooLarge(f'{self._came} bytes of the body become more than {most}')

    def finish(self) -> None:
        """Do nothing if that was all of it.

        :raises MessageTruncated: there should be more.
        """
        if not all(step.complete for step in self._steps):
            raise MessageTruncated('the compressed body ends in the middle')
