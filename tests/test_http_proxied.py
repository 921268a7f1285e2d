"""Our server behind proxies, and connections that it hands over to other protocols."""

import json

import pytest

from gruvi_cffi import Protocol, StreamClient, sleep, spawn
from gruvi_cffi.http import AccessLog, HttpOptions, HttpServer, HttpSession

NAMES = (
    'REMOTE_ADDR', 'REMOTE_PORT', 'wsgi.url_scheme', 'HTTP_HOST', 'HTTP_X_FORWARDED_FOR',
    'HTTP_FORWARDED',
)  # fmt: skip


def tell(environ, start_response):
    start_response('200 OK', [])
    return [json.dumps({name: environ.get(name) for name in NAMES}).encode()]


@pytest.fixture
def serve():
    servers = []

    def serve(application=tell, address=('127.0.0.1', 0), **options):
        log = options.pop('access_log', None)
        server = HttpServer(application, options=HttpOptions(**options), access_log=log)
        server.listen(address)
        servers.append(server)
        return server.addresses[0]

    yield serve
    for server in servers:
        server.close(1, grace=0)


def ask(address, data):
    """Return what comes until the server closes."""
    client = StreamClient()
    client.connect(address)
    client.write(data)
    answer = client.read(timeout=10)
    client.close()
    return answer


def get(address, **headers):
    url = f'http://127.0.0.1:{address[1]}/'
    with HttpSession() as session:
        names = {name.replace('_', '-'): value for name, value in headers.items()}
        return session.get(url, headers=names)


def test_a_trusted_proxy_is_believed(serve, caplog):
    caplog.set_level('INFO', 'gruvi_cffi.access')
    address = serve(proxy_headers=['127.0.0.0/8'], access_log=AccessLog('common'))
    said = get(
        address,
        X_Forwarded_For='192.0.2.7',
        X_Forwarded_Proto='https',
        X_Forwarded_Host='shop.test',
    ).json()
    assert (said['REMOTE_ADDR'], said['REMOTE_PORT']) == ('192.0.2.7', '')
    assert (said['wsgi.url_scheme'], said['HTTP_HOST']) == ('https', 'shop.test')
    assert caplog.messages[-1].startswith('192.0.2.7 - - [')
    said = get(address, Forwarded='for="[2001:db8::1]:99";proto=https').json()
    assert (said['REMOTE_ADDR'], said['REMOTE_PORT']) == ('2001:db8::1', '99')
    assert get(address).json()['REMOTE_ADDR'] == '127.0.0.1'


def test_nobody_else_is_believed(serve):
    address = serve(proxy_headers=['192.0.2.0/24'])
    said = get(address, X_Forwarded_For='192.0.2.7', Forwarded='for=192.0.2.7').json()
    assert said['REMOTE_ADDR'] == '127.0.0.1'
    assert (said['HTTP_X_FORWARDED_FOR'], said['HTTP_FORWARDED']) == (None, None)
    said = get(serve(), X_Forwarded_For='192.0.2.7').json()  # without the option it is a field
    assert (said['REMOTE_ADDR'], said['HTTP_X_FORWARDED_FOR']) == ('127.0.0.1', '192.0.2.7')


def test_nonsense_of_a_trusted_proxy_is_400(serve):
    address = serve(proxy_headers=['127.0.0.1'])
    assert get(address, X_Forwarded_For='spam').status_code == 400


def test_the_proxy_of_a_unix_socket(serve, tmp_path):
    path = str(tmp_path / 'socket')
    serve(address=path, proxy_headers=['unix'])
    with HttpSession(unix=path) as session:
        said = session.get('http://x/', headers={'X-Forwarded-For': '192.0.2.7'}).json()
    assert said['REMOTE_ADDR'] == '192.0.2.7'


@pytest.mark.parametrize('bad', ['spam', '1.2.3', '10.0.0.0/99', ''])
def test_what_is_no_network_is_refused(bad):
    for name in ('proxy_headers', 'proxy_protocol'):
        with pytest.raises(ValueError, match='does not appear'):
            HttpOptions(**{name: [bad]})


HEADER = b'PROXY TCP4 192.0.2.8 127.0.0.1 5000 80\r\n'
REQUEST = b'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n'


@pytest.mark.parametrize('pieces', [1, len(HEADER), 1000])
def test_a_proxy_header_says_who_asks(serve, pieces):
    address = serve(proxy_protocol=['127.0.0.1'])
    client = StreamClient()
    client.connect(address)
    data = HEADER + REQUEST
    for at in range(0, len(data), pieces):
        client.write(data[at : at + pieces])
        sleep(0)
    said = json.loads(client.read(timeout=10).partition(b'\r\n\r\n')[2])
    assert (said['REMOTE_ADDR'], said['REMOTE_PORT']) == ('192.0.2.8', '5000')
    client.close()


def test_who_sends_no_header_is_cut(serve, caplog):
    address = serve(proxy_protocol=['127.0.0.1'], header_timeout=0.1)
    for data in (REQUEST, b'PROXY TCP4 spam\r\n' + REQUEST, b'PROXY TCP4'):
        try:
            assert ask(address, data) == b''
        except ConnectionResetError:
            pass
    assert 'there is no PROXY header' in caplog.text


