"""The client, against servers that say exactly what a test wants, and against ours."""

import io
import socket
import threading

import pytest

from gruvi_cffi import Cancelled, Timeout, TransportError, http, sleep, spawn
from gruvi_cffi.http import (
    HttpClient,
    HttpError,
    HttpServer,
    HttpTimeout,
    MessageError,
    MessageTooLarge,
    MessageTruncated,
)  # fmt: skip

TIMEOUT = 10


class Peer:
    """A server for one connection, in a thread: answers each request with the next of *answers*."""

    def __init__(self, *answers, piece=None, then='close'):
        self.seen = b''
        self._answers = answers
        self._piece = piece
        self._then = then
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._thread.join()
        self._listener.close()

    def _run(self):
        self._listener.settimeout(TIMEOUT)
        connection, _ = self._listener.accept()
        connection.settimeout(TIMEOUT)
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                for answer in self._answers:
                    self.seen += connection.recv(65536)
                    size = self._piece or max(len(answer), 1)
                    for at in range(0, len(answer), size):
                        connection.sendall(answer[at : at + size])
                if self._then == 'reset':
                    linger = b'\1\0\0\0\0\0\0\0'
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                if self._then == 'wait':
                    while piece := connection.recv(65536):
                        self.seen += piece
            except OSError:
                pass  # the client has had enough


@pytest.fixture
def connect():
    clients = []

    def make(address, timeout=TIMEOUT):
        client = HttpClient(timeout=timeout)
        client.connect(address)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close(0)


@pytest.fixture
def echo():
    """A server that sends back what it is sent, with its trailers, and says how it was asked."""

    def handler(message, transport, protocol):
        body = message.body.read()
        response = protocol.respond(message)
        fields = [(f'X-{name}', value) for name, value in message.headers if name != 'Host']
        response.start('200 OK', [('X-Method', message.method), ('X-Url', message.url), *fields])
        response.send(body)

    server = HttpServer(handler, adapter=lambda handler: handler)
    server.listen(('127.0.0.1', 0))
    yield server.addresses[0]
    server.close(0)


def ask(client, method='GET', url='/', headers=None, body=None):
    client.request(method, url, headers, body)
    return client.getresponse()


OK = b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nspam'


@pytest.mark.parametrize('piece', [None, 1, 7])
@pytest.mark.parametrize(
    ('answer', 'body'),
    [
        (OK, b'spam'),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', b''),
        (
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
            b'3;x=y\r\nabc\r\n1\r\nd\r\n0\r\n\r\n',
            b'abcd',
        ),
        (b'HTTP/1.1 200 OK\r\n\r\nup to the end', b'up to the end'),
        (b'HTTP/1.0 200 OK\r\n\r\nup to the end', b'up to the end'),
        (b'HTTP/1.1 204 No Content\r\n\r\n', b''),
        (b'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', b''),
        (b'HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx', b'x'),
    ],
)
def test_answers_however_they_are_cut(connect, answer, body, piece):
    with Peer(answer, piece=piece) as peer:
        response = ask(connect(peer.address))
        assert response.status_code == int(answer[9:12])
        assert response.version == answer[5:8].decode()
        assert response.body.read(timeout=TIMEOUT) == body


def test_what_is_sent(connect):
    with Peer(OK, then='wait') as peer:
        client = connect(peer.address)
        ask(client, 'POST', '/a?b', [('X-Spam', 'eggs')], b'body').body.read()
        client.close()
    head, _, body = peer.seen.partition(b'\r\n\r\n')
    assert body == b'body'
    lines = head.decode().split('\r\n')
    assert lines[0] == 'POST /a?b HTTP/1.1'
    assert f'Host: 127.0.0.1:{peer.address[1]}' in lines
    assert 'X-Spam: eggs' in lines
    assert 'Content-Length: 4' in lines
    assert any(line.startswith('User-Agent: gruvi_cffi/') for line in lines)


def test_requests_that_are_sent_together(connect, echo):
    client = connect(echo)
    for number in range(20):
        client.request('PUT', f'/{number}', [], b'%d' % number)
    for number in range(20):
        response = client.getresponse()
        assert response.get_header('x-url') == f'/{number}'
        assert response.body.read() == b'%d' % number


