"""Handshakes without end leave nothing behind: no engine, no descriptor, no memory."""

import gc
import os
import ssl
import sys
from itertools import count

import pytest
from certificates import client_context, server_context
from test_soak import resident
from tlsserving import echo, serving

from gruvi_cffi import FiberGroup, StreamClient, sleep
from gruvi_cffi._native.tls import live_engines
from gruvi_cffi.errors import CertificateError

FIBERS = 8
FULL = 100_000  # handshakes


class Handshakes:
    """Connections that end in this way and that."""

    def __init__(self, address):
        self.address = address
        self.trusting = client_context()
        self.of_old = client_context(version=ssl.TLSVersion.TLSv1_2)
        self.strange = client_context(trusted='somebody else')
        self.ends = [
            self.talks,
            self.resumes,
            self.is_old,
            self.distrusts,
            self.aborts,
            self.leaves,
        ]
        self.made = 0

    def connect(self, context):
        self.made += 1
        client = StreamClient(timeout=30)
        client.connect(self.address, ssl=context, server_hostname='localhost')
        return client

    def say(self, client):
        client.write(b'x')
        assert client.read1(1) == b'x'
        client.close(timeout=10)

    def talks(self):
        self.say(self.connect(client_context()))  # without a session of earlier times

    def resumes(self):
        self.say(self.connect(self.trusting))

    def is_old(self):
        self.say(self.connect(self.of_old))

    def distrusts(self):
        with pytest.raises(CertificateError):
            self.connect(self.strange)

    def aborts(self):
        self.connect(self.trusting).transport.abort()

    def leaves(self):
        """Ends in the middle of the server's handshake."""
        client = StreamClient(timeout=30)
        client.connect(self.address)
        client.write(b'\x16\x03\x01\x02\x00\x01')
        client.close(timeout=10)
        self.made += 1

    def make(self, number):
        until = self.made + number

        def work(first):
            for at in count(first):
                if self.made >= until:
                    return
                self.ends[at % len(self.ends)]()

        with FiberGroup() as group:
            for first in range(FIBERS):
                group.spawn(work, first)


def _descriptors():
    return len(os.listdir('/proc/self/fd')) if os.path.isdir('/proc/self/fd') else 0


def _settle(engines):
    """Wait until the server too has closed its connections."""
    for _ in range(100):
        if live_engines() <= engines:
            return
        sleep(0.02)
        gc.collect()


@pytest.mark.timeout(3600)
def test_handshakes_leave_nothing_behind(long):
    number = long(300, FULL)
    # PyPy forgets late what the last call of each fiber knew.
    engines = live_engines() + (0 if sys.implementation.name == 'cpython' else 2 * FIBERS)
    with serving(echo, server_context()) as address:
        handshakes = Handshakes(address)
        handshakes.make(number // 3)  # fills the pools
        _settle(engines)
        memory, descriptors = resident(), _descriptors()
        handshakes.make(number)
        _settle(engines)
        assert live_engines() <= engines
        assert _descriptors() <= descriptors
        # What malloc() cannot give back differs from time to time, and PyPy compiles; an engine has
        # 8 KiB, so that a few in a thousand would be seen in full length.
        room = 4 if sys.implementation.name == 'cpython' else 64
        assert resident() - memory < (room << 20) + 32 * number
