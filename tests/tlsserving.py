"""Servers and clients with TLS, for the tests."""

import contextlib
import os
import socket

import pytest

from gruvi_cffi import StreamClient, StreamServer

KINDS = ['ours', 'stdlib']  # of contexts


@pytest.fixture(params=KINDS)
def server_kind(request):
    return request.param


@pytest.fixture(params=KINDS)
def client_kind(request):
    return request.param


@contextlib.contextmanager
def serving(handler, context, address=('localhost', 0)):
    """Serve streams; the value is the server's address."""
    server = StreamServer(handler, timeout=10)
    server.listen(address, ssl=context)
    try:
        yield server.addresses[0]
    finally:
        server.close(timeout=5)


@contextlib.contextmanager
def connected(address, context, server_hostname='localhost', **options):
    """Connect; the value is the stream."""
    client = StreamClient(timeout=10)
    client.connect(address, ssl=context, server_hostname=server_hostname, **options)
    try:
        yield client.stream
    finally:
        client.close(timeout=5)


def echo(stream, transport, protocol):
    """Send back what comes."""
    while data := stream.read1(65536):
        stream.write(data)


def half_close(transport):
    """Send a FIN without a close_notify."""
    with socket.socket(fileno=os.dup(transport.get_extra_info('socket').fileno())) as sock:
        sock.shutdown(socket.SHUT_WR)
