"""Heads whose fields came before are answered just as those that are new."""

import contextlib
import gc

import pytest
from httppeer import LAST, Peer, get, split

from gruvi_cffi import blocking, limits
from gruvi_cffi.http import HttpOptions

TIMES = 7  # from the third on, fields are known; from the fifth on, the whole head

SHOWN = ('REQUEST_', 'PATH_', 'QUERY_', 'SERVER_PROTOCOL', 'HTTP_', 'CONTENT_')


def tell(environ, start_response):
    """Answer with what the environ says of the request, and spoil it."""
    told = sorted((key, value) for key, value in environ.items() if key.startswith(SHOWN))
    for key in list(environ):
        environ[key] = 'spoilt'
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [repr(told).encode()]


def answer(peer, request):
    """Return the status line and the body of the answer to *request*."""
    peer.send(request)
    data = b''
    while b'\r\n\r\n' not in data or len(split(data)[2]) < size_of(request, data):
        piece = blocking(peer.socket.recv, 65536)
        assert piece, data
        data += piece
    status, _, body = split(data)
    return status, body


def size_of(request, data):
    return 0 if request.startswith(b'HEAD') else int(split(data)[1]['Content-Length'])


def answers(server, *requests):
    """Return what comes of *requests*, one after the other on one connection."""
    with Peer(server) as peer:
        return [answer(peer, request) for request in requests]


def refusal(server, *requests):
    """Return the status line of the answer to the last of *requests*, behind which is the end."""
    with Peer(server) as peer:
        for request in requests[:-1]:
            answer(peer, request)
        return split(peer.ask(requests[-1]))[0]


def known(host, *fields):
    """Return fields and the request that makes them known when it was sent often enough."""
    rest = b'Host: %b\r\n%b\r\n' % (host, b''.join(fields))
    return rest, b'GET / HTTP/1.1\r\n' + rest


FIELDS = {
    'one': [],
    'some': [b'User-Agent: a/1 (b; c)\r\n', b'Accept: */*\r\n', b'Connection: keep-alive\r\n'],
    'blanks': [b'X-A:b\r\n', b'X-B:  \t c d \t\r\n', b'X-C:\r\n'],
    'twice': [b'X-A: b\r\n', b'x-a: c\r\n', b'Cookie: d=e\r\n', b'Cookie: f=g\r\n'],
    'per hop': [b'TE: trailers\r\n', b'Keep-Alive: 5\r\n', b'X_Y: z\r\n'],
    'latin': ['X-A: \u00e9\u00ff\r\n'.encode('latin-1')],
    'empty body': [b'Content-Length: 0\r\n', b'Content-Type: text/plain\r\n'],
    'origin': [b'X-Forwarded-For: 192.0.2.1\r\n', b'Forwarded: for=192.0.2.2\r\n'],
}


@pytest.mark.parametrize('name', FIELDS)
def test_the_environ_is_the_same_each_time(serve, name):
    request = get(b'/a%20b/%C3%A9?c=%20d&e', *FIELDS[name])
    told = answers(serve(tell), *[request] * TIMES) + answers(serve(tell), *[request] * TIMES)
    assert told[0][0] == 'HTTP/1.1 200 OK'
    assert b"'/a b/\xc3\x83\xc2\xa9'" in told[0][1]
    assert told == [told[0]] * (2 * TIMES)


@pytest.mark.parametrize(
    'line',
    [
        b'GET / HTTP/1.1', b'GET /?a HTTP/1.1', b'GET //a/../b HTTP/1.1', b'GET /%41?%42 HTTP/1.1',
        b'HEAD /a HTTP/1.1', b'OPTIONS * HTTP/1.1', b'DELETE /a HTTP/1.1', b'POST /a HTTP/1.1',
        b'GET /a HTTP/1.9', b'GET http://known.test/a?b HTTP/1.1',
    ],
)  # fmt: skip
def test_any_line_goes_with_known_fields(serve, line):
    rest, request = known(b'known.test')
    fresh = line + b'\r\n' + rest.replace(b'known', b'other')
    server = serve(tell)
    (expected,) = answers(server, fresh.replace(b'//known', b'//other'))
    *_, told = answers(server, *[request] * TIMES, line + b'\r\n' + rest)
    assert expected[0] == 'HTTP/1.1 200 OK'
    assert told == (expected[0], expected[1].replace(b'other', b'known'))


