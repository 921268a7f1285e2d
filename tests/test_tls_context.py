"""What one can say to a TlsContext, and what comes of it."""

import datetime
import os
import ssl
import subprocess
import sys

import pytest
from certificates import (
    authority,
    certificate,
    chain_of,
    client_context,
    key_of,
    only,
    revoking,
    server_context,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from tlsserving import connected, echo, serving, speak

from gruvi_cffi.errors import CertificateError, TlsError
from gruvi_cffi.ssl import TlsContext, create_default_context

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


# Certificates and keys.


def test_files(tmp_path):
    (tmp_path / 'cert.pem').write_bytes(chain_of(certificate()))
    (tmp_path / 'key.pem').write_bytes(key_of(certificate()))
    context = create_default_context(True)
    context.load_cert_chain(str(tmp_path / 'cert.pem'), tmp_path / 'key.pem')
    speak(context, client_context())


def test_one_file_with_both(tmp_path):
    (tmp_path / 'both.pem').write_bytes(key_of(certificate()) + chain_of(certificate()))
    context = create_default_context(True)
    context.load_cert_chain(tmp_path / 'both.pem')
    speak(context, client_context())


def encrypted_key(password):
    key = serialization.load_pem_private_key(key_of(certificate()), None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password),
    )


@pytest.mark.parametrize(
    'password',
    ['secret', b'secret', bytearray(b'secret'), lambda: 'secret', lambda: b'secret'],
)
def test_an_encrypted_key(password):
    context = create_default_context(True)
    context.load_cert_chain(chain_of(certificate()), encrypted_key(b'secret'), password)
    speak(context, client_context())


@pytest.mark.parametrize('password', ['wrong', None])
def test_a_wrong_password(password):
    context = create_default_context(True)
    with pytest.raises(ValueError, match='could not use the certificate'):
        context.load_cert_chain(chain_of(certificate()), encrypted_key(b'secret'), password)


@pytest.mark.parametrize(('password', 'error'), [(5, TypeError), ('secret\0more', ValueError)])
def test_what_is_no_password(password, error):
    for given in (password, lambda: password):
        with pytest.raises(error, match='a password must'):
            create_default_context(True).load_cert_chain(
                chain_of(certificate()), encrypted_key(b'secret'), given
            )


def test_a_key_that_is_not_encrypted_asks_for_no_password():
    def ask():
        raise AssertionError('nobody should ask')

    create_default_context(True).load_cert_chain(
        chain_of(certificate()), key_of(certificate()), ask
    )


def test_a_key_of_another():
    context = create_default_context(True)
    with pytest.raises(ValueError, match='mismatch'):
        context.load_cert_chain(chain_of(certificate()), key_of(certificate('other')))
    with pytest.raises(ValueError, match='no certificate'):
        context.check_side(True)


def test_what_is_no_certificate(tmp_path):
    context = create_default_context(True)
    with pytest.raises(ValueError, match='could not use the certificate'):
        context.load_cert_chain(b'nonsense', b'nonsense')
    with pytest.raises(FileNotFoundError):
        context.load_cert_chain(tmp_path / 'none.pem')
    with pytest.raises(ValueError, match='could not trust'):
        context.load_verify_locations(cadata='nonsense')
    with pytest.raises(FileNotFoundError):
        context.load_verify_locations(tmp_path / 'none.pem')
    with pytest.raises(TypeError, match='cafile'):
        context.load_verify_locations()


def test_a_weak_key():
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, 'weak')])
    now = datetime.datetime.now(datetime.timezone.utc)
    cert = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(1))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )  # fmt: skip
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(ValueError, match='key too small'):
        create_default_context(True).load_cert_chain(cert, pem)


def test_reload_takes_new_files_and_keeps_old_connections(tmp_path):
    chain, key = tmp_path / 'cert.pem', tmp_path / 'key.pem'
    first, second = certificate(), authority('ours').issue_cert('localhost')
    chain.write_bytes(chain_of(first))
    key.write_bytes(key_of(first))
    context = create_default_context(True)
    context.load_cert_chain(chain, key)

    def serial(stream):
        return stream.transport.get_extra_info('peercert')['serialNumber']

    with serving(echo, context) as address, connected(address, client_context()) as old:
        chain.write_bytes(chain_of(second))
        key.write_bytes(b'nonsense')
        with pytest.raises(ValueError, match='could not use'):
            context.reload()
        with connected(address, client_context()) as stream:
            assert serial(stream) == serial(old)
        key.write_bytes(key_of(second))
        context.reload()
        with connected(address, client_context()) as stream:
            assert serial(stream) != serial(old)
        old.write(b'still')
        assert old.read(5) == b'still'


