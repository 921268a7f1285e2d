"""The TLS engine: records in, plaintext out, and back; see csrc/tls.h and csrc/tls_ctx.h."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Callable, Optional

from .._gv import ffi, lib
from ..errors import CertificateError, TlsError, TlsTruncated

CIPHERS: int = lib.GV_TLS_CIPHERS
SUITES: int = lib.GV_TLS_SUITES
GROUPS: int = lib.GV_TLS_GROUPS

VERIFY_NONE: int = lib.GV_TLS_VERIFY_NONE
VERIFY_OPTIONAL: int = lib.GV_TLS_VERIFY_OPTIONAL
VERIFY_REQUIRED: int = lib.GV_TLS_VERIFY_REQUIRED

# What a handshake has come to.
DONE: int = lib.GV_TLS_OK
WANT_READ: int = lib.GV_TLS_WANT_READ
ASKED: int = lib.GV_TLS_HELLO

# Alerts.
INTERNAL_ERROR: int = lib.GV_TLS_INTERNAL_ERROR
UNRECOGNIZED_NAME: int = lib.GV_TLS_UNRECOGNIZED_NAME

SECURED: int = lib.GV_TLS_SECURED
HELLO: int = lib.GV_TLS_ASKED
FAILED: int = lib.GV_TLS_FAILED
TICKETS: int = lib.GV_TLS_TICKETS
ENDED: int = lib.GV_TLS_ENDED

RECORD = 16384  # bytes of plaintext in a record at most (RFC 8446, 5.1)
_EXPORTER = b'EXPORTER-Channel-Binding'  # RFC 9266
_SMALL = 512  # bytes that hold any of the channel bindings

_KINDS = {
    lib.GV_TLS_PROTOCOL: TlsError,
    lib.GV_TLS_CERTIFICATE: CertificateError,
    lib.GV_TLS_TRUNCATED: TlsTruncated,
    lib.GV_TLS_HTTP: TlsError,
}


class EngineContext:
    """What engines of one kind share. Everything is set before the first of them is made.

    Its methods raise ValueError with OpenSSL's reason.
    """

    def __init__(self, server_side: bool) -> None:
        ptr = lib.gv_tls_ctx_new(server_side)
        if ptr == ffi.NULL:
            raise MemoryError('no memory for a TLS context')
        self._ptr = ffi.gc(ptr, lib.gv_tls_ctx_free)
        self._keylog: Optional[int] = None

    def __del__(self) -> None:
        if self._keylog is not None:
            with contextlib.suppress(OSError):
                os.close(self._keylog)

    def _check(self, code: int, doing: str) -> None:
        if code < 0:
            reason = ffi.string(lib.gv_tls_ctx_error(self._ptr)).decode()
            raise ValueError(f'could not {doing}: {reason}')

    def set_text(self, which: int, text: str) -> None:
        self._check(lib.gv_tls_ctx_text(self._ptr, which, text.encode()), f'use {text!r}')

    def set_versions(self, lowest: int, highest: int) -> None:
        self._check(lib.gv_tls_ctx_versions(self._ptr, lowest, highest), 'set the TLS versions')

    def use_certificate(self, chain: bytes, key: bytes, password: bytes | None, name: str) -> None:
        secret = ffi.NULL if password is None else ffi.new('char[]', password)
        code = lib.gv_tls_ctx_certificate(self._ptr, chain, len(chain), key, len(key), secret)
        self._check(code, f'use the certificate {name}')

    def trust(self, data: bytes, name: str, to_clients: bool) -> None:
        code = lib.gv_tls_ctx_trust(self._ptr, data, len(data), to_clients)
        self._check(code, f'trust the certificates in {name}')

    def trust_folder(self, path: bytes) -> None:
        self._check(lib.gv_tls_ctx_trust_folder(self._ptr, path), f'trust the folder {path!r}')

    def trust_system(self) -> None:
        self._check(lib.gv_tls_ctx_trust_system(self._ptr), "trust the system's certificates")

    @property
    def trusted(self) -> int:
        """How many certificates are trusted, without those in folders."""
        return int(lib.gv_tls_ctx_trusted(self._ptr))

    def use_revoked(self, data: bytes, chain: bool, name: str) -> None:
        code = lib.gv_tls_ctx_revoked(self._ptr, data, len(data), chain)
        self._check(code, f'use the revocation list {name}')

    def set_verify(self, verify: int) -> None:
        lib.gv_tls_ctx_verify(self._ptr, verify)

    def set_alpn(self, names: list[bytes]) -> None:
        protocols = b''.join(bytes([len(name)]) + name for name in names)
        code = lib.gv_tls_ctx_alpn(self._ptr, protocols, len(protocols))
        self._check(code, 'offer protocols')

    def ask_for_names(self) -> None:
        lib.gv_tls_ctx_ask(self._ptr, True)

    def set_sessions(self, identity: bytes, keys: bytes | None) -> None:
        given = ffi.NULL if keys is None else ffi.from_buffer('unsigned char[]', keys)
        code = lib.gv_tls_ctx_sessions(self._ptr, identity, len(identity), given)
        self._check(code, 'use the keys for session tickets')

    def log_keys(self, path: str) -> None:
        """Append the secrets of all connections to the file *path*.

        :raises OSError: it cannot be opened.
        """
        self._keylog = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        lib.gv_tls_ctx_keylog(self._ptr, self._keylog)

    def set_staple(self, der: bytes) -> None:
        self._check(lib.gv_tls_ctx_staple(self._ptr, der, len(der)), 'staple the OCSP response')

    def check_staple(self) -> None:
        lib.gv_tls_ctx_check_staple(self._ptr, True)


class TlsEngine:
    """TLS of one connection, without the connection.

    *hostname* is in ASCII. *origin* is the owner's: whom a session can be resumed with.

    :raises ValueError: *hostname* is no name of a host.
    """

    __slots__ = ('_ptr', 'context', 'origin')

    def __init__(
        self,
        context: EngineContext,
        hostname: str | None = None,
        check_hostname: bool = False,
        session: bytes | None = None,
        origin: Any = None,
    ) -> None:
        name = ffi.NULL if hostname is None else ffi.new('char[]', hostname.encode('ascii'))
        given = ffi.NULL if session is None else ffi.from_buffer('unsigned char[]', session)
        ptr = lib.gv_tls_new(context._ptr, name, check_hostname, given, len(session or b''))
        if ptr == ffi.NULL:
            raise ValueError(f'no TLS is possible with the host name {hostname!r}')
        self._ptr = ffi.gc(ptr, lib.gv_tls_free)
        self.context = context
        self.origin = origin

    # Bytes, for those who have no stream of C's.

    def feed(self, data: bytes) -> None:
        """Take bytes from the peer."""
        lib.gv_tls_feed(self._ptr, data, len(data))

    def feed_eof(self) -> None:
        """The peer's bytes have ended.

        :raises TlsTruncated: it had not said that they would.
        """
        if lib.gv_tls_eof(self._ptr) < 0:
            raise self.error()

    def take(self) -> bytes:
        """Return the bytes for the peer."""
        return self._copied(lib.gv_tls_take, lib.gv_tls_out(self._ptr))

    def rest(self) -> bytes:
        """Return the bytes that came behind the peer's close_notify, or that were never read."""
        return self._copied(lib.gv_tls_rest, lib.gv_tls_in(self._ptr))

    def _copied(self, get: Callable[..., int], size: int) -> bytes:
        if not size:
            return b''
        data = ffi.new('char[]', size)
        return bytes(ffi.buffer(data, get(self._ptr, data, size)))

    def handshake(self) -> int:
        """Return DONE, WANT_READ, or ASKED: then ``use()`` a context, and call this again.

        :raises TlsError: it has failed.
        """
        result = int(lib.gv_tls_handshake(self._ptr))
        if result == lib.GV_TLS_ERROR:
            raise self.error()
        return result

    def read(self) -> bytes | None:
        """Return plaintext, b'' behind the peer's close_notify, or None: more must be fed.

        :raises TlsError: it has failed.
        """
        data = ffi.new('char[]', RECORD)
        size = lib.gv_tls_read(self._ptr, data, RECORD)
        if size > 0:
            return bytes(ffi.buffer(data, size))
        if size == lib.GV_TLS_ERROR:
            raise self.error()
        return b'' if size == lib.GV_TLS_EOF else None

    def write(self, data: bytes) -> int:
        """Encrypt the beginning of *data*; return how many bytes that are.

        0 if more must be fed before: a message of the peer's has come in part.

        :raises TlsError: it has failed.
        """
        size = int(lib.gv_tls_write(self._ptr, data, len(data)))
        if size == lib.GV_TLS_ERROR:
            raise self.error()
        return max(0, size)

    def shutdown(self) -> bool:
        """Say close_notify; False: not yet, a message of the peer's has come in part.

        :raises TlsError: it has failed.
        """
        result = lib.gv_tls_shutdown(self._ptr)
        if result == lib.GV_TLS_ERROR:
            raise self.error()
        return bool(result == lib.GV_TLS_OK)

    def error(self) -> TlsError:
        """Return why it has failed."""
        kind = lib.gv_tls_error_kind(self._ptr)
        text = ffi.string(lib.gv_tls_error(self._ptr)).decode()
        error = _KINDS[kind](text or 'TLS has failed')
        error.plain_http = kind == lib.GV_TLS_HTTP
        return error

    # What a client asks for, and what it is given.

    @property
    def name(self) -> str | None:
        """The name that the client's hello asks for."""
        name = lib.gv_tls_name(self._ptr)
        return None if name == ffi.NULL else ffi.string(name).decode('ascii', 'replace')

    def use(self, context: EngineContext) -> None:
        """Go on with another context."""
        if lib.gv_tls_use(self._ptr, context._ptr) < 0:
            raise self.error()
        self.context = context

    def refuse(self, alert: int) -> None:
        """Go on with nothing but an *alert*."""
        lib.gv_tls_refuse(self._ptr, alert)

    # What is known.

    @property
    def version(self) -> str | None:
        """Such as 'TLSv1.3'; None before the handshake."""
        return _text(lib.gv_tls_version(self._ptr))

    @property
    def cipher(self) -> tuple[str, str, int] | None:
        """Its name, the version that defines it, and its strength in bits."""
        name = _text(lib.gv_tls_cipher(self._ptr))
        if name is None:
            return None
        version = _text(lib.gv_tls_cipher_version(self._ptr)) or ''
        return name, version, lib.gv_tls_cipher_bits(self._ptr)

    @property
    def alpn(self) -> str | None:
        """The protocol that ALPN has chosen."""
        protocol = ffi.new('const unsigned char **')
        size = lib.gv_tls_alpn(self._ptr, protocol)
        return bytes(ffi.buffer(protocol[0], size)).decode('latin-1') if size else None

    @property
    def resumed(self) -> bool:
        """Whether it goes on with the session of an earlier connection."""
        return bool(lib.gv_tls_resumed(self._ptr))

    def certificate(self, index: int = 0) -> bytes | None:
        """Return the peer's certificate, or the *index*-th of its chain, in DER."""
        return self._filled(lambda data, size: lib.gv_tls_certificate(self._ptr, index, data, size))

    def session(self) -> bytes | None:
        """Return a session to resume with, if a new one came since this was called."""
        return self._filled(lambda data, size: lib.gv_tls_session(self._ptr, data, size))

    def channel_binding(self, kind: str) -> bytes | None:
        """Return 'tls-unique', 'tls-server-end-point' (RFC 5929) or 'tls-exporter' (RFC 9266)."""
        if kind == 'tls-exporter':
            return self.export(_EXPORTER, 32)
        get = lib.gv_tls_unique if kind == 'tls-unique' else lib.gv_tls_end_point
        data = ffi.new('unsigned char[]', _SMALL)
        return bytes(ffi.buffer(data, get(self._ptr, data, _SMALL))) or None

    def export(self, label: bytes, size: int, context: bytes | None = None) -> bytes | None:
        """Return *size* bytes of key for *label* (RFC 5705), or None before the handshake."""
        data = ffi.new('unsigned char[]', size)
        given = ffi.NULL if context is None else ffi.from_buffer('unsigned char[]', context)
        done = lib.gv_tls_export(
            self._ptr, label, len(label), given, len(context or b''), data, size
        )
        return bytes(ffi.buffer(data, size)) if done else None

    def _filled(self, get: Callable[[Any, int], int]) -> bytes | None:
        size = get(ffi.NULL, 0)
        if not size:
            return None
        data = ffi.new('unsigned char[]', size)
        get(data, size)
        return bytes(ffi.buffer(data, size))


def describe(der: bytes) -> list[tuple[str, str]]:
    """Return what a certificate says; see gv_tls_describe() in csrc/tls_facts.h."""
    size = lib.gv_tls_describe(der, len(der), ffi.NULL, 0)
    data = ffi.new('char[]', max(1, size))
    lib.gv_tls_describe(der, len(der), data, size)
    parts = bytes(ffi.buffer(data, size)).decode('utf-8', 'replace').split('\0')
    return list(zip(parts[0::2], parts[1::2]))


def live_engines() -> int:
    """Return how many engines there are."""
    return int(lib.gv_tls_live())


def _text(text: Any) -> str | None:
    return None if text == ffi.NULL else ffi.string(text).decode()
