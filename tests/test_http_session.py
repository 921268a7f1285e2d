"""What a session sends, and what it makes of the answers, against a server of ours."""

import io
import json
from http.cookiejar import CookieJar

import pytest

from gruvi_cffi import http
from gruvi_cffi.http import (
    BearerAuth,
    HttpError,
    HttpServer,
    HttpSession,
    MessageTooLarge,
    RedirectError,
    StatusError,
    TooManyRedirects,
)  # fmt: skip

REDIRECTS = {'/loop': 302, '/301': 301, '/302': 302, '/303': 303, '/307': 307, '/308': 308}


def application(environ, start_response):
    """Say in JSON what was asked."""
    path = environ['PATH_INFO']
    if path in REDIRECTS:
        environ['wsgi.input'].read()
        target = environ['QUERY_STRING'] or ('/loop' if path == '/loop' else '/end')
        start_response(f'{REDIRECTS[path]} Go', [('Location', target)])
        return [b'elsewhere']
    if path == '/cookie':
        start_response('200 OK', [('Set-Cookie', f'{environ["QUERY_STRING"]}; Path=/')])
        return []
    if path == '/missing':
        start_response('404 Not Found', [('Content-Type', 'text/plain')])
        return [b'nothing here']
    if path == '/latin':
        start_response('200 OK', [('Content-Type', 'text/plain; charset=ISO-8859-1')])
        return ['grün'.encode('latin-1')]
    if path == '/lines':
        start_response('200 OK', [])
        return (piece.encode() for piece in ('one\ntw', 'o\r\nthr', 'ee\n\nfö'))
    body = environ['wsgi.input'].read()
    said = {name: value for name, value in environ.items() if isinstance(value, str)}
    said['body'] = body.decode('latin-1')
    start_response('200 OK', [('Content-Type', 'application/json')])
    return [json.dumps(said).encode()]


@pytest.fixture
def url():
    server = HttpServer(application)
    server.listen(('127.0.0.1', 0))
    yield f'http://127.0.0.1:{server.addresses[0][1]}'
    server.close()


@pytest.fixture
def session(url):
    with HttpSession(url) as session:
        yield session


@pytest.mark.parametrize('method', ['get', 'options', 'post', 'put', 'patch', 'delete'])
def test_each_method_has_a_call_in_sessions_and_without(session, url, method):
    assert getattr(session, method)('/x').json()['REQUEST_METHOD'] == method.upper()
    assert getattr(http, method)(url).json()['REQUEST_METHOD'] == method.upper()


def test_head_brings_no_body(session, url):
    for response in (session.head('/'), http.head(url)):
        assert response.content == b''
        assert int(response.headers['Content-Length']) == response.size > 100


def test_a_response_says_what_it_is(session):
    response = session.get('/a/b?c=d#e')
    assert (response.status_code, response.reason, response.ok) == (200, 'OK', True)
    assert response.url == f'{session._base[:-1]}/a/b?c=d#e'
    assert response.headers['content-TYPE'] == 'application/json'
    assert 'Nothing' not in response.headers
    assert response.request.method == 'GET'
    assert response.elapsed > 0
    assert response.history == []
    assert response.version == '1.1'


def test_params_go_behind_what_is_there(url):
    with HttpSession(params={'k': 'v'}) as session:
        said = session.get(url + '/?a=1', params={'b': [2, 3], 'c': 'ü &', 'd': None}).json()
    assert said['QUERY_STRING'] == 'a=1&b=2&b=3&c=%C3%BC+%26&k=v'


@pytest.mark.parametrize(
    ('data', 'kind', 'body'),
    [
        ({'a': 'ü', 'b': [1, 2]}, 'application/x-www-form-urlencoded', 'a=%C3%BC&b=1&b=2'),
        ([('a', '1'), ('a', '2')], 'application/x-www-form-urlencoded', 'a=1&a=2'),
        ('grün', 'text/plain; charset=utf-8', 'grün'.encode().decode('latin-1')),
        (b'raw', '', 'raw'),
        (bytearray(b'raw'), '', 'raw'),
        (io.BytesIO(b'file'), '', 'file'),
    ],
)
def test_bodies_with_a_length(session, data, kind, body):
    said = session.post('/', data).json()
    assert (said.get('CONTENT_TYPE', ''), said['body']) == (kind, body)
    assert said['CONTENT_LENGTH'] == str(len(body))


def test_an_iterable_goes_in_chunks(session):
    said = session.put('/', iter([b'one', b'', b'two'])).json()
    assert said['body'] == 'onetwo'
    assert 'CONTENT_LENGTH' not in said


