"""Certificates for the tests, and contexts of either kind that use them."""

import ssl
from functools import cache

import trustme

from gruvi_cffi.ssl import create_default_context


@cache
def authority(name):
    """Return a certificate authority, which nobody trusts but who is told."""
    return trustme.CA(organization_name=name)


@cache
def certificate(*names, authority_name='ours', **options):
    """Return a certificate for *names*, by default those of this machine."""
    return authority(authority_name).issue_cert(*(names or ('localhost', '127.0.0.1')), **options)


def chain_of(cert):
    """Return a certificate with those that vouch for it, in PEM."""
    return b''.join(blob.bytes() for blob in cert.cert_chain_pems)


def key_of(cert):
    """Return its key, in PEM."""
    return cert.private_key_pem.bytes()


def server_context(kind='ours', cert=None, version=None):
    """Return a context for servers: 'ours', or 'stdlib'. *version* is the only one it speaks."""
    cert = cert or certificate()
    if kind == 'ours':
        context = create_default_context(True)
        context.load_cert_chain(chain_of(cert), key_of(cert))
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        cert.configure_cert(context)
    return only(context, version)


def client_context(kind='ours', trusted='ours', version=None):
    """Return a context for clients, which trusts the authority of that name."""
    pem = authority(trusted).cert_pem.bytes()
    if kind == 'ours':
        context = create_default_context(cadata=pem)
    else:
        context = ssl.create_default_context(cadata=pem.decode())
    return only(context, version)


def only(context, version):
    """Have *context* speak one version alone, unless that is None."""
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context
