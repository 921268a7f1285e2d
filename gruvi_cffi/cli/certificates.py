"""The certificates of ``serve``: which, and reading them again."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import ssl
from collections.abc import Iterator

from ..fibers import spawn
from ..signals import SignalReceiver
from ..ssl import TlsContext, create_default_context
from .workers import take_hangups

_VERSIONS = {'1.2': ssl.TLSVersion.TLSv1_2, '1.3': ssl.TLSVersion.TLSv1_3}

_log = logging.getLogger('gruvi_cffi')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what ``serve`` can be told about TLS."""
    tls = parser.add_argument_group(
        'TLS', 'with a certificate all is HTTPS; SIGHUP reads these files again'
    )
    tls.add_argument('--certfile', metavar='FILE', help='PEM: with those that vouch for it')
    tls.add_argument('--keyfile', metavar='FILE', help='its private key (in --certfile)')
    tls.add_argument(
        '--client-ca', metavar='FILE', help='a client needs a certificate of one of these'
    )
    tls.add_argument(
        '--min-tls', choices=tuple(_VERSIONS), default='1.2', help='the lowest version (1.2)'
    )


def ticket_keys(options: argparse.Namespace) -> bytes | None:
    """Return what workers have to share, so that each can resume what another began."""
    return os.urandom(80) if options.certfile else None


def context_of(options: argparse.Namespace, keys: bytes | None) -> TlsContext | None:
    """Return the context that *options* ask for; None without a certificate.

    :raises OSError: a file cannot be read.
    :raises ValueError: it holds nothing that can be used, or something is missing.
    """
    if not options.certfile:
        for name in ('keyfile', 'client_ca'):
            if getattr(options, name):
                raise ValueError(f'--{name.replace("_", "-")} goes with --certfile')
        return None
    context = create_default_context(True)
    context.load_cert_chain(options.certfile, options.keyfile)
    context.minimum_version = _VERSIONS[options.min_tls]
    context.set_alpn_protocols(['http/1.1'])
    if options.client_ca:
        context.load_verify_locations(options.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    if keys is not None:
        context.ticket_keys = keys
    return context


@contextlib.contextmanager
def reloading(context: TlsContext | None) -> Iterator[None]:
    """Read the files of *context* again whenever SIGHUP comes."""
    if context is None or not hasattr(signal, 'SIGHUP'):
        take_hangups()
        yield
        return
    with SignalReceiver(signal.SIGHUP) as signals:
        take_hangups()
        fiber = spawn(_reload, context, signals)
        try:
            yield
        finally:
            fiber.cancel()


def _reload(context: TlsContext, signals: SignalReceiver) -> None:
    while True:
        signals.receive()
        try:
            context.reload()
            _log.info('the certificates were read again')
        except (OSError, ValueError) as error:
            _log.error('the certificates stay as they are: %s', error)
