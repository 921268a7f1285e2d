"""TLS with others: openssl, curl, nginx, node, and Python's own ssl and asyncio."""

import asyncio
import socket
import ssl
import subprocess

import pytest
from certificates import authority, certificate, chain_of, client_context, key_of, server_context
from dbservers import free_port, program
from httpservers import nginx
from tlsserving import connected, echo, s_server, serving

from gruvi_cffi import blocking
from gruvi_cffi.errors import TlsError
from gruvi_cffi.http import HttpServer, HttpSession

VERSIONS = {'-tls1_2': 'TLSv1.2', '-tls1_3': 'TLSv1.3'}


@pytest.fixture
def files(tmp_path):
    """Write certificates, and return where they are."""
    (tmp_path / 'ca.pem').write_bytes(authority('ours').cert_pem.bytes())
    (tmp_path / 'cert.pem').write_bytes(chain_of(certificate()))
    (tmp_path / 'key.pem').write_bytes(key_of(certificate()))
    return tmp_path


def run(*command, data=b'', **options):
    """Run a command beside our server; return what it has printed."""
    done = blocking(
        subprocess.run, command, input=data, capture_output=True, timeout=20, check=False, **options
    )
    return done.stdout.decode(errors='replace') + done.stderr.decode(errors='replace')


@pytest.mark.parametrize('version', VERSIONS)
def test_s_client(files, version):
    def greet(stream, transport, protocol):
        stream.write(b'you said ' + stream.readline())

    with serving(greet, server_context()) as address:
        said = run(
            program('openssl', 'openssl'), 's_client', version, '-CAfile', str(files / 'ca.pem'),
            '-verify_return_error', '-servername', 'localhost', '-ign_eof',
            '-connect', f'127.0.0.1:{address[1]}', data=b'hello\n',
        )  # fmt: skip
    assert 'Verify return code: 0 (ok)' in said
    assert 'you said hello' in said
    assert VERSIONS[version] in said


@pytest.mark.parametrize('option', ['-tls1', '-tls1_1'])
def test_s_client_with_what_is_too_old(option):
    with serving(echo, server_context()) as address:
        said = run(
            program('openssl', 'openssl'), 's_client', option, '-cipher', 'ALL:@SECLEVEL=0',
            '-connect', f'127.0.0.1:{address[1]}',
        )  # fmt: skip
    assert 'protocol version' in said


def test_s_client_cannot_renegotiate():
    with serving(echo, server_context()) as address:
        said = run(
            program('openssl', 'openssl'), 's_client', '-tls1_2', '-legacy_renegotiation',
            '-connect', f'127.0.0.1:{address[1]}', data=b'R\n',
        )  # fmt: skip
    assert 'no renegotiation' in said


@pytest.mark.parametrize('version', VERSIONS)
def test_s_server(files, version, client_kind):
    with s_server(files, version, '-rev') as port:
        with connected(('127.0.0.1', port), client_context(client_kind)) as stream:
            assert stream.transport.tls.version() == VERSIONS[version]
            stream.write(b'hello\n')
            assert stream.readline() == b'olleh\n'


def test_curl(files, server_kind):
    def application(environ, start_response):
        start_response('200 OK', [])
        return [environ['wsgi.input'].read()[::-1]]

    server = HttpServer(application)
    server.listen(('localhost', 0), ssl=server_context(server_kind))
    url = f'https://localhost:{server.addresses[0][1]}/'
    curl = program('curl', 'curl')
    said = run(curl, '-s', '--cacert', str(files / 'ca.pem'), '-d', 'hello', url, url)
    assert said == 'olleh' * 2
    assert 'SSL certificate problem' in run(curl, '-sS', url)
    server.close()


NGINX = """
server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/cert.pem;
    ssl_certificate_key {folder}/key.pem;
    root {folder}/root;
}}
"""


def test_nginx(files, client_kind):
    port = free_port()
    with nginx(files, http=NGINX.format(port=port, folder=files)):
        (files / 'root' / 'big').write_bytes(b'x' * 3_000_000)
        with HttpSession(ssl=client_context(client_kind)) as session:
            for _ in range(3):
                content = session.get(f'https://localhost:{port}/big').content
                assert content == b'x' * 3_000_000
            assert session.connections == 1


NODE = """
const fs = require('fs'), tls = require('tls');
const options = {cert: fs.readFileSync('cert.pem'), key: fs.readFileSync('key.pem')};
const server = tls.createServer(options, socket => socket.pipe(socket));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"""
NODE_CLIENT = """
const fs = require('fs'), tls = require('tls');
const port = parseInt(process.argv[1]);
const socket = tls.connect({port, host: 'localhost', ca: fs.readFileSync('ca.pem')}, () => {
  socket.write('hello'); });
socket.on('data', data => { console.log(socket.getProtocol(), data.toString()); socket.end(); });
"""


def test_nodes_server(files, client_kind):
    process = subprocess.Popen(
        [program('nodejs', 'node', 'nodejs'), '-e', NODE], cwd=files, stdout=subprocess.PIPE
    )
    try:
        port = int(process.stdout.readline())
        data = bytes(range(256)) * 1000
        with connected(('127.0.0.1', port), client_context(client_kind)) as stream:
            stream.write(data)
            assert stream.read(len(data)) == data
    finally:
        process.kill()
        process.communicate()


def test_nodes_client(files, server_kind):
    with serving(echo, server_context(server_kind)) as address:
        node = program('nodejs', 'node', 'nodejs')
        assert run(node, '-e', NODE_CLIENT, str(address[1]), cwd=files) == 'TLSv1.3 hello\n'


def test_the_standard_librarys_sockets(server_kind):
    def ask(address):
        with socket.create_connection(address, 10) as plain:
            with client_context('stdlib').wrap_socket(plain, server_hostname='localhost') as sock:
                sock.sendall(b'hello')
                received = sock.recv(100)
                sock.unwrap().close()
                return received

    with serving(echo, server_context(server_kind)) as address:
        assert blocking(ask, address) == b'hello'


def test_asyncio(server_kind):
    async def talk(address):
        reader, writer = await asyncio.open_connection(
            *address[:2], ssl=client_context('stdlib'), server_hostname='localhost'
        )
        writer.write(b'hello')
        received = await reader.read(100)
        writer.close()
        await writer.wait_closed()
        return received

    with serving(echo, server_context(server_kind)) as address:
        assert blocking(lambda: asyncio.run(talk(address))) == b'hello'


def test_a_server_that_asks_for_what_we_do_not_speak(files):
    with s_server(files, '-tls1_2', '-rev') as port:
        context = client_context(version=ssl.TLSVersion.TLSv1_3)
        with pytest.raises(TlsError, match='protocol version'):
            with connected(('127.0.0.1', port), context):
                pass
