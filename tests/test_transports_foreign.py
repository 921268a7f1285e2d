"""Protocols that were written for asyncio, by others, run unchanged."""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import concurrent.futures
import logging
import socket
import ssl

import irc3
import pytest
import uvicorn
from aiosmtplib.protocol import SMTPProtocol
from transporting import Recorder
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from gruvi_cffi.endpoints import Client, Server, create_connection
from gruvi_cffi.hub import get_hub, sleep


class StandIn(asyncio.AbstractEventLoop):
    """The little that these protocols want of an event loop."""

    def __init__(self):
        self.futures = []
        self.later = []

    def call_soon(self, callback, *args):
        get_hub().run_callback(callback, *args)

    def call_later(self, seconds, callback, *args):
        timer = get_hub().call_later(seconds, callback, *args)
        self.later.append(timer)
        return timer

    def time(self):
        return get_hub().time()

    def create_future(self):
        self.futures.append(concurrent.futures.Future())
        return self.futures[-1]

    def get_debug(self):
        return False


@pytest.fixture
def loop():
    loop = StandIn()
    asyncio.set_event_loop(loop)  # on Python 3.9, a Lock looks for one
    yield loop
    asyncio.set_event_loop(None)
    for timer in loop.later:
        timer.cancel()


def until(condition):
    for _ in range(5000):
        if condition():
            return
        sleep(0.001)
    raise AssertionError('it did not happen')


@pytest.fixture
def serve():
    servers = []

    def serve(factory):
        server = Server(factory)
        servers.append(server)
        server.listen(('127.0.0.1', 0))
        return server

    yield serve
    for server in servers:
        server.close(0)


# aiosmtplib: a client of SMTP.


def test_aiosmtplib_reads_the_answers_of_a_server(loop, serve):
    server = serve(Recorder)
    transport, protocol = create_connection(lambda: SMTPProtocol(loop), server.addresses[0])
    until(lambda: server.connections)
    ((other, far),) = server.connections
    _, answer = loop.futures
    for piece in (b'220-mail.test', b' greets you\r\n22', b'0 ready\r\n'):
        other.write(piece)
        sleep(0.001)
    until(answer.done)
    assert answer.result(0).code == 220
    assert answer.result(0).message == 'mail.test greets you\nready'
    protocol.write(b'NOOP\r\n')
    until(lambda: far.received == b'NOOP\r\n')
    other.close()
    until(lambda: transport.closed)
    assert not protocol.is_connected


def test_aiosmtplib_learns_that_the_connection_broke(loop, serve):
    server = serve(Recorder)
    transport, _ = create_connection(lambda: SMTPProtocol(loop), server.addresses[0])
    until(lambda: server.connections)
    ((other, _),) = server.connections
    _, answer = loop.futures
    other.abort()
    until(lambda: transport.closed)
    assert isinstance(answer.exception(0).__cause__, ConnectionResetError)


# irc3: a client of IRC.


class Factory:
    """What an IrcConnection wants of its bot."""

    def __init__(self, loop):
        self.loop = loop
        self.log = logging.getLogger('test.irc')
        self.lines = []
        self.notes = []
        self.dispatch = self.lines.append
        self.notify = self.notes.append

    def create_connection(self):
        self.notes.append('reconnect')


def test_irc3_splits_lines_and_closes_in_connection_lost(loop, serve):
    server = serve(Recorder)
    factory = Factory(loop)
    connection = type('Connection', (irc3.IrcConnection,), {'factory': factory, 'encoding': 'utf8'})
    client = Client(connection)
    client.connect(server.addresses[0])
    until(lambda: server.connections)
    ((other, far),) = server.connections
    for piece in (b':irc.test 001 me :hel', b'lo\r\nPING :x\r', b'\nNOTI'):
        other.write(piece)
        sleep(0.001)
    until(lambda: len(factory.lines) == 2)
    assert factory.lines == [':irc.test 001 me :hello', 'PING :x']
    client.protocol.write('PONG :x')
    until(lambda: far.received == b'PONG :x\r\n')
    other.close()
    until(lambda: factory.notes)
    assert factory.notes == ['connection_lost']
    assert client.protocol.closed
    assert len(loop.later) == 1
    client.close()


