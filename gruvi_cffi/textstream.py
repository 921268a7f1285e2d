"""Text over a byte stream, with a reading and a writing side that know nothing of each other.

``io.TextIOWrapper`` has one state for both, and drops text that was read ahead when it writes.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator
from typing import Any

from . import limits
from .errors import StreamError
from .hub import switchpoint
from .iobase import Unseekable

_NEWLINES = (None, '', '\n', '\r', '\r\n')


class TextStream(Unseekable):
    """A text stream over *buffer*, a Stream. *newline* is as for ``open()``.

    A call that times out or is cancelled has taken nothing out.

    :raises LookupError: *encoding* is unknown.
    :raises ValueError: *newline* is none of None, '', '\\\\n', '\\\\r', '\\\\r\\\\n'.
    """

    def __init__(
        self,
        buffer: Any,
        encoding: str = 'utf-8',
        errors: str = 'strict',
        newline: str | None = None,
    ) -> None:
        if newline not in _NEWLINES:
            raise ValueError(f'need a newline of {_NEWLINES}, not {newline!r}')
        self.buffer = buffer
        self.encoding = codecs.lookup(encoding).name
        self.errors = errors
        self._newline = newline
        self._encoder = codecs.getincrementalencoder(encoding)(errors)
        decoder: Any = codecs.getincrementaldecoder(encoding)(errors)
        if not newline:  # None: every kind of line end is translated; '': each is kept
            decoder = io.IncrementalNewlineDecoder(decoder, translate=newline is None)
        self._decoder = decoder
        # Decoded, and not taken yet: the pieces, without a line end, and the text from start on.
        self._pieces: list[str] = []
        self._held = 0  # characters in the pieces
        self._text = ''
        self._start = 0
        self._ended = False

    @property
    def closed(self) -> bool:
        return bool(self.buffer.closed)

    def readable(self) -> bool:
        """Return True if it is for reading."""
        return bool(self.buffer.readable())

    def writable(self) -> bool:
        """Return True if it is for writing."""
        return bool(self.buffer.writable())

    def isatty(self) -> bool:
        """Return True if it is a terminal."""
        return bool(self.buffer.isatty())

    # Reading.

    def _available(self) -> int:
        return self._held + len(self._text) - self._start

    def _fill(self) -> bool:
        """Decode what comes next; return False if nothing does.

        There must be no line end in what is available.
        """
        if self._ended:
            return False
        try:
            data = self.buffer.read1()
        except Exception as error:
            # It comes again, once the text before it was taken.
            if self._available() and self._has_broken(error):
                return False
            raise
        text = self._decode(data)
        self._ended = not data
        rest = self._text[self._start :]
        if self._newline == '\r\n' and rest.endswith('\r'):  # the '\n' may be next
            rest, text = rest[:-1], '\r' + text
        if rest:
            self._pieces.append(rest)
            self._held += len(rest)
        self._text, self._start = text, 0
        return True

    def _decode(self, data: bytes) -> str:
        """Return *data* as text; up to the first bytes that are none, if that is not at once.

        These stay in the byte stream, where they are in the way until somebody reads them there.
        """
        state = self._decoder.getstate()
        try:
            return str(self._decoder.decode(data, not data))
        except UnicodeDecodeError as error:
            self._decoder.setstate(state)
            good = data[: max(0, error.start - (len(error.object) - len(data)))]
            self.buffer.buffer.put_back(data[len(good) :])
            if not good:
                raise
            return str(self._decoder.decode(good))

    def _has_broken(self, error: BaseException) -> bool:
        """Return True if *error* is what broke the stream."""
        cause = None if self.buffer.buffer is None else self.buffer.buffer.error
        return cause is not None and cause in (error, type(error))

    def _put_back(self, text: str) -> None:
        self._text = ''.join([text, *self._pieces, self._text[self._start :]])
        self._pieces.clear()
        self._held = self._start = 0

    def _take(self, size: int) -> str:
        if self._pieces:
            self._put_back('')
        end = min(self._start + size, len(self._text))
        text = self._text[self._start : end]
        self._start = end
        return text

    def _line_end(self, most: int) -> int:
        """Return how long the first line is, if it ends within *most* characters; else -1."""
        text, start = self._text, self._start
        stop = max(start, start + most - self._held)
        if self._newline == '':
            # A '\r' at the very end is not decoded before what is behind it is known.
            found = [text.find(end, start, stop) for end in '\r\n']
            at = min((at for at in found if at >= 0), default=-1)
            size = 2 if text[at : at + 2] == '\r\n' and at + 2 <= stop else 1
        else:
            delim = self._newline or '\n'
            at = text.find(delim, start, stop)
            size = len(delim)
        return -1 if at < 0 else self._held + at + size - start

    @switchpoint
    def read(self, size: int | None = -1) -> str:
        """Return *size* characters, fewer only at the end; all up to the end if it is negative.

        :raises UnicodeDecodeError: these bytes are no text.
        """
        most = float('inf') if size is None or size < 0 else size
        try:
            while self._available() < most and self._fill():
                pass
        finally:
            self._put_back('')  # there may be line ends in it
        return self._take(int(min(most, self._available())))

    @switchpoint
    def readline(self, size: int | None = -1) -> str:
        """Return a line with its end; at the end or after *size* characters, a part of it.

        :raises StreamError: without *size*, if a line is longer than ``limits.LINE_LIMIT``.
        :raises UnicodeDecodeError: these bytes are no text.
        """
        return self._read_line(-1 if size is None else size)

    def _read_line(self, size: int) -> str:
        most = limits.LINE_LIMIT if size < 0 else size
        while True:
            end = self._line_end(most)
            if end >= 0:
                return self._take(end)
            if self._available() >= most:
                if size < 0:
                    raise StreamError(f'no end of line in {most} characters')
                return self._take(most)
            if not self._fill():
                return self._take(most)

    @switchpoint
    def readlines(self, hint: int | None = -1) -> list[str]:
        """Return lines up to the end, or until they have more than *hint* characters together.

        Who gives up has taken none.
        """
        most = hint if hint is not None and hint > 0 else float('inf')
        lines: list[str] = []
        total = 0
        try:
            while total <= most:
                line = self._read_line(-1)
                if not line:
                    break
                lines.append(line)
                total += len(line)
        except BaseException as error:
            if not lines or not self._has_broken(error):
                self._put_back(''.join(lines))
                raise
        return lines

    def __iter__(self) -> Iterator[str]:
        return self

    @switchpoint
    def __next__(self) -> str:
        """Return the next line.

        :raises StopIteration: the stream has ended.
        """
        line = self._read_line(-1)
        if not line:
            raise StopIteration
        return line

    # Writing.

    @switchpoint
    def write(self, text: str) -> int:
        """Write *text*, and return how many characters it has.

        :raises UnicodeEncodeError: the encoding has no such character; nothing is written.
        """
        if not isinstance(text, str):
            raise TypeError(f'need a str, not {type(text).__name__}')
        # Waiting comes first: what the encoder has done for a write that is given up, such as the
        # mark at the very beginning, would be missing later.
        self.buffer.drain()
        raw = text
        # Without a newline '\n' stays: what is sent must not depend on the sender's system.
        if self._newline in ('\r', '\r\n'):
            raw = text.replace('\n', self._newline)
        self.buffer.write(self._encoder.encode(raw))
        return len(text)

    @switchpoint
    def writelines(self, lines: Iterable[str]) -> None:
        """Write all of *lines*; no line ends are added."""
        self.write(''.join(lines))

    @switchpoint
    def write_eof(self) -> None:
        """Send EOF behind what is queued; reading goes on."""
        self.buffer.write_eof()

    def flush(self) -> None:
        """Do nothing: what was written leaves with this turn."""

    @switchpoint
    def close(self, timeout: float | None = -1) -> None:
        """Close the stream below."""
        self.buffer.close(timeout)

    def __enter__(self) -> TextStream:
        return self

    @switchpoint
    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()


# As for Stream, without inheriting.
io.TextIOBase.register(TextStream)