def test_a_file_is_sent_from_where_it_stands(session):
    file = io.BytesIO(b'0123456789')
    file.seek(4)
    assert session.post('/', file).json()['body'] == '456789'


def test_json_goes_out_and_comes_in(session):
    said = session.post('/', json={'a': [1, 'ü']}).json()
    assert said['CONTENT_TYPE'] == 'application/json'
    assert said['body'].encode('latin-1').decode() == '{"a":[1,"ü"]}'


def test_what_cannot_be_sent_is_refused(session):
    with pytest.raises(ValueError, match='json goes alone'):
        session.post('/', b'x', json=1)
    with pytest.raises(ValueError, match='Out of range'):
        session.post('/', json=float('nan'))
    with pytest.raises(TypeError, match='the body cannot be 5'):
        session.post('/', 5)
    with pytest.raises(TypeError, match='opened with "rb"'):
        session.post('/', io.StringIO('x'))
    with pytest.raises(TypeError, match='must be bytes, not str'):
        session.post('/', iter(['x']))
    with pytest.raises(ValueError, match='X-Y'):
        session.get('/', headers={'X-Y': 'a\r\nb: c'})
    with pytest.raises(ValueError, match='Connection'):
        session.get('/', headers={'Connection': 'close'})
    with pytest.raises(ValueError, match="cookie 'a'"):
        session.get('/', cookies={'a': 'b; c'})
    with pytest.raises(ValueError, match='method'):
        session.request('G T', '/')
    assert session.get('/').ok


@pytest.mark.parametrize(
    'bad',
    ['ftp://a/', 'mailto:x', 'http://', 'http://a b/', 'http://a/\r\n', 'http://a:99999/', '//a'],
)
def test_what_is_no_url_is_refused(bad):
    with pytest.raises(ValueError, match=r'URL|host'):
        http.get(bad)


def test_a_url_that_is_no_string_is_refused():
    with pytest.raises(TypeError, match='must be a string'):
        http.get(b'http://a/')


def test_files_go_as_multipart(session, tmp_path):
    path = tmp_path / 'notes.txt'
    path.write_bytes(b'from disk')
    with open(path, 'rb') as file:
        said = session.post(
            '/',
            {'field': 'ü', 'many': [1, 2]},
            files=[('a', file), ('b', ('q"uote.bin', b'\0\1', 'x/y')), ('c', b'bytes')],
        ).json()
    boundary = said['CONTENT_TYPE'].partition('boundary=')[2]
    assert said['CONTENT_LENGTH'] == str(len(said['body']))
    parts = said['body'].split(f'--{boundary}')
    assert parts[0] == ''
    assert parts[-1] == '--\r\n'
    form = 'Content-Disposition: form-data; name='
    assert [part.strip('\r\n') for part in parts[1:-1]] == [
        f'{form}"field"\r\n\r\n' + 'ü'.encode().decode('latin-1'),
        f'{form}"many"\r\n\r\n1',
        f'{form}"many"\r\n\r\n2',
        f'{form}"a"; filename="notes.txt"\r\nContent-Type: text/plain\r\n\r\nfrom disk',
        f'{form}"b"; filename="q%22uote.bin"\r\nContent-Type: x/y\r\n\r\n\0\1',
        f'{form}"c"; filename="c"\r\nContent-Type: application/octet-stream\r\n\r\nbytes',
    ]


def test_a_file_of_unknown_size_goes_in_chunks(session):
    class Pipe:
        def __init__(self):
            self._left = [b'two', b'one']

        def read(self, size):
            return self._left.pop() if self._left else b''

    assert 'onetwo' in session.post('/', files={'f': Pipe()}).json()['body']


def test_headers_of_the_session_and_the_request_are_merged(url):
    with HttpSession(url, headers={'X-A': '1', 'X-B': '2', 'Accept': 'text/x'}) as session:
        said = session.get('/', headers={'x-a': '3', 'X-B': None, 'X-C': '4'}).json()
    assert (said['HTTP_X_A'], said['HTTP_X_C'], said['HTTP_ACCEPT']) == ('3', '4', 'text/x')
    assert 'HTTP_X_B' not in said
    assert 'gzip' in said['HTTP_ACCEPT_ENCODING']
    assert said['HTTP_USER_AGENT'].startswith('gruvi_cffi/')