# uvicorn: a server of HTTP.


@pytest.fixture
def web(loop, serve):
    async def app(scope, receive, send):
        raise AssertionError('not asked for')

    config = uvicorn.Config(app, log_config=None, lifespan='off')
    state = ServerState()
    return serve(lambda: H11Protocol(config, state, {}, _loop=loop)), state


@pytest.mark.parametrize('step', [1, 7, 1000])
def test_uvicorn_answers_what_is_not_http(web, step):
    server, state = web
    transport, protocol = create_connection(Recorder, server.addresses[0])
    until(lambda: state.connections)
    request = b'GET / HTTP/1.1\r\nBroken Header: x\r\n\r\n'
    for start in range(0, len(request), step):
        transport.write(request[start : start + step])
        sleep(0)
    until(lambda: transport.closed)
    assert protocol.received.startswith(b'HTTP/1.1 400 Bad Request\r\n')
    assert protocol.received.endswith(b'Invalid HTTP request received.')
    assert protocol.calls[-2:] == ['eof', ('lost', None)]
    assert not state.connections


def test_uvicorn_knows_both_ends(web):
    server, state = web
    transport, _ = create_connection(Recorder, server.addresses[0])
    until(lambda: state.connections)
    (protocol,) = state.connections
    assert protocol.server == server.addresses[0]
    assert protocol.client == transport.get_extra_info('sockname')
    assert protocol.scheme == 'http'
    transport.close()
    until(lambda: not state.connections)


# asyncio: TLS, with a buffer of its own, over our transports.


def contexts():
    """Return contexts for both ends, which need no certificate."""
    for protocol in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT):
        context = ssl.SSLContext(protocol)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers('aNULL:@SECLEVEL=0')
        yield context


@pytest.fixture
def secured(loop):
    """Two protocols that talk TLS to each other, and the transports below."""
    protocols, below = [], []
    for context, ours in zip(contexts(), socket.socketpair()):
        server_side = not protocols
        protocols.append(Recorder())
        transport, _ = create_connection(
            lambda: asyncio.sslproto.SSLProtocol(
                loop, protocols[-1], context, loop.create_future(), server_side
            ),
            ours,
        )
        below.append(transport)
    until(lambda: all(protocol.calls == ['made'] for protocol in protocols))
    yield protocols, below
    for transport in [protocol.transport for protocol in protocols]:
        transport.close()
    for transport in below:
        transport.abort()
    until(lambda: all(transport.closed for transport in below))


def test_tls_of_asyncio_shakes_hands(secured, loop):
    (one, two), _ = secured
    assert [future.result(0) for future in loop.futures] == [None, None]
    assert one.transport.get_extra_info('cipher') == two.transport.get_extra_info('cipher')
    one.transport.write(b'spam')
    two.transport.write(b'eggs')
    until(lambda: one.received and two.received)
    assert (one.received, two.received) == (b'eggs', b'spam')


def test_tls_of_asyncio_carries_much_in_order(secured):
    (one, two), _ = secured
    data = b''.join(b'%d,' % number for number in range(300_000))
    half = len(data) // 2
    one.transport.write(data[:half])
    one.transport.write(data[half:])
    assert one.calls == ['made', 'pause']
    two.transport.pause_reading()
    for _ in range(10):
        sleep(0)
    two.transport.resume_reading()
    until(lambda: sum(len(call) for call in two.calls if type(call) is bytes) == len(data))
    assert two.received == data
    until(lambda: one.calls[-1] == 'resume')


def test_tls_of_asyncio_closes(secured):
    (one, two), below = secured
    one.transport.write(b'bye')
    one.transport.close()
    until(lambda: all(transport.closed for transport in below))
    until(lambda: one.lost and two.lost)
    assert two.received == b'bye'
    assert one.error is None


def test_tls_of_asyncio_is_told_of_a_broken_connection(secured):
    (one, two), below = secured
    below[0].abort()
    until(lambda: one.lost and two.lost)
    assert one.error is None
    one.transport.write(b'too late')
