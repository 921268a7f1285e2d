"""python -m gruvi_cffi get, against a server of ours."""

import json
import signal
import subprocess
import sys

import pytest
from rawserver import RawServer, response, until_closed

from gruvi_cffi import blocking, sleep
from gruvi_cffi.cli import get, main
from gruvi_cffi.http import HttpServer


@pytest.fixture
def url():
    def application(environ, start_response):
        body = environ['wsgi.input'].read().decode('latin-1')
        status = '404 Not Found' if environ['PATH_INFO'] == '/missing' else '200 OK'
        start_response(status, [('Content-Type', 'application/json'), ('X-Name', 'value')])
        said = {name: value for name, value in environ.items() if isinstance(value, str)}
        return [json.dumps({**said, 'body': body}).encode()]

    server = HttpServer(application)
    server.listen(('127.0.0.1', 0))
    yield f'http://127.0.0.1:{server.addresses[0][1]}'
    server.close()


@pytest.fixture
def run(capfd):
    def run(*arguments):
        status = main(['get', *arguments])
        out, err = capfd.readouterr()
        return status, out, err

    return run


def test_the_body_goes_to_the_standard_output(url):
    command = [sys.executable, '-m', 'gruvi_cffi', 'get', f'{url}/x']
    done = blocking(subprocess.run, command, capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, b'')
    assert json.loads(done.stdout)['PATH_INFO'] == '/x'


def test_or_to_a_file(url, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(url, '-o', 'here') == (0, '', '')
    assert json.loads((tmp_path / 'here').read_text())['REQUEST_METHOD'] == 'GET'
    assert run(f'{url}/a%20b.txt?c', '-O') == (0, '', '')
    assert (tmp_path / 'a b.txt').exists()
    assert run(url, '-O') == (0, '', '')
    assert (tmp_path / 'index.html').exists()


BROKEN = b'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n' + b'half' * 5000


@pytest.mark.parametrize('before', [None, 'before'])
def test_what_breaks_off_leaves_no_half_a_file(run, tmp_path, before):
    path = tmp_path / 'here'
    if before is not None:
        path.write_text(before)
    with RawServer([BROKEN]) as server:
        status, out, err = run(server.url, '-o', str(path))
    assert (status, out) == (1, '')
    assert f'; {path} was left as it was\n' in err
    assert [each.read_text() for each in tmp_path.iterdir()] == ([before] if before else [])


def test_who_interrupts_leaves_no_half_a_file(tmp_path):
    def wait(connection):
        connection.recv(1)

    with RawServer([BROKEN, wait]) as server:
        command = [sys.executable, '-m', 'gruvi_cffi', 'get', server.url, '-o', tmp_path / 'here']
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while not any(each.stat().st_size for each in tmp_path.iterdir()):
            sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert blocking(process.wait, 30) == 130
    assert not list(tmp_path.iterdir())


def test_a_file_keeps_its_mode_and_its_links(url, run, tmp_path):
    path = tmp_path / 'here'
    path.touch(0o640)
    path.chmod(0o640)
    (tmp_path / 'link').symlink_to('here')
    assert run(url, '-o', str(tmp_path / 'link'))[0] == 0
    assert path.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / 'link').is_symlink()
    assert json.loads(path.read_text())['PATH_INFO'] == '/'
    assert run(url, '-o', '/dev/null')[0] == 0
    assert run(url, '-o', str(tmp_path))[0] == 1


def test_what_is_sent_can_be_chosen(url, run, tmp_path):
    def said(*arguments):
        return json.loads(run(url, *arguments)[1])

    path = tmp_path / 'notes.txt'
    path.write_text('from a file')
    assert said('-d', 'spam')['body'] == 'spam'
    assert said('-d', 'spam')['REQUEST_METHOD'] == 'POST'
    assert said('-d', f'@{path}', '-X', 'PUT')['body'] == 'from a file'
    assert said('-d', f'@{path}', '-X', 'PUT')['REQUEST_METHOD'] == 'PUT'
    assert said('-F', 'a=1', '-F', 'b=2')['body'] == 'a=1&b=2'
    assert 'from a file' in said('-F', 'a=1', '-F', f'b=@{path}')['body']
    assert said('--json', '[1]')['CONTENT_TYPE'] == 'application/json'
    assert said('-H', 'X-A: b')['HTTP_X_A'] == 'b'
    assert said('-u', 'a:b')['HTTP_AUTHORIZATION'] == 'Basic YTpi'


def test_the_head_can_be_shown(url, run):
    status, out, _ = run(url, '-i')
    assert status == 0
    lines = out.split('\n')
    assert lines[0] == 'HTTP/1.1 200 OK'
    assert 'X-Name: value' in lines
    assert json.loads(lines[-1])


def test_what_fails_is_told(url, run, tmp_path):
    status, out, err = run('http://127.0.0.1:1/x')
    assert (status, out) == (1, '')
    assert err.startswith('http://127.0.0.1:1/x: could not connect')
    status, _, err = run('spam://eggs')
    assert (status, 'begins with http://' in err) == (1, True)
    assert 'one body is enough: --data and --json' in run(url, '-d', 'x', '--json', '1')[2]
    assert run(url, '-d', f'@{tmp_path}/none')[0] == 1


def test_what_the_server_says_is_no_failure_unless_asked(url, run, tmp_path):
    path = tmp_path / 'here'
    path.write_text('before')
    status, out, err = run(f'{url}/missing')
    assert (status, json.loads(out)['PATH_INFO'], err) == (0, '/missing', '')
    status, out, err = run(f'{url}/missing', '--fail', '-o', str(path))
    assert (status, out) == (22, '')
    assert '404 Not Found' in err
    assert f'{path} was left as it was' in err
    assert path.read_text() == 'before'
    assert run(f'{url}/missing', '-f')[:2] == (22, '')
    assert run(f'{url}/there', '-f')[0] == 0
    assert run('http://127.0.0.1:1/', '-f')[0] == 1


@pytest.mark.parametrize('wrong', [['-H', 'spam'], ['-F', 'spam'], ['--timeout', 'x'], ['--spam']])
def test_wrong_arguments_are_named(wrong, capsys):
    with pytest.raises(SystemExit) as caught:
        main(['get', 'http://x/', *wrong])
    assert caught.value.code == 2
    assert wrong[-1] in capsys.readouterr().err


def test_redirections_can_be_left_and_time_ends(run):
    with RawServer([response(b'moved', '302 Go', Location='/')]) as server:
        assert run(server.url, '--no-redirects')[1] == 'moved'
    with RawServer([until_closed]) as server:
        status, _, err = run(server.url, '--timeout', '0.05')
    assert status == 1
    assert 'in time' in err


def test_a_bar_shows_how_far_it_is(capsys):
    bar = get.Bar()
    bar(512, 2048)
    bar(2048, 2048)
    bar.end()
    last = capsys.readouterr().err.split('\r')[-1]
    assert last.startswith('100% [########################################] 2.0 KiB of 2.0 KiB ')
    bar(3 * 1024**3, None)
    bar.end()
    assert capsys.readouterr().err.split('\r')[-1].startswith('3.0 GiB ')
