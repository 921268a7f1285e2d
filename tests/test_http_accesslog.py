"""What the access log says of requests that did not go as usual."""

import logging
import socket

import pytest

from gruvi_cffi import blocking, sleep
from gruvi_cffi.http import AccessLog, HttpServer


def application(environ, start_response):
    if environ['PATH_INFO'] == '/bad':
        raise ValueError('on purpose')
    start_response('200 OK', [])
    if environ['PATH_INFO'] == '/broken':
        yield b'begun'
        raise ValueError('on purpose')
    while environ['PATH_INFO'] == '/endless':
        yield bytes(100_000)
    yield b'done'


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, 'gruvi_cffi.access')

    def of(count):
        """Return what was logged, once there are so many lines."""
        while True:
            found = [
                record.getMessage()
                for record in caplog.records
                if record.name == 'gruvi_cffi.access'
            ]
            if len(found) >= count:
                return found
            sleep(0)

    return of


@pytest.fixture
def address():
    server = HttpServer(application, access_log=AccessLog('common'))
    server.listen(('127.0.0.1', 0))
    yield server.addresses[0]
    server.close()


def ask(address, data):
    with socket.create_connection(address) as peer:
        peer.sendall(data)
        while blocking(peer.recv, 100_000):
            pass


def test_a_refused_request_has_a_line(address, lines):
    ask(address, b'GET / HTTP/1.1\r\n\r\n')  # without a Host
    (line,) = lines(1)
    assert line.startswith('127.0.0.1 ')
    assert line.endswith('"- - HTTP/1.1" 400 12')  # b'Bad Request\n'


@pytest.mark.parametrize(('method', 'size'), [(b'GET', '22'), (b'HEAD', '-')])
def test_our_own_answer_has_its_bytes(address, lines, method, size):
    ask(address, method + b' /bad HTTP/1.1\r\nHost: a\r\n\r\n')
    assert lines(1)[0].endswith(f'/bad HTTP/1.1" 500 {size}')  # b'Internal Server Error\n'


def test_what_broke_in_the_middle_has_a_line(address, lines):
    ask(address, b'GET /broken HTTP/1.1\r\nHost: a\r\n\r\n')
    (line,) = lines(1)
    assert line.endswith('"GET /broken HTTP/1.1" 200 5')


def test_a_client_that_goes_away_has_a_line(address, lines):
    with socket.create_connection(address) as peer:
        peer.sendall(b'GET /endless HTTP/1.1\r\nHost: a\r\n\r\n')
        assert blocking(peer.recv, 1000)
    (line,) = lines(1)
    assert '"GET /endless HTTP/1.1" 200 ' in line
    assert int(line.split()[-1]) > 0


def test_each_has_one_line(address, lines):
    asked = b'GET /%d HTTP/1.1\r\nHost: a\r\n\r\n'
    ask(address, b''.join(asked % at for at in range(3)) + b'nonsense\r\n\r\n')
    assert [line.split('"')[1] for line in lines(4)] == [
        'GET /0 HTTP/1.1', 'GET /1 HTTP/1.1', 'GET /2 HTTP/1.1', '- - HTTP/1.1'
    ]  # fmt: skip


def test_a_head_has_no_bytes_of_a_body(lines, address):
    ask(address, b'HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    assert lines(1)[0].endswith('"HEAD / HTTP/1.1" 200 -')
