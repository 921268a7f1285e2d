"""Our server, as a process of its own, asked by the clients of others."""

import json
import os
import re
import subprocess
import sys

import pytest
from dbservers import program

APPLICATION = """\
import hashlib, json

def application(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/stream':
        start_response('200 OK', [])
        return (b'x' * 1000 for _ in range(1000))
    if path == '/long':
        start_response('200 OK', [('Content-Length', '1000000')])
        return [b'x' * 1000000]
    digest, size = hashlib.sha256(), 0
    while piece := environ['wsgi.input'].read(65536):
        digest.update(piece)
        size += len(piece)
    said = {'method': environ['REQUEST_METHOD'], 'size': size, 'digest': digest.hexdigest()}
    said['port'] = environ['gruvi.peername'][1]
    start_response('200 OK', [('Content-Type', 'application/json')])
    return [json.dumps(said).encode()]
"""

NODE = """\
const http = require('http');
const agent = new http.Agent({keepAlive: true, maxSockets: 4});
let left = 200, wrong = 0;
for (let n = 0; n < 200; n++) {
  const body = 'x'.repeat(n * 100);
  const request = http.request({host: '127.0.0.1', port: PORT, method: 'POST', path: '/', agent},
    response => {
      let text = '';
      response.on('data', part => text += part);
      response.on('end', () => {
        if (JSON.parse(text).size !== n * 100) wrong++;
        if (--left === 0) { console.log(wrong); agent.destroy(); }
      });
    });
  request.end(body);
}
"""


@pytest.fixture(scope='module')
def port(tmp_path_factory):
    folder = tmp_path_factory.mktemp('serve')
    (folder / 'app.py').write_text(APPLICATION)
    command = [sys.executable, '-m', 'gruvi_cffi', 'serve', 'app:application']
    command += ['--bind', '127.0.0.1:0', '--limit-body', '-1']
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stderr.readline()
            yield int(re.search(r'127\.0\.0\.1:(\d+)', line)[1])
            process.terminate()
            process.communicate(timeout=30)
            assert process.returncode == 0
        finally:
            process.kill()  # if it has not ended


@pytest.fixture(scope='module')
def url(port):
    return f'http://127.0.0.1:{port}'


def run(*command):
    """Run a program while nobody else needs this thread: the server has a process of its own."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture
def curl():
    executable = program('curl', 'curl')
    return lambda *arguments: run(executable, '--silent', '--show-error', *arguments)


def test_curl_uploads_in_every_way(curl, url, tmp_path):
    path = tmp_path / 'big'
    path.write_bytes(os.urandom(3_000_000))
    whole = json.loads(curl(url, '--data-binary', f'@{path}'))
    assert (whole['method'], whole['size']) == ('POST', 3_000_000)
    continued = json.loads(
        curl(url, '--data-binary', f'@{path}', '-H', 'Expect: 100-continue', '-X', 'PUT')
    )
    assert continued['digest'] == whole['digest']
    chunked = json.loads(curl(url, '--data-binary', f'@{path}', '-H', 'Transfer-Encoding: chunked'))
    assert chunked['digest'] == whole['digest']


def test_curl_downloads_and_keeps_its_connection(curl, url):
    assert len(curl(f'{url}/stream')) == 1_000_000
    assert len(curl(f'{url}/long')) == 1_000_000
    assert len(curl(f'{url}/stream', '--http1.0')) == 1_000_000
    said = curl(*[f'{url}/{n}' for n in range(5)]).replace('}{', '}\n{').splitlines()
    assert len({json.loads(line)['port'] for line in said}) == 1
    assert 'HTTP/1.1 200 OK' in curl('--head', url)


def test_ab_finds_no_failed_request(url):
    ab = program('apache2-utils', 'ab')
    for more in (['-k'], []):
        text = run(ab, '-q', '-n', '400', '-c', '16', *more, f'{url}/long')
        assert re.search(r'Complete requests: +400\n', text)
        assert re.search(r'Failed requests: +0\n', text)
        assert 'Non-2xx' not in text
        assert re.search(r'Keep-Alive requests: +400\n', text) or not more


def test_h2load_speaks_http_1(url):
    text = run(program('nghttp2-client', 'h2load'), '--h1', '-n', '1000', '-c', '16', f'{url}/')
    assert '1000 total, 1000 started, 1000 done, 1000 succeeded, 0 failed' in text
    assert '1000 2xx, 0 3xx, 0 4xx, 0 5xx' in text


def test_wrk_sees_no_error(url):
    text = run(program('wrk', 'wrk'), '-t', '1', '-c', '16', '-d', '1', url)
    assert int(re.search(r'(\d+) requests in', text)[1]) > 100
    assert 'errors' not in text
    assert 'Non-2xx' not in text


def test_node_asks_with_an_agent(port):
    assert run(program('nodejs', 'node', 'nodejs'), '-e', NODE.replace('PORT', str(port))) == '0\n'


def test_requests_and_httpx(url):
    import httpx
    import requests

    pieces = [b'x' * 1000] * 100
    for make in (requests.Session, httpx.Client):
        with make() as session:
            ports = {session.get(url).json()['port'] for _ in range(20)}
            assert len(ports) == 1
            sent = {'data' if make is requests.Session else 'content': iter(pieces)}
            assert session.post(url, **sent).json()['size'] == 100_000
            assert len(session.get(f'{url}/stream').content) == 1_000_000
            assert session.head(url).status_code == 200
    with httpx.stream('GET', f'{url}/stream') as response:
        assert sum(map(len, response.iter_bytes())) == 1_000_000