def test_a_body_that_nobody_reads_holds_up_the_next_answer_and_loses_nothing(connect, echo):
    client = connect(echo)
    big = b'x' * 300_000
    client.request('PUT', '/', [], big)
    client.request('PUT', '/', [], b'small')
    first = client.getresponse()
    assert first.body.read() == big
    assert client.getresponse().body.read() == b'small'


def test_bodies_of_all_kinds(connect, echo):
    client = connect(echo)
    for body in (
        b'spam',
        bytearray(b'spam'),
        memoryview(b'spam'),
        [b'sp', b'', b'am'],
        (each for each in [b'spam']),
        io.BytesIO(b'spam'),
    ):
        assert ask(client, 'PUT', '/', [], body).body.read() == b'spam'
    assert ask(client, 'PUT', '/', [], b'').get_header('x-content-length') == '0'
    assert ask(client, 'GET', '/').get_header('x-content-length') is None


def test_a_body_of_unknown_length_goes_in_chunks(connect):
    with Peer(OK, then='wait') as peer:
        client = connect(peer.address)
        client.request('PUT', '/', [], iter([b'sp', b'', b'am' * 10]))
        assert client.getresponse().body.read() == b'spam'
        client.close()
    assert b'Transfer-Encoding: chunked\r\n' in peer.seen
    assert b'Content-Length' not in peer.seen
    assert peer.seen.endswith(b'2\r\nsp\r\n14\r\n' + b'am' * 10 + b'\r\n0\r\n\r\n')


def test_a_file_with_a_length_goes_as_it_is(connect):
    with Peer(OK, then='wait') as peer:
        client = connect(peer.address)
        client.request('PUT', '/', [('Content-Length', '4')], io.BytesIO(b'eggs'))
        client.getresponse().body.read()
        client.close()
    assert peer.seen.endswith(b'Content-Length: 4\r\n\r\neggs')


def test_trailers_both_ways(connect):
    answer = (
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nSpam: eggs\r\n\r\n'
    )
    headers = [('Trailer', 'Sum')]

    def body():
        yield b'abc'
        headers.append(('Sum', '6'))

    with Peer(answer, then='wait') as peer:
        client = connect(peer.address)
        client.request('PUT', '/', headers, body())
        response = client.getresponse()
        assert response.body.read() == b'x'
        assert response.headers[-1] == ('Spam', 'eggs')
        client.close()
    assert peer.seen.endswith(b'3\r\nabc\r\n0\r\nSum: 6\r\n\r\n')


