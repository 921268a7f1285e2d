"""wsgi.file_wrapper: files as answers, by the kernel where it can."""

import gzip
import io
import os
from wsgiref.validate import validator

import pytest

from gruvi_cffi import StreamClient, sleep
from gruvi_cffi.http import HttpOptions, HttpServer, HttpSession

BIG = os.urandom(1024) * 3000


@pytest.fixture
def path(tmp_path):
    (tmp_path / 'big').write_bytes(BIG)
    return tmp_path / 'big'


@pytest.fixture
def ask():
    """Return a function that asks for what *make* opens, and the files that were given away."""
    servers, files = [], []

    def ask(make, headers=(), method='GET', wrap=lambda application: application, **kwargs):
        def application(environ, start_response):
            start_response('200 OK', [('Content-Type', 'x/y'), *headers])
            files.append(make())
            return environ['wsgi.file_wrapper'](files[-1], **kwargs)

        server = HttpServer(wrap(application))
        server.listen(('127.0.0.1', 0))
        servers.append(server)
        with HttpSession() as session:
            return session.request(method, f'http://127.0.0.1:{server.addresses[0][1]}/')

    yield ask
    for server in servers:
        server.close()
    assert all(file.closed for file in files)


@pytest.mark.parametrize('size', [0, 1000, 200_000, len(BIG)])
def test_a_file_is_sent_whole(ask, path, size):
    path.write_bytes(BIG[:size])
    response = ask(lambda: open(path, 'rb'))
    assert response.content == BIG[:size]


def test_a_large_one_has_a_length_without_being_told(ask, path):
    assert ask(lambda: open(path, 'rb')).headers['Content-Length'] == str(len(BIG))


def opened_at(path, at):
    file = open(path, 'rb')
    file.seek(at)
    return file


@pytest.mark.parametrize('length', [10, 500_000])
def test_it_begins_where_it_stands_and_ends_as_was_said(ask, path, length):
    response = ask(lambda: opened_at(path, 777), [('Content-Length', str(length))])
    assert response.content == BIG[777 : 777 + length]


def test_what_is_no_real_file_is_read(ask):
    assert ask(lambda: io.BytesIO(BIG)).content == BIG
    assert ask(lambda: io.BytesIO(BIG), size=100_000).content == BIG


def test_head_brings_no_body(ask, path):
    response = ask(lambda: open(path, 'rb'), method='HEAD')
    assert response.content == b''
    assert response.headers['Content-Length'] == str(len(BIG))


def test_it_passes_the_validator(ask, path):
    assert ask(lambda: open(path, 'rb'), wrap=validator).content == BIG


def test_a_client_that_takes_nothing_is_cut(path):
    path.write_bytes(BIG * 10)
    closed = []

    class File(io.FileIO):
        def close(self):
            closed.append(self)
            super().close()

    def application(environ, start_response):
        start_response('200 OK', [])
        return environ['wsgi.file_wrapper'](File(path))

    server = HttpServer(application, options=HttpOptions(write_timeout=0.2))
    server.listen(('127.0.0.1', 0))
    client = StreamClient()
    client.connect(server.addresses[0])
    client.transport.pause_reading()
    client.write(b'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    while not closed or server.connections:
        sleep(0.01)
    client.close()
    server.close()


def test_a_file_that_has_a_descriptor_of_something_else_is_read(ask, tmp_path):
    path = tmp_path / 'packed.gz'
    path.write_bytes(gzip.compress(BIG))
    assert ask(lambda: gzip.open(path)).content == BIG