def test_who_has_only_connected_when_the_server_ends_is_answered():
    server = HttpServer(tell, options=HttpOptions(proxy_protocol=['127.0.0.1']))
    server.listen(('127.0.0.1', 0))
    client = StreamClient()
    client.connect(server.addresses[0])
    while not server.connections:
        sleep(0)
    closing = spawn(server.close)
    sleep(0)
    client.write(HEADER + b'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    answer = client.read(timeout=10)
    assert b'\r\nConnection: close\r\n' in answer
    assert json.loads(answer.partition(b'\r\n\r\n')[2])['REMOTE_ADDR'] == '192.0.2.8'
    client.close()
    closing.result(10)


def test_from_others_there_is_no_header(serve):
    address = serve(proxy_protocol=['192.0.2.1'])
    assert get(address).json()['REMOTE_ADDR'] == '127.0.0.1'
    assert ask(address, HEADER + REQUEST).startswith(b'HTTP/1.1 400 ')


def test_both_together(serve):
    address = serve(proxy_protocol=['127.0.0.1'], proxy_headers=['192.0.2.8'])
    request = REQUEST[:-2] + b'X-Forwarded-For: 198.51.100.1\r\n\r\n'
    said = json.loads(ask(address, HEADER + request).partition(b'\r\n\r\n')[2])
    assert said['REMOTE_ADDR'] == '198.51.100.1'


# Other protocols.


class Shout(Protocol):
    """Sends what it gets, in capitals."""

    def __init__(self, lost):
        super().__init__()
        self._lost = lost

    def connection_made(self, transport):
        self.transport = transport
        transport.write(b'WELCOME ')

    def data_received(self, data):
        self.transport.write(data.upper())

    def connection_lost(self, exc):
        self._lost.append(exc)


ASK = b'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n'


@pytest.fixture
def upgrading(serve):
    lost = []

    def application(environ, start_response):
        if environ['PATH_INFO'] == '/twice':
            environ['wsgi.input'].read()
        if 'gruvi.upgrade' in environ:
            environ['gruvi.upgrade']('shout', Shout(lost), [('X-Volume', '11')])
            return []
        start_response('200 OK', [('Content-Length', '2')])
        return [b'no']

    return serve(application), lost


@pytest.mark.parametrize('pieces', [1, 7, 1000])
def test_a_handler_hands_its_connection_over(upgrading, pieces):
    address, lost = upgrading
    client = StreamClient()
    client.connect(address)
    data = ASK + b'hello'
    for at in range(0, len(data), pieces):
        client.write(data[at : at + pieces])
        sleep(0)
    head = client.stream.readuntil(b'\r\n\r\n').decode().split('\r\n')
    assert head[0] == 'HTTP/1.1 101 Switching Protocols'
    assert {'Upgrade: shout', 'Connection: Upgrade', 'X-Volume: 11'} <= set(head)
    assert client.stream.readexactly(13) == b'WELCOME HELLO'
    client.write(b', world')
    assert client.stream.readexactly(7) == b', WORLD'
    client.close()
    while not lost:
        sleep(0.01)
    assert lost == [None]


def test_who_does_not_ask_gets_an_answer(upgrading):
    address, _ = upgrading
    assert ask(address, REQUEST).endswith(b'\r\n\r\nno')


def test_a_body_comes_before_the_other_protocol(upgrading):
    address, _ = upgrading
    head = ASK.replace(b'GET /', b'POST /twice')[:-2]
    client = StreamClient()
    client.connect(address)
    client.write(head + b'Content-Length: 4\r\n\r\nbody')
    client.write(b'more')
    client.stream.readuntil(b'\r\n\r\n')
    assert client.stream.readexactly(12) == b'WELCOME MORE'
    client.close()


def test_an_upgrade_that_was_not_asked_for_is_an_error(serve):
    def application(environ, start_response):
        start_response('200 OK', [])
        return [b'done']

    server = HttpServer(application)
    seen = []

    def handler(message, transport, protocol):
        try:
            protocol.respond(message).upgrade('shout', Shout([]))
        except Exception as error:
            seen.append(str(error))
            raise

    server = HttpServer(handler, adapter=lambda handler: handler)
    server.listen(('127.0.0.1', 0))
    assert ask(server.addresses[0], REQUEST).startswith(b'HTTP/1.1 500 ')
    assert seen == ['there is no request for another protocol to be answered']
    server.close()


def test_a_server_that_closes_ends_other_protocols_too():
    lost = []

    def handler(message, transport, protocol):
        protocol.respond(message).upgrade('shout', Shout(lost))

    server = HttpServer(handler, adapter=lambda handler: handler)
    server.listen(('127.0.0.1', 0))
    client = StreamClient()
    client.connect(server.addresses[0])
    client.write(ASK)
    client.stream.readuntil(b'WELCOME ')
    server.close()
    assert lost == [None]
    assert client.read() == b''
    client.close()
