"""Which connection a request gets, what becomes of it, and what is said when things go wrong."""

import io
import socket

import pytest
from rawserver import RawServer, reset, response, until_closed

from gruvi_cffi import Cancelled, FiberGroup, Timeout, sleep, spawn
from gruvi_cffi.http import (
    ConnectError,
    ConnectionLost,
    HttpError,
    HttpServer,
    HttpSession,
    HttpTimeout,
    HttpTimeouts,
    MessageError,
    MessageTooLarge,
    MessageTruncated,
)  # fmt: skip
from gruvi_cffi.sync import Event

HELLO = response(b'hello')


@pytest.fixture
def session():
    with HttpSession(timeout=HttpTimeouts(10, 10, 10, 30)) as session:
        yield session


@pytest.fixture
def held():
    """A server whose responses wait for an event, and how many are asked for at once."""
    go, seen = Event(), []

    def application(environ, start_response):
        seen.append(environ['PATH_INFO'])
        go.wait(10)
        start_response('200 OK', [])
        return [b'done']

    server = HttpServer(application)
    server.listen(('127.0.0.1', 0))
    yield f'http://127.0.0.1:{server.addresses[0][1]}', go, seen
    go.set()
    server.close()


def until(condition):
    for _ in range(1000):
        if condition():
            return
        sleep(0.005)
    raise AssertionError('it did not happen')


def test_a_connection_is_used_again(session):
    with RawServer([HELLO, HELLO, HELLO]) as server:
        for _ in range(3):
            assert session.get(server.url).content == b'hello'
        assert session.connections == 1
    assert server.seen[0].count(b'GET / HTTP/1.1\r\n') == 3


@pytest.mark.parametrize(
    'last',
    [
        response(b'hello', Connection='close'),
        b'HTTP/1.1 200 OK\r\n\r\nhello',
        b'HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello',
        HELLO + b'more',
        HELLO + HELLO,
    ],
)
def test_one_that_has_to_end_is_not_used_again(session, last):
    with RawServer([last], [HELLO]) as server:
        assert session.get(server.url).content == b'hello'
        assert session.get(server.url).content == b'hello'
    assert all(server.seen)


def test_one_with_unread_bytes_is_never_lent_again(session):
    big = response(b'x' * 300_000)
    with RawServer([big], [HELLO]) as server:
        with session.get(server.url, stream=True) as first:
            assert len(next(first.iter_bytes())) > 0
        assert session.get(server.url).content == b'hello'


def test_a_response_that_is_forgotten_warns_and_loses_its_connection(session):
    big = response(b'x' * 300_000)
    with RawServer([big], [HELLO]) as server:
        with pytest.warns(ResourceWarning, match='neither read nor closed'):
            session.get(server.url, stream=True)
            _collect()
        assert session.get(server.url).content == b'hello'
        until(lambda: session.connections == 1)


def _collect():
    import gc

    for _ in range(3):
        gc.collect()


def test_a_stream_that_was_read_gives_its_connection_back(session):
    with RawServer([HELLO, HELLO]) as server:
        for _ in range(2):
            assert b''.join(session.get(server.url, stream=True).iter_bytes()) == b'hello'
        assert session.connections == 1


def test_an_idempotent_request_is_sent_again_if_a_kept_connection_was_dead(session):
    # The server closes when the second request has come, without an answer.
    for end in ([b''], [b'', reset]):
        with RawServer([HELLO, *end], [HELLO]) as server:
            session.get(server.url)
            assert session.put(server.url, b'body').content == b'hello'
        assert server.seen[0].count(b'HTTP/1.1') == 2
        assert server.seen[1].startswith(b'PUT / HTTP/1.1')
        assert server.seen[1].endswith(b'\r\n\r\nbody')


def test_a_post_is_not_sent_again(session):
    with RawServer([HELLO, b'']) as server:
        session.get(server.url)
        with pytest.raises(ConnectionLost, match='without an answer'):
            session.post(server.url, b'body')


def test_a_new_connection_is_not_tried_twice(session):
    with RawServer([b'']) as server, pytest.raises(ConnectionLost):
        session.get(server.url)
    until(lambda: session.connections == 0)


def test_nothing_is_sent_again_once_something_of_the_answer_came(session):
    with RawServer([HELLO, b'HTTP/1.1 2']) as server:
        session.get(server.url)
        with pytest.raises(MessageTruncated):
            session.get(server.url)


