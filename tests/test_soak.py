"""Many connections that do all a connection can do, with checks on every byte."""

import ctypes
import gc
import hashlib
import os
import random
import resource
import sys
from time import monotonic

import pytest

from gruvi_cffi import (
    FiberGroup,
    StreamClient,
    StreamServer,
    TransportError,
    get_hub,
    sleep,
)

CONNECTIONS = 200
BLOB = os.urandom(2 << 20)


def echo(stream, transport, protocol):
    while True:
        data = stream.read1(1 << 16)
        if not data:
            return
        stream.write(data)


def resident():
    """Return the memory in use, in bytes, without what malloc() only keeps for later."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)
    if not os.path.exists('/proc/self/statm'):
        return 0
    with open('/proc/self/statm') as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


class Soak:
    def __init__(self, address, until):
        self.address = address
        self.until = until
        self.counts = {'closed': 0, 'half-closed': 0, 'aborted': 0, 'dropped': 0}
        self.bytes = 0

    def client(self, seed):
        chance = random.Random(seed)
        while monotonic() < self.until:
            client = StreamClient(timeout=30)
            client.connect(self.address, timeout=30)
            try:
                self.talk(client, chance)
            finally:
                client.close(timeout=10)

    def talk(self, client, chance):
        for _ in range(chance.randrange(1, 6)):
            size = min(len(BLOB) // 2, int(2 ** (chance.random() * 20)))
            start = chance.randrange(len(BLOB) // 2)
            data = BLOB[start : start + size]
            end = chance.choices(['on', 'half-closed', 'aborted', 'dropped'], [8, 1, 1, 1])[0]
            with FiberGroup() as group:
                group.spawn(self.write, client, data, chance.randrange(1, 1 << 17))
                if end in ('on', 'half-closed'):
                    received = client.stream.readexactly(size)
                    assert hashlib.sha1(received).digest() == hashlib.sha1(data).digest()
                    self.bytes += size
                elif end == 'aborted':
                    client.transport.abort()
                else:
                    client.transport.close()
            if end == 'half-closed':
                client.write_eof()
                assert client.read() == b''
            if end != 'on':
                self.counts[end] += 1
                return
        self.counts['closed'] += 1

    def write(self, client, data, piece):
        try:
            for at in range(0, len(data), piece):
                client.write(data[at : at + piece])
        except TransportError:
            assert client.transport.is_closing()


def soak(address, seconds):
    found = Soak(address, monotonic() + seconds)
    with FiberGroup() as group:
        for seed in range(CONNECTIONS):
            group.spawn(found.client, seed)
    return found


@pytest.mark.timeout(600)  # with --long it takes five minutes
def test_some_seconds_of_everything(long):
    server = StreamServer(echo)
    server.listen(('127.0.0.1', 0))
    hub = get_hub()
    soak(server.addresses[0], 3)  # fills the pools
    while server.connections:
        sleep(0.001)
    sleep(0)
    before = resident()
    handles, fibers = len(hub.loop.handles), len(hub.fibers)
    descriptors = len(os.listdir('/proc/self/fd')) if os.path.isdir('/proc/self/fd') else 0

    found = soak(server.addresses[0], long(10, 300))

    while server.connections:
        sleep(0.001)
    sleep(0)
    assert min(found.counts.values()) > 10, found.counts
    assert found.bytes > 1 << 20
    assert len(hub.fibers) == fibers
    assert len(hub.loop.handles) == handles
    if descriptors:
        assert len(os.listdir('/proc/self/fd')) == descriptors
    # PyPy goes on to compile for a while.
    room = 16 if sys.implementation.name == 'cpython' else 64
    assert resident() - before < room << 20
    server.close(timeout=10)