@pytest.mark.parametrize(
    ('line', 'status'),
    [
        (b'GET / HTTP/1.1 ', 400), (b'GET  / HTTP/1.1', 400), (b'GET /\x00 HTTP/1.1', 400),
        (b'GET /% HTTP/1.1', 400), (b'GET /%0g HTTP/1.1', 400), (b'GET /#a HTTP/1.1', 400),
        (b'GET /\xc3\xa9 HTTP/1.1', 400), (b'GET /a b HTTP/1.1', 400), (b'GET /<a> HTTP/1.1', 400),
        (b'GET a HTTP/1.1', 400), (b'GET * HTTP/1.1', 400), (b'GET HTTP/1.1', 400),
        (b'GET http://other.test/ HTTP/1.1', 400), (b'GET /a\n HTTP/1.1', 400),
        (b'GET /a\rb HTTP/1.1', 400), (b'GET /a HTTP/2.0', 505), (b'get /a HTTP/1.1', 501),
        (b'HEAD  HTTP/1.1', 400), (b'GOT / HTTP/1.1', 501), (b' GET / HTTP/1.1', 400),
        (b'CONNECT /a HTTP/1.1', 400), (b'GET /' + 8192 * b'a' + b' HTTP/1.1', 414),
    ],
)  # fmt: skip
def test_no_bad_line_goes_with_known_fields(serve, line, status):
    rest, request = known(b'known.test')
    refused = refusal(serve(tell), *[request] * TIMES, line + b'\r\n' + rest)
    assert refused.startswith(f'HTTP/1.1 {status} ')


@pytest.mark.parametrize('behind', [b'\r\nX', b'GET / HTTP/1.1\r\n\r\n', b' a\r\n\r\n'])
def test_known_fields_are_known_as_a_whole(serve, behind):
    rest, request = known(b'known.test')
    server = serve(tell)
    line = b'GET / HTTP/1.1\r\n'
    cut = rest[:-2] + behind
    fresh = refusal(server, line + cut.replace(b'known', b'other') + b'\r\n\r\n')
    assert refusal(server, *[request] * TIMES, line + cut + b'\r\n\r\n') == fresh


def test_limits_hold_for_known_fields(serve):
    rest, request = known(b'known.test')
    server = serve(tell, options=HttpOptions(line=60, head=75))
    assert len(request) <= 75
    line = b'GET /%b HTTP/1.1\r\n'
    assert refusal(server, *[request] * TIMES, line % (50 * b'a') + rest).split()[1] == '414'
    assert refusal(server, request, line % (46 * b'a') + rest).split()[1] == '431'
    # Another server knows nothing of that.
    (told,) = answers(serve(tell), line % (50 * b'a') + rest)
    assert told[0] == 'HTTP/1.1 200 OK'


def test_the_version_and_the_connection_are_part_of_what_is_known(serve):
    rest, request = known(b'known.test')
    server = serve(tell)
    with Peer(server) as peer:
        for _ in range(TIMES):
            peer.send(request)
            assert b'Connection' not in peer.read_until(b')]')
        assert b'Connection: close' in peer.ask(b'GET / HTTP/1.0\r\n' + rest)
    for _ in range(TIMES):
        with Peer(server) as peer:
            assert b'Connection: close' in peer.ask(get(b'/', LAST))


def test_a_known_head_may_come_in_pieces_or_with_another(serve):
    _, request = known(b'known.test')
    server = serve(tell)
    expected, *_ = answers(server, *[request] * TIMES)
    with Peer(server) as peer, Peer(server) as other:
        for cut in range(1, len(request)):
            peer.send(request[:cut])
            assert answer(other, request) == expected  # by then the piece has been read
            assert answer(peer, request[cut:]) == expected
        peer.send(2 * request + b'\r\n' + request)
        data = b''
        while data.count(expected[1]) < 3:
            data += peer.read_until(b')]')


