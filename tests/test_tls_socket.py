"""Socket.wrap(): sockets with TLS, for clients of others that take a socket."""

import http.client
import os
import socket as stdlib_socket

import pytest
import redis
from certificates import (
    certificate,
    chain_of,
    client_context,
    key_of,
    server_context,
)
from dbservers import free_port, program, running
from tlsserving import KINDS, echo, half_close, serving

from gruvi_cffi import Event, Queue, blocking, limits, sleep, spawn
from gruvi_cffi.errors import CertificateError, TlsTruncated
from gruvi_cffi.http import HttpServer
from gruvi_cffi.socket import Socket, create_connection, create_server, socketpair
from gruvi_cffi.ssl import SslPipe
from gruvi_cffi.tlssocket import TlsSocket


@pytest.fixture
def address(server_kind):
    with serving(echo, server_context(server_kind)) as address:
        yield address


@pytest.fixture
def sock(address, client_kind):
    made = create_connection(address, 10).wrap(
        client_context(client_kind), server_hostname='localhost'
    )
    yield made
    made.close()


def test_it_speaks_tls(sock):
    assert isinstance(sock, TlsSocket)
    sock.sendall(b'hello')
    assert sock.recv(3) == b'hel'
    assert sock.pending() == 2
    buffer = bytearray(10)
    assert sock.recv_into(buffer) == 2
    assert buffer[:2] == b'lo'
    assert sock.version() == 'TLSv1.3'
    assert sock.cipher()[1] == 'TLSv1.3'
    assert ('DNS', 'localhost') in sock.getpeercert()['subjectAltName']
    assert sock.getpeercert(True)[:1] == b'\x30'
    assert sock.selected_alpn_protocol() is None
    assert sock.get_channel_binding('tls-unique')
    assert sock.gettimeout() == 10


def test_much_data_both_ways_at_once(sock):  # at a cost that does not grow with its square
    data = os.urandom(1 << 20) * 20
    writer = spawn(sock.sendall, data)
    received = bytearray()
    while len(received) < len(data):
        received += sock.recv(100_000)
    writer.result()
    assert received == data


def test_files_of_it(sock):
    with sock.makefile('rwb') as file:
        file.write(b'one\ntwo\n')
        file.flush()
        assert [file.readline(), file.readline()] == [b'one\n', b'two\n']


def test_both_ends_and_the_end_of_tls(server_kind, client_kind):
    one, other = socketpair()
    accepted = spawn(one.wrap, server_context(server_kind), True)
    client = other.wrap(client_context(client_kind), server_hostname='localhost')
    server = accepted.result()
    server.sendall(b'hello')
    assert client.recv(10) == b'hello'
    ending = spawn(server.unwrap)
    plain_client, plain_server = client.unwrap(), ending.result()
    assert type(plain_client) is Socket
    plain_client.sendall(b'plain')
    assert plain_server.recv(10) == b'plain'
    plain_client.close()
    plain_server.close()


def test_what_came_behind_tls_is_not_lost(server_kind, client_kind):
    """Whether it is received, peeked at, put into a buffer, or more TLS."""
    one, other = socketpair()
    accepted = spawn(one.wrap, server_context(server_kind), True)
    client = other.wrap(client_context(client_kind), server_hostname='localhost')
    server = accepted.result()
    ending = spawn(client.unwrap)
    assert server.recv(1) == b''  # the client's close_notify
    plain_server = server.unwrap()
    plain_server.sendall(b'plain text')
    sleep(0)
    plain_client = ending.result()
    assert plain_client.recv(5, stdlib_socket.MSG_PEEK) == b'plain'
    assert plain_client.recv(3) == b'pla'
    room = bytearray(2)
    assert plain_client.recv_into(room) == 2
    assert room == b'in'
    assert plain_client.recv(100) == b' text'
    plain_client.close()
    plain_server.close()