def test_a_connection_that_the_server_has_closed_is_noticed(session):
    with RawServer([HELLO], [HELLO]) as server:
        session.get(server.url)
        until(lambda: session.connections == 0)
        session.post(server.url, b'x')


def test_an_idle_connection_is_closed_in_time():
    with HttpSession(keepalive=0.05) as session, RawServer([HELLO, until_closed]) as server:
        session.get(server.url)
        assert session.connections == 1
        until(lambda: session.connections == 0)


def test_none_is_kept_if_that_is_not_wanted():
    with HttpSession(keepalive=0) as session, RawServer([HELLO], [HELLO]) as server:
        session.get(server.url)
        session.get(server.url)


def test_there_are_no_more_connections_than_allowed(held):
    url, go, seen = held
    with HttpSession(max_per_origin=2) as session, FiberGroup() as group:
        fibers = [group.spawn(session.get, f'{url}/{n}') for n in range(6)]
        until(lambda: len(seen) == 2)
        assert session.connections == 2
        go.set()
        assert [fiber.result().content for fiber in fibers] == [b'done'] * 6
        assert session.connections == 2
    assert sorted(seen) == [f'/{n}' for n in range(6)]


def test_who_waits_for_a_connection_has_a_timeout(held):
    url, go, _ = held
    with HttpSession(max_per_origin=1) as session:
        first = spawn(session.get, url)
        sleep(0)
        with pytest.raises(HttpTimeout, match='no connection within') as caught:
            session.get(url, timeout=HttpTimeouts(connect=0.02))
        assert caught.value.phase == 'connect'
        go.set()
        assert first.result().ok
        assert session.get(url).ok


def test_a_waiter_that_is_cancelled_passes_its_turn_on(held):
    url, go, _ = held
    with HttpSession(max_per_origin=1) as session:
        first, second, third = (spawn(session.get, url) for _ in range(3))
        until(lambda: len(held[2]) == 1)
        go.set()
        first.join()
        second.cancel()
        with pytest.raises(Cancelled):
            second.result()
        assert third.result().ok


def test_a_kept_connection_to_elsewhere_makes_room():
    with HttpSession(max_connections=1) as session:
        with RawServer([HELLO, until_closed]) as one, RawServer([HELLO]) as two:
            assert session.get(one.url).ok
            assert session.get(two.url).ok
            assert session.connections <= 1


def test_a_closed_session_refuses_and_cuts(held):
    url, _, seen = held
    session = HttpSession()
    fiber = spawn(session.get, url)
    until(lambda: seen)
    session.close()
    with pytest.raises(HttpError, match='clos'):
        fiber.result()
    with pytest.raises(RuntimeError, match='closed'):
        session.get(url)


def test_a_session_stays_in_its_thread(session):
    import threading

    raised = []

    def elsewhere():
        from gruvi_cffi import get_hub

        get_hub()
        try:
            session.get('http://127.0.0.1:9/')
        except RuntimeError as error:
            raised.append(str(error))
        get_hub().close()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert raised == ['the session belongs to another thread']


def test_could_not_connect(session):
    with socket.create_server(('127.0.0.1', 0)) as server:
        address = server.getsockname()
    with pytest.raises(ConnectError, match='connection refused') as caught:
        session.get(f'http://127.0.0.1:{address[1]}/')
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    with pytest.raises(ConnectError, match='look up'):
        session.get('http://no-such-host.invalid/')


def _silent(connection):
    connection.recv(65536)
    until_closed(connection)


@pytest.mark.parametrize(
    ('script', 'timeout', 'phase'),
    [
        ([_silent], HttpTimeouts(read=0.05), 'response'),
        ([b'HTTP/1.1 200 OK\r\nContent-', until_closed], 0.05, 'response'),
        ([HELLO[:-2], until_closed], HttpTimeouts(read=0.05), 'body'),
        ([_silent], HttpTimeouts(total=0.05), 'total'),
        ([HELLO[:-2], until_closed], HttpTimeouts(total=0.05), 'total'),
        ([response(b'', '302 Go', Location='/'), _silent], HttpTimeouts(total=0.05), 'total'),
    ],
)
def test_timed_out_says_which_phase(session, script, timeout, phase):
    with RawServer(script) as server, pytest.raises(HttpTimeout) as caught:
        session.get(server.url, timeout=timeout)
    assert caught.value.phase == phase
    assert isinstance(caught.value, Timeout)
    until(lambda: session.connections == 0)


