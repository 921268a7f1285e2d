"""Certificates for the tests, and contexts of either kind that use them."""

import datetime
import ssl
from functools import cache

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gruvi_cffi.ssl import create_default_context


@cache
def authority(name):
    """Return a certificate authority, which nobody trusts but who is told."""
    return trustme.CA(organization_name=name)


@cache
def certificate(*names, authority_name='ours', **options):
    """Return a certificate for *names*, by default those of this machine."""
    return authority(authority_name).issue_cert(*(names or ('localhost', '127.0.0.1')), **options)


class HandMade:
    """What trustme's certificates look like, of a kind that trustme would not make."""

    def __init__(self, certificate, key):
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        self.cert_chain_pems = [trustme.Blob(pem)]
        self.private_key_pem = trustme.Blob(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


def hand_made(*names, days=(-1, 1)):
    """Return a certificate of our authority for any DNS names, good within *days* from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    ca = authority('ours')
    issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    signer = serialization.load_pem_private_key(ca.private_key_pem.bytes(), None)
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(issuer.subject, x509.Name([]), key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now + datetime.timedelta(days=days[0]))
    builder = builder.not_valid_after(now + datetime.timedelta(days=days[1]))
    other_names = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = builder.add_extension(other_names, critical=True)
    return HandMade(builder.sign(signer, hashes.SHA256()), key)


def chain_of(cert):
    """Return a certificate with those that vouch for it, in PEM."""
    return b''.join(blob.bytes() for blob in cert.cert_chain_pems)


def key_of(cert):
    """Return its key, in PEM."""
    return cert.private_key_pem.bytes()


def revoking(cert):
    """Return a list with which the authority revokes *cert*."""
    ca = authority('ours')
    key = serialization.load_pem_private_key(ca.private_key_pem.bytes(), None)
    issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateRevocationListBuilder()
    builder = builder.issuer_name(issuer.subject)
    builder = builder.last_update(now).next_update(now + datetime.timedelta(days=1))
    serial = x509.load_pem_x509_certificate(chain_of(cert)).serial_number
    revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
    builder = builder.add_revoked_certificate(revoked.build())
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


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
