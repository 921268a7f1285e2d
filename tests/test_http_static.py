import os
import socket
import subprocess
import time

import pytest
from dbservers import program

from gruvi_cffi import blocking
from gruvi_cffi.http import HttpClient, HttpServer, StaticFiles

TIMEOUT = 10


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / 'root'
    (root / 'sub').mkdir(parents=True)
    (root / 'file.txt').write_bytes(b'0123456789')
    (root / os.fsdecode('ä b.html'.encode())).write_text('umlaut')
    (root / 'sub' / 'index.html').write_text('index')
    (root / 'big').write_bytes(os.urandom(1_000_000))
    (tmp_path / 'secret').write_text('secret')
    (tmp_path / 'root-of-others').write_text('secret')
    (root / 'link').symlink_to('file.txt')
    (root / 'out').symlink_to(tmp_path / 'secret')
    (root / 'up').symlink_to(tmp_path)
    os.mkfifo(root / 'fifo')
    return root


@pytest.fixture
def server(folder):
    server = HttpServer(StaticFiles(folder), adapter=lambda handler: handler)
    server.listen(('127.0.0.1', 0))
    yield server
    server.close(0)


@pytest.fixture
def get(server):
    client = HttpClient(timeout=TIMEOUT)
    client.connect(server.addresses[0])

    def get(url, headers=(), method='GET'):
        client.request(method, url, list(headers))
        response = client.getresponse()
        return response, response.body.read()

    yield get
    client.close(0)


def test_a_file(get, folder):
    response, body = get('/file.txt')
    assert (response.status_code, body) == (200, b'0123456789')
    assert response.get_header('content-type') == 'text/plain'
    assert response.get_header('content-length') == '10'
    assert response.get_header('accept-ranges') == 'bytes'
    assert get('/big')[1] == (folder / 'big').read_bytes()
    assert get('/%C3%A4%20b.html?x=y')[1] == b'umlaut'
    assert get('/link')[1] == b'0123456789'
    assert get('/sub/')[1] == b'index'


def test_a_head_has_no_body(get):
    response, body = get('/file.txt', method='HEAD')
    assert (response.get_header('content-length'), body) == ('10', b'')


def test_a_folder_ends_with_a_slash(get):
    response, _ = get('/sub')
    assert (response.status_code, response.get_header('location')) == (301, '/sub/')


@pytest.mark.parametrize(
    'url',
    [
        '/nonesuch', '/', '/out', '/up/secret', '/up/', '/../secret', '/sub/../../secret',
        '/%2e%2e/secret', '/..%2fsecret', '/%00', '/file.txt%00.html', '/fifo', '/file.txt/',
        '/%ff', '//etc/passwd', '/../root-of-others', '/sub/index.html/',
    ],
)  # fmt: skip
def test_what_is_not_found(get, url):
    response, body = get(url)
    assert response.status_code == 404
    assert b'secret' not in body


def test_other_methods(get):
    response, _ = get('/file.txt', method='DELETE')
    assert (response.status_code, response.get_header('allow')) == (405, 'GET, HEAD')


@pytest.mark.parametrize(
    ('asked', 'status', 'body', 'part'),
    [
        ('bytes=0-3', 206, b'0123', 'bytes 0-3/10'),
        ('bytes=8-', 206, b'89', 'bytes 8-9/10'),
        ('bytes=-3', 206, b'789', 'bytes 7-9/10'),
        ('bytes=5-100', 206, b'56789', 'bytes 5-9/10'),
        ('bytes=-100', 206, b'0123456789', 'bytes 0-9/10'),
        ('bytes=0-', 206, b'0123456789', 'bytes 0-9/10'),
        ('bytes=10-', 416, None, 'bytes */10'),
        ('bytes=-0', 416, None, 'bytes */10'),
        ('bytes=5-2', 200, b'0123456789', None),
        ('bytes=0-1,3-4', 200, b'0123456789', None),
        ('lines=1-2', 200, b'0123456789', None),
    ],
)
def test_parts(get, asked, status, body, part):
    response, got = get('/file.txt', [('Range', asked)])
    assert response.status_code == status
    assert response.get_header('content-range') == part
    assert body is None or got == body


