"""HTTP over TLS: client, server, proxies, and the command line."""

import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys

import pytest
from certificates import authority, certificate, chain_of, client_context, key_of, server_context
from tlsserving import connected, half_close

from gruvi_cffi import StreamClient, StreamServer, blocking, sleep, spawn
from gruvi_cffi.errors import CertificateError
from gruvi_cffi.http import (
    ConnectError,
    HttpClient,
    HttpOptions,
    HttpServer,
    HttpSession,
    MessageTruncated,
    StaticFiles,
)
from gruvi_cffi.http import get as http_get


def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    names = ('wsgi.url_scheme', 'HTTPS', 'SSL_PROTOCOL', 'HTTP_HOST')
    return [' '.join(str(environ.get(name)) for name in names).encode()]


@contextlib.contextmanager
def serving(app=application, context=None, **options):
    server = HttpServer(app, **options)
    server.listen(('localhost', 0), ssl=context or server_context())
    try:
        yield server.addresses[0][1]
    finally:
        server.close(timeout=5)


def test_a_session_speaks_https(server_kind, client_kind):
    with serving(context=server_context(server_kind)) as port:
        with HttpSession(ssl=client_context(client_kind)) as session:
            for _ in range(2):
                response = session.get(f'https://localhost:{port}/')
                assert response.text == f'https on TLSv1.3 localhost:{port}'
            assert session.connections == 1


def test_a_function_of_one_request_does_too():
    with serving() as port:
        response = http_get(f'https://localhost:{port}/', ssl=client_context())
        assert response.status_code == 200


def test_the_client_of_one_connection_does_too(client_kind):
    with serving() as port:
        client = HttpClient()
        client.connect(('localhost', port), ssl=client_context(client_kind))
        client.request('GET', '/')
        assert client.getresponse().body.read().startswith(b'https on')
        client.close()


