"""What one says about TLS: certificates, trust, versions, names."""

from __future__ import annotations

import copy
import hashlib
import logging
import os
import ssl
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Callable, Optional

from . import limits
from ._native.tls import (
    CIPHERS,
    GROUPS,
    INTERNAL_ERROR,
    SUITES,
    UNRECOGNIZED_NAME,
    VERIFY_NONE,
    VERIFY_OPTIONAL,
    VERIFY_REQUIRED,
    EngineContext,
    TlsEngine,
)
from .hostnames import ServerNames, normal_name
from .pem import Chain, Given, Password, Source

_VERIFY = {
    ssl.CERT_NONE: VERIFY_NONE,
    ssl.CERT_OPTIONAL: VERIFY_OPTIONAL,
    ssl.CERT_REQUIRED: VERIFY_REQUIRED,
}
_TICKET_KEYS = 80  # bytes that OpenSSL wants
_PROTOCOLS = 65535  # bytes that a list of protocols has at most (RFC 7301, 3.1)

log = logging.getLogger('gruvi_cffi.transports')


class TlsContext:
    """What the TLS connections of a server, or of a client, have in common.

    A client's verifies certificates and host names, and trusts nobody yet: see
    ``create_default_context()``. Its methods and attributes have the names of those of an
    ``ssl.SSLContext``. Changes hold for connections made later. It may be used in all threads.

    Files are read when they are named, and again by ``reload()``.
    """

    def __init__(self, server_side: bool = False) -> None:
        self.server_side = server_side
        self._check_hostname = not server_side
        self._verify_mode = ssl.CERT_NONE if server_side else ssl.CERT_REQUIRED
        self._versions = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
        self._texts: dict[int, str] = {}
        self._chains: list[Chain] = []
        self._trusted: list[Given] = []
        self._folders: list[bytes] = []
        self._trusts_system = False
        self._revoked: list[tuple[Given, bool]] = []
        self._alpn: tuple[str, ...] = ()
        self._keylog: Optional[str] = None
        self._staple: Optional[Given] = None
        self._check_staple = False
        self._names: ServerNames[TlsContext] = ServerNames({})
        self._ticket_keys = os.urandom(_TICKET_KEYS) if server_side else None
        self._sessions: OrderedDict[Any, tuple[bytes, bool]] = OrderedDict()
        self._version = object()  # another one with each change
        self._made: Optional[tuple[object, EngineContext]] = None  # of which version

    def __repr__(self) -> str:
        return f'<TlsContext for {"servers" if self.server_side else "clients"}>'

    # What it has, and whom it trusts.

    def load_cert_chain(
        self, certfile: Source, keyfile: Source | None = None, password: Password = None
    ) -> None:
        """Use a certificate, with those that vouch for it behind it, and its private key.

        Each is a path, or PEM as bytes; without *keyfile* the key is in *certfile*. There can be
        one for each type of key (RSA, ECDSA, Ed25519). *password*, or what it returns, is for an
        encrypted key; ``reload()`` calls it again for another key.

        :raises OSError: a file cannot be read.
        :raises TypeError: the password is neither str nor bytes.
        :raises ValueError: it is no PEM, the key is another's, or the password is wrong.
        """
        self._try(self._chains, Chain(certfile, keyfile, password))

    def load_verify_locations(
        self,
        cafile: Source | None = None,
        capath: str | None = None,
        cadata: str | bytes | None = None,
    ) -> None:
        """Trust the certificates in a file, in a folder as of ``c_rehash``, or in *cadata*.

        *cadata* is PEM, or bytes of DER. A server also tells its clients whom it trusts.

        :raises OSError: a file cannot be read.
        :raises TypeError: nothing was given.
        :raises ValueError: there is no certificate in it, or a broken one.
        """
        if cafile is None and capath is None and cadata is None:
            raise TypeError('need a cafile, a capath or cadata')
        if capath is not None:
            os.listdir(capath)  # OpenSSL would not say that there is none
            self._try(self._folders, os.fsencode(capath))
        if cafile is not None:
            self._try(self._trusted, Given(cafile))
        if cadata is not None:
            data = cadata.encode() if isinstance(cadata, str) else cadata
            self._try(self._trusted, Given(data))

    def load_default_certs(self) -> None:
        """Trust whom the system trusts."""
        self._trusts_system = True
        self._changed()

    def load_crls(self, crls: Source, whole_chain: bool = False) -> None:
        """Refuse certificates that are on one of these lists: a path, or PEM as bytes.

        The issuer of each certificate must have one then; with *whole_chain* also those of the
        certificates that vouch for it.

        :raises OSError: the file cannot be read.
        :raises ValueError: there is no list in it.
        """
        self._try(self._revoked, (Given(crls), whole_chain))

    def load_ocsp_response(self, der: Source) -> None:
        """Have a server staple an OCSP response (RFC 6066, 8) for clients that want one.

        It is a path, or DER as bytes, and for this certificate: a new one needs another.

        :raises OSError: the file cannot be read.
        :raises ValueError: it is empty, or larger than 64 KiB.
        """
        given = Given(der)
        if not 1 <= len(given.data) <= 65535:
            raise ValueError(f'need an OCSP response of 1 to 65,535 bytes, not {len(given.data)}')
        self._staple = given
        self._changed()

    def reload(self) -> None:
        """Read all files again, for the connections to come; those that there are stay.

        So do the contexts of ``set_server_names()``.

        :raises OSError: a file cannot be read; then nothing has changed.
        :raises ValueError: what is in it cannot be used; then nothing has changed.
        """
        read = [(context, context._read_again()) for context in {self, *self._names}]
        for context, other in read:
            unchanged = context._version is other._version
            context._chains, context._trusted = other._chains, other._trusted
            context._revoked, context._staple = other._revoked, other._staple
            version = context._changed()  # what was trusted before must not be resumed
            if unchanged:  # by another thread
                context._made = version, other._engine_context()

    def _read_again(self) -> TlsContext:
        other = copy.copy(self)
        other._chains = [chain.again() for chain in self._chains]
        other._trusted = [given.again() for given in self._trusted]
        other._revoked = [(given.again(), whole_chain) for given, whole_chain in self._revoked]
        other._staple = self._staple and self._staple.again()
        other._made = other._version, other._make()
        return other

    # What is allowed.

    @property
    def check_hostname(self) -> bool:
        """Whether a server's certificate must be for the name, or address, that was asked for."""
        return self._check_hostname

    @check_hostname.setter
    def check_hostname(self, value: bool) -> None:
        if value and self._verify_mode == ssl.CERT_NONE:
            self._verify_mode = ssl.CERT_REQUIRED
        self._check_hostname = bool(value)
        self._changed()

    @property
    def verify_mode(self) -> ssl.VerifyMode:
        """``ssl.CERT_REQUIRED``, CERT_OPTIONAL (if there is one, it must be good) or CERT_NONE."""
        return self._verify_mode

    @verify_mode.setter
    def verify_mode(self, value: ssl.VerifyMode) -> None:
        mode = ssl.VerifyMode(value)
        if mode == ssl.CERT_NONE and self._check_hostname:
            raise ValueError('set check_hostname to False before verify_mode to CERT_NONE')
        self._verify_mode = mode
        self._changed()

    @property
    def minimum_version(self) -> ssl.TLSVersion:
        """The lowest version; TLS 1.2 unless set."""
        return self._versions[0]

    @minimum_version.setter
    def minimum_version(self, value: ssl.TLSVersion) -> None:
        self._set_versions(_version(value, ssl.TLSVersion.TLSv1_2), self._versions[1])

    @property
    def maximum_version(self) -> ssl.TLSVersion:
        """The highest version; TLS 1.3 unless set."""
        return self._versions[1]

    @maximum_version.setter
    def maximum_version(self, value: ssl.TLSVersion) -> None:
        self._set_versions(self._versions[0], _version(value, ssl.TLSVersion.TLSv1_3))

    def _set_versions(self, lowest: ssl.TLSVersion, highest: ssl.TLSVersion) -> None:
        if lowest > highest:
            raise ValueError(f'{lowest.name} is above {highest.name}')
        self._versions = (lowest, highest)
        self._changed()

    def set_ciphers(self, ciphers: str) -> None:
        """Set the ciphers of TLS 1.2, in the words of openssl-ciphers(1).

        :raises ValueError: there is none of that name.
        """
        self._set_text(CIPHERS, ciphers)

    def set_ciphersuites(self, suites: str) -> None:
        """Set the suites of TLS 1.3, such as 'TLS_AES_128_GCM_SHA256', with colons between.

        :raises ValueError: there is none of that name.
        """
        for suite in suites.split(':'):  # OpenSSL ignores what it does not know beside others
            if not suite:
                raise ValueError(f'a suite has no name: {suites!r}')
            EngineContext(self.server_side).set_text(SUITES, suite)
        self._set_text(SUITES, suites)

    def set_groups(self, groups: str) -> None:
        """Set the groups for the key exchange, such as 'X25519:P-256'.

        :raises ValueError: there is none of that name.
        """
        self._set_text(GROUPS, groups)

    def _set_text(self, which: int, text: str) -> None:
        EngineContext(self.server_side).set_text(which, text)
        self._texts[which] = text
        self._changed()

    def set_alpn_protocols(self, protocols: Iterable[str]) -> None:
        """Offer *protocols*, the best first (RFC 7301).

        A server takes the first of its own that the client offers too; without one there is no
        connection, unless the client offers none.

        :raises TypeError: it is one string, or a name is none.
        :raises ValueError: a name is empty, or has more than 255 bytes, or there are too many.
        """
        names = tuple(protocols)
        for name in names:
            if isinstance(protocols, str) or not isinstance(name, str):
                raise TypeError(f'need a list of strings, not {protocols!r}')
            if not 1 <= len(name.encode()) <= 255:
                raise ValueError(f'need a protocol of 1 to 255 bytes, not {name!r}')
        if sum(1 + len(name.encode()) for name in names) > _PROTOCOLS:
            raise ValueError(f'{len(names)} protocols are too many')
        self._alpn = names
        self._changed()

    @property
    def check_ocsp(self) -> bool:
        """Whether a client asks for an OCSP response, and believes one that is there."""
        return self._check_staple

    @check_ocsp.setter
    def check_ocsp(self, value: bool) -> None:
        self._check_staple = bool(value)
        self._changed()

    @property
    def keylog_filename(self) -> str | None:
        """The file that the secrets of all connections are appended to, for Wireshark, or None."""
        return self._keylog

    @keylog_filename.setter
    def keylog_filename(self, path: str | None) -> None:
        if path is not None:
            path = os.fspath(path)
            EngineContext(self.server_side).log_keys(path)
        self._keylog = path
        self._changed()

    @property
    def ticket_keys(self) -> bytes | None:
        """What a server's session tickets are encrypted with: 80 bytes, at random.

        Processes that share it resume each other's sessions.
        """
        return self._ticket_keys

    @ticket_keys.setter
    def ticket_keys(self, keys: bytes) -> None:
        if not self.server_side or len(keys) != _TICKET_KEYS:
            raise ValueError(f'a server has {_TICKET_KEYS} bytes of ticket keys')
        self._ticket_keys = bytes(keys)
        self._changed()

    # Servers of several names.

    def set_server_names(
        self,
        names: Mapping[str, TlsContext],
        choose: Callable[[str | None], TlsContext | None] | None = None,
    ) -> None:
        """Answer clients who ask for one of *names* with its context (SNI, RFC 6066, 3).

        ``'*.example.com'`` is for each name with one label more. For any other name, and for none,
        ``choose(name)`` is called, which must not switch; if it returns None, this context serves.
        If that has no certificate, or if ``choose()`` raises a LookupError, the client is told that
        nobody knows the name (the alert is unrecognized_name); whatever else it raises is logged
        (internal_error). The contexts must be of our kind.

        :raises TypeError: a context, or a name, is none.
        :raises ValueError: a name is none, or this context, or one of those, is for clients.
        """
        for context in (self, *names.values()):
            _checked(context)._check_answers()
        self._names = ServerNames(names, choose)
        self._changed()

    def context_for(self, name: str | None) -> TlsContext:
        """Return the context that answers clients who ask for *name*.

        :raises LookupError: there is none.
        """
        found = self._names.find(name)
        context: TlsContext = self if found is None else _checked(found)
        context._check_answers()
        if not context._chains:
            raise LookupError(f'{context!r} has no certificate')
        return context

    def _check_answers(self) -> None:
        if not self.server_side:
            raise ValueError(f'{self!r} cannot answer clients')

    # For the transports.

    @property
    def given(self) -> TlsContext:
        return self

    @property
    def verifies(self) -> bool:
        return self._verify_mode != ssl.CERT_NONE

    def check_side(self, server_side: bool) -> None:
        """Raise ValueError if it is for the other side, or has no certificate for a server.

        Its files are read now, if they were not: a server is to fail before there are clients.
        """
        if server_side != self.server_side:
            raise ValueError(f'{self!r} cannot be used by the other side')
        if server_side and not (self._chains or self._names):
            raise ValueError(f'{self!r} has no certificate: see load_cert_chain()')
        self._engine_context()

    def make_engine(self, server_side: bool, hostname: str | None, peer: Any = None) -> TlsEngine:
        """Return an engine for a connection to *peer*, the address as the socket has it.

        :raises TypeError: *hostname* is no str.
        :raises ValueError: the context is for the other side, a server has no certificate, or
            *hostname* is none, or missing where it is to be checked.
        """
        self.check_side(server_side)
        if server_side:
            return TlsEngine(self._engine_context())
        if self._check_hostname and not hostname:
            raise ValueError('check_hostname needs a server_hostname')
        name = normal_name(hostname) if hostname else None
        made, sessions = self._engine_context(), self._sessions
        # Whoever has the name, and listens at that port, has the keys of the tickets.
        origin = name, peer[1] if name and isinstance(peer, tuple) else peer
        session, single_use = sessions.get(origin, (None, False))
        if single_use:
            sessions.pop(origin, None)
        return TlsEngine(made, name, self._check_hostname, session, origin)

    def choose(self, engine: TlsEngine, name: str | None) -> None:
        """Have *engine* answer a client that asks for *name*, or refuse it with an alert."""
        try:
            engine.use(self.context_for(name)._engine_context())
        except LookupError:
            engine.refuse(UNRECOGNIZED_NAME)
        except Exception:  # fail closed: no client is served by a context it did not get
            log.exception('exception while a context was chosen for %r', name)
            engine.refuse(INTERNAL_ERROR)

    def keep_session(self, engine: TlsEngine) -> None:
        """Resume the session of *engine* with the next connection to the same origin.

        Unless this context has changed since *engine* was made: who was trusted, and how that was
        checked, is not asked again when a session is resumed.
        """
        session, sessions = engine.session(), self._sessions
        if session is None or self._made != (self._version, engine.context):
            return
        # Used twice, a ticket of TLS 1.3 would tell who listens that it is we (RFC 8446, C.4).
        single_use = engine.version != 'TLSv1.2'
        sessions.pop(engine.origin, None)
        sessions[engine.origin] = session, single_use
        if len(sessions) > limits.TLS_SESSIONS:
            sessions.popitem(last=False)

    def _engine_context(self) -> EngineContext:
        version, made = self._version, self._made
        if made is None or made[0] is not version:
            # What another thread changes meanwhile makes this one of a version that is no more.
            made = self._made = version, self._make()
        return made[1]

    def _changed(self) -> object:
        self._version = version = object()
        self._sessions = OrderedDict()  # who is about to keep one keeps it in the old one
        return version

    def _try(self, settings: list[Any], setting: Any) -> None:
        """Add a *setting*, unless a context cannot be made with it."""
        settings.append(setting)
        try:
            self._make(with_system=False)
        except BaseException:
            settings.pop()
            raise
        self._changed()

    def _make(self, with_system: bool = True) -> EngineContext:
        made = EngineContext(self.server_side)
        made.set_versions(*self._versions)
        for which, text in self._texts.items():
            made.set_text(which, text)
        made.set_verify(_VERIFY[self._verify_mode])
        for chain in self._chains:
            certs, key = chain.certs, chain.key
            made.use_certificate(certs.data, key.data, chain.secret, certs.name)
        self._make_trust(made, with_system)
        if self._alpn:
            made.set_alpn([name.encode() for name in self._alpn])
        if self._keylog is not None:
            made.log_keys(self._keylog)
        if self._names:
            made.ask_for_names()
        if self._staple is not None:
            made.set_staple(self._staple.data)
        if self._check_staple:
            made.check_staple()
        if self.server_side:
            made.set_sessions(self._identity(), self._ticket_keys)
        return made

    def _make_trust(self, made: EngineContext, with_system: bool) -> None:
        if self._trusts_system and with_system:
            made.trust_system()
        for folder in self._folders:
            made.trust_folder(folder)
        for given in self._trusted:
            made.trust(given.data, given.name, self.server_side)
        for given, whole_chain in self._revoked:
            made.use_revoked(given.data, whole_chain, given.name)

    def _identity(self) -> bytes:
        """A session of clients that were verified in another way must not be resumed here."""
        told = hashlib.sha256(repr((self._verify_mode, self._trusts_system)).encode())
        for given in (*self._trusted, *(given for given, _ in self._revoked)):
            told.update(hashlib.sha256(given.data).digest())
        for folder in self._folders:
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
                told.update(repr((entry.path, entry.stat().st_mtime_ns)).encode())
        return told.digest()


def _checked(given: Any) -> TlsContext:
    if not isinstance(given, TlsContext):
        raise TypeError(f'need a TlsContext for a name, not {given!r}')
    return given


def _version(value: ssl.TLSVersion, default: ssl.TLSVersion) -> ssl.TLSVersion:
    version = ssl.TLSVersion(value)
    if version in (ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.MAXIMUM_SUPPORTED):
        return default
    if not ssl.TLSVersion.TLSv1_2 <= version <= ssl.TLSVersion.TLSv1_3:
        raise ValueError(f'need TLS 1.2 or 1.3, not {version.name}')
    return version
