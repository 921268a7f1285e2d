"""Peers that send what brings nothing, and messages behind the handshake that come in pieces."""

import contextlib
import ctypes
import ctypes.util
import socket
import threading

import pytest
from certificates import authority, certificate, chain_of, client_context, key_of, server_context
from tlsserving import connected, s_server, serving

from gruvi_cffi import Queue, blocking, limits, sleep
from gruvi_cffi.errors import TlsError
from gruvi_cffi.socket import Socket
from gruvi_cffi.ssl import SslPipe


@pytest.fixture(scope='module')
def libssl():
    """The system's OpenSSL: only its C API updates keys."""
    name = ctypes.util.find_library('ssl')
    if name is None:
        pytest.skip('there is no libssl for ctypes')
    lib = ctypes.CDLL(name)
    for function in ('TLS_client_method', 'SSL_CTX_new', 'SSL_new'):
        getattr(lib, function).restype = ctypes.c_void_p
    lib.SSL_CTX_new.argtypes = lib.SSL_new.argtypes = [ctypes.c_void_p]
    lib.SSL_CTX_free.argtypes = lib.SSL_free.argtypes = [ctypes.c_void_p]
    lib.SSL_set_fd.argtypes = lib.SSL_key_update.argtypes = [ctypes.c_void_p, ctypes.c_int]
    lib.SSL_connect.argtypes = lib.SSL_do_handshake.argtypes = [ctypes.c_void_p]
    lib.SSL_write.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    return lib


def _connection(address):
    if not isinstance(address, str):
        return socket.create_connection(address[:2])
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(address)
    return sock


def update_keys(lib, address, at_most, answered, data_between):
    """Return how many key updates a server has put up with; a thread is needed for it."""
    ctx = lib.SSL_CTX_new(lib.TLS_client_method())
    ssl = lib.SSL_new(ctx)
    with _connection(address) as sock:
        lib.SSL_set_fd(ssl, sock.fileno())
        assert lib.SSL_connect(ssl) == 1
        try:
            for count in range(at_most):
                if lib.SSL_key_update(ssl, int(answered)) != 1 or lib.SSL_do_handshake(ssl) != 1:
                    return count
                if data_between and lib.SSL_write(ssl, b'x', 1) != 1:
                    return count
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):  # what was not read would make it a reset
                pass
            return at_most
        finally:
            lib.SSL_free(ssl)
            lib.SSL_CTX_free(ctx)


@pytest.mark.parametrize('answered', [False, True])
def test_a_flood_of_key_updates_is_cut(libssl, server_kind, answered):
    errors = Queue()

    def handler(stream, transport, protocol):
        try:
            stream.read()
        finally:
            errors.put(transport.error)

    with serving(handler, server_context(server_kind)) as address:
        count = blocking(update_keys, libssl, address, 1_000_000, answered, False)
        assert count < 1_000_000
        error = errors.get(timeout=10)
    assert isinstance(error, TlsError)
    # What was read at once may hold more than enough for both.
    assert str(error).startswith('too many messages w')


def test_answers_that_nobody_takes_are_bounded(libssl, server_kind, tmp_path, monkeypatch):
    """A peer that never reads has key updates answered, and sends data between them.

    Over TCP, the kernel may drop what it has no room for, and with it the peer's acknowledgements.
    """
    errors = Queue()

    def handler(stream, transport, protocol):
        transport.get_extra_info('socket').setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        try:
            stream.read()
        finally:
            errors.put(transport.error)

    monkeypatch.setattr(limits, 'FLUSH_TIMEOUT', 0.1)
    path = str(tmp_path / 'socket')
    with serving(handler, server_context(server_kind), path):
        count = blocking(update_keys, libssl, path, 200_000, True, True)
        assert count < 200_000
        error = errors.get(timeout=10)
    assert isinstance(error, TlsError)
    assert str(error) == 'too many messages whose answers are not taken'


def test_key_updates_now_and_then_are_fine(libssl, server_kind):
    received = Queue()

    def handler(stream, transport, protocol):
        received.put(len(stream.readexactly(5000)))

    with serving(handler, server_context(server_kind)) as address:
        assert blocking(update_keys, libssl, address, 5000, False, True) == 5000
        assert received.get(timeout=10) == 5000