@pytest.mark.parametrize('kind', KINDS)
def test_tls_may_begin_again_with_what_came_behind_it(kind):
    """The client's end of TLS, a word, and its next hello are read at once."""
    ours, theirs = stdlib_socket.socketpair()
    pipe, another = (SslPipe(client_context(), False, 'localhost') for _ in range(2))

    def peer():
        theirs.sendall(pipe.do_handshake()[0])
        while not pipe.wrapped:
            theirs.sendall(b''.join(pipe.feed_ssldata(theirs.recv(65536))[0]))
        goodbye = b''.join(pipe.shutdown())
        theirs.sendall(goodbye + b'again' + b''.join(another.do_handshake()))
        answer = []
        while pipe.ssl_object is not None:
            answer += pipe.feed_ssldata(theirs.recv(65536))[1]
        while not another.wrapped:
            data = b''.join(answer) or theirs.recv(65536)
            answer.clear()
            theirs.sendall(b''.join(another.feed_ssldata(data)[0]))

    done = spawn(blocking, peer)
    sock = Socket(fileno=ours.detach()).wrap(server_context(kind), True).unwrap()
    assert sock.recv(5) == b'again'
    sock = sock.wrap(server_context(kind), True)
    done.result()
    assert sock.version() == 'TLSv1.3'
    sock.close()
    theirs.close()


def test_shutdown_says_close_notify(server_kind, client_kind):
    one, other = socketpair()
    accepted = spawn(one.wrap, server_context(server_kind), True)
    client = other.wrap(client_context(client_kind), server_hostname='localhost')
    server = accepted.result()
    client.shutdown(stdlib_socket.SHUT_WR)
    assert server.recv(10) == b''
    server.close()
    client.close()


def test_a_truncation_is_an_error(client_kind):
    def handler(stream, transport, protocol):
        half_close(transport)
        stream.read()

    with serving(handler, server_context()) as address:
        sock = create_connection(address).wrap(
            client_context(client_kind), server_hostname='localhost'
        )
        with pytest.raises(TlsTruncated):
            sock.recv(1)
        sock.close()


def test_a_certificate_that_is_not_trusted(address, client_kind):
    sock = create_connection(address)
    with pytest.raises(CertificateError):
        sock.wrap(client_context(client_kind, 'other'), server_hostname='localhost')
    assert sock.fileno() == -1


def test_wrong_arguments_leave_the_socket_as_it_was(address):
    sock = create_connection(address)
    with pytest.raises(ValueError, match='other side'):
        sock.wrap(server_context(), server_hostname='localhost')
    with pytest.raises(ValueError, match='server_hostname'):
        sock.wrap(client_context())
    with pytest.raises(TypeError, match='ssl must be'):
        sock.wrap('context')
    sock.wrap(client_context(), server_hostname='localhost').close()


def test_what_tls_has_not(sock):
    with pytest.raises(ValueError, match='with TLS'):
        sock.sendto(b'x', ('127.0.0.1', 1))
    with pytest.raises(ValueError, match='flags'):
        sock.recv(1, stdlib_socket.MSG_PEEK)
    with pytest.raises(ValueError, match='with TLS'):
        sock.dup()


def test_a_silent_peer(client_kind):
    with create_server(('127.0.0.1', 0)) as listener:
        sock = create_connection(listener.getsockname(), 0.05)
        with pytest.raises(stdlib_socket.timeout):
            sock.wrap(client_context(client_kind), server_hostname='localhost')


@pytest.mark.parametrize('seconds', [None, 10])
def test_a_handshake_has_a_limit_of_its_own(client_kind, monkeypatch, seconds):
    monkeypatch.setattr(limits, 'TLS_HANDSHAKE_TIMEOUT', 0.05)
    with create_server(('127.0.0.1', 0)) as listener:
        sock = create_connection(listener.getsockname(), seconds)
        with pytest.raises(stdlib_socket.timeout):
            sock.wrap(client_context(client_kind), server_hostname='localhost')


