"""Terminal handles."""

from __future__ import annotations

from typing import Optional

from .._gv import ffi, lib
from .errors import check
from .loop import Loop
from .stream import StreamHandle

_MODES = {'normal': lib.GV_TTY_NORMAL, 'raw': lib.GV_TTY_RAW, 'io': lib.GV_TTY_IO}


class TtyHandle(StreamHandle):
    """A terminal, or the other end of a pseudo-terminal.

    :raises TransportError: there is no memory.
    :raises RuntimeError: the loop belongs to another thread.
    """

    __slots__ = ('mode',)

    mode: str

    def __init__(self, loop: Loop) -> None:
        self._attach(loop, check(lib.gv_tty_new(loop._ptr), 'make a terminal handle'))
        self.mode = 'normal'

    def open(self, fd: int) -> None:
        """Take over *fd*, unless this raises (ENOTTY: it is no terminal).

        It is opened anew where that can be done, and then shares no flags with anybody.
        """
        rc = lib.gv_tty_open(self._ptr, self.id, fd)
        check(rc, f'open file descriptor {fd} as a terminal')

    def set_mode(self, mode: str) -> None:
        """Set the mode of the terminal, now: 'normal', 'raw' or 'io'.

        'normal' is what it was before. In 'raw' mode each key comes at once and has no meaning of
        its own, so that Ctrl-C is the byte 3; 'io' also leaves the output as it is. A closed
        handle leaves the terminal in normal mode.

        :raises ValueError: there is no such mode.
        :raises TransportError: the handle is closed, or the terminal hung up.
        """
        if mode not in _MODES:
            raise ValueError(f'need a mode of {", ".join(map(repr, _MODES))}, not {mode!r}')
        check(lib.gv_tty_set_mode(self._ptr, self.id, _MODES[mode]), 'set the mode of the terminal')
        self.mode = mode

    def get_winsize(self) -> tuple[int, int]:
        """Return how many columns and lines the window has; 0 if nobody has said it."""
        columns, lines = ffi.new('int *'), ffi.new('int *')
        rc = lib.gv_tty_winsize(self._ptr, self.id, columns, lines)
        check(rc, 'get the size of the window')
        return columns[0], lines[0]


def reopen(fd: int) -> Optional[int]:
    """Return another descriptor for what *fd* stands for, which shares no flags with it.

    The caller's, non-blocking, and above 2. None if there is no way: there is one for terminals,
    and on Linux for pipes.
    """
    copy = lib.gv_fd_reopen(fd)
    return int(copy) if copy >= 0 else None