def test_files_are_read_when_they_are_named_and_when_they_are_reloaded(tmp_path):
    """A process may have given up the right to read them, or a new key may be half written."""
    chain, key, ca = tmp_path / 'cert.pem', tmp_path / 'key.pem', tmp_path / 'ca.pem'
    chain.write_bytes(chain_of(certificate()))
    key.write_bytes(key_of(certificate()))
    ca.write_bytes(authority('ours').cert_pem.bytes())
    server, client = create_default_context(True), create_default_context(cafile=ca)
    server.load_cert_chain(chain, key)
    for path in (chain, key, ca):
        path.unlink()
    server.ticket_keys = bytes(80)
    client.set_alpn_protocols(['http/1.1'])
    speak(server, client)
    for context in (server, client):
        with pytest.raises(FileNotFoundError):
            context.reload()
    speak(server, client)


def test_reload_asks_for_the_password_of_another_key(tmp_path):
    path = tmp_path / 'both.pem'
    path.write_bytes(encrypted_key(b'first') + chain_of(certificate()))
    passwords = [b'second', b'first']
    context = create_default_context(True)
    context.load_cert_chain(path, password=passwords.pop)
    context.reload()
    assert passwords == [b'second']
    path.write_bytes(encrypted_key(b'second') + chain_of(certificate()))
    context.reload()
    speak(context, client_context())
    path.write_bytes(encrypted_key(b'third') + chain_of(certificate()))
    with pytest.raises(IndexError):  # of pop()
        context.reload()
    speak(context, client_context())


@pytest.mark.parametrize('first', [TlsContext.reload, lambda context: context.check_side(False)])
def test_what_changes_while_a_context_is_made_is_not_lost(first, monkeypatch):
    context = client_context()
    make = context._make

    def make_slowly():
        monkeypatch.undo()
        made = make()
        context.maximum_version = TLS12  # as another thread does
        return made

    monkeypatch.setattr(context, '_make', make_slowly)
    first(context)
    assert speak(server_context(), context)[1] == 'TLSv1.2'


# Versions, ciphers, groups.


@pytest.mark.parametrize('version', [TLS12, TLS13])
def test_versions(version):
    _, spoken, _, _ = speak(only(server_context(), version), client_context())
    assert spoken.replace('.', '_') == version.name


def test_versions_that_are_none():
    context = TlsContext()
    assert (context.minimum_version, context.maximum_version) == (TLS12, TLS13)
    with pytest.raises(ValueError, match=r'TLSv1\b.*not|1.2 or 1.3'):
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = TLS12
    with pytest.raises(ValueError, match='above'):
        context.minimum_version = TLS13
    context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
    assert context.maximum_version == TLS13


def test_ciphers_and_suites():
    server = only(server_context(), TLS12)
    server.set_ciphers('ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256')
    assert 'AES128-GCM' in speak(server, client_context())[2][0]
    server = server_context()
    server.set_ciphersuites('TLS_CHACHA20_POLY1305_SHA256')
    assert speak(server, client_context())[2][0] == 'TLS_CHACHA20_POLY1305_SHA256'


def test_no_common_cipher():
    server, client = only(server_context(), TLS13), client_context()
    server.set_ciphersuites('TLS_CHACHA20_POLY1305_SHA256')
    client.set_ciphersuites('TLS_AES_128_GCM_SHA256')
    with pytest.raises(TlsError, match='handshake failure'):
        speak(server, client)


def test_no_common_group():
    server, client = only(server_context(), TLS13), client_context()
    server.set_groups('P-256')
    client.set_groups('X25519')
    with pytest.raises(TlsError, match='handshake failure'):
        speak(server, client)


@pytest.mark.parametrize('method', ['set_ciphers', 'set_ciphersuites', 'set_groups'])
def test_names_that_are_none(method):
    with pytest.raises(ValueError, match='could not use'):
        getattr(TlsContext(), method)('nothing-of-this-name')


# ALPN and SNI.


def test_alpn_takes_the_servers_first_choice():
    server, client = server_context(), client_context()
    server.set_alpn_protocols(['b', 'a'])
    client.set_alpn_protocols(['a', 'b'])
    assert speak(server, client)[3] == 'b'


def test_alpn_without_anything_in_common():
    server, client = server_context(), client_context()
    server.set_alpn_protocols(['b'])
    client.set_alpn_protocols(['a'])
    with pytest.raises(TlsError, match='no application protocol'):
        speak(server, client)


