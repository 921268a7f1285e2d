"""Another implementation of TLS, tlslite-ng, talks with us, and breaks the rules."""

import contextlib
import socket
from functools import partial

import pytest
from certificates import certificate, chain_of, client_context, key_of, server_context
from tlsserving import connected, echo, serving

from gruvi_cffi import blocking, limits, spawn
from gruvi_cffi.errors import TlsError
from gruvi_cffi.socket import Socket

tlslite = pytest.importorskip('tlslite.api')
from tlslite.constants import AlertDescription as Alert  # noqa: E402
from tlslite.errors import TLSRemoteAlert  # noqa: E402
from tlslite.messages import Message  # noqa: E402

VERSIONS = {'TLSv1.2': (3, 3), 'TLSv1.3': (3, 4)}
BOTH = list(VERSIONS)
WAIT = 20  # seconds
HANDSHAKE, DATA = 22, 23  # types of records


def _settings(version, **others):
    settings = tlslite.HandshakeSettings()
    settings.minVersion = settings.maxVersion = version
    for name, value in others.items():
        setattr(settings, name, value)
    return settings


def _connect(address, settings):
    connection = tlslite.TLSConnection(socket.create_connection(address[:2], timeout=WAIT))
    connection.handshakeClientCert(settings=settings, serverName='localhost')
    return connection


def _say(connection, kind, data):
    """Send a record whose content is as it is."""
    for _ in connection._recordLayer.sendRecord(Message(kind, bytearray(data))):
        pass


def _echo_of(connection, data):
    connection.write(data)
    return bytes(connection.read(min=len(data), max=len(data)))


def _certificate():
    issued = certificate()
    chain = tlslite.X509CertChain()
    chain.parsePemList(chain_of(issued).decode())
    return chain, tlslite.parsePEMKey(key_of(issued).decode(), private=True)


# With each other.


@pytest.mark.parametrize('version', BOTH)
def test_its_client(version, server_kind):
    def talk():
        connection = _connect(address, _settings(VERSIONS[version]))
        echoed = _echo_of(connection, data)
        connection.close()
        return echoed

    data = bytes(range(256)) * 400
    with serving(echo, server_context(server_kind)) as address:
        assert blocking(talk) == data


@pytest.mark.parametrize('version', BOTH)
def test_its_server(version, client_kind):
    def serve():
        peer, _ = listener.accept()
        peer.settimeout(WAIT)
        connection = tlslite.TLSConnection(peer)
        connection.handshakeServer(
            certChain=chain, privateKey=key, settings=_settings(VERSIONS[version])
        )
        connection.write(connection.read(min=5, max=5))
        connection.close()

    chain, key = _certificate()
    with socket.create_server(('127.0.0.1', 0)) as listener:
        serving_it = spawn(blocking, serve)
        with connected(listener.getsockname(), client_context(client_kind)) as stream:
            assert stream.transport.tls.version() == version
            stream.write(b'hello')
            assert stream.read() == b'hello'
        serving_it.result()


# Behind the handshake.


def _unknown_type(connection):
    _say(connection, 99, b'x')


def _too_large(connection):
    _say(connection, DATA, bytes(16385))


def _forged(connection):
    connection.sock.sendall(b'\x17\x03\x03\x00\x28' + bytes(40))


def _forged_and_larger_than_any(connection):
    connection.sock.sendall(b'\x17\x03\x03\x50\x00' + bytes(0x5000))


def _heartbeat(connection):
    _say(connection, 24, b'\x01\x40\x00')  # heartbleed's


def _finished_again(connection):
    _say(connection, HANDSHAKE, b'\x14\x00\x00\x0c' + bytes(12))


def _no_such_update(connection):
    _say(connection, HANDSHAKE, b'\x18\x00\x00\x01\x02')


def _empty_update(connection):
    _say(connection, HANDSHAKE, b'\x18\x00\x00\x00')


def _hello_again(connection):
    _say(connection, HANDSHAKE, b'\x01\x00\x00\x02\x03\x03')


def _change_of_ciphers(connection):
    connection.sock.sendall(b'\x14\x03\x03\x00\x01\x01')


BROKEN = [
    (BOTH, _unknown_type, 'unexpected_message'),
    (BOTH, _too_large, 'record_overflow'),
    (BOTH, _forged, 'bad_record_mac'),
    (BOTH, _forged_and_larger_than_any, 'record_overflow'),
    (BOTH, _heartbeat, 'unexpected_message'),
    (BOTH, _finished_again, 'unexpected_message'),
    (['TLSv1.3'], _no_such_update, 'illegal_parameter'),
    (['TLSv1.3'], _empty_update, 'decode_error'),
    (['TLSv1.3'], _hello_again, 'unexpected_message'),
    (['TLSv1.3'], _change_of_ciphers, 'unexpected_message'),
]