def test_authentication(session, url):
    def credentials(response):
        return response.json().get('HTTP_AUTHORIZATION')

    basic = 'Basic dXNlcjpww6Rzcw=='
    assert credentials(session.get('/', auth=('user', 'päss'))) == basic
    assert credentials(session.get(url.replace('//', '//user:p%C3%A4ss@'))) == basic
    assert credentials(session.get('/', auth=BearerAuth('token'))) == 'Bearer token'
    assert credentials(session.get('/')) is None
    with HttpSession(url, auth=('user', 'päss')) as other:
        assert credentials(other.get('/')) == basic
        assert credentials(other.get('/', auth=None)) is None
    with pytest.raises(ValueError, match='colon'):
        session.get('/', auth=('us:er', ''))


def test_a_password_is_not_shown(session, url):
    assert 'secret' not in session.get(url.replace('//', '//user:secret@')).url


def test_cookies_are_kept_and_sent(session):
    assert session.get('/cookie?a=1').cookies == {'a': '1'}
    session.get('/cookie?b=2')
    assert session.get('/').json()['HTTP_COOKIE'] == 'a=1; b=2'
    assert session.get('/', cookies={'c': '3'}).json()['HTTP_COOKIE'] == 'c=3; a=1; b=2'
    assert {cookie.name for cookie in session.cookies} == {'a', 'b'}
    session.cookies.clear()
    assert 'HTTP_COOKIE' not in session.get('/').json()


def test_cookies_may_be_given(url):
    jar = CookieJar()
    with HttpSession(url, cookies=jar) as session:
        session.get('/cookie?a=1')
    assert [cookie.value for cookie in jar] == ['1']
    with HttpSession(url, cookies={'x': 'y'}) as session:
        assert session.get('/').json()['HTTP_COOKIE'] == 'x=y'


@pytest.mark.parametrize(
    ('status', 'method', 'becomes'),
    [
        (301, 'POST', 'GET'), (302, 'POST', 'GET'), (303, 'POST', 'GET'), (303, 'PUT', 'GET'),
        (301, 'PUT', 'PUT'), (307, 'POST', 'POST'), (308, 'POST', 'POST'), (302, 'GET', 'GET'),
    ],
)  # fmt: skip
def test_the_method_of_a_redirection(session, status, method, becomes):
    response = session.request(method, f'/{status}', data=b'x' if method != 'GET' else None)
    said = response.json()
    assert said['REQUEST_METHOD'] == becomes
    assert said['body'] == ('x' if becomes != 'GET' else '')
    assert [each.status_code for each in response.history] == [status]
    assert said['PATH_INFO'] == '/end'
    assert session.connections == 1


def test_a_file_is_sent_again_and_an_iterator_is_not(session):
    assert session.post('/307', io.BytesIO(b'file')).json()['body'] == 'file'
    with pytest.raises(RedirectError, match='cannot be sent twice'):
        session.post('/307', iter([b'x']))


def test_redirections_can_be_left(session):
    response = session.get('/302', follow_redirects=False)
    assert (response.status_code, response.is_redirect) == (302, True)
    assert response.content == b'elsewhere'


def test_a_loop_of_redirections_ends(url):
    with HttpSession(url, max_redirects=3) as session:
        with pytest.raises(TooManyRedirects, match='more than 3'):
            session.get('/loop')
        assert session.get('/').ok


def test_a_redirection_to_nowhere_is_an_error(session):
    with pytest.raises(RedirectError, match='nowhere'):
        session.get('/302?http://a b/')


@pytest.mark.parametrize('target', ['ftp://x/', 'file:///etc/passwd', 'javascript:alert(1)'])
def test_a_redirection_to_what_is_no_http_is_the_answer(session, target):
    response = session.get(f'/302?{target}')
    assert (response.status_code, response.headers['Location']) == (302, target)
    assert (response.content, response.history) == (b'elsewhere', [])
    with pytest.raises(StatusError, match=r'is not followed: .* is no HTTP'):
        response.raise_for_status()
    assert session.get('/').raise_for_status().ok


def test_another_origin_gets_no_secrets(session, url):
    other = HttpServer(application)
    other.listen(('127.0.0.1', 0))
    there = f'http://127.0.0.1:{other.addresses[0][1]}/'
    try:
        headers = [('Authorization', 'a'), ('authorization', 'b'), ('Cookie', 'c=d'), ('X-Y', 'z')]
        said = session.get(f'/302?{there}', headers=headers, cookies={'e': 'f'}).json()
        assert said['HTTP_X_Y'] == 'z'
        assert not {'HTTP_AUTHORIZATION', 'HTTP_COOKIE'} & said.keys()
        answer = session.post(f'/307?{there}', b'secret')
        assert answer.status_code == 307
        assert 'another origin' in answer.not_followed
    finally:
        other.close()