def test_alpn_of_one_side_alone():
    client = client_context()
    client.set_alpn_protocols(['a'])
    assert speak(server_context(), client)[3] is None


@pytest.mark.parametrize('names', [[''], ['x' * 256]])
def test_alpn_names_that_are_none(names):
    with pytest.raises(ValueError, match='1 to 255'):
        TlsContext().set_alpn_protocols(names)


@pytest.mark.parametrize('names', ['http/1.1', [b'http/1.1'], [1]])
def test_alpn_takes_a_list_of_strings(names):
    with pytest.raises(TypeError, match='list of strings'):
        TlsContext().set_alpn_protocols(names)


def test_alpn_has_no_room_for_more():
    context = TlsContext()
    with pytest.raises(ValueError, match='too many'):
        context.set_alpn_protocols(['x' * 255] * 256)
    context.check_side(False)  # it is as it was


def test_a_suite_that_is_none_among_others():
    with pytest.raises(ValueError, match='NOPE'):
        TlsContext().set_ciphersuites('TLS_AES_128_GCM_SHA256:NOPE')
    with pytest.raises(ValueError, match='no name'):
        TlsContext().set_ciphersuites('')


def test_what_cannot_be_opened_leaves_all_as_it_was(tmp_path):
    context = client_context()
    with pytest.raises(FileNotFoundError):
        context.keylog_filename = str(tmp_path / 'not there' / 'keys')
    assert context.keylog_filename is None
    with pytest.raises(FileNotFoundError):
        context.load_verify_locations(capath=str(tmp_path / 'not there'))
    speak(server_context(), context)


# Revocation.


def test_a_revoked_certificate(tmp_path):
    bad = authority('ours').issue_cert('localhost')
    client = client_context()
    (tmp_path / 'crl.pem').write_bytes(revoking(bad))
    client.load_crls(tmp_path / 'crl.pem')
    speak(server_context(), client)
    with pytest.raises(CertificateError, match='revoked'):
        speak(server_context(cert=bad), client)


def test_what_is_no_list():
    with pytest.raises(ValueError, match='revocation list'):
        client_context().load_crls(b'nonsense')


def ocsp_response(cert, status=ocsp.OCSPCertStatus.GOOD, hours=1, signer=None):
    """Return what a responder says of *cert*; *signer* is a certificate with its key in PEM."""
    ca = authority('ours')
    signer = signer or (ca.cert_pem.bytes(), ca.private_key_pem.bytes())
    key = serialization.load_pem_private_key(signer[1], None)
    issuer = x509.load_pem_x509_certificate(ca.cert_pem.bytes())
    now = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=x509.load_pem_x509_certificate(chain_of(cert)),
        issuer=issuer,
        algorithm=hashes.SHA1(),
        cert_status=status,
        this_update=now,
        next_update=now + datetime.timedelta(hours=hours),
        revocation_time=now if status == ocsp.OCSPCertStatus.REVOKED else None,
        revocation_reason=None,
    )
    signing = x509.load_pem_x509_certificate(signer[0])
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signing)
    if signing != issuer:
        builder = builder.certificates([signing])
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@pytest.mark.parametrize('version', [TLS12, TLS13])
def test_a_stapled_response_is_believed(version):
    cert = authority('ours').issue_cert('localhost')

    def checking():  # anew each time: a session that is resumed needs no certificate
        client = client_context(version=version)
        client.check_ocsp = True
        return client

    server = server_context(cert=cert)
    speak(server, checking())  # there need be none
    server.load_ocsp_response(ocsp_response(cert))
    speak(server, checking())
    mallory = authority('mallory')
    for response in (
        ocsp_response(cert, ocsp.OCSPCertStatus.REVOKED),
        ocsp_response(cert, ocsp.OCSPCertStatus.UNKNOWN),
        ocsp_response(cert, hours=-1),
        ocsp_response(authority('ours').issue_cert('localhost')),
        ocsp_response(cert, signer=(mallory.cert_pem.bytes(), mallory.private_key_pem.bytes())),
        ocsp_response(cert, signer=(chain_of(cert), key_of(cert))),  # itself
        ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
        .public_bytes(serialization.Encoding.DER),
        b'nonsense',
    ):  # fmt: skip
        server.load_ocsp_response(response)
        with pytest.raises(CertificateError, match='OCSP'):
            speak(server, checking())
    client = checking()
    client.check_ocsp = False
    speak(server, client)


