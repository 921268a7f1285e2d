"""Our client against the servers of others, and our server behind haproxy and nginx."""

import json
import os
from pathlib import Path

import pytest
from dbservers import free_port
from httpservers import haproxy, nginx, node, standard

from gruvi_cffi import FiberGroup, http
from gruvi_cffi.http import HttpClient, HttpOptions, HttpServer, HttpSession

BIG = os.urandom(64) * 32768  # 2 MiB


@pytest.fixture(scope='module')
def nginx_url(tmp_path_factory):
    folder = tmp_path_factory.mktemp('nginx')
    with nginx(folder) as port:
        (folder / 'root' / 'hello').write_text('hello from nginx\n' * 10)
        (folder / 'root' / 'big').write_bytes(BIG)
        yield f'http://127.0.0.1:{port}'


@pytest.fixture(scope='module')
def node_url():
    with node() as port:
        yield f'http://127.0.0.1:{port}'


@pytest.fixture
def session():
    with HttpSession(timeout=20) as session:
        yield session


def telling(environ, start_response):
    body = environ['wsgi.input'].read()
    if environ['PATH_INFO'] == '/chunked':
        start_response('200 OK', [])
        return (BIG[at : at + 65536] for at in range(0, len(BIG), 65536))
    said = {name: value for name, value in environ.items() if isinstance(value, str)}
    said['size'] = len(body)
    said['connection'] = str(environ['gruvi.peername'][1:2])
    start_response('200 OK', [('Content-Type', 'application/json')])
    return [json.dumps(said).encode()]


@pytest.fixture
def ours():
    """Our server, which tells what it was asked."""

    server = HttpServer(telling)
    server.listen(('127.0.0.1', 0))
    yield server.addresses[0][1]
    server.close()


def test_nginx_files_and_statuses(session, nginx_url):
    for _ in range(100):
        assert session.get(f'{nginx_url}/hello').text == 'hello from nginx\n' * 10
    assert session.get(f'{nginx_url}/big').content == BIG
    assert session.get(f'{nginx_url}/nowhere').status_code == 404
    assert session.head(f'{nginx_url}/big').headers['Content-Length'] == str(len(BIG))
    part = session.get(f'{nginx_url}/big', headers={'Range': 'bytes=10-19'})
    assert (part.status_code, part.content) == (206, BIG[10:20])
    assert session.connections == 1


def test_nginx_compresses_and_we_undo_it(session, nginx_url):
    response = session.get(f'{nginx_url}/gzip/hello')
    assert response.headers['Content-Encoding'] == 'gzip'
    assert response.text == 'hello from nginx\n' * 10


def test_nginx_redirects(session, nginx_url):
    for path in ('moved', 'away'):
        response = session.get(f'{nginx_url}/{path}')
        assert response.text.startswith('hello')
        assert len(response.history) == 1


def test_nginx_refuses_what_is_posted_to_a_file(session, nginx_url):
    assert session.post(f'{nginx_url}/hello', b'x' * 100_000).status_code == 405
    assert session.post(f'{nginx_url}/hello', iter([b'x' * 1000] * 3000)).status_code in (405, 413)
    assert session.get(f'{nginx_url}/hello').ok


def test_nginx_closes_after_each_answer(session, nginx_url):
    for _ in range(5):
        assert session.get(f'{nginx_url}/once/hello').ok
    with FiberGroup() as group:
        for _ in range(50):
            group.spawn(session.get, f'{nginx_url}/once/hello')


def test_nginx_sends_slowly(session, nginx_url):
    with session.get(f'{nginx_url}/slow/big', stream=True) as response:
        size = 0
        for piece in response.iter_bytes():
            size += len(piece)
            if size > 400_000:
                break
    assert session.get(f'{nginx_url}/hello').ok


def test_nginx_answers_pipelined_requests(nginx_url):
    client = HttpClient(timeout=20)
    client.connect(('127.0.0.1', int(nginx_url.rpartition(':')[2])))
    for _ in range(20):
        client.request('GET', '/hello', [('Host', 'x')])
    for _ in range(20):
        assert client.getresponse().body.read() == b'hello from nginx\n' * 10
    client.close()