def test_what_the_client_has_already(get, folder):
    response, _ = get('/file.txt')
    tag, changed = response.get_header('etag'), response.get_header('last-modified')
    for field in (
        ('If-None-Match', tag), ('If-None-Match', f'"x", W/{tag}'), ('If-None-Match', '*'),
        ('If-Modified-Since', changed),
    ):  # fmt: skip
        response, body = get('/file.txt', [field])
        assert (response.status_code, body) == (304, b''), field
    for field in (
        ('If-None-Match', '"x"'), ('If-Modified-Since', 'Thu, 01 Jan 1970 00:00:00 GMT'),
        ('If-Modified-Since', 'nonsense'),
    ):  # fmt: skip
        assert get('/file.txt', [field])[0].status_code == 200
    (folder / 'file.txt').write_bytes(b'changed')
    assert get('/file.txt', [('If-None-Match', tag)])[1] == b'changed'


def test_an_empty_file_has_no_parts(get, folder):
    (folder / 'empty').touch()
    response, body = get('/empty', [('Range', 'bytes=0-')])
    assert (response.status_code, body) == (200, b'')


OLD, NEW = 'Thu, 01 Jan 1970 00:00:00 GMT', 'Tue, 01 Jan 2030 00:00:00 GMT'


@pytest.mark.parametrize(
    ('fields', 'status'),
    [
        ([('If-Match', '{tag}')], 200),
        ([('If-Match', '*')], 200),
        ([('If-Match', '"x", {tag}')], 200),
        ([('If-Match', '"x"'), ('If-Match', '{tag}')], 200),
        ([('If-Match', '"x"')], 412),
        ([('If-Match', 'W/{tag}')], 412),  # which is no strong comparison
        ([('If-Match', '"a,{bare},b"')], 412),
        ([('If-Match', '')], 412),
        ([('If-Unmodified-Since', '{changed}')], 200),
        ([('If-Unmodified-Since', NEW)], 200),
        ([('If-Unmodified-Since', OLD)], 412),
        ([('If-Unmodified-Since', 'nonsense')], 200),
        # The tags go before the dates, and what must not be lost before what is known.
        ([('If-Match', '{tag}'), ('If-Unmodified-Since', OLD)], 200),
        ([('If-Match', '"x"'), ('If-Unmodified-Since', NEW)], 412),
        ([('If-None-Match', '{tag}'), ('If-Modified-Since', OLD)], 304),
        ([('If-None-Match', '"x"'), ('If-Modified-Since', NEW)], 200),
        ([('If-Match', '"x"'), ('If-None-Match', '{tag}')], 412),
        ([('If-Match', '{tag}'), ('If-None-Match', '{tag}')], 304),
        ([('If-Unmodified-Since', NEW), ('If-Modified-Since', NEW)], 304),
    ],
)
def test_conditions(get, fields, status):
    response, _ = get('/file.txt')
    tag, changed = response.get_header('etag'), response.get_header('last-modified')
    given = [
        (name, value.format(tag=tag, bare=tag.strip('"'), changed=changed))
        for name, value in fields
    ]
    response, body = get('/file.txt', given)
    assert response.status_code == status
    assert (body == b'0123456789') == (status == 200)
    assert response.get_header('etag') == tag
    response, body = get('/file.txt', [*given, ('Range', 'bytes=0-1')])
    assert response.status_code == (206 if status == 200 else status)
    assert get('/file.txt', given, 'HEAD')[0].status_code == status


