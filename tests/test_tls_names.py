"""Which names are asked for and checked, and which context of a server answers (SNI)."""

import logging
import ssl
import subprocess
import sys

import pytest
from certificates import (
    authority,
    certificate,
    chain_of,
    client_context,
    hand_made,
    key_of,
    server_context,
)
from dbservers import program
from tlsserving import echo, serving, speak

from gruvi_cffi import ResolverError, SystemResolver, blocking, getaddrinfo, set_resolver, sleep
from gruvi_cffi.errors import CertificateError, TlsError
from gruvi_cffi.hostnames import normal_name
from gruvi_cffi.http import HttpSession
from gruvi_cffi.ssl import create_default_context


def named(name):
    return server_context(cert=certificate(name))


def test_servers_of_several_names(client_kind):
    context = server_context()
    context.set_server_names(
        {'one.example': named('one.example'), '*.two.example': named('*.two.example')}
    )
    for name in ('one.example', 'ONE.example', 'a.two.example', 'localhost'):
        speak(context, client_context(client_kind), name)
    with pytest.raises(CertificateError):
        speak(context, client_context(client_kind), 'a.b.two.example')


def test_a_function_that_chooses(client_kind):
    asked = []

    def choose(name):
        asked.append(name)
        return named(name) if name == 'one.example' else None

    context = server_context()
    context.set_server_names({}, choose)
    speak(context, client_context(client_kind), 'one.example')
    speak(context, client_context(client_kind), 'localhost')
    speak(context, client_context(client_kind), '127.0.0.1')  # addresses are not asked for (SNI)
    assert asked == ['one.example', 'localhost', None]


def asked(context, *options):
    """Let openssl ask a server; return what it prints."""
    command = [program('openssl', 'openssl'), 's_client', *options, '-connect']

    with serving(echo, context) as address:
        command.append(f'127.0.0.1:{address[1]}')
        done = blocking(subprocess.run, command, input=b'', capture_output=True, check=False)
    return (done.stdout + done.stderr).decode(errors='replace')


VERSIONS = ['-tls1_2', '-tls1_3']


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('error', [LookupError, KeyError])
def test_a_function_that_knows_no_such_name(version, error):
    def choose(name):
        raise error(name)

    context = server_context()
    context.set_server_names({}, choose)
    assert 'alert number 112' in asked(context, version, '-servername', 'not.example')


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize(
    'choose',
    [
        lambda name: 1 / 0,
        lambda name: 'no context',
        lambda name: client_context(),
        lambda name: sleep(1),
        lambda name: server_context('stdlib'),
    ],
    ids=['error', 'str', 'client', 'switch', 'stdlib'],
)
def test_a_function_that_fails(version, choose, caplog):
    context = server_context()
    context.set_server_names({}, choose)
    with caplog.at_level(logging.ERROR):
        assert 'alert number 80' in asked(context, version, '-servername', 'not.example')
    assert "while a context was chosen for 'not.example'" in caplog.text


def test_a_client_is_told_why(client_kind):
    context = create_default_context(True)
    context.set_server_names({'one.example': named('one.example')})
    with pytest.raises(TlsError, match='unrecognized name'):
        speak(context, client_context(client_kind), 'two.example')
    speak(context, client_context(client_kind), 'one.example')


@pytest.mark.parametrize('options', [['-servername', 'two.example'], ['-noservername']])
def test_nobody_answers_for_other_names(options):
    context = create_default_context(True)
    context.set_server_names({'one.example': named('one.example')})
    assert 'alert number 112' in asked(context, *options)


def test_patterns_are_names(client_kind):
    context = create_default_context(True)
    cert = named('xn--bcher-kva.example')
    context.set_server_names({'B\xfccher.Example.': cert, '*.b\xfccher.example': cert})
    speak(context, client_context(client_kind), 'b\xfccher.example')
    assert 'alert number 112' not in asked(context, '-servername', 'a.xn--bcher-kva.example')
    assert 'alert number 112' in asked(context, '-servername', 'a.b.xn--bcher-kva.example')


def test_what_a_context_is_chosen_for_holds_with_it():
    """Versions, verification and groups are those of the chosen context, not of the first."""
    chosen = named('one.example')
    chosen.minimum_version = ssl.TLSVersion.TLSv1_3
    chosen.set_groups('P-384')
    chosen.load_verify_locations(cadata=authority('ours').cert_pem.bytes())
    chosen.verify_mode = ssl.CERT_REQUIRED
    context = server_context()
    context.set_server_names({'one.example': chosen})
    assert 'protocol version' in asked(context, '-tls1_2', '-servername', 'one.example')
    said = asked(context, '-servername', 'one.example', '-groups', 'X25519')
    assert 'handshake failure' in said
    said = asked(context, '-servername', 'one.example', '-ign_eof')
    assert 'ECDH, secp384r1' in said or 'ECDH, P-384' in said
    assert 'certificate required' in said


def test_names_are_for_servers():
    with pytest.raises(ValueError, match='cannot answer'):
        server_context().set_server_names({'a': client_context()})
    with pytest.raises(ValueError, match='cannot answer'):
        client_context().set_server_names({})