def test_head_has_no_body(connect):
    with Peer(b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n', OK) as peer:
        client = connect(peer.address)
        response = ask(client, 'HEAD')
        assert response.get_header('content-length') == '4'
        assert response.body.read() == b''
        assert ask(client).body.read() == b'spam'


def test_interim_responses_come_first(connect):
    with Peer(b'HTTP/1.1 100 Continue\r\n\r\n' + OK) as peer:
        client = connect(peer.address)
        client.request('GET', '/')
        assert client.getresponse().status_code == 100
        response = client.getresponse()
        assert (response.status_code, response.body.read()) == (200, b'spam')


# Errors.


def test_not_connected():
    client = HttpClient()
    for call in (lambda: client.request('GET', '/'), client.getresponse):
        with pytest.raises(HttpError, match='not connected'):
            call()


def test_nothing_was_asked(connect, echo):
    with pytest.raises(HttpError, match='no request'):
        connect(echo).getresponse()


@pytest.mark.parametrize(
    ('answer', 'error'),
    [
        (b'', HttpError),
        (b'HTTP/1.1 200 OK\r\nConte', MessageTruncated),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n', MessageError),
        (b'HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\n', MessageError),
        (b'HTTP/1.1 200 OK\r\nX : y\r\n\r\n', MessageError),
        (b'HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n', MessageError),
        (b'HTTP/2.0 200 OK\r\n\r\n', MessageError),
        (b'SSH-2.0-OpenSSH', MessageError),
        (
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;' + b'x' * 50_000,
            MessageTooLarge,
        ),
        (b'HTTP/1.1 200 OK\r\nX: ' + b'y' * 70_000, MessageTooLarge),
        (b'HTTP/1.1 200 OK\r\n' + b'X: y\r\n' * 300, MessageTooLarge),
        (b'HTTP/1.1 103 Early Hints\r\n\r\n' * 20, MessageTooLarge),
        (b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n', MessageError),
    ],
)
def test_answers_that_are_none(connect, answer, error):
    with Peer(answer) as peer:
        client = connect(peer.address)
        client.request('GET', '/')
        with pytest.raises(error):
            while True:
                client.getresponse().body.read()


@pytest.mark.parametrize(
    ('answer', 'error', 'got'),
    [
        (b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nspam', MessageTruncated, b'spam'),
        (
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nspam\r\n',
            MessageTruncated,
            b'spam',
        ),
        (
            b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nspamX\r\n',
            MessageError,
            b'spam',
        ),
    ],
)
def test_a_body_that_breaks_off(connect, answer, error, got):
    with Peer(answer) as peer:
        response = ask(connect(peer.address))
        assert response.body.read() == got
        with pytest.raises(error):
            response.body.read()


def test_who_gives_up_on_a_body_has_taken_nothing(connect):
    with Peer(b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nspam', b'eggs') as peer:
        client = connect(peer.address)
        body = ask(client).body
        assert body.peek() == b'spam'
        reading = spawn(body.read)
        sleep(0)
        reading.cancel()
        with pytest.raises(Cancelled):
            reading.result(TIMEOUT)
        assert body.peek() == b'spam'
        client.request('GET', '/')
        assert body.read() == b'spameggs'


def test_a_body_has_the_memory_of_what_came(connect):
    pytest.importorskip('_tracemalloc')
    import tracemalloc

    with Peer(b'HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nspam') as peer:
        response = ask(connect(peer.address))
        tracemalloc.start()
        try:
            assert response.body.read() == b'spam'
            assert tracemalloc.get_traced_memory()[1] < 200_000
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize('read_before', [0, 1000])
def test_a_large_body(connect, read_before):
    large = bytes(range(256)) * 4096
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % len(large) + large
    with Peer(answer, piece=100_000) as peer:
        body = ask(connect(peer.address)).body
        assert body.read(read_before) + body.read() == large
        assert body.read() == b''


def test_a_reset_wakes_who_waits(connect):
    with Peer(b'', then='reset') as peer:
        client = connect(peer.address)
        client.request('GET', '/')
        with pytest.raises((TransportError, HttpError)):
            client.getresponse()


def test_closing_wakes_who_waits(connect):
    with Peer(b'', then='wait') as peer:
        client = connect(peer.address)
        client.request('GET', '/')
        waiting = spawn(client.getresponse)
        sleep(0)
        client.close()
        with pytest.raises(HttpError):
            waiting.result(TIMEOUT)


def test_an_answer_that_takes_too_long(connect):
    with Peer(b'', then='wait') as peer:
        client = connect(peer.address, 0.05)
        client.request('GET', '/')
        with pytest.raises(HttpTimeout, match=r'0\.05'):
            client.getresponse()
        assert issubclass(HttpTimeout, Timeout)
        client.close()


def test_what_nobody_has_asked_for_ends_the_connection(connect):
    with Peer(OK + OK) as peer:
        client = connect(peer.address)
        assert ask(client).body.read() == b'spam'
        while client.protocol.idle:
            sleep(0)
        with pytest.raises(MessageError, match='nobody has asked'):
            client.request('GET', '/')


def test_no_request_behind_the_last_answer(connect):
    with Peer(b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n') as peer:
        client = connect(peer.address)
        ask(client).body.read()
        with pytest.raises(HttpError):
            client.request('GET', '/')


@pytest.mark.parametrize(
    ('arguments', 'error'),
    [
        (('GET ', '/'), ValueError), (('', '/'), ValueError), (('G\0T', '/'), ValueError),
        (('GET', '/a b'), ValueError), (('GET', '/a\r\nX: y'), ValueError),
        (('GET', '/\u0120'), ValueError), (('GET', ''), ValueError),
        ((5, '/'), TypeError), (('GET', b'/'), TypeError),
        (('GET', '/', [('X', 'a\r\nY: b')]), ValueError),
        (('GET', '/', [('X Y', 'a')]), ValueError),
        (('GET', '/', [('X', 5)]), TypeError), (('GET', '/', [('Connection', 'x')]), ValueError),
        (('GET', '/', [('Transfer-Encoding', 'chunked')]), ValueError),
        (('GET', '/', [('Content-Length', '+5')], [b'x']), ValueError),
        (('GET', '/', [('Host', 'a'), ('host', 'b')]), ValueError),
        (('PUT', '/', [], 'text'), TypeError),
    ],
)  # fmt: skip
def test_what_cannot_be_sent(connect, echo, arguments, error):
    client = connect(echo)
    with pytest.raises(error):
        client.request(*arguments)
    assert ask(client).body.read() == b''  # nothing has left


@pytest.mark.parametrize('pieces', [[b'12345'], [b'123']])
def test_a_body_that_is_not_as_long_as_it_says(connect, echo, pieces):
    client = connect(echo)
    with pytest.raises(HttpError, match='than its Content-Length'):
        client.request('PUT', '/', [('Content-Length', '4')], pieces)
    with pytest.raises((HttpError, TransportError)):
        client.getresponse()


def test_over_a_unix_socket(connect, tmp_path):
    def hello(environ, start_response):
        start_response('200 OK', [])
        return [environ['HTTP_HOST'].encode()]

    server = HttpServer(hello)
    server.listen(str(tmp_path / 'socket'))
    client = connect(str(tmp_path / 'socket'))
    assert ask(client).body.read() == b'localhost'
    server.close(0)


def test_the_old_version_can_be_spoken():
    with Peer(b'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok') as peer:
        client = HttpClient('1.0', TIMEOUT)
        client.connect(peer.address)
        client.request('POST', '/', [], b'x')
        assert client.getresponse().body.read() == b'ok'
        with pytest.raises(HttpError):
            client.request('POST', '/', [], iter([b'x']))
        client.close()
    lines = peer.seen.decode().split('\r\n')
    assert lines[0] == 'POST / HTTP/1.0'
    assert {'Connection: keep-alive', 'Content-Length: 1'} <= set(lines)


def test_a_body_of_unknown_length_needs_the_new_version():
    with Peer(b'') as peer:
        client = HttpClient('1.0', TIMEOUT)
        client.connect(peer.address)
        with pytest.raises(HttpError, match=r'HTTP/1\.0'):
            client.request('POST', '/', [], iter([b'x']))
        client.request('GET', '/')
        client.close()
    with pytest.raises(ValueError, match="not '2'"):
        HttpClient('2')


def test_what_old_programs_know_is_there():
    handler = print
    assert isinstance(http.HttpProtocol(timeout=5), http.HttpClientProtocol)
    assert isinstance(http.HttpProtocol(handler, server_side=True), http.HttpServerProtocol)
    with pytest.raises(ValueError, match='handler'):
        http.HttpProtocol(server_side=True)
    assert (http.OK, http.HTTP_PORT, http.responses[404]) == (200, 80, 'Not Found')
    assert (http.REQUEST, http.RESPONSE) == (0, 1)
    assert http.parse_url('http://a/b').host == 'a'


def test_a_message_knows_its_charset_and_its_target(connect):
    seen = []

    def handler(message, transport, protocol):
        seen.append(message)
        response = protocol.respond(message)
        response.start('200 OK', [('Content-Type', 'text/plain; charset=ISO-8859-1')])
        response.send(b'')

    server = HttpServer(handler, adapter=lambda handler: handler)
    server.listen(('127.0.0.1', 0))
    client = connect(server.addresses[0])
    client.request('GET', '/a?b')
    response = client.getresponse()
    assert (response.charset, response.parsed_url) == ('ISO-8859-1', None)
    assert (seen[0].parsed_url.path, seen[0].parsed_url.query, seen[0].charset) == ('/a', 'b', None)
    client.close()
    server.close()
