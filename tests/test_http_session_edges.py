"""What a session does where servers, or those who call it, are not as usual."""

import array
import io

import pytest

from gruvi_cffi import StreamServer, sleep, spawn
from gruvi_cffi.http import (
    HttpOptions,
    HttpServer,
    HttpSession,
    HttpTimeouts,
    MessageTooLarge,
    RedirectError,
    TooManyRedirects,
)


def application(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/go':
        start_response('302 Found', [('Location', environ['QUERY_STRING'])])
        return []
    if path == '/café'.encode().decode('latin-1'):
        start_response('200 OK', [])
        return [b'coffee']
    if path.startswith('/text/'):
        start_response('200 OK', [('Content-Type', f'text/plain; charset={path[6:]}')])
        return ['grün'.encode('utf-16-le' if path.endswith('16') else 'utf-8')]
    body = environ['wsgi.input'].read()
    start_response('200 OK', [('Authorization', environ.get('HTTP_AUTHORIZATION', ''))])
    return [environ.get('CONTENT_LENGTH', '').encode(), b' ', body]


@pytest.fixture
def url():
    server = HttpServer(application, options=HttpOptions(body=1_000_000))
    server.listen(('127.0.0.1', 0))
    yield f'http://127.0.0.1:{server.addresses[0][1]}'
    server.close()


@pytest.fixture
def session(url):
    with HttpSession(url) as session:
        yield session


def test_a_memoryview_counts_in_bytes(session):
    view = memoryview(array.array('i', [1, 2, 3]))
    sent = bytes(view)
    assert session.post('/', view).content == b'12 ' + sent
    assert session.post('/', iter([view, view])).content == b' ' + sent + sent


def test_files_may_come_without_fields(session):
    assert b'hello' in session.post('/', [], files={'f': b'hello'}).content


@pytest.mark.parametrize(
    'make', [lambda data: data, io.BytesIO, lambda data: iter([data[:1000], data[1000:]])]
)
def test_an_early_answer_to_a_large_body_is_taken(session, make):
    data = bytes(20_000_000)
    for _ in range(3):
        assert session.post('/', make(data)).status_code == 413


def test_who_is_cancelled_while_it_takes_a_connection_puts_it_back(url, monkeypatch):
    monkeypatch.setattr('gruvi_cffi.limits.HTTP_POOL_CHECK', 0.0)
    with HttpSession(url, max_per_origin=1) as session:
        session.get('/')
        asking = spawn(session.get, '/')
        sleep(0)
        asking.cancel()
        asking.join()
        assert session.get('/', timeout=HttpTimeouts(connect=5)).ok


def test_a_location_may_be_utf_8_as_it_is():
    target = '/café'.encode().decode('latin-1')
    head = f'HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n'
    answer = head.encode('latin-1')

    def redirect(stream, *_):
        for _ in range(2):
            found = stream.readuntil(b'\r\n\r\n').startswith(b'GET /caf%C3%A9 ')
            stream.write(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok' if found else answer)

    server = StreamServer(redirect)
    server.listen(('127.0.0.1', 0))
    port = server.addresses[0][1]
    with HttpSession() as session:
        assert session.get(f'http://127.0.0.1:{port}/').text == 'ok'
    server.close()


def test_a_redirection_that_cannot_be_followed_is_an_error_of_http(session):
    with pytest.raises(RedirectError):
        session.get('/go?')


def test_the_base_url_may_hold_credentials(url):
    with HttpSession(url.replace('//', '//user:secret@')) as session:
        assert session.get('/').headers['Authorization'] == 'Basic dXNlcjpzZWNyZXQ='


@pytest.mark.parametrize('name', ['hex', 'undefined', 'idna', 'zlib', 'rot13', 'nonsense'])
def test_what_is_no_charset_is_taken_for_utf_8(session, name):
    assert session.get(f'/text/{name}').text == 'grün'
    assert list(session.get(f'/text/{name}', stream=True).iter_lines()) == ['grün']


def test_utf_16_may_come_without_a_mark(session):
    assert session.get('/text/utf-16').text == 'grün'
    assert ''.join(session.get('/text/utf-16', stream=True).iter_text()) == 'grün'


@pytest.mark.parametrize(
    'limit',
    [
        {'max_connections': 0}, {'max_per_origin': 0}, {'max_redirects': -1}, {'max_content': -1},
        {'keepalive': -1}, {'keepalive': float('nan')},
    ],
)  # fmt: skip
def test_limits_that_make_no_sense(limit):
    with pytest.raises(ValueError, match=next(iter(limit))):
        HttpSession(**limit)


def test_no_redirections_and_no_content_are_limits_too(url):
    with HttpSession(url, max_redirects=0, max_content=0) as session:
        with pytest.raises(TooManyRedirects):
            session.get('/go?/')
        with pytest.raises(MessageTooLarge):
            session.get('/')
