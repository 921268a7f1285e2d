"""Whom one trusts: names, times, authorities, keys; at clients, and at servers (mTLS)."""

import datetime
import ssl
import subprocess

import pytest
from certificates import (
    authority,
    certificate,
    client_context,
    hand_made,
    only,
    server_context,
)
from dbservers import program
from tlsserving import connected, echo, s_server, serving

from gruvi_cffi.errors import TlsError
from gruvi_cffi.ssl import CertificateError, TlsContext, create_default_context

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize(
    ('cert', 'asked', 'words'),
    [
        (certificate('other.example'), 'localhost', 'hostname mismatch'),
        (certificate('*.example.com'), 'a.b.example.com', 'hostname mismatch'),
        (certificate('*.example.com'), 'example.com', 'hostname mismatch'),
        (certificate('127.0.0.2'), '127.0.0.1', 'IP address mismatch'),
        (certificate('localhost'), '127.0.0.1', 'IP address mismatch'),
        (
            certificate('localhost', authority_name='other'),
            'localhost',
            'unable to get local issuer',
        ),
    ],
)
def test_a_certificate_for_another(cert, asked, words, server_kind, client_kind):
    with serving(echo, server_context(server_kind, cert)) as address:
        with pytest.raises(CertificateError, match=f'(?i){words}') as caught:
            with connected(address, client_context(client_kind), asked):
                pass
    assert ('mismatch' in words) == (asked in str(caught.value))


@pytest.mark.parametrize(
    ('cert', 'asked'),
    [
        (certificate('*.example.com'), 'a.example.com'),
        (certificate('xn--bcher-kva.example'), 'b\xfccher.example'),
        (certificate('example.com'), 'EXAMPLE.com.'),
        (certificate('::1'), '::1'),
    ],
)
def test_a_certificate_for_the_name(cert, asked):
    with serving(echo, server_context(cert=cert)) as address:
        with connected(address, client_context(), asked) as stream:
            assert stream.transport.tls.server_hostname == asked


def test_a_self_signed_certificate(client_kind):
    ca = authority('self')
    context = TlsContext(server_side=True)
    context.load_cert_chain(ca.cert_pem.bytes(), ca.private_key_pem.bytes())
    with serving(echo, context) as address:
        with pytest.raises(CertificateError, match=r'(?i)self.signed'):
            with connected(address, client_context(client_kind)):
                pass


def test_an_expired_certificate(client_kind):
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    cert = certificate('localhost', not_before=past, not_after=past)
    with serving(echo, server_context(cert=cert)) as address:
        with pytest.raises(CertificateError, match='expired'):
            with connected(address, client_context(client_kind)):
                pass


@pytest.mark.parametrize('version', VERSIONS, ids=lambda version: version.name)
def test_a_certificate_that_is_not_valid_yet(client_kind, version):
    context = server_context(cert=hand_made('localhost', days=(1, 2)), version=version)
    with serving(echo, context) as address:
        with pytest.raises(CertificateError, match='not yet valid'):
            with connected(address, client_context(client_kind)):
                pass


def weak(folder, bits, digest):
    """Have openssl make a certificate that nobody should believe."""
    (folder / 'names').write_text('subjectAltName=DNS:localhost')
    openssl = program('openssl', 'openssl')
    for line in (
        'req -x509 -newkey rsa:2048 -nodes -keyout ca-key.pem -subj /CN=ca -out ca.pem',
        f'req -new -newkey rsa:{bits} -nodes -keyout key.pem -subj /CN=weak -out request.pem',
        f'x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -{digest} -days 1 -out cert.pem'
        ' -extfile names',
    ):
        subprocess.run([openssl, *line.split()], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize(
    ('bits', 'digest', 'words'),
    [
        (1024, 'sha256', 'EE certificate key too weak'),
        (2048, 'sha1', 'CA signature digest algorithm too weak'),
        (2048, 'md5', 'CA signature digest algorithm too weak'),
    ],
)
def test_a_weak_certificate(tmp_path, bits, digest, words):
    weak(tmp_path, bits, digest)
    with s_server(tmp_path, '-cipher', 'ALL:@SECLEVEL=0') as port:
        with pytest.raises(CertificateError, match=f'certificate verify failed: {words}'):
            with connected(('127.0.0.1', port), create_default_context(cafile=tmp_path / 'ca.pem')):
                pass


def test_verification_can_be_turned_off_on_purpose(client_kind):
    context = client_context(client_kind, trusted='other')
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with serving(echo, server_context()) as address:
        with connected(address, context, 'anything') as stream:
            assert stream.transport.get_extra_info('peercert') == {}
            assert stream.transport.tls.getpeercert(binary_form=True)


def test_the_system_does_not_trust_ours():
    with serving(echo, server_context()) as address:
        with pytest.raises(CertificateError):
            with connected(address, True):
                pass


def test_without_a_common_version():
    server = server_context(version=ssl.TLSVersion.TLSv1_2)
    client = only(client_context(), ssl.TLSVersion.TLSv1_3)
    with serving(echo, server) as address:
        with pytest.raises(TlsError, match='protocol version'):
            with connected(address, client):
                pass
