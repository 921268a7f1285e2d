"""What becomes of the standard streams, and other descriptors, of a child."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Optional

from .._native.loop import Loop
from .._native.pipe import PipeHandle
from .._native.stream import StreamHandle
from ..stream import Stream, StreamProtocol
from ..transports import Transport

PIPE = -1
STDOUT = -2
DEVNULL = -3

MODES = ('w', 'r', 'r')  # of our ends of stdin, stdout and stderr


class _PipeTransport(Transport):
    """A transport to a child, which may take its time before it reads."""

    __slots__ = ()

    patient = True


class _PipeProtocol(StreamProtocol):
    """Makes the transport a stream for one direction."""

    def __init__(self, mode: str, timeout: float | None) -> None:
        super().__init__(timeout)
        self._mode = mode

    def connection_made(self, transport: Any) -> None:
        self._stream = stream = Stream(transport, self._mode, True, self._timeout)
        if stream.buffer is not None:
            self.data_received = stream.buffer.feed  # type: ignore[method-assign]


class Stdio:
    """The descriptors that a child gets, from 0 on, and our ends of its pipes."""

    def __init__(self) -> None:
        self.fds: list[int] = []
        self.ours: list[Optional[int]] = []
        self._theirs: list[int] = []  # to be closed here once the child has them

    def add_standard(self, given: Any) -> None:
        """Add what was *given* for the next of stdin, stdout and stderr.

        :raises TypeError: it is none of what can be given.
        """
        number = len(self.fds)
        ours = None
        if given is None:
            fd = number if _is_open(number) else -1
        elif given == PIPE and type(given) is int:
            fd, ours = self._add_pipe(number)
        elif given == DEVNULL and type(given) is int:
            fd = -1
        elif given == STDOUT and type(given) is int and number == 2:
            fd = self.fds[1]
        else:
            fd = descriptor_of(given)
        self.fds.append(fd)
        self.ours.append(ours)

    def add(self, given: Any) -> None:
        """Add a descriptor behind the standard ones.

        :raises TypeError: it is none.
        """
        self.fds.append(descriptor_of(given))

    def _add_pipe(self, number: int) -> tuple[int, int]:
        reader, writer = os.pipe()
        theirs, ours = (reader, writer) if MODES[number] == 'w' else (writer, reader)
        self._theirs.append(theirs)
        return theirs, ours

    def close_theirs(self) -> None:
        """Close, here, what is the child's."""
        for fd in self._theirs:
            os.close(fd)
        self._theirs.clear()

    def close_ours(self) -> None:
        """Close what was not made a stream."""
        for number, fd in enumerate(self.ours):
            if fd is not None:
                self.ours[number] = None
                os.close(fd)

    def open_streams(self, loop: Loop, timeout: float | None) -> list[Stream | None]:
        """Return streams for our ends; None where there is none.

        :raises TransportError: there are no descriptors or no memory.
        """
        streams: list[Stream | None] = []
        try:
            for number, fd in enumerate(self.ours):
                streams.append(None if fd is None else _open(loop, fd, MODES[number], timeout))
                self.ours[number] = None
        except BaseException:
            for stream in streams:
                if stream is not None:
                    stream.transport.abort()
            raise
        return streams


def _open(loop: Loop, fd: int, mode: str, timeout: float | None) -> Stream:
    handle = PipeHandle(loop)
    try:
        handle.open(fd)
    except BaseException:
        handle.abort()
        raise
    transport = _PipeTransport(handle, mode=mode)
    protocol = _PipeProtocol(mode, timeout)
    try:
        transport.start(protocol)
    except BaseException:
        transport.abort()
        raise
    return protocol.stream


def descriptor_of(given: Any) -> int:
    """Return the file descriptor that *given* is or has.

    :raises TypeError: it neither is one nor has one.
    """
    if isinstance(given, StreamHandle) or hasattr(given, 'fileno'):
        fd = given.fileno()
    else:
        fd = given
    if not isinstance(fd, int) or isinstance(fd, bool) or fd < 0:
        raise TypeError(f'need a file descriptor, or something with one, not {given!r}')
    return fd


def _is_open(fd: int) -> bool:
    with contextlib.suppress(OSError):
        os.fstat(fd)
        return True
    return False
