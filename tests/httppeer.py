"""A client that sends any bytes, and what it mostly asks for and of whom."""

import socket

import pytest

from gruvi_cffi import blocking
from gruvi_cffi.http import HttpServer

TIMEOUT = 10


def hello(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'Hello, World!']


def echo(environ, start_response):
    body = environ['wsgi.input'].read()
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])
    return [body]


@pytest.fixture
def serve():
    """Return a function that starts an HttpServer for an application."""
    servers = []

    def start(application, **kwargs):
        server = HttpServer(application, **kwargs)
        server.listen(('127.0.0.1', 0))
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close(0)


class Peer:
    """A client that says what it is told to, and nothing else."""

    def __init__(self, server):
        self.socket = socket.create_connection(server.addresses[0], timeout=TIMEOUT)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def send(self, data):
        blocking(self.socket.sendall, data)

    def read(self):
        """Return everything up to the end of the connection."""
        data = b''
        while piece := blocking(self.socket.recv, 65536):
            data += piece
        return data

    def read_until(self, end):
        data = b''
        while not data.endswith(end):
            piece = blocking(self.socket.recv, 65536)
            assert piece, data
            data += piece
        return data

    def ask(self, data):
        self.send(data)
        return self.read()


def get(target=b'/', *fields):
    return b'GET %b HTTP/1.1\r\nHost: a.test\r\n%b\r\n' % (target, b''.join(fields))


LAST = b'Connection: close\r\n'


def ask(server, data):
    with Peer(server) as peer:
        return peer.ask(data)


def split(answer):
    head, _, body = answer.partition(b'\r\n\r\n')
    status, *lines = head.decode('latin-1').split('\r\n')
    return status, dict(line.split(': ', 1) for line in lines), body
