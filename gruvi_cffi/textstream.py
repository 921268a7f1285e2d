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

_NEWLINES = (None, '', '\n', '\r', '\r\n')


class TextStream:
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
        self._text = ''  # decoded, and not taken yet
        self._searched = 0  # so much of it holds no line end
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

    # Reading.

    def _fill(self) -> bool:
        """Decode what comes next; return False at the end."""
        if self._ended:
            return False
        data = self.buffer.read1()
        self._ended = not data
        self._text += self._decoder.decode(data, self._ended)
        return True

    def _take(self, size: int) -> str:
        text, self._text = self._text[:size], self._text[size:]
        self._searched = 0
        return text

    def _line_end(self) -> int:
        """Return where the first line ends, or -1."""
        text, start = self._text, self._searched
        if self._newline == '':
            # A '\r' at the very end is not decoded before what is behind it is known.
            found = [at + 1 for at in (text.find('\n', start), text.find('\r', start)) if at >= 0]
            end = min(found, default=-1)
            if end > 0 and text[end - 1 : end + 1] == '\r\n':
                end += 1
            self._searched = len(text)
            return end
        delim = self._newline or '\n'
        at = text.find(delim, start)
        self._searched = max(0, len(text) - len(delim) + 1)
        return -1 if at < 0 else at + len(delim)

    @switchpoint
    def read(self, size: int | None = -1) -> str:
        """Return *size* characters, fewer only at the end; all up to the end if it is negative.

        :raises UnicodeDecodeError: these bytes are no text.
        """
        most = float('inf') if size is None or size < 0 else size
        while len(self._text) < most and self._fill():
            pass
        return self._take(int(min(most, len(self._text))))

    @switchpoint
    def readline(self, size: int = -1) -> str:
        """Return a line with its end; at the end or after *size* characters, a part of it.

        :raises StreamError: without *size*, if a line is longer than ``limits.LINE_LIMIT``.
        :raises UnicodeDecodeError: these bytes are no text.
        """
        return self._read_line(size)

    def _read_line(self, size: int) -> str:
        most = limits.LINE_LIMIT if size < 0 else size
        while True:
            end = self._line_end()
            if 0 <= end <= most:
                return self._take(end)
            if len(self._text) >= most:
                if size < 0:
                    self._searched = 0
                    raise StreamError(f'no end of line in {most} characters')
                return self._take(most)
            if not self._fill():
                return self._take(len(self._text))

    @switchpoint
    def readlines(self, hint: int = -1) -> list[str]:
        """Return lines up to the end, or until they have more than *hint* characters together."""
        lines: list[str] = []
        total = 0
        while not 0 < hint < total:
            line = self._read_line(-1)
            if not line:
                break
            lines.append(line)
            total += len(line)
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