@pytest.mark.parametrize(
    ('value', 'status'),
    [
        ('{tag}', 206), ('"x"', 200), ('W/{tag}', 200), ('{tag}, "x"', 200), ('{changed}', 206),
        (OLD, 200), (NEW, 200), ('nonsense', 200),
    ],
)  # fmt: skip
def test_a_part_of_what_the_client_has(get, folder, value, status):
    os.utime(folder / 'file.txt', (1e9, 1e9))
    response, _ = get('/file.txt')
    tag, changed = response.get_header('etag'), response.get_header('last-modified')
    given = ('If-Range', value.format(tag=tag, changed=changed))
    response, body = get('/file.txt', [('Range', 'bytes=1-2'), given])
    assert (response.status_code, body) == (status, b'12' if status == 206 else b'0123456789')
    assert get('/file.txt', [given])[0].status_code == 200


def test_the_date_of_what_may_still_change_makes_no_part(get, folder):
    now = time.time() + 60
    os.utime(folder / 'file.txt', (now, now))
    changed = get('/file.txt')[0].get_header('last-modified')
    fields = [('Range', 'bytes=1-2'), ('If-Range', changed)]
    assert get('/file.txt', fields)[0].status_code == 200


def test_what_is_no_folder(tmp_path):
    with pytest.raises(NotADirectoryError, match='nonesuch'):
        StaticFiles(tmp_path / 'nonesuch')


def test_curl_resumes(server, folder, tmp_path):
    port = server.addresses[0][1]
    target = tmp_path / 'copy'
    target.write_bytes((folder / 'big').read_bytes()[:300_000])
    command = [
        program('curl', 'curl'),
        '-sS',
        '-C',
        '-',
        '-o',
        str(target),
        f'http://127.0.0.1:{port}/big',
    ]
    blocking(subprocess.run, command, check=True, timeout=TIMEOUT)
    assert target.read_bytes() == (folder / 'big').read_bytes()


def test_who_gives_up_in_the_middle_leaves_nothing_behind(server):
    with socket.create_connection(server.addresses[0]) as peer:
        peer.sendall(b'GET /big HTTP/1.1\r\nHost: a\r\n\r\n')
        blocking(peer.recv, 1000)


def test_what_is_compressed_goes_as_it_is(get, folder):
    for name, kind in (('a.tar.gz', 'application/gzip'), ('a.bz2', 'application/x-bzip2')):
        (folder / name).write_bytes(b'packed')
        response, body = get(f'/{name}')
        assert (response.get_header('content-type'), body) == (kind, b'packed')
        assert response.get_header('content-encoding') is None


@pytest.mark.parametrize(
    'wanted', ['bytes=0-' + '9' * 5000, 'bytes=-', 'bytes=' + '9' * 5000 + '-']
)
def test_a_range_that_is_none_is_ignored(get, wanted):
    response, body = get('/file.txt', [('Range', wanted)])
    assert (response.status_code, body) == (200, b'0123456789')


def test_units_have_no_case_and_head_has_no_ranges(get):
    assert get('/file.txt', [('Range', 'Bytes=0-1')])[1] == b'01'
    response, _ = get('/file.txt', [('Range', 'bytes=0-1')], 'HEAD')
    assert (response.status_code, response.get_header('content-length')) == (200, '10')


def test_a_folder_is_found_by_any_name_and_keeps_the_query(get, folder):
    (folder / 'my dir').mkdir()
    response, _ = get('/my%20dir?a=b')
    assert (response.status_code, response.get_header('location')) == (301, '/my%20dir/?a=b')
    response, _ = get('//my%20dir')
    assert response.get_header('location') == '/my%20dir/'  # not another host


def test_hidden_files_are_not_found(get, folder):
    for name in ('.git', '.well-known'):
        (folder / name).mkdir()
        (folder / name / 'file').write_bytes(b'x')
    assert get('/.git/file')[0].status_code == 404
    assert get('/.git')[0].status_code == 404
    assert get('/.well-known/file')[1] == b'x'
    server = HttpServer(StaticFiles(folder, hidden=True), adapter=lambda handler: handler)
    server.listen(('127.0.0.1', 0))
    client = HttpClient(timeout=TIMEOUT)
    client.connect(server.addresses[0])
    client.request('GET', '/.git/file')
    assert client.getresponse().body.read() == b'x'
    client.close()
    server.close()