def test_node_echoes_whatever_the_framing(session, node_url):
    assert session.post(f'{node_url}/a', BIG).content == b'POST /a ' + BIG
    assert session.put(f'{node_url}/b', iter([b'one', b'two'])).content == b'PUT /b onetwo'
    assert session.get(f'{node_url}/c').content == b'GET /c '
    assert session.head(f'{node_url}/d').content == b''
    assert session.get(f'{node_url}/empty').status_code == 204
    assert session.get(f'{node_url}/hints').content == b'GET /hints '
    assert session.connections == 1


def test_node_sends_trailers(session, node_url):
    response = session.get(f'{node_url}/trailers', headers={'TE': None})
    assert response.content == b'body'
    assert response.trailers['X-Sum'] == '42'


def test_the_standard_library_speaks_the_old_version(session, tmp_path):
    (tmp_path / 'file').write_bytes(BIG)
    with standard(tmp_path) as port:
        url = f'http://127.0.0.1:{port}'
        response = session.get(f'{url}/file')
        assert (response.version, response.content) == ('1.0', BIG)
        assert 'file' in session.get(f'{url}/').text
        assert session.get(f'{url}/none').status_code == 404
        assert http.get(f'{url}/file').content == BIG


def test_haproxy_in_front_of_our_server(session, ours, tmp_path):
    with haproxy(tmp_path, ours) as port:
        url = f'http://127.0.0.1:{port}'
        said = [session.get(f'{url}/{n}').json() for n in range(20)]
        assert {each['HTTP_X_FORWARDED_FOR'] for each in said} == {'127.0.0.1'}
        assert len({each['connection'] for each in said}) == 1
        assert session.post(f'{url}/', BIG).json()['size'] == len(BIG)
        assert session.post(f'{url}/', iter([BIG, b'x'])).json()['size'] == len(BIG) + 1
        assert session.get(f'{url}/chunked').content == BIG
        session.close()


def test_nginx_in_front_of_our_server(session, ours, tmp_path):
    proxy = f'location /ours/ {{ proxy_pass http://127.0.0.1:{ours}/; client_max_body_size 9m; }}'
    with nginx(tmp_path, proxy) as port:
        url = f'http://127.0.0.1:{port}/ours'
        assert session.get(f'{url}/a?b').json()['PATH_INFO'] == '/a'
        assert session.post(f'{url}/', BIG).json()['size'] == len(BIG)
        assert session.post(f'{url}/', iter([BIG, b'x'])).json()['size'] == len(BIG) + 1
        assert session.get(f'{url}/chunked').content == BIG
        session.close()


# What the documentation shows.

HOWTO = Path(__file__).parent.parent / 'docs' / 'howto'


@pytest.fixture
def behind():
    """Return a function that makes a server of ours with some options, which ends with the test."""
    servers = []

    def serve(address, **options):
        servers.append(HttpServer(telling, options=HttpOptions(**options)))
        servers[0].listen(address)
        return servers[0]

    yield serve
    for server in servers:
        server.close()


def test_nginx_as_the_documentation_has_it(session, behind, tmp_path):
    server = behind(str(tmp_path / 'app.socket'), proxy_headers=['unix'])
    port = free_port()
    shown = (HOWTO / 'nginx.conf').read_text()
    shown = shown.replace('/run/app.socket', f'{tmp_path}/app.socket')
    shown = shown.replace('listen 80;', f'listen 127.0.0.1:{port};')
    with nginx(tmp_path, http=shown):
        for _ in range(5):
            said = session.post(f'http://127.0.0.1:{port}/x', b'body').json()
        assert (said['REMOTE_ADDR'], said['HTTP_HOST']) == ('127.0.0.1', '127.0.0.1')
        assert (said['wsgi.url_scheme'], said['size']) == ('http', 4)
        assert len(server.connections) == 1
        session.close()


def test_haproxy_as_the_documentation_has_it(session, behind, tmp_path):
    server = behind(('127.0.0.1', 0), proxy_protocol=['127.0.0.1'])
    port = free_port()
    shown = (HOWTO / 'haproxy.cfg').read_text()
    shown = shown.replace('127.0.0.1:8000', f'127.0.0.1:{server.addresses[0][1]}')
    shown = shown.replace('bind :80', f'bind 127.0.0.2:{port}\n    bind unix@{tmp_path}/socket')
    with haproxy(tmp_path, config=shown):
        said = session.post(f'http://127.0.0.2:{port}/x', b'body').json()
        assert (said['REMOTE_ADDR'], said['size']) == ('127.0.0.1', 4)
        assert said['REMOTE_PORT'] not in said['connection']
        session.close()