def test_who_shakes_hands_when_the_server_ends_is_answered(server_kind):
    server = HttpServer(application)
    server.listen(('127.0.0.1', 0), ssl=server_context(server_kind))
    address = server.addresses[0]
    with socket.create_connection(address, timeout=10) as plain:
        closing = spawn(server.close)
        with pytest.raises(OSError):
            while True:  # until nobody can come any more
                sleep(0.01)
                socket.create_connection(address, timeout=0.1).close()
        context = client_context('stdlib')
        with blocking(context.wrap_socket, plain, server_hostname='localhost') as secured:
            secured.sendall(b'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
            answer = b''
            while not answer.endswith(b'localhost'):
                answer += blocking(secured.recv, 65536)
        assert b'\r\nConnection: close\r\n' in answer
    closing.result(10)


def test_a_request_that_is_the_last_one(server_kind, caplog):
    with serving(context=server_context(server_kind)) as port:
        with connected(('localhost', port), client_context()) as stream:
            stream.write(b'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
            assert b'\r\nConnection: close\r\n' in stream.read()
    assert not caplog.records


def test_a_body_that_is_refused(server_kind, caplog):
    with serving(context=server_context(server_kind), options=HttpOptions(body=10)) as port:
        with connected(('localhost', port), client_context()) as stream:
            head = b'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n'
            stream.write(head + bytes(100_000))
            assert stream.read().startswith(b'HTTP/1.1 413 ')
    assert not [record for record in caplog.records if record.levelname == 'ERROR']


def test_a_certificate_that_nobody_trusts():
    with serving() as port, HttpSession() as session:
        with pytest.raises(ConnectError, match='certificate verify failed') as caught:
            session.get(f'https://localhost:{port}/')
        assert isinstance(caught.value.__cause__, CertificateError)


def test_a_certificate_of_another_host():
    context = server_context(cert=certificate('other.example'))
    with serving(context=context) as port, HttpSession(ssl=client_context()) as session:
        with pytest.raises(ConnectError, match=r'(?i)hostname mismatch'):
            session.get(f'https://localhost:{port}/')


@pytest.mark.parametrize(('given', 'error'), [('yes', TypeError), (server_context(), ValueError)])
def test_a_session_refuses_what_is_no_context(given, error):
    with pytest.raises(error):
        HttpSession(ssl=given)


def test_https_cannot_be_had_without_tls():
    with pytest.raises(ValueError, match='HTTPS needs'):
        HttpSession(ssl=False)


def test_alpn_says_http_1_1():
    context = server_context()
    context.set_alpn_protocols(['h2', 'http/1.1'])
    seen = []

    def app(environ, start_response):
        seen.append(environ['gruvi.tls'].selected_alpn_protocol())
        return application(environ, start_response)

    trusting = client_context()
    trusting.set_alpn_protocols(['http/1.1'])
    with serving(app, context) as port, HttpSession(ssl=trusting) as session:
        session.get(f'https://localhost:{port}/')
    assert seen == ['http/1.1']


def test_each_connection_has_its_own_environ_however_often_it_asks():
    def app(environ, start_response):
        start_response('200 OK', [])
        tls = environ['gruvi.tls']
        return [f'{environ["SSL_PROTOCOL"]} {tls.version()} {environ["wsgi.url_scheme"]}'.encode()]

    versions = {'TLSv1.2': ssl.TLSVersion.TLSv1_2, 'TLSv1.3': ssl.TLSVersion.TLSv1_3}
    clients = {name: HttpClient() for name in versions}
    with serving(app) as port:
        for version, client in clients.items():
            context = client_context()
            context.maximum_version = versions[version]
            client.connect(('localhost', port), ssl=context)
        for _ in range(7):  # the head is known as a whole by then
            for version, client in clients.items():
                client.request('GET', '/')
                assert client.getresponse().body.read().decode() == f'{version} {version} https'
        for client in clients.values():
            client.close()


@pytest.mark.parametrize('method', ['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS', 'PATCH', 'CONNECT'])
def test_plain_http_gets_a_400_that_says_why(server_kind, method):
    with serving(context=server_context(server_kind)) as port:
        answer = blocking(_answer_to, port, f'{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n')
        assert answer.startswith(b'HTTP/1.1 400 ')
        assert b'https' in answer
        assert b'HTTP' not in blocking(_answer_to, port, f'\x80{method}\r\n\r\n')


def test_neither_http_nor_tls_is_no_error_of_the_server(caplog):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context('stdlib').wrap_bio(incoming, outgoing, False, 'localhost')
    with serving() as port, socket.create_connection(('127.0.0.1', port), 10) as sock:
        blocking(_shake_hands, tls, incoming, outgoing, sock)
        tls.write(b'no request\r\n\r\n')
        blocking(sock.sendall, outgoing.read() + b'this is no record')
        with contextlib.suppress(ConnectionResetError):
            while blocking(sock.recv, 65536):
                pass
    assert 'exception in' not in caplog.text


def _shake_hands(tls, incoming, outgoing, sock):
    while True:
        try:
            tls.do_handshake()
            sock.sendall(outgoing.read())
            return
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(65536))


def _answer_to(port, text):
    """Send plain text, and return what comes back."""
    with socket.create_connection(('127.0.0.1', port), 10) as sock:
        sock.sendall(text.encode())
        with contextlib.suppress(ConnectionResetError):
            return b''.join(iter(lambda: sock.recv(65536), b''))
        return b''


def test_a_session_is_told_that_it_is_https():
    with serving(context=server_context()) as port:
        response = http_get(f'http://localhost:{port}/')
        assert response.status_code == 400
        assert 'https' in response.text


def test_redirections_may_lead_to_https_and_not_back():
    with serving() as secure:

        def away(environ, start_response):
            start_response('302 Found', [('Location', f'https://localhost:{secure}/')])
            return []

        plain = HttpServer(away)
        plain.listen(('localhost', 0))
        port = plain.addresses[0][1]
        with HttpSession(ssl=client_context()) as session:
            response = session.get(f'http://localhost:{port}/')
            assert response.text.startswith('https on')
        plain.close()


def test_large_bodies_both_ways(server_kind, client_kind):
    def echo(environ, start_response):
        body = environ['wsgi.input'].read()
        start_response('200 OK', [('Content-Length', str(len(body)))])
        return [body]

    data = os.urandom(3 << 20)
    with serving(echo, server_context(server_kind)) as port:
        with HttpSession(ssl=client_context(client_kind)) as session:
            assert session.post(f'https://localhost:{port}/', data).content == data


def test_files(tmp_path):
    data = os.urandom(3 << 20)
    (tmp_path / 'file').write_bytes(data)
    with serving(StaticFiles(str(tmp_path)), adapter=lambda handler: handler) as port:
        with HttpSession(ssl=client_context()) as session:
            assert session.get(f'https://localhost:{port}/file').content == data


@pytest.mark.parametrize('framing', ['close', 'length'])
def test_an_end_without_a_close_notify(framing, client_kind):
    """With a length nothing is missing; up to the end, anything may be."""

    def handler(stream, transport, protocol):
        while stream.readline() != b'\r\n':
            pass
        length = b'Content-Length: 4\r\n' if framing == 'length' else b''
        stream.write(b'HTTP/1.1 200 OK\r\n' + length + b'\r\nbody')
        while transport.get_write_buffer_size():
            sleep(0)
        half_close(transport)
        stream.read()

    server = StreamServer(handler, timeout=10)
    server.listen(('localhost', 0), ssl=server_context())
    url = f'https://localhost:{server.addresses[0][1]}/'
    with HttpSession(ssl=client_context(client_kind)) as session:
        if framing == 'length':
            assert session.get(url).content == b'body'
        else:
            with pytest.raises(MessageTruncated):
                session.get(url)
    server.close(timeout=5)


# Proxies.


def tunnelling(stream, transport, protocol):
    """A proxy that connects, and passes on."""
    line = stream.readline().split()
    while stream.readline() != b'\r\n':
        pass
    assert line[0] == b'CONNECT'
    host, _, port = line[1].decode().rpartition(':')
    client = StreamClient()
    client.connect((host, int(port)))

    def back():
        while data := client.read1(65536):
            stream.write(data)

    fiber = spawn(back)
    try:
        stream.write(b'HTTP/1.1 200 OK\r\n\r\n')
        while data := stream.read1(65536):
            client.write(data)
    finally:
        fiber.cancel()
        client.close()


@pytest.mark.parametrize('secure', [False, True], ids=['http proxy', 'https proxy'])
def test_through_a_proxy(secure, client_kind):
    proxy = StreamServer(tunnelling, timeout=10)
    proxy.listen(('localhost', 0), ssl=server_context() if secure else False)
    scheme = 'https' if secure else 'http'
    url = f'{scheme}://localhost:{proxy.addresses[0][1]}'
    with serving() as port:
        with HttpSession(ssl=client_context(client_kind), proxy=url) as session:
            for _ in range(2):
                response = session.get(f'https://localhost:{port}/')
                assert response.text == f'https on TLSv1.3 localhost:{port}'
    proxy.close(timeout=5)


# The command line.


@contextlib.contextmanager
def command(*arguments):
    """Run ``serve``; the value is its port and the process."""
    with subprocess.Popen(
        [sys.executable, '-m', 'gruvi_cffi', 'serve', *arguments, '--bind', '127.0.0.1:0'],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            while 'https://127.0.0.1:' not in (line := process.stderr.readline()):
                assert line, process.wait()
            yield int(line.rpartition(':')[2]), process
            process.send_signal(signal.SIGTERM)
            blocking(process.communicate, timeout=20)  # meanwhile our clients say goodbye
        finally:
            process.kill()  # if it has not ended


@pytest.fixture
def files(tmp_path):
    """Write certificates, and return where they are."""
    (tmp_path / 'ca.pem').write_bytes(authority('ours').cert_pem.bytes())
    (tmp_path / 'cert.pem').write_bytes(chain_of(certificate()))
    (tmp_path / 'key.pem').write_bytes(key_of(certificate()))
    (tmp_path / 'page.txt').write_text('a page')
    return tmp_path


def serve(files, *more):
    names = ('--certfile', str(files / 'cert.pem'), '--keyfile', str(files / 'key.pem'))
    return command(str(files), *names, *more)


def test_serve_with_a_certificate(files):
    with serve(files) as (port, _):
        with HttpSession(ssl=client_context()) as session:
            assert session.get(f'https://127.0.0.1:{port}/page.txt').text == 'a page'


def test_serve_with_tls_1_3_alone(files):
    with serve(files, '--min-tls', '1.3') as (port, _):
        trusting = client_context(version=ssl.TLSVersion.TLSv1_2)
        with HttpSession(ssl=trusting) as session, pytest.raises(ConnectError, match='version'):
            session.get(f'https://127.0.0.1:{port}/page.txt')


def test_serve_to_clients_with_a_certificate(files):
    with serve(files, '--client-ca', str(files / 'ca.pem')) as (port, _):
        url = f'https://127.0.0.1:{port}/page.txt'
        with HttpSession(ssl=client_context()) as session, pytest.raises(Exception, match='cert'):
            session.get(url)
        mine = client_context()
        cert = certificate('me@example.com')
        mine.load_cert_chain(chain_of(cert), key_of(cert))
        with HttpSession(ssl=mine) as session:
            assert session.get(url).text == 'a page'


def _serial(port):
    with connected(('127.0.0.1', port), client_context(), '127.0.0.1') as stream:
        return stream.transport.get_extra_info('peercert')['serialNumber']


@pytest.mark.parametrize('workers', ['1', '2'])
def test_sighup_reads_the_certificates_again(files, workers):
    with serve(files, '--workers', workers) as (port, process):
        before = _serial(port)
        with connected(('127.0.0.1', port), client_context(), '127.0.0.1') as stream:
            new = authority('ours').issue_cert('127.0.0.1')
            (files / 'cert.pem').write_bytes(chain_of(new))
            (files / 'key.pem').write_bytes(key_of(new))
            process.send_signal(signal.SIGHUP)
            for _ in range(int(workers)):
                while 'read again' not in (line := blocking(process.stderr.readline)):
                    assert line
            assert _serial(port) != before
            stream.write(b'GET /page.txt HTTP/1.1\r\nHost: localhost\r\n\r\n')
            assert stream.readline() == b'HTTP/1.1 200 OK\r\n'


def test_certificates_that_cannot_be_read_leave_the_old_ones(files):
    with serve(files) as (port, process):
        (files / 'cert.pem').write_text('nonsense')
        process.send_signal(signal.SIGHUP)
        while 'stay as they are' not in (line := blocking(process.stderr.readline)):
            assert line
        assert _serial(port)


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['--keyfile', 'x'], '--keyfile goes with --certfile'),
        (['--client-ca', 'x'], '--client-ca goes with --certfile'),
        (['--certfile', 'not-there.pem'], 'No such file'),
        (['--certfile', 'page.txt'], 'could not use the certificate'),
    ],
)
def test_wrong_options(files, arguments, words):
    done = subprocess.run(
        [sys.executable, '-m', 'gruvi_cffi', 'serve', '.', *arguments],
        cwd=files, capture_output=True, text=True, timeout=30, check=False,
        env={**os.environ, 'PYTHONPATH': os.getcwd()},
    )  # fmt: skip
    assert done.returncode == 1
    assert words in done.stderr


def test_get_with_and_without_trust(files):
    def get(*arguments):
        return subprocess.run(
            [sys.executable, '-m', 'gruvi_cffi', 'get', *arguments],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    with serve(files) as (port, _):
        url = f'https://127.0.0.1:{port}/page.txt'
        assert 'certificate verify failed' in get(url).stderr
        assert get(url, '--cacert', str(files / 'ca.pem')).stdout == 'a page'
        assert get(url, '--insecure').stdout == 'a page'


# Others.


def test_pythons_http_client():
    with serving() as port:

        def ask():
            context = client_context('stdlib')
            connection = http.client.HTTPSConnection('localhost', port, context=context)
            with contextlib.closing(connection):
                connection.request('GET', '/')
                return connection.getresponse().read()

        assert blocking(ask).startswith(b'https on TLSv1.3')
