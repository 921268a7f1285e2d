"""What both sides of an HTTP connection have in common."""

from __future__ import annotations

from typing import Any, Optional

from .._native.tcp import TcpHandle
from ..bytestream import Stream
from ..protocols import Protocol
from .errors import HttpError


class HttpConnection(Protocol):
    """A protocol that fibers write through."""

    __slots__ = ('_writer', 'transport', 'writing_paused')

    def __init__(self, timeout: float | None = None) -> None:
        super().__init__(timeout)
        self._writer: Optional[Stream] = None
        self.transport: Any = None
        self.writing_paused = False

    @property
    def writer(self) -> Stream:
        """A stream over the transport, for writing.

        :raises HttpError: not connected.
        """
        if self.transport is None:
            raise HttpError('not connected')
        if self._writer is None:
            self._writer = Stream(self.transport, 'w')
            if self.writing_paused:
                self._writer.pause_writing()
        return self._writer

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        handle = transport.get_extra_info('handle')
        if isinstance(handle, TcpHandle):
            handle.set_nodelay(True)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._writer is not None:
            self._writer.connection_lost(exc)

    def pause_writing(self) -> None:
        self.writing_paused = True
        if self._writer is not None:
            self._writer.pause_writing()

    def resume_writing(self) -> None:
        self.writing_paused = False
        if self._writer is not None:
            self._writer.resume_writing()

    # For the buffer of a body, whose transport this is.

    def is_closing(self) -> bool:
        return bool(self.transport.is_closing())