def test_reload_reads_the_response_for_a_new_certificate(tmp_path):
    both, response = tmp_path / 'both.pem', tmp_path / 'response.der'
    server = create_default_context(True)
    for again in (False, True):
        cert = authority('ours').issue_cert('localhost')
        both.write_bytes(key_of(cert) + chain_of(cert))
        response.write_bytes(ocsp_response(cert))
        if again:
            server.reload()
        else:
            server.load_cert_chain(both)
            server.load_ocsp_response(response)
        client = client_context()
        client.check_ocsp = True
        speak(server, client)


def test_an_empty_response():
    with pytest.raises(ValueError, match='1 to 65,535'):
        server_context().load_ocsp_response(b'')


# Trust.


def test_a_folder_of_authorities(tmp_path):
    (tmp_path / 'ca.pem').write_bytes(authority('ours').cert_pem.bytes())
    subprocess.run(['openssl', 'rehash', str(tmp_path)], check=True)
    speak(server_context(), create_default_context(capath=str(tmp_path)))
    with pytest.raises(CertificateError):
        speak(server_context(cert=certificate('localhost', authority_name='x')),
              create_default_context(capath=str(tmp_path)))  # fmt: skip


def test_a_file_of_authorities(tmp_path):
    (tmp_path / 'ca.pem').write_bytes(authority('ours').cert_pem.bytes())
    speak(server_context(), create_default_context(cafile=tmp_path / 'ca.pem'))


def test_the_system_may_be_told_whom_it_trusts(tmp_path, monkeypatch):
    """By the variables that OpenSSL knows (openssl-env(7))."""
    (tmp_path / 'ca.pem').write_bytes(authority('ours').cert_pem.bytes())
    monkeypatch.setenv('SSL_CERT_FILE', str(tmp_path / 'ca.pem'))
    speak(server_context(), create_default_context())
    monkeypatch.setenv('SSL_CERT_FILE', str(tmp_path / 'not there'))
    with pytest.raises(CertificateError):
        speak(server_context(), create_default_context())


def test_authorities_in_der():
    der = x509.load_pem_x509_certificate(authority('ours').cert_pem.bytes())
    data = der.public_bytes(serialization.Encoding.DER)
    speak(server_context(), create_default_context(cadata=data))


def test_purposes():
    for purpose in (None, False, ssl.Purpose.SERVER_AUTH):
        context = create_default_context(purpose)
        assert not context.server_side
        assert context.check_hostname
        assert context.verify_mode == ssl.CERT_REQUIRED
    for purpose in (True, ssl.Purpose.CLIENT_AUTH):
        context = create_default_context(purpose)
        assert context.server_side
        assert not context.check_hostname
    with pytest.raises(ValueError, match='True for a server'):
        create_default_context('client')


def test_names_are_checked_unless_certificates_are_not():
    context = TlsContext()
    with pytest.raises(ValueError, match='check_hostname'):
        context.verify_mode = ssl.CERT_NONE
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.check_hostname = True
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_a_wrong_name_is_believed_without_the_check():
    client = client_context()
    client.check_hostname = False
    speak(server_context(), client, 'other.example')


def test_secrets_can_be_logged_for_wireshark(tmp_path):
    client = client_context()
    client.keylog_filename = str(tmp_path / 'keys')
    speak(server_context(), client)
    log = (tmp_path / 'keys').read_text()
    assert 'CLIENT_HANDSHAKE_TRAFFIC_SECRET' in log
    assert os.stat(tmp_path / 'keys').st_mode & 0o777 == 0o600
    with pytest.raises(OSError, match='such file'):
        client.keylog_filename = str(tmp_path / 'nowhere' / 'keys')


def test_the_environment_says_where_default_contexts_log_secrets(tmp_path, monkeypatch):
    path = str(tmp_path / 'keys')
    monkeypatch.setenv('SSLKEYLOGFILE', path)
    speak(server_context(), client_context())
    with open(path) as file:
        assert file.read().count('CLIENT_HANDSHAKE_TRAFFIC_SECRET') == 2  # of both
    assert create_default_context(True).keylog_filename == path
    assert TlsContext().keylog_filename is None
    code = 'from gruvi_cffi.ssl import *; print(create_default_context().keylog_filename)'
    command = [sys.executable, '-E', '-c', code]
    assert subprocess.run(command, check=True, capture_output=True).stdout == b'None\n'
    monkeypatch.setenv('SSLKEYLOGFILE', '')
    assert create_default_context().keylog_filename is None
    monkeypatch.setenv('SSLKEYLOGFILE', str(tmp_path / 'nowhere' / 'keys'))
    with pytest.raises(OSError, match='such file'):
        create_default_context()
