"""What is known about the TLS of a connection."""

from __future__ import annotations

import ipaddress
import ssl
from typing import Any, Optional

from .._native.tls import describe


class TlsInfo:
    """A look at the TLS of a transport: what an ``ssl.SSLObject`` tells, for either engine."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer

    def __repr__(self) -> str:
        return f'<TlsInfo {self.version()} {self.cipher()}>'

    @property
    def context(self) -> Any:
        """The context, as it was given."""
        return self._layer.context.given

    @property
    def server_side(self) -> bool:
        return bool(self._layer.server_side)

    @property
    def server_hostname(self) -> str | None:
        """The name that a client asks for, and checks; at a server that which it was asked for."""
        layer = self._layer
        name: Optional[str] = layer.engine.name if layer.server_side else layer.hostname
        return name

    @property
    def session_reused(self) -> bool:
        """Whether it goes on with the session of an earlier connection."""
        return bool(self._layer.engine.resumed)

    def version(self) -> str | None:
        """Return 'TLSv1.3' or 'TLSv1.2'; None before the handshake."""
        version: Optional[str] = self._layer.engine.version
        return version

    def cipher(self) -> tuple[str, str, int] | None:
        """Return the cipher's name, the version that defines it, and its strength in bits."""
        cipher: Optional[tuple[str, str, int]] = self._layer.engine.cipher
        return cipher

    def compression(self) -> None:
        """Return None: there is no compression, which would give away secrets (CRIME)."""

    def selected_alpn_protocol(self) -> str | None:
        """Return what ALPN has chosen, or None."""
        protocol: Optional[str] = self._layer.engine.alpn
        return protocol

    def getpeercert(self, binary_form: bool = False) -> Any:
        """Return the peer's certificate: in DER, or as ``SSLSocket.getpeercert()`` has it.

        None if the peer has sent none, {} if it was not verified.
        """
        der = self._layer.engine.certificate()
        if binary_form or der is None:
            return der
        return as_dict(der) if self._layer.context.verifies else {}

    def get_peer_chain(self) -> list[bytes]:
        """Return the certificates that the peer has sent, its own first, in DER."""
        chain: list[bytes] = []
        while (der := self._layer.engine.certificate(len(chain))) is not None:
            chain.append(der)
            if isinstance(self._layer.context.given, ssl.SSLContext):
                break
        return chain

    def get_channel_binding(self, cb_type: str = 'tls-unique') -> bytes | None:
        """Return bytes that are those of this connection alone (RFC 5929, RFC 9266).

        With a context of the standard library there is 'tls-unique' only.

        :raises ValueError: *cb_type* is none of 'tls-unique', 'tls-server-end-point' and
            'tls-exporter'.
        """
        if cb_type not in CHANNEL_BINDING_TYPES:
            raise ValueError(f'need one of {CHANNEL_BINDING_TYPES}, not {cb_type!r}')
        binding: Optional[bytes] = self._layer.engine.channel_binding(cb_type)
        return binding


CHANNEL_BINDING_TYPES = ['tls-unique', 'tls-server-end-point', 'tls-exporter']


def as_dict(der: bytes) -> dict[str, Any]:
    """Return what a certificate says, in the form of ``SSLSocket.getpeercert()``."""
    found: dict[str, Any] = {}
    names: list[tuple[str, str]] = []
    sets: Optional[list[list[tuple[str, str]]]] = None
    for name, value in describe(der):
        if name == '=':
            sets = None
        elif name.startswith('='):
            sets = found.setdefault(name[1:], [])
            sets.append([])
        elif sets is not None:
            sets[-1].append((name, value))
        elif name == 'IP Address':
            names.append((name, _address(bytes.fromhex(value))))
        elif name in ('DNS', 'email', 'URI'):
            names.append((name, value))
        else:
            found[name] = int(value) if name == 'version' else value
    for which in ('subject', 'issuer'):
        found[which] = tuple(tuple(each) for each in found.get(which, ()))
    if names:
        found['subjectAltName'] = tuple(names)
    return found


def _address(packed: bytes) -> str:
    if len(packed) != 16:
        return str(ipaddress.ip_address(packed))
    groups = (int.from_bytes(packed[at : at + 2], 'big') for at in range(0, 16, 2))
    return ':'.join(f'{group:X}' for group in groups)  # as the standard library writes it
