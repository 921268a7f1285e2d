"""Sockets with TLS, as ``ssl.SSLSocket``, for fibers: see ``gruvi_cffi.socket.Socket.wrap()``."""

from __future__ import annotations

import contextlib
import socket as _socket
from time import monotonic
from typing import Any, NoReturn, Optional

from . import limits
from ._native.tls import DONE, WANT_READ
from .errors import TlsError
from .hub import switchpoint
from .socket import Socket
from .sync import Lock
from .transports.tlsinfo import TlsInfo

__all__ = ['TlsSocket']

_READ = 65536  # bytes of records that are read at once
_WRITE = 65536  # bytes that are encrypted before they are sent


class TlsSocket(Socket):
    """A Socket over TLS. ``Socket.wrap()`` makes it, and has done the handshake.

    One fiber may read while another writes. What reads or writes is a switch point.
    """

    __slots__ = ('_lock', '_out', '_plain', 'context', 'engine', 'hostname', 'server_side')

    def begin(
        self, context: Any, engine: Any, server_side: bool, hostname: str | None, received: bytes
    ) -> None:
        """Get ready for the handshake, with an *engine* that *context* has made."""
        self.context, self.engine = context, engine
        if received:
            engine.feed(received)
        self.server_side, self.hostname = server_side, hostname
        self._out = bytearray()  # records that have to leave
        self._plain = b''  # that was decrypted, and not asked for yet
        self._lock = Lock()  # a record must leave in one piece

    @property
    def tls(self) -> TlsInfo:
        """What is known about the connection's TLS."""
        return TlsInfo(self)

    @switchpoint
    def do_handshake(self) -> None:
        """Do the handshake, within ``limits.TLS_HANDSHAKE_TIMEOUT``.

        :raises TlsError: it has failed.
        :raises socket.timeout: it took too long.
        """
        seconds = self._seconds
        until = monotonic() + limits.TLS_HANDSHAKE_TIMEOUT
        try:
            while (result := self.engine.handshake()) != DONE:
                self._seconds = _nearer(seconds, until)
                self._flush()
                if result == WANT_READ:
                    self._feed()
                else:
                    self.context.choose(self.engine, self.engine.name)
        finally:
            with contextlib.suppress(OSError):
                self._flush()  # if it has failed, this is the alert that says why
            self._seconds = seconds

    # Reading.

    @switchpoint
    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Return up to *bufsize* bytes; none at the end.

        :raises TlsTruncated: the connection ended without a close_notify.
        :raises ValueError: there are *flags*.
        """
        _check(flags)
        if bufsize <= 0:
            return b''
        while not self._plain:
            data = self._read()
            if data == b'':
                return data
            if data:
                self._plain = data
            else:
                self._feed()
        data, self._plain = self._plain[:bufsize], self._plain[bufsize:]
        return data

    def _read(self) -> bytes | None:
        try:
            data: bytes | None = self.engine.read()
        except TlsError:
            with contextlib.suppress(OSError):
                self._flush()  # the alert that says why
            raise
        self._flush()
        return data

    def _feed(self) -> None:
        data = super().recv(_READ)
        if data:
            self.engine.feed(data)
        else:
            self.engine.feed_eof()

    @switchpoint
    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Receive into *buffer*; return how many bytes. Errors are those of ``recv()``."""
        with memoryview(buffer) as whole, whole.cast('B') as view:
            data = self.recv(nbytes or len(view), flags)
            view[: len(data)] = data
            return len(data)

    def pending(self) -> int:
        """Return how many bytes can be read without waiting, of those that were decrypted."""
        return len(self._plain)

    # Writing.

    @switchpoint
    def send(self, data: Any, flags: int = 0) -> int:
        """Send *data*, and return how many bytes of it.

        All, unless there is a timeout, or no waiting: then fewer were encrypted, and leave with the
        next call if they could not yet. Of a call that raises, nothing does.

        :raises TlsError: TLS has ended, or failed.
        :raises ValueError: there are *flags*.
        """
        _check(flags)
        self._flush()  # what a call before has left
        octets, done = _octets(data), 0
        try:
            while done < len(octets):
                piece = octets[done : done + _WRITE]
                self._encrypt(piece)
                done += len(piece)
                self._flush()
        except (BlockingIOError, _socket.timeout):
            if not done:
                raise
        return done

    @switchpoint
    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of *data*.

        :raises TlsError: TLS has ended, or failed.
        :raises ValueError: there are *flags*.
        """
        _check(flags)
        octets = _octets(data)
        for start in range(0, len(octets), _WRITE):
            self._encrypt(octets[start : start + _WRITE])
            self._flush()

    def _encrypt(self, piece: bytes) -> None:
        while piece:
            done = self.engine.write(piece)
            piece = piece[done:]
            if not done:  # a message of the peer's has come in part
                self._feed()

    def _flush(self) -> None:
        self._out += self.engine.take()
        if not self._out:
            return
        with self._lock:
            while self._out:
                sent = super().send(bytes(self._out[:_READ]))
                del self._out[:sent]

    # The end.

    @switchpoint
    def unwrap(self) -> Socket:
        """End TLS: say close_notify, wait for the peer's, and return a socket without TLS.

        What had come behind the peer's is what it receives first.

        :raises TlsError: TLS has failed, or there is something that was not received.
        """
        if self._plain:
            raise TlsError(f'{len(self._plain)} bytes were not received')
        said = self.engine.shutdown()
        self._flush()
        while (data := self.engine.read()) != b'':
            if data:
                raise TlsError('the peer has sent data since we have said that we end TLS')
            if not said:  # a message of the peer's had come in part
                said = self.engine.shutdown()
                self._flush()
            self._feed()
        timeout, rest = self.gettimeout(), self.engine.rest()
        kind = _ReadAhead if rest else Socket
        made = kind(self.family, self.type, self.proto, fileno=self.detach())
        made.settimeout(timeout)
        if isinstance(made, _ReadAhead):
            made.rest = rest
        return made

    @switchpoint
    def shutdown(self, how: int) -> None:
        """Say close_notify, unless it is reading that ends, then shut the connection down."""
        if how != _socket.SHUT_RD:
            self._say_goodbye()
        super().shutdown(how)

    def _real_close(self, *args: Any) -> None:
        with contextlib.suppress(OSError):
            self._take_tickets()
        self._say_goodbye()
        super()._real_close(*args)

    def _take_tickets(self) -> None:
        """Read what has come, without waiting; a client of TLS 1.3 that only writes is sent some.

        A socket that is closed with something unread is cut by the kernel, and what we have sent,
        and the peer has not read yet, is lost.
        """
        data = _socket.socket.recv(self, _READ)
        if data:
            self.engine.feed(data)
            while self.engine.read():
                pass

    def _say_goodbye(self) -> None:
        """Say close_notify if there is room for it: a close must not wait."""
        with contextlib.suppress(OSError):
            self.context.keep_session(self.engine)
            self.engine.shutdown()
            self._out += self.engine.take()
            if self._out and not self._lock.locked():
                _socket.socket.send(self, bytes(self._out))

    # As of ``ssl.SSLSocket``.

    def getpeercert(self, binary_form: bool = False) -> Any:
        """See ``TlsInfo.getpeercert()``."""
        return self.tls.getpeercert(binary_form)

    def cipher(self) -> Optional[tuple[str, str, int]]:
        """See ``TlsInfo.cipher()``."""
        return self.tls.cipher()

    def version(self) -> Optional[str]:
        """See ``TlsInfo.version()``."""
        return self.tls.version()

    def selected_alpn_protocol(self) -> Optional[str]:
        """See ``TlsInfo.selected_alpn_protocol()``."""
        return self.tls.selected_alpn_protocol()

    def get_channel_binding(self, cb_type: str = 'tls-unique') -> Optional[bytes]:
        """See ``TlsInfo.get_channel_binding()``."""
        return self.tls.get_channel_binding(cb_type)

    # What has no meaning with TLS.

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise ValueError: there are no datagrams, no ancillary data, and no second owner."""
        raise ValueError('this cannot be done with TLS')

    recvfrom = recvfrom_into = recvmsg = recvmsg_into = sendto = sendmsg = dup = _refuse


class _ReadAhead(Socket):
    """A socket of which TLS has read more than was TLS."""

    __slots__ = ('rest',)

    rest: bytes

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        if not self.rest:
            return super().recv(bufsize, flags)
        data = self.rest[: max(0, bufsize)]
        if not flags & _socket.MSG_PEEK:
            self.rest = self.rest[len(data) :]
        return data

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        if not self.rest:
            return super().recv_into(buffer, nbytes, flags)
        with memoryview(buffer) as whole, whole.cast('B') as view:
            data = self.recv(nbytes or len(view), flags)
            view[: len(data)] = data
            return len(data)

    def _read_ahead(self) -> bytes:
        data, self.rest = self.rest, b''
        return data


def _nearer(seconds: float | None, until: float) -> float:
    """Return what is left of a timeout of *seconds*, or until then; 0 means not to wait."""
    left = until - monotonic()
    if left <= 0:
        raise _socket.timeout('the TLS handshake timed out')
    return left if seconds is None else min(seconds, left)


def _octets(data: Any) -> bytes:
    with memoryview(data) as view:
        return view.tobytes()


def _check(flags: int) -> None:
    if flags:
        raise ValueError(f'there are no flags with TLS, as {flags}')