def test_a_failure_is_an_error_if_wanted(session):
    response = session.get('/missing')
    assert not response.ok
    with pytest.raises(StatusError, match='404 Not Found') as caught:
        response.raise_for_status()
    assert caught.value.response is response
    assert caught.value.response.text == 'nothing here'
    assert session.get('/').raise_for_status().ok


def test_text_is_decoded_as_its_type_says(session):
    response = session.get('/latin')
    assert response.text == 'grün'
    response.encoding = 'utf-8'
    assert response.text == 'gr\ufffdn'
    with pytest.raises(LookupError):
        response.encoding = 'no such'


def test_lines_come_one_by_one(session):
    with session.get('/lines', stream=True) as response:
        assert list(response.iter_lines()) == ['one', 'two', 'three', '', 'fö']
    assert list(session.get('/lines').iter_lines()) == ['one', 'two', 'three', '', 'fö']


def test_a_line_has_a_limit(session):
    with session.get('/', stream=True) as response, pytest.raises(MessageTooLarge, match='line'):
        list(response.iter_lines(10))


def test_a_stream_is_read_once(session):
    response = session.get('/lines', stream=True)
    with pytest.raises(HttpError, match='was not read'):
        _ = response.content
    pieces = list(response.iter_bytes())
    assert b''.join(pieces).startswith(b'one')
    with pytest.raises(HttpError, match='already'):
        list(response.iter_bytes())
    again = session.get('/lines', stream=True)
    assert again.read() == again.content == b''.join(pieces)


def test_a_closed_stream_does_not_just_end(session):
    with session.get('/lines', stream=True) as response:
        pieces = response.iter_bytes()
        next(pieces)
    with pytest.raises(HttpError, match='closed'):
        next(pieces)


def test_content_has_a_limit(url):
    with HttpSession(url, max_content=10) as session:
        with pytest.raises(MessageTooLarge, match='more than 10 bytes'):
            session.get('/')
        assert session.get('/cookie?a=1').content == b''
        with session.get('/', stream=True) as response:
            assert len(response.read()) > 10


def test_progress_is_told(session):
    up, down = [], []
    body = b'x' * 200_000
    session.post(
        '/',
        body,
        on_upload=lambda *args: up.append(args),
        on_download=lambda *args: down.append(args),
    )
    assert up[0] == (65536, 200_000)
    assert up[-1] == (200_000, 200_000)
    assert down[-1][0] == down[-1][1] > 200_000


def test_hooks_see_each_request_and_response(url):
    seen = []

    def sign(request):
        request.headers['X-Signed'] = request.method
        seen.append(request.url[len(url) :])

    hooks = {'request': sign, 'response': [lambda response: seen.append(response.status_code)]}
    with HttpSession(url, hooks=hooks) as session:
        assert session.get('/302').json()['HTTP_X_SIGNED'] == 'GET'
    assert seen == ['/302', 302, '/end', 200]
    with pytest.raises(ValueError, match="not for 'respond'"):
        HttpSession(hooks={'respond': sign})


def test_what_a_hook_raises_is_raised_and_nothing_is_left(url):
    def refuse(response):
        raise LookupError('no')

    with HttpSession(url, hooks={'response': refuse}) as session, pytest.raises(LookupError):
        session.get('/')


def test_urls_are_relative_to_the_base(url):
    with HttpSession(url + '/v1/') as session:
        assert session.get('a').json()['PATH_INFO'] == '/v1/a'
        assert session.get('/a').json()['PATH_INFO'] == '/a'
        assert session.get(url).json()['PATH_INFO'] == '/'
    with HttpSession() as session, pytest.raises(ValueError, match='http://'):
        session.get('/a')


def test_a_session_says_whom_it_asks_and_over_how_many_connections(url):
    with HttpSession(url.replace('//', '//me:secret@') + '/api/') as session:
        assert repr(session) == f'<HttpSession to {url}/api/, 0 connections>'
        session.get('x')
        assert repr(session) == f'<HttpSession to {url}/api/, 1 connections>'
    assert repr(HttpSession()) == '<HttpSession, 0 connections>'


def test_a_unix_socket(tmp_path):
    server = HttpServer(application)
    server.listen(str(tmp_path / 'socket'))
    said = http.get('http://some.where/x', unix=str(tmp_path / 'socket')).json()
    assert (said['HTTP_HOST'], said['PATH_INFO']) == ('some.where', '/x')
    server.close()
