"""TLS without a transport: bytes in, bytes out, for who moves them in his own way."""

from __future__ import annotations

from typing import Any, Callable, Optional

from ._native.tls import ASKED, DONE
from .errors import TlsError
from .transports.stdlib import as_ours
from .transports.tlsinfo import TlsInfo

__all__ = ['SslPipe']

_UNWRAPPED, _HANDSHAKE, _WRAPPED, _SHUTDOWN, _FAILED = range(5)

Callback = Callable[..., object]


class SslPipe:
    """TLS between *application data* at one side and *record data* at the other.

    It begins without TLS: what goes in comes out as it is. ``do_handshake()`` puts TLS in, and
    ``shutdown()`` takes it out, as often as one likes. *context* is a TlsContext, or one of the
    standard library.

    :raises TypeError: *context* is none.
    :raises ValueError: it is for the other side.
    """

    bufsize = 65536  # bytes that are encrypted at once

    def __init__(self, context: Any, server_side: bool, server_hostname: str | None = None) -> None:
        self._given = context
        self.server_side = server_side
        self.hostname = server_hostname
        self._context = as_ours(context)
        self._context.check_side(server_side)
        self._engine: Any = None
        self._state = _UNWRAPPED
        self._callback: Optional[Callback] = None
        self._peer_ended = False
        self._said = False  # our close_notify; a message of the peer's in part goes first
        self._need_ssldata = False
        self._rest = b''  # came behind the peer's close_notify, before we had said ours

    @property
    def context(self) -> Any:
        """The context, as it was given."""
        return self._given

    @property
    def ssl_object(self) -> TlsInfo | None:
        """What is known about its TLS; None without."""
        return None if self._engine is None else TlsInfo(_Known(self))

    @property
    def need_ssldata(self) -> bool:
        """Whether it cannot go on without record data of the peer's."""
        return self._need_ssldata

    @property
    def wrapped(self) -> bool:
        """Whether application data is encrypted; not during a handshake."""
        return self._state == _WRAPPED

    def do_handshake(self, callback: Callback | None = None) -> list[bytes]:
        """Begin TLS, and return the record data to be sent.

        When it is done, ``callback()`` is called; when it fails, ``callback(error)``.

        :raises RuntimeError: there is TLS already.
        :raises ValueError: the name of the host is none, or missing where it is to be checked.
        """
        if self._state != _UNWRAPPED:
            raise RuntimeError('there is TLS already')
        self._engine = self._context.make_engine(self.server_side, self.hostname)
        self._state, self._callback = _HANDSHAKE, callback
        self._peer_ended = self._said = False
        rest, self._rest = self._rest, b''
        return self.feed_ssldata(rest)[0]

    def shutdown(self, callback: Callback | None = None) -> list[bytes]:
        """End TLS, and return the record data to be sent: close_notify.

        ``callback()`` is called once the peer has said it too, and there is no TLS any more. If TLS
        has failed, what is to be sent is the alert that tells the peer why.

        :raises RuntimeError: there is no TLS, or its handshake is not done.
        """
        if self._state == _FAILED:
            return _taken(self._engine)
        if self._state != _WRAPPED:
            raise RuntimeError('there is no TLS to be ended')
        self._state, self._callback = _SHUTDOWN, callback
        try:
            self._said = self._engine.shutdown()
        except TlsError as error:
            self._failed(error)
            raise
        data = _taken(self._engine)
        if self._peer_ended:
            self._rest = self._unwrap()
        self._need_ssldata = self._state == _SHUTDOWN
        return data

    def feed_ssldata(self, data: bytes) -> tuple[list[bytes], list[bytes]]:
        """Take record data of the peer's; return record data to be sent, and application data.

        ``b''`` among the application data is the peer's close_notify.

        :raises TlsError: TLS has failed.
        """
        if self._state == _UNWRAPPED:
            data, self._rest = self._rest + bytes(data), b''
            return [], [data] if data else []
        engine = self._engine
        if data:
            engine.feed(bytes(data))
        appdata: list[bytes] = []
        try:
            if self._state == _FAILED:
                raise engine.error()
            if self._state == _HANDSHAKE:
                self._shake_hands()
            if self._state in (_WRAPPED, _SHUTDOWN):
                self._read(appdata)
        except TlsError as error:
            self._failed(error)
            raise
        return _taken(engine), appdata  # also if there is no TLS any more

    def feed_appdata(self, data: bytes, offset: int = 0) -> tuple[list[bytes], int]:
        """Take application data from *offset* on; return record data, and the offset behind it.

        That is *offset* itself while ``need_ssldata``: come back with the same data then.

        :raises TlsError: TLS has failed.
        """
        with memoryview(data) as view:
            left = bytes(view[offset:])
        if self._state == _UNWRAPPED:
            return ([left] if left else []), offset + len(left)
        self._need_ssldata = self._state in (_HANDSHAKE, _SHUTDOWN)
        if self._need_ssldata:
            return [], offset
        try:
            done = 0
            while done < len(left) and not self._need_ssldata:
                written = self._engine.write(left[done : done + self.bufsize])
                self._need_ssldata = not written
                done += written
        except TlsError as error:
            self._failed(error)
            raise
        return _taken(self._engine), offset + done

    def feed_eof(self) -> None:
        """The peer's record data has ended.

        :raises TlsTruncated: not behind a close_notify.
        """
        if self._state == _UNWRAPPED or self._peer_ended:
            return
        try:
            self._engine.feed_eof()
        except TlsError as error:
            self._failed(error)
            raise

    def _shake_hands(self) -> None:
        while (result := self._engine.handshake()) == ASKED:
            self._context.choose(self._engine, self._engine.name)
        self._need_ssldata = result != DONE
        if result == DONE:
            self._state = _WRAPPED
            self._call()

    def _read(self, appdata: list[bytes]) -> None:
        data: Optional[bytes] = None
        while not self._peer_ended and (data := self._engine.read()) is not None:
            appdata.append(data)
            self._peer_ended = not data
        self._context.keep_session(self._engine)
        if self._state == _SHUTDOWN and not self._said:
            self._said = self._engine.shutdown()
        if self._peer_ended and self._state == _SHUTDOWN:
            rest = self._unwrap()
            if rest:
                appdata.append(rest)

    def _unwrap(self) -> bytes:
        """Go on without TLS; return what had come behind it."""
        rest: bytes = self._engine.rest()
        self._engine, self._state, self._need_ssldata = None, _UNWRAPPED, False
        self._call()
        return rest

    def _failed(self, error: TlsError) -> None:
        self._state, self._need_ssldata = _FAILED, False
        self._call(error)

    def _call(self, *error: TlsError) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback(*error)


def _taken(engine: Any) -> list[bytes]:
    data = engine.take()
    return [data] if data else []


class _Known:
    """What a TlsInfo looks at; it stays the same when the pipe goes on without TLS."""

    def __init__(self, pipe: SslPipe) -> None:
        self.context, self.engine = pipe._context, pipe._engine
        self.server_side, self.hostname = pipe.server_side, pipe.hostname