def test_what_is_no_name_or_no_context():
    context = server_context()
    for given in (5, None, server_context('stdlib')):
        with pytest.raises(TypeError, match='need a TlsContext'):
            context.set_server_names({'a': given})
    with pytest.raises(TypeError, match='must be a str'):
        context.set_server_names({b'a': context})
    with pytest.raises(ValueError, match='no name'):
        context.set_server_names({'a..b': context})


def test_reload_reads_the_files_of_all_names(tmp_path):
    """And a context may have itself among them."""

    def write(cert):
        (tmp_path / 'cert.pem').write_bytes(chain_of(cert))
        (tmp_path / 'key.pem').write_bytes(key_of(cert))

    def serial():
        return speak(context, client_context())[0].getpeercert()['serialNumber']

    write(certificate())
    context, other = create_default_context(True), create_default_context(True)
    other.load_cert_chain(tmp_path / 'cert.pem', tmp_path / 'key.pem')
    context.set_server_names({'localhost': other, 'me': context})
    before = serial()
    write(authority('ours').issue_cert('localhost'))
    context.reload()
    assert serial() != before
    (tmp_path / 'cert.pem').write_text('nonsense')
    now = serial()
    with pytest.raises(ValueError, match='no certificate'):
        context.reload()
    assert serial() == now


# What a client asks for.


@pytest.mark.parametrize(
    'name', ['localhost\0.evil.example', '.example.com', 'a..b', 'local host', 'x' * 254, 'a\n']
)
def test_what_is_no_name(name, client_kind):
    """OpenSSL would end at the NUL, and take the dot in front for any name below."""
    context = server_context(cert=certificate('localhost', '*.example.com'))
    with pytest.raises(ValueError, match='no name of a host'):
        speak(context, client_context(client_kind), name)


@pytest.mark.parametrize('name', [b'localhost', 5])
def test_what_is_no_string(name, client_kind):
    with pytest.raises(TypeError, match='must be a str'):
        speak(server_context(), client_context(client_kind), name)


@pytest.mark.parametrize(
    ('given', 'asked_for'),
    [
        ('Example.COM.', 'example.com'),
        ('B\xdcCHER.example', 'xn--bcher-kva.example'),
        ('fe80::1%eth0', 'fe80::1'),
        ('127.0.0.1', '127.0.0.1'),
    ],
)
def test_names_are_the_same_however_they_are_written(given, asked_for, client_kind):
    assert normal_name(given) == asked_for
    speak(server_context(cert=certificate(asked_for)), client_context(client_kind), given)


@pytest.mark.parametrize(
    ('installed', 'given', 'asked_for'),
    [
        (True, 'Stra\xdfe.example', 'xn--strae-oqa.example'),
        (False, 'Stra\xdfe.example', 'strasse.example'),
        (True, 'a.\uff27\xdc.example', 'a.xn--g-eha.example'),
        (False, 'a.\uff27\xdc.example', 'a.xn--g-eha.example'),
    ],
)
def test_names_in_other_scripts_are_encoded_by_idna_2008_if_there_is_the_package(
    installed, given, asked_for, client_kind, monkeypatch
):
    if installed:
        pytest.importorskip('idna')
    else:
        monkeypatch.setitem(sys.modules, 'idna', None)
    speak(server_context(cert=certificate(asked_for)), client_context(client_kind), given)
    with HttpSession(f'https://{given}/{installed}') as session:
        assert f'https://{asked_for}/' in repr(session)
    asked = []

    class Nobody(SystemResolver):
        def getaddrinfo(self, node, *args):
            asked.append(node)
            return []

    set_resolver(Nobody())
    with pytest.raises(ResolverError):
        getaddrinfo(given)
    assert asked == [asked_for]


@pytest.mark.parametrize('installed', [True, False])
@pytest.mark.parametrize(
    'name',
    ['\xfc..example', '\xfc' * 70, 'a\u2100.example', '\uff20b', 'b\uff1a80', '\uff05\uff10\uff10'],
)
def test_what_cannot_be_encoded_is_no_name(installed, name, monkeypatch):
    if not installed:
        monkeypatch.setitem(sys.modules, 'idna', None)
    with pytest.raises(ValueError, match='no name of a host'):
        speak(server_context(), client_context(), name)
    with pytest.raises(ResolverError, match='could not look up'):
        getaddrinfo(name)


@pytest.mark.parametrize(
    ('cert', 'name'),
    [
        ('*.example', 'a.b.example'),
        ('*.example.com', 'example.com'),
        ('a*.example.com', 'ab.example.com'),
        ('*', 'localhost'),
        ('*.0.0.1', '127.0.0.1'),
        ('a.*.com', 'a.b.com'),
        ('127.0.0.1', '127.0.0.2'),
    ],
)
def test_wildcards_that_are_not_for_it(cert, name, client_kind):
    """RFC 6125, 6.4.3: a whole leftmost label, and never an address."""
    context = server_context(cert=hand_made(cert) if '*' in cert else certificate(cert))
    with pytest.raises(CertificateError, match=r'mismatch|not valid'):
        speak(context, client_context(client_kind), name)