def test_empty_lines_between_requests_are_counted_for_each(serve):
    _, request = known(b'known.test')
    server = serve(tell)
    expected, *_ = answers(server, *[request] * TIMES)
    with Peer(server) as peer, Peer(server) as other:
        for _ in range(10):
            for _ in range(3):
                peer.send(b'\r\n')
                assert answer(other, request) == expected  # by then it has been read
            assert answer(peer, request) == expected
    assert refusal(server, *[request] * TIMES, 5 * b'\r\n' + request).split()[1] == '400'


def test_what_a_proxy_has_said_is_dropped_each_time(serve):
    request = get(b'/', b'X-Forwarded-For: 192.0.2.1\r\n', b'X-Forwarded-Proto: https\r\n')
    trusting = answers(
        serve(tell, options=HttpOptions(proxy_headers=['127.0.0.1'])), *[request] * TIMES
    )
    doubting = answers(
        serve(tell, options=HttpOptions(proxy_headers=['192.0.2.9'])), *[request] * TIMES
    )
    believing = answers(serve(tell), *[request] * TIMES)
    assert trusting == [trusting[0]] * TIMES
    assert believing == [believing[0]] * TIMES
    assert b"'https'" in trusting[0][1]
    assert doubting == [doubting[0]] * TIMES
    assert b'192.0.2.1' in believing[0][1]
    assert b'FORWARDED' not in doubting[0][1]


def test_a_message_is_the_same_each_time(serve):
    told = []

    def handler(message, transport, protocol):
        told.append((message.method, message.url, message.version, list(message.headers)))
        assert message.get_header('x-a') == 'b'
        assert message.body.read() == b''
        message.headers.append(('X-Spoilt', 'yes'))
        response = protocol.respond(message)
        response.start('200 OK', [])
        response.send(b'.')

    answers(serve(None, adapter=lambda _: handler), *[get(b'/a', b'X-A: b\r\n')] * TIMES)
    assert told == [('GET', '/a', '1.1', [('Host', 'a.test'), ('X-A', 'b')])] * TIMES


def test_long_names_are_not_remembered(serve):
    pytest.importorskip('_tracemalloc')
    import tracemalloc

    server = serve(tell)
    answers(server, get())
    tracemalloc.start()
    try:
        answers(server, *[get(b'/', b'X-%d%b: b\r\n' % (n, 30_000 * b'a')) for n in range(100)])
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 50 * 30_000


def test_not_all_is_remembered(serve):
    count = 2 * limits.HTTP_KNOWN_HEADS
    heads = [get(b'/%d' % n, b'X-Number: %d\r\n' % n) for n in range(count)]
    requests = [head for head in heads for _ in range(TIMES)]
    told = answers(serve(tell), *requests)
    assert len({body for _, body in told}) == count
    names = [type(each).__name__ for each in gc.get_objects()]
    assert 0 < names.count('KnownFields') <= 2 * limits.HTTP_KNOWN_HEADS
    assert 0 < names.count('Template') <= 2 * limits.HTTP_KNOWN_HEADS


def test_a_connection_keeps_nothing_that_is_forgotten(serve, monkeypatch):
    def count():
        gc.collect()
        return sum(type(each).__name__ == 'KnownFields' for each in gc.get_objects())

    monkeypatch.setattr(limits, 'HTTP_KNOWN_HEADS', 4)
    server = serve(tell, options=HttpOptions(head=30_000))
    before = count()
    with contextlib.ExitStack() as stack:
        for n in range(40):  # each with a cookie of its own
            peer = stack.enter_context(Peer(server))
            for _ in range(TIMES):
                answer(peer, get(b'/', b'Cookie: a=%d\r\n' % n))
        assert count() - before <= 2 * limits.HTTP_KNOWN_HEADS


def test_each_connection_to_each_server_has_its_own_environ(serve):
    def tell_ends(environ, start_response):
        start_response('200 OK', [('X-Path', environ['PATH_INFO'])])
        told = environ['SERVER_PORT'], environ['REMOTE_PORT'], environ['gruvi.peername'][1]
        environ.clear()
        return [repr(told).encode()]

    request = get(b'/', b'X-A: b\r\n')
    servers = [serve(tell_ends) for _ in range(2)]
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(server)) for server in servers for _ in range(2)]
        for _ in range(TIMES):
            for peer in peers:
                port = peer.socket.getsockname()[1]
                expected = str(peer.socket.getpeername()[1]), str(port), port
                assert answer(peer, request)[1] == repr(expected).encode()
