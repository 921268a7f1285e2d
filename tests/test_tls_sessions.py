"""Resumption: it happens, and only with whom, and as, it may."""

import ssl

import pytest
from certificates import (
    authority,
    chain_of,
    client_context,
    key_of,
    only,
    revoking,
    server_context,
)
from tlsserving import connected, echo, serving, spoken

from gruvi_cffi import limits
from gruvi_cffi.errors import CertificateError, TlsError
from gruvi_cffi.ssl import create_default_context

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = [TLS12, TLS13]


@pytest.mark.parametrize('version', [TLS12, TLS13])
def test_sessions_are_resumed(version):
    server, client = only(server_context(), version), client_context()
    reused = []
    with serving(echo, server) as address:
        for _ in range(3):
            with connected(address, client) as stream:
                stream.write(b'x')
                stream.read(1)
                reused.append(stream.transport.tls.session_reused)
                assert stream.transport.get_extra_info('peercert')['subjectAltName']
    assert reused == [False, True, True]


def test_sessions_are_not_for_another_name():
    server, client = server_context(), client_context()
    with serving(echo, server) as address:
        for name in ('localhost', '127.0.0.1'):
            with connected(address, client, name) as stream:
                stream.write(b'x')
                stream.read(1)
                assert not stream.transport.tls.session_reused


def reused(address, client, hostname='localhost'):
    with connected(address, client, hostname) as stream:
        return spoken(stream)[0].session_reused


def test_sessions_are_not_for_another_port():
    """Whoever listens there need not be the same, and a ticket would be lost to it."""
    server, client = server_context(), client_context()
    with serving(echo, server) as one, serving(echo, server) as other:
        assert not reused(one, client)
        assert not reused(other, client)
        assert reused(one, client)
        assert reused(other, client)


def test_sessions_without_a_name_are_not_for_another_address(tmp_path):
    server, client = server_context(), client_context()
    client.check_hostname = False
    one, other = str(tmp_path / 'one'), str(tmp_path / 'other')
    with serving(echo, server, one), serving(echo, server, other):
        assert [reused(name, client, None) for name in (one, other, one)] == [False, False, True]


def test_a_ticket_of_tls_1_3_is_used_once():
    server, client = only(server_context(), TLS13), client_context()
    with serving(echo, server) as address:
        assert not reused(address, client)
        with connected(address, client) as one, connected(address, client) as other:
            told = [spoken(stream)[0].session_reused for stream in (one, other)]
        assert told == [True, False]


def test_processes_that_share_ticket_keys_resume_each_others_sessions():
    one, other, client = server_context(), server_context(), client_context()
    other.ticket_keys = one.ticket_keys
    with serving(echo, one) as address:
        assert not reused(address, client)
    with serving(echo, other, address):
        assert reused(address, client)
    with pytest.raises(ValueError, match='80 bytes'):
        one.ticket_keys = b'short'


# Who was verified in another way must not get by with a session.


def test_a_client_that_was_not_verified_is_not_taken_for_one_that_was():
    one, other, client = server_context(), server_context(), client_context()
    other.ticket_keys = one.ticket_keys
    other.load_verify_locations(cadata=authority('ours').cert_pem.bytes())
    other.verify_mode = ssl.CERT_REQUIRED
    with serving(echo, one) as address:
        reused(address, client)
    with serving(echo, other, address):
        with pytest.raises((TlsError, ConnectionError)):
            reused(address, client)


@pytest.mark.parametrize('version', VERSIONS)
def test_a_server_that_was_not_verified_is_when_that_is_asked_for(version):
    """Though its session comes (or came) over a connection that was made before."""
    client = client_context(trusted='somebody else')
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    with serving(echo, only(server_context(), version)) as address:
        with connected(address, client) as stream:
            client.verify_mode = ssl.CERT_REQUIRED
            spoken(stream)
        with pytest.raises(CertificateError):
            reused(address, client)


@pytest.mark.parametrize('version', VERSIONS)
def test_a_server_that_is_trusted_no_more(version, tmp_path):
    (tmp_path / 'ca.pem').write_bytes(authority('ours').cert_pem.bytes())
    client = create_default_context(cafile=tmp_path / 'ca.pem')
    with serving(echo, only(server_context(), version)) as address:
        reused(address, client)
        assert reused(address, client)
        (tmp_path / 'ca.pem').write_bytes(authority('somebody else').cert_pem.bytes())
        client.reload()
        with pytest.raises(CertificateError):
            reused(address, client)


@pytest.mark.parametrize('version', VERSIONS)
def test_a_client_that_was_revoked(version):
    cert = authority('ours').issue_cert('me@example.com')
    client, server = client_context(version=version), server_context()
    client.load_cert_chain(chain_of(cert), key_of(cert))
    server.load_verify_locations(cadata=authority('ours').cert_pem.bytes())
    server.verify_mode = ssl.CERT_REQUIRED
    with serving(echo, server) as address:
        reused(address, client)
        assert reused(address, client)
        server.load_crls(revoking(cert))
        with pytest.raises((TlsError, ConnectionError), match=r'revoked|reset'):
            reused(address, client)


def test_only_so_many_sessions_are_kept(monkeypatch):
    monkeypatch.setattr(limits, 'TLS_SESSIONS', 1)
    server, client = server_context(), client_context()
    with serving(echo, server) as address:
        for name in ('localhost', '127.0.0.1', 'localhost'):
            with connected(address, client, name) as stream:
                stream.write(b'x')
                stream.read(1)
                assert not stream.transport.tls.session_reused