def test_a_server_that_takes_nothing_times_out(session):
    with socket.create_server(('127.0.0.1', 0)) as server:
        url = f'http://127.0.0.1:{server.getsockname()[1]}/'
        with pytest.raises(HttpTimeout) as caught:
            session.post(url, b'x' * 20_000_000, timeout=HttpTimeouts(write=0.05))
    assert caught.value.phase == 'send'


def test_a_connection_takes_too_long():
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        listener.listen(0)
        fillers = []
        try:
            for _ in range(3):  # until the backlog is full, and connecting takes forever
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
                fillers.append(filler)
            url = f'http://127.0.0.1:{listener.getsockname()[1]}/'
            for total, phase in ((None, 'connect'), (0.05, 'total')):
                with HttpSession() as session, pytest.raises(HttpTimeout) as caught:
                    session.get(url, timeout=HttpTimeouts(connect=0.1, total=total))
                assert caught.value.phase == phase
        finally:
            for filler in fillers:
                filler.close()


@pytest.mark.parametrize(
    ('script', 'error'),
    [
        ([b'nonsense\r\n\r\n'], MessageError),
        ([b'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'], MessageError),
        ([HELLO[:-2]], MessageTruncated),
        ([HELLO[:-2], reset], MessageTruncated),
        ([b'HTTP/1.1 200 OK\r\nX: ' + b'y' * 70_000], MessageTooLarge),
        ([b'HTTP/1.1 100 Continue\r\n\r\n' * 20], MessageTooLarge),
    ],
)
def test_what_a_server_did_wrong_is_told_apart(session, script, error):
    with RawServer(script) as server, pytest.raises(HttpError) as caught:
        session.get(server.url)
    assert type(caught.value) is error
    until(lambda: session.connections == 0)


def test_interim_responses_are_passed_over(session):
    with RawServer([b'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n' + HELLO]) as server:
        assert session.get(server.url).status_code == 200


def test_a_body_is_not_sent_on_when_the_answer_is_there(session):
    taken = []

    def pieces():
        for n in range(2000):
            taken.append(n)
            yield b'x' * 65536

    refusal = response(b'too large', '413 Content Too Large', Connection='close')

    def read_no_more(connection):
        connection.settimeout(0.2)
        try:
            until_closed(connection)
        except OSError:
            pass

    with RawServer([refusal, read_no_more]) as server:
        said = session.post(server.url, pieces())
    assert (said.status_code, said.content) == (413, b'too large')
    assert len(taken) < 2000


@pytest.mark.parametrize('kind', ['bytes', 'pieces', 'file'])
def test_the_answer_of_a_server_that_closes_at_once_is_taken(session, kind):
    # What it has not read makes the kernel send a reset, which often comes while we write.
    refusal = response(b'too large', '413 Content Too Large', Connection='close')
    data = bytes(3_000_000)
    with RawServer(*[[refusal]] * 40) as server:
        for _ in range(40):
            made = {'bytes': data, 'pieces': iter([data, data]), 'file': io.BytesIO(data)}[kind]
            said = session.post(server.url, made)
            assert (said.status_code, said.content) == (413, b'too large')


def test_reading_slowly_slows_the_server_down(session):
    sent = []

    def application(environ, start_response):
        start_response('200 OK', [])
        for n in range(400):
            sent.append(n)
            yield b'x' * 65536

    server = HttpServer(application)
    server.listen(('127.0.0.1', 0))
    with session.get(f'http://127.0.0.1:{server.addresses[0][1]}/', stream=True) as stream:
        pieces = stream.iter_bytes()
        next(pieces)
        before = -1
        while len(sent) > before:  # until it is held up
            before = len(sent)
            sleep(0.1)
        assert before < 300
        assert sum(map(len, pieces)) > 300 * 65536
    server.close()
    assert len(sent) == 400


def test_many_fibers_share_a_session(held):
    url, go, _ = held
    go.set()
    with HttpSession(max_per_origin=8) as session, FiberGroup() as group:
        fibers = [group.spawn(session.get, url) for _ in range(300)]
        assert all(fiber.result().content == b'done' for fiber in fibers)
        assert session.connections <= 8


def test_trailers_are_there_behind_the_body(session):
    body = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 5\r\n\r\n'
    with RawServer([body]) as server:
        said = session.get(server.url)
    assert said.content == b'ok'
    assert said.trailers.pairs == [('X-Sum', '5')]
    assert 'X-Sum' not in said.headers
