"""Handshakes that break off, and records that come in pieces."""

import contextlib
import gc
import os
import random
import ssl
import sys

import pytest
from certificates import client_context, server_context
from tlsserving import KINDS, connected, echo, serving

from gruvi_cffi import StreamClient, StreamServer, limits, sleep, spawn
from gruvi_cffi._native.tls import live_engines
from gruvi_cffi.errors import ConnectTimeout, TlsTruncated, TransportError

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Relay:
    """Passes bytes on between a client and *target*, as *pass_on(data, onwards)* does it."""

    def __init__(self, target, pieces):
        self._target = target
        self._pieces = pieces
        self.server = StreamServer(self._relay)
        self.server.listen(('localhost', 0))
        self.address = self.server.addresses[0]

    def _relay(self, stream, transport, protocol):
        client = StreamClient()
        client.connect(self._target)
        fiber = spawn(self._pass_on, client.stream, stream, 'down')
        try:
            self._pass_on(stream, client.stream, 'up')
        finally:
            fiber.cancel()
            client.transport.abort() if client.transport else None

    def _pass_on(self, source, target, way):
        with contextlib.suppress(TransportError):
            while data := source.read1(65536):
                for piece in self._pieces(data, way, target):
                    target.write(piece)
                    sleep(0)
        with contextlib.suppress(TransportError):
            target.write_eof()


@contextlib.contextmanager
def relaying(target, pieces):
    relay = Relay(target, pieces)
    try:
        yield relay.address
    finally:
        relay.server.close(timeout=5)


def bytewise(data, way, target):
    for at in range(len(data)):
        yield data[at : at + 1]


def at_random(data, way, target):
    while data:
        size = random.choice([1, 2, 5, 100, 5000])
        yield data[:size]
        data = data[size:]


@pytest.mark.parametrize('version', VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize('pieces', [bytewise, at_random])
def test_records_come_in_pieces(pieces, version, server_kind, client_kind):
    data = os.urandom(3000 if pieces is bytewise else 300_000)
    server = server_context(server_kind, version=version)
    with serving(echo, server) as address, relaying(address, pieces) as through:
        with connected(through, client_context(client_kind)) as stream:
            writer = spawn(stream.write, data)
            assert stream.read(len(data)) == data
            writer.result()


FAULTS = {'RST': ConnectionResetError, 'FIN': TlsTruncated, 'silence': ConnectTimeout}


def _commit(stream, fault):
    """Do to the peer what *fault* says, once it has all that was written."""
    while stream.transport.get_write_buffer_size():
        sleep(0)
    if fault == 'FIN':
        stream.write_eof()
    elif fault == 'RST':
        stream.transport.abort()


def _shake_hands(stream, context, server_side, count, fault):
    """Say *count* bytes of a handshake; if there are more, commit *fault*. Ends when they do."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side, None if server_side else 'localhost')
    with contextlib.suppress(TransportError):
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
            said = outgoing.read()
            stream.write(said[:count])
            if len(said) > count:
                _commit(stream, fault)
            count = max(0, count - len(said))
            if not (data := stream.read1(65536)):
                return
            incoming.write(data)


def _end_of(begin, *args):
    """Return the error of a handshake, or None."""
    try:
        begin(*args)
    except TransportError as error:
        return error.with_traceback(None)  # which knows the engine
    return None


def _server_meets(context, count, fault):
    ends = []

    def serve(stream, transport, protocol):
        ends.append(_end_of(stream.start_tls, context, True))

    peer = client_context('stdlib')
    with serving(serve, False) as address:
        client = StreamClient(timeout=10)
        client.connect(address)
        _shake_hands(client.stream, peer, False, count, fault)
        client.close()
    return ends[0]


def _client_meets(context, count, fault):
    peer = server_context('stdlib', version=context.maximum_version)

    def serve(stream, transport, protocol):
        _shake_hands(stream, peer, True, count, fault)

    with serving(serve, False) as address:
        client = StreamClient(timeout=10)
        try:
            return _end_of(
                lambda: client.connect(address, ssl=context, server_hostname='localhost')
            )
        finally:
            client.close()


def _engines():
    """Return how many there are, once the last connection is closed and its memory was freed."""
    for _ in range(5):  # PyPy finds in several rounds what one thing after the other lets go
        sleep(0)
        gc.collect()
    return live_engines()


@pytest.mark.timeout(900)  # with --long each byte's silence takes a tenth of a second
@pytest.mark.parametrize('version', VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize('fault', FAULTS)
@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('meets', [_server_meets, _client_meets])
def test_a_handshake_that_breaks_off(meets, kind, fault, version, long, monkeypatch):
    monkeypatch.setattr(limits, 'TLS_HANDSHAKE_TIMEOUT', 0.1 if fault == 'silence' else 10)
    monkeypatch.setattr(limits, 'TLS_LINGER', 0.01)
    make = server_context if meets is _server_meets else client_context
    context = make(kind, version=version)
    before = _engines()
    count, step = 0, long(311, 1)
    while (error := meets(context, count, fault)) is not None:
        assert isinstance(error, FAULTS[fault]), (count, error)
        assert str(error)
        del error
        count += step
    assert count > 200  # that much is said at least
    assert _engines() == before


@pytest.mark.skipif(sys.implementation.name == 'pypy', reason='it counts no references')
@pytest.mark.parametrize('within', [False, True])
def test_engines_are_freed_with_their_connections(client_kind, server_kind, within):
    server, client = server_context(server_kind), client_context(client_kind)

    def handler(stream, transport, protocol):
        if within:
            stream.start_tls(server, server_side=True)
        echo(stream, transport, protocol)

    gc.collect()
    gc.disable()
    try:
        before = live_engines()
        with serving(handler, server) as address:
            for _ in range(10):
                with connected(address, client) as stream:
                    if within:
                        stream.start_tls(client)
                    stream.write(b'x')
                    stream.read(1)
                del stream
        assert live_engines() - before <= (4 if within else 2)
    finally:
        gc.enable()
