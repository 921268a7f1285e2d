"""Requests through proxies: which one, what it is told, and what is behind it."""

import base64

import pytest
from rawserver import RawServer, response

from gruvi_cffi import StreamClient, StreamServer, spawn
from gruvi_cffi.http import ConnectError, HttpServer, HttpSession, Proxy

HELLO = response(b'hello')


@pytest.fixture
def origin():
    def application(environ, start_response):
        start_response('200 OK', [])
        return [f'{environ["HTTP_HOST"]}{environ["PATH_INFO"]}'.encode()]

    server = HttpServer(application)
    server.listen(('127.0.0.1', 0))
    yield f'127.0.0.1:{server.addresses[0][1]}'
    server.close()


@pytest.fixture
def tunnels():
    """A proxy that knows CONNECT; gives its URL and the heads that it has seen."""
    heads = []

    def pump(source, sink):
        while data := source.read1():
            sink.write(data)

    def serve(stream, transport, protocol):
        head = stream.readuntil(b'\r\n\r\n').decode()
        heads.append(head)
        host, _, port = head.split()[1].rpartition(':')
        client = StreamClient()
        client.connect((host, int(port)))
        stream.write(b'HTTP/1.1 200 Connected\r\n\r\n')
        back = spawn(pump, client.stream, stream)
        try:
            pump(stream, client.stream)
        finally:
            back.cancel()
            client.close()

    server = StreamServer(serve)
    server.listen(('127.0.0.1', 0))
    yield f'http://127.0.0.1:{server.addresses[0][1]}', heads
    server.close()


def test_a_proxy_that_forwards_is_asked_for_the_whole_url():
    with RawServer([HELLO, HELLO]) as server:
        proxy = server.url.replace('//', '//user:p%40ss@')
        with HttpSession(proxy=proxy) as session:
            for host in ('one.example', 'two.example:8080'):
                assert session.get(f'http://{host}/a?b#c').content == b'hello'
            assert session.connections == 1
    lines = server.seen[0].decode().split('\r\n')
    assert 'GET http://one.example/a?b HTTP/1.1' in lines
    assert 'GET http://two.example:8080/a?b HTTP/1.1' in lines
    assert 'Host: two.example:8080' in lines
    credentials = base64.b64encode(b'user:p@ss').decode()
    assert lines.count(f'Proxy-Authorization: Basic {credentials}') == 2


def test_a_tunnel_leads_to_the_origin(origin, tunnels):
    url, heads = tunnels
    host, port = url.rpartition('//')[2].split(':')
    proxy = Proxy(host, int(port), 'Bearer token', tunnel=True)
    with HttpSession(proxy=proxy) as session:
        for _ in range(2):
            assert session.get(f'http://{origin}/x').text == f'{origin}/x'
        assert session.connections == 1
    assert len(heads) == 1
    lines = heads[0].split('\r\n')
    assert lines[0] == f'CONNECT {origin} HTTP/1.1'
    assert f'Host: {origin}' in lines
    assert 'Proxy-Authorization: Bearer token' in lines


@pytest.mark.parametrize(
    ('says', 'why'),
    [
        (response(b'no', '407 Proxy Authentication Required'), '407 Proxy Authentication Required'),
        (b'', 'without an answer'),
        (b'nonsense\r\n\r\n', 'does not connect'),
    ],
)
def test_a_proxy_that_does_not_connect_is_told_from_the_origin(says, why):
    with RawServer([says]) as server:
        proxy = Proxy(*server.address, tunnel=True)
        with HttpSession(proxy=proxy) as session, pytest.raises(ConnectError, match=why):
            session.get('http://example/')


def test_a_proxy_that_is_not_there_is_named():
    with HttpSession(proxy='http://127.0.0.1:1') as session:
        with pytest.raises(ConnectError, match=r'127\.0\.0\.1:1'):
            session.get('http://example/')


@pytest.mark.parametrize('bad', ['socks5://proxy', 'http://', ''])
def test_what_is_no_proxy_is_refused(bad):
    with pytest.raises(ValueError, match=r'http|URL'):
        HttpSession(proxy=bad)


def test_the_environment_names_a_proxy(monkeypatch, origin):
    with RawServer([HELLO]) as server:
        monkeypatch.setenv('http_proxy', server.url)
        monkeypatch.setenv('no_proxy', 'localhost,127.0.0.1')
        with HttpSession() as session:
            assert session.get('http://else.where/').content == b'hello'
            assert session.get(f'http://{origin}/').text == f'{origin}/'
    monkeypatch.setenv('no_proxy', '')
    monkeypatch.setenv('http_proxy', 'http://127.0.0.1:1')
    with HttpSession(proxy=None) as session:
        assert session.get(f'http://{origin}/').ok
    with HttpSession() as session, pytest.raises(ConnectError):
        session.get(f'http://{origin}/')
