"""Handshakes that break off, and records that come in pieces."""

import contextlib
import gc
import os
import random
import socket
import ssl
import struct
import sys

import pytest
from certificates import client_context, server_context
from tlsserving import connected, echo, serving

from gruvi_cffi import StreamClient, StreamServer, limits, sleep, spawn
from gruvi_cffi._native.tls import live_engines
from gruvi_cffi.errors import TransportError

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


class Cut:
    """Passes on *count* bytes in one direction, and then does something else."""

    def __init__(self, way, count, fault):
        self.way, self.left, self.fault = way, count, fault
        self.seen = 0

    def __call__(self, data, way, target):
        if way != self.way:
            return [data]
        self.seen += len(data)
        piece, self.left = data[: self.left], max(0, self.left - len(data))
        return self._pieces(piece, target) if not self.left else [piece]

    def _pieces(self, piece, target):
        if piece:
            yield piece
        while target.transport.get_write_buffer_size():
            sleep(0)
        if self.fault == 'RST':
            sock = target.transport.get_extra_info('socket')
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            target.transport.abort()
        elif self.fault == 'FIN':
            target.write_eof()
        raise TransportError('cut')


def _handshake(address, context):
    """Return the error that a client gets, or None."""
    try:
        with connected(address, context) as stream:
            stream.write(b'x')
            stream.read(1)
    except TransportError as error:
        return error
    return None


def _engines():
    """Return how many there are, once the last connection is closed and its memory was freed."""
    for _ in range(5):  # PyPy finds in several rounds what one thing after the other lets go
        sleep(0)
        gc.collect()
    return live_engines()


@pytest.mark.parametrize('version', VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize('way', ['up', 'down'])
@pytest.mark.parametrize('fault', ['RST', 'FIN', 'silence'])
def test_a_handshake_that_breaks_off(
    fault, way, version, server_kind, client_kind, long, monkeypatch
):
    monkeypatch.setattr(limits, 'TLS_HANDSHAKE_TIMEOUT', 0.05 if fault == 'silence' else 5)
    server = server_context(server_kind, version=version)
    client = client_context(client_kind)
    errors = []
    before = _engines()
    with serving(echo, server) as address:
        count, step = 0, long(97, 7 if fault == 'silence' else 1)
        while True:
            if client_kind == 'ours':
                client = client_context()  # without a session: handshakes as long as the first
            cut = Cut(way, count, fault)
            with relaying(address, cut) as through:
                error = _handshake(through, client)
            if error is None or (count and cut.left):
                break
            assert isinstance(error, TransportError)
            errors.append(str(error))
            del error  # and with it a traceback, which knows the engine
            count += step
    assert len(errors) >= 2
    assert all(errors)
    assert _engines() == before


@pytest.mark.skipif(sys.implementation.name == 'pypy', reason='it counts no references')
def test_engines_are_freed_with_their_connections(client_kind, server_kind):
    server, client = server_context(server_kind), client_context(client_kind)
    gc.collect()
    gc.disable()
    try:
        before = live_engines()
        with serving(echo, server) as address:
            for _ in range(10):
                with connected(address, client) as stream:
                    stream.write(b'x')
                    stream.read(1)
                del stream
        assert live_engines() - before <= 2
    finally:
        gc.enable()
