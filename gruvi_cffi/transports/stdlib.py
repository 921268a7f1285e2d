"""An ``ssl.SSLContext``, and its engine: what TlsEngine does, by the standard library."""

from __future__ import annotations

import ssl
from typing import Any

from .._native.tls import DONE, RECORD, WANT_READ
from ..errors import CertificateError, TlsError, TlsTruncated
from ..hostnames import normal_name

_IDLE = 65536  # bytes of records in a row that may bring no data, such as key updates


class StdlibEngine:
    """TLS of one connection, without the connection; see TlsEngine for its methods.

    :raises ValueError: *hostname* is no name of a host.
    """

    name = None  # contexts choose by sni_callback themselves

    def __init__(self, context: ssl.SSLContext, server_side: bool, hostname: str | None) -> None:
        self.context = context
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self._incoming, self._outgoing, server_side, hostname)
        self._error: TlsError | None = None
        self._done = False
        self._idle = 0  # bytes of records since the last that brought data
        self._first = b'' if server_side else b'\0'  # byte that a client has sent

    def feed(self, data: bytes) -> None:
        self._idle += len(data)
        if not self._first:
            self._first = data[:1]
        self._incoming.write(data)

    def feed_eof(self) -> None:
        self._incoming.write_eof()
        doing = 'without a close_notify' if self._done else 'during the handshake'
        raise self._fail(TlsTruncated(f'the peer has closed {doing}'))

    def take(self) -> bytes:
        return self._outgoing.read()

    def rest(self) -> bytes:
        return self._incoming.read()

    def handshake(self) -> int:
        try:
            self.object.do_handshake()
        except ssl.SSLWantReadError:
            return WANT_READ
        except ssl.SSLError as error:
            if b'A' <= self._first <= b'Z':  # no record begins with a letter
                plain = self._fail(TlsError('a request in plain HTTP'))
                plain.plain_http = True
                raise plain from None
            raise self._fail(_translated(error)) from None
        self._done, self._idle = True, 0
        return DONE

    def read(self) -> bytes | None:
        try:
            data = self.object.read(RECORD)
            self._idle = 0
            return data
        except ssl.SSLWantReadError:
            if self._idle > _IDLE:
                raise self._fail(TlsError('too many messages without data')) from None
            return None
        except ssl.SSLZeroReturnError:
            return b''
        except ssl.SSLError as error:
            raise self._fail(_translated(error)) from None

    def write(self, data: bytes) -> int:
        try:
            return self.object.write(data)
        except ssl.SSLWantReadError:
            return 0
        except ssl.SSLError as error:
            raise self._fail(_translated(error)) from None

    def shutdown(self) -> bool:
        try:
            self.object.unwrap()
        except (ssl.SSLWantReadError, ssl.SSLSyscallError, ssl.SSLZeroReturnError):
            pass
        except ssl.SSLError as error:
            if error.reason == 'SHUTDOWN_WHILE_IN_INIT':  # by a message that has come in part
                return False
            if error.reason != 'APPLICATION_DATA_AFTER_CLOSE_NOTIFY':
                raise self._fail(_translated(error)) from None
        return True

    def error(self) -> TlsError:
        return self._error or TlsError('TLS has failed')

    def _fail(self, error: TlsError) -> TlsError:
        self._error = error
        return error

    @property
    def version(self) -> str | None:
        return self.object.version()

    @property
    def cipher(self) -> tuple[str, str, int] | None:
        return self.object.cipher()

    @property
    def alpn(self) -> str | None:
        return self.object.selected_alpn_protocol()

    @property
    def resumed(self) -> bool:
        return bool(self.object.session_reused)

    def certificate(self, index: int = 0) -> bytes | None:
        return None if index else self.object.getpeercert(binary_form=True)

    def channel_binding(self, kind: str) -> bytes | None:
        return self.object.get_channel_binding(kind) if kind == 'tls-unique' else None


def _translated(error: ssl.SSLError) -> TlsError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return CertificateError(f'certificate verify failed: {error.verify_message}')
    if isinstance(error, ssl.SSLEOFError):
        return TlsTruncated('the peer has closed without a close_notify')
    reason: Any = error.reason or error.strerror or str(error)
    return TlsError(str(reason).lower().replace('_', ' '))


_OF_OTHERS = {False: ssl.PROTOCOL_TLS_SERVER, True: ssl.PROTOCOL_TLS_CLIENT}


class StdlibContext:
    """An ``ssl.SSLContext``, as the transports want it."""

    def __init__(self, given: ssl.SSLContext) -> None:
        self.given = given

    @property
    def verifies(self) -> bool:
        return self.given.verify_mode != ssl.CERT_NONE

    def check_side(self, server_side: bool) -> None:
        """Raise ValueError if it is for the other side."""
        if self.given.protocol == _OF_OTHERS[server_side]:
            raise ValueError(f'{self.given!r} cannot be used by the other side')

    def make_engine(
        self, server_side: bool, hostname: str | None, peer: Any = None
    ) -> StdlibEngine:
        """Return an engine for a connection.

        :raises TypeError: *hostname* is no str.
        :raises ValueError: the context is for the other side, the hostname cannot be used, or it
            is missing where it is to be checked.
        """
        if not server_side and self.given.check_hostname and not hostname:
            raise ValueError('check_hostname needs a server_hostname')
        self.check_side(server_side)
        name = normal_name(hostname) if hostname and not server_side else None
        return StdlibEngine(self.given, server_side, name)

    def choose(self, engine: StdlibEngine, name: str | None) -> None:
        """Do nothing: its sni_callback does."""

    def keep_session(self, engine: StdlibEngine) -> None:
        """Do nothing: the standard library has no sessions to be kept."""


def as_ours(context: Any) -> Any:
    """Return a context as the transports want it.

    :raises TypeError: it is none.
    """
    if isinstance(context, ssl.SSLContext):
        return StdlibContext(context)
    if not hasattr(context, 'make_engine'):
        raise TypeError(f'need a TlsContext, or one of the standard library, not {context!r}')
    return context