def test_a_write_that_timed_out_is_gone_on_with(client_kind):
    one, other = socketpair()
    accepted = spawn(one.wrap, server_context(), True)
    client = other.wrap(client_context(client_kind), server_hostname='localhost')
    server = accepted.result()
    client.settimeout(0.05)
    data = os.urandom(200_000)
    sent = 0
    with pytest.raises(stdlib_socket.timeout):
        while True:
            client.sendall(data[:1000])
            sent += 1000
    received = bytearray()

    def read():
        while len(received) < sent + 1000:
            received.extend(server.recv(65536))

    reader = spawn(read)
    client.settimeout(10)
    client.sendall(b'end')
    reader.result()
    assert received[: sent + 1000] == data[:1000] * (sent // 1000 + 1)
    server.close()
    client.close()


def test_of_a_send_that_raises_nothing_is_sent(client_kind):
    one, other = socketpair()
    accepted = spawn(one.wrap, server_context(), True)
    client = other.wrap(client_context(client_kind), server_hostname='localhost')
    server = accepted.result()
    data = os.urandom(100_000)
    sent = b''
    client.settimeout(0)
    with pytest.raises(BlockingIOError):
        while True:
            sent += data[: client.send(data)]
    client.settimeout(10)
    finishing = spawn(client.sendall, b'end')
    received = b''
    while not received.endswith(b'end'):
        received += server.recv(65536)
    assert received == sent + b'end'
    finishing.result()
    server.close()
    client.close()


def test_what_was_sent_before_a_close_comes_though_tickets_were_not_read(client_kind):
    begun, go_on, received = Event(), Event(), Queue()
    data = os.urandom(300_000)

    def handler(stream, transport, protocol):
        assert stream.read(1) == data[:1]
        begun.set()  # and the tickets have left before
        go_on.wait()
        received.put(stream.read())

    with serving(handler, server_context()) as address:
        plain = create_connection(address[:2], 10)
        sock = plain.wrap(client_context(client_kind), server_hostname='localhost')
        sock.sendall(data)
        begun.wait(timeout=10)
        sock.close()
        go_on.set()
        assert received.get(timeout=10) == data[1:]


# Clients of others.


def test_http_client(server_kind, client_kind):
    def application(environ, start_response):
        start_response('200 OK', [])
        return [environ['wsgi.url_scheme'].encode() * 1000]

    server = HttpServer(application)
    server.listen(('localhost', 0), ssl=server_context(server_kind))
    connection = http.client.HTTPConnection('localhost')
    connection.sock = create_connection(server.addresses[0], 10).wrap(
        client_context(client_kind), server_hostname='localhost'
    )
    for _ in range(3):
        connection.request('GET', '/')
        assert connection.getresponse().read() == b'https' * 1000
    connection.close()
    server.close()


class Connection(redis.Connection):
    """Over our sockets, with TLS."""

    context = None

    def _connect(self):
        sock = create_connection((self.host, self.port), self.socket_connect_timeout)
        return sock.wrap(self.context, server_hostname='localhost')


@pytest.fixture
def redis_with_tls(tmp_path):
    (tmp_path / 'cert.pem').write_bytes(chain_of(certificate()))
    (tmp_path / 'key.pem').write_bytes(key_of(certificate()))
    port = free_port()
    executable = program('redis-tools', 'redis-server', 'redis-check-rdb')
    options = {
        'port': '0', 'tls-port': str(port), 'bind': '127.0.0.1', 'tls-auth-clients': 'no',
        'tls-cert-file': 'cert.pem', 'tls-key-file': 'key.pem', 'save': '',
        'tls-ca-cert-file': 'cert.pem', 'unixsocket': str(tmp_path / 'socket'),
    }  # fmt: skip
    command = ['redis-server']
    for name, value in options.items():
        command += [f'--{name}', value]
    with running(command, executable, tmp_path, str(tmp_path / 'socket')):
        yield port


def test_a_database(redis_with_tls, client_kind):
    class Ours(Connection):
        context = client_context(client_kind)

    pool = redis.ConnectionPool(connection_class=Ours, host='127.0.0.1', port=redis_with_tls)
    client = redis.Redis(connection_pool=pool)
    client.set('key', b'x' * 1_000_000)
    assert client.get('key') == b'x' * 1_000_000
    with client.pipeline() as pipe:
        for number in range(100):
            pipe.incr('count')
        assert pipe.execute()[-1] == 100
    pool.disconnect()