# A ticket is larger than the records of this server, as it holds the client's certificate.


@pytest.fixture
def in_small_records(tmp_path):
    """A server that turns lines around; the value is its port."""
    (tmp_path / 'ca.pem').write_bytes(authority('ours').cert_pem.bytes())
    (tmp_path / 'cert.pem').write_bytes(chain_of(certificate()))
    (tmp_path / 'key.pem').write_bytes(key_of(certificate()))
    options = ('-tls1_3', '-max_send_frag', '512', '-CAfile', 'ca.pem', '-Verify', '1', '-rev')
    with s_server(tmp_path, *options) as port:
        yield port


def known_client(kind):
    context = client_context(kind)
    cert = certificate('me@example.com')
    if kind == 'ours':
        context.load_cert_chain(chain_of(cert), key_of(cert))
    else:
        cert.configure_cert(context)
    return context


@contextlib.contextmanager
def in_the_middle_of_a_message(port, kind):
    """Have a pipe read the beginning of a message; the value are it and its connection."""
    pipe = SslPipe(known_client(kind), False, 'localhost')
    with socket.create_connection(('127.0.0.1', port), 10) as sock:
        sock.sendall(pipe.do_handshake()[0])
        while not pipe.wrapped:
            sock.sendall(b''.join(pipe.feed_ssldata(sock.recv(1))[0]))
        for _ in range(550):  # a record, and a bit
            assert pipe.feed_ssldata(sock.recv(1)) == ([], [])
        yield pipe, sock


def test_a_write_waits_for_the_rest_of_a_message(in_small_records, client_kind):
    with in_the_middle_of_a_message(in_small_records, client_kind) as (pipe, sock):
        assert pipe.feed_appdata(b'hello\n') == ([], 0)
        assert pipe.need_ssldata
        while True:
            pipe.feed_ssldata(sock.recv(1))
            records, offset = pipe.feed_appdata(b'hello\n')
            if offset:
                break
        sock.sendall(b''.join(records))
        heard = []
        while not heard:
            heard = pipe.feed_ssldata(sock.recv(1))[1]
        assert heard == [b'olleh\n']


def test_so_does_the_end(in_small_records, client_kind):
    with in_the_middle_of_a_message(in_small_records, client_kind) as (pipe, sock):
        ended = []
        assert pipe.shutdown(lambda: ended.append(True)) == []
        while not (records := pipe.feed_ssldata(sock.recv(1))[0]):
            assert not ended
        sock.sendall(b''.join(records))
        while not ended:
            pipe.feed_ssldata(sock.recv(1))


@contextlib.contextmanager
def bytewise(port):
    """Forward to *port*, and send on octet by octet what comes back; the value is an address."""

    def up():
        with contextlib.suppress(OSError):
            while data := near.recv(65536):
                far.sendall(data)

    def down():
        with contextlib.suppress(OSError):
            while data := far.recv(65536):
                for octet in data:
                    near.sendall(bytes([octet]))

    with socket.create_server(('127.0.0.1', 0)) as listener:
        mine = socket.create_connection(listener.getsockname())
        near = listener.accept()[0]
        near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with near, socket.create_connection(('127.0.0.1', port)) as far:
        threads = [threading.Thread(target=each) for each in (up, down)]
        for thread in threads:
            thread.start()
        try:
            yield mine
        finally:
            for sock in (near, far):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def test_writes_while_a_message_comes_in_pieces(in_small_records, client_kind):
    with bytewise(in_small_records) as sock:
        with connected(sock, known_client(client_kind)) as stream:
            for _ in range(300):
                stream.write(b'hello\n')
                sleep(0)
            for _ in range(300):
                assert stream.readline() == b'olleh\n'


def test_writes_of_a_socket_while_a_message_comes_in_pieces(in_small_records, client_kind):
    with bytewise(in_small_records) as sock:
        made = Socket(fileno=sock.detach())
        made.settimeout(10)
        made = made.wrap(known_client(client_kind), server_hostname='localhost')
        reader = made.makefile('rb')
        for _ in range(30):
            made.sendall(b'hello\n')
            assert reader.readline() == b'olleh\n'
        reader.close()
        made.close()