def _alert_of(connection):
    """Return the name of the alert that comes."""
    with pytest.raises(TLSRemoteAlert) as caught:
        connection.read(min=1, max=1)
    return Alert.toStr(caught.value.description)


@pytest.mark.parametrize(
    ('version', 'breaks', 'alert'),
    [(version, breaks, alert) for versions, breaks, alert in BROKEN for version in versions],
    ids=lambda value: getattr(value, '__name__', value),
)
def test_who_breaks_the_rules_is_told_which(version, breaks, alert, server_kind):
    def talk():
        connection = _connect(address, _settings(VERSIONS[version]))
        assert _echo_of(connection, b'spam') == b'spam'
        breaks(connection)
        return _alert_of(connection)

    with serving(echo, server_context(server_kind)) as address:
        assert blocking(talk) == alert


def test_renegotiation_is_declined():
    def talk():
        connection = _connect(address, _settings(VERSIONS['TLSv1.2']))
        _hello_again(connection)
        return _alert_of(connection)

    with serving(echo, server_context()) as address:
        assert blocking(talk) == 'no_renegotiation'


def test_a_socket_says_which_rule_was_broken(client_kind):
    def talk():
        peer, _ = listener.accept()
        peer.settimeout(WAIT)
        connection = tlslite.TLSConnection(peer)
        connection.handshakeServer(certChain=chain, privateKey=key, settings=settings)
        _forged(connection)
        return _alert_of(connection)

    chain, key = _certificate()
    settings = _settings(VERSIONS['TLSv1.3'])
    with socket.create_server(('127.0.0.1', 0)) as listener, Socket() as plain:
        talking = spawn(blocking, talk)
        plain.connect(listener.getsockname())
        with plain.wrap(client_context(client_kind), server_hostname='localhost') as sock:
            with pytest.raises(TlsError):
                sock.recv(1)
            assert talking.result(timeout=10) == 'bad_record_mac'


def test_a_close_does_not_wait_for_the_rest_of_a_message(server_kind, monkeypatch):
    def talk():
        connection = _connect(address, _settings(VERSIONS['TLSv1.3']))
        connection.sock.settimeout(5)
        connection.sock.buffer_writes = True  # one segment, so that both are there
        _say(connection, DATA, b'x')
        _say(connection, HANDSHAKE, b'\x18\x00\x00\x01')
        connection.sock.flush()
        with contextlib.closing(connection.sock), contextlib.suppress(ConnectionError):
            while connection.sock.recv(4096):
                pass

    monkeypatch.setattr(limits, 'TLS_LINGER', 0.1)
    handler = partial(_read_and_return, 1)
    with serving(handler, server_context(server_kind)) as address:
        blocking(talk)


def _read_and_return(size, stream, transport, protocol):
    stream.read(size)


# Before it.


@pytest.mark.parametrize('version', [(3, 1), (3, 2)])
def test_versions_that_are_too_old(version):
    def talk():
        with pytest.raises(TLSRemoteAlert) as caught:
            _connect(address, _settings(version))
        return Alert.toStr(caught.value.description)

    with serving(echo, server_context()) as address:
        assert blocking(talk) == 'protocol_version'


@pytest.mark.parametrize(
    'ciphers', [['3des'], ['aes128'], ['rc4'], ['null']], ids=lambda ciphers: ciphers[0]
)
def test_ciphers_that_are_too_weak(ciphers):
    def talk():
        with pytest.raises(TLSRemoteAlert) as caught:
            _connect(address, _settings(VERSIONS['TLSv1.2'], cipherNames=ciphers))
        return Alert.toStr(caught.value.description)

    with serving(echo, server_context()) as address:
        assert blocking(talk) == 'handshake_failure'


@pytest.mark.parametrize(
    ('first', 'alert'),
    [
        (b'\x17\x03\x01\x00\x01x', 'unexpected_message'),  # data
        (b'\x14\x03\x01\x00\x01\x01', 'unexpected_message'),
        (b'\x16\x03\x01\x00\x04\x02\x00\x00\x00', 'unexpected_message'),  # a ServerHello
        (b'\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03', 'decode_error'),  # cut within
    ],
    ids=['data', 'change', 'server', 'short'],
)
def test_a_first_record_that_is_no_hello(first, alert):
    def talk():
        with socket.create_connection(address[:2], timeout=WAIT) as peer:
            peer.sendall(first)
            answer = peer.makefile('rb').read()
        assert answer[0] == 21 and len(answer) == 7
        return Alert.toStr(answer[6])

    with serving(echo, server_context()) as address:
        assert blocking(talk) == alert
