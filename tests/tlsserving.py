"""Servers and clients with TLS, for the tests."""

import contextlib
import os
import socket
import subprocess

import pytest
from dbservers import free_port, program

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


def spoken(stream):
    """Have an echo of *stream*, behind which session tickets have come; return what is known."""
    stream.write(b'x')
    assert stream.read(1) == b'x'
    info = stream.transport.tls
    return info, info.version(), info.cipher(), info.selected_alpn_protocol()


def speak(server, client, hostname='localhost', address=('localhost', 0)):
    """Make a connection, and return what is known about its TLS after an echo."""
    with serving(echo, server, address) as bound, connected(bound, client, hostname) as stream:
        return spoken(stream)


@contextlib.contextmanager
def s_server(files, *options):
    port = free_port()
    command = [program('openssl', 'openssl'), 's_server', '-accept', f'127.0.0.1:{port}']
    command += ['-cert', 'cert.pem', '-key', 'key.pem', '-quiet', *options]
    process = subprocess.Popen(
        command, cwd=files, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(('127.0.0.1', port)) == 0:
                    break
            assert process.poll() is None, process.stderr.read()
        yield port
    finally:
        process.kill()
        process.communicate()


def half_close(transport):
    """Send a FIN without a close_notify."""
    with socket.socket(fileno=os.dup(transport.get_extra_info('socket').fileno())) as sock:
        sock.shutdown(socket.SHUT_WR)
