import contextlib
import io
import socket
import sys
import threading
import time
from contextvars import ContextVar
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from wsgiref.validate import validator

import pytest
from httppeer import LAST, TIMEOUT, Peer, ask, echo, get, hello, split

from gruvi_cffi import Cancelled, current_fiber, limits, sleep, spawn, wait_readable
from gruvi_cffi.http import HttpClient, HttpError, HttpOptions, MessageTruncated, WsgiAdapter
from gruvi_cffi.sync import Event


def test_a_request_is_answered(serve):
    status, fields, body = split(ask(serve(hello), get(b'/', LAST)))
    assert status == 'HTTP/1.1 200 OK'
    assert body == b'Hello, World!'
    assert fields['Content-Length'] == '13'
    assert fields['Connection'] == 'close'
    assert fields['Server'].startswith('gruvi_cffi/')
    assert fields['Date'].endswith(' GMT')
    assert set(fields) == {'Content-Type', 'Content-Length', 'Connection', 'Server', 'Date'}


def test_the_date_of_a_kept_connection_is_that_of_now(serve):
    dates = []
    with Peer(serve(hello)) as peer:
        while len(dates) < 2:  # it is another one each second
            peer.send(get())
            _, fields, _ = split(peer.read_until(b'World!'))
            said = parsedate_to_datetime(fields['Date'])
            assert abs((datetime.now(timezone.utc) - said).total_seconds()) < 2.5
            if said not in dates:
                dates.append(said)
            sleep(0.02)
    assert dates == sorted(dates)


def test_the_date_is_that_of_the_answer_if_the_handler_has_held_up_all(serve, monkeypatch):
    late = [0]

    def app(environ, start_response):
        late[0] += 30 * (environ['PATH_INFO'] == '/slow')
        return hello(environ, start_response)

    def look_at_wall():
        return time.time() + late[0]

    def look_at_clock():
        return time.monotonic() + late[0]

    monkeypatch.setattr('gruvi_cffi.http.fields.time', look_at_wall)
    monkeypatch.setattr('gruvi_cffi.http.response.monotonic', look_at_clock, raising=False)
    with Peer(serve(app)) as peer:
        for target in (b'/', b'/', b'/', b'/slow'):
            peer.send(get(target))
            _, fields, _ = split(peer.read_until(b'World!'))
    said = parsedate_to_datetime(fields['Date']).timestamp()
    assert abs(time.time() + 30 - said) < 2.5


def test_each_application_of_a_connection_has_its_own_environ(serve):
    def app(environ, start_response):
        start_response('200 OK', [])
        return [environ['SERVER_NAME'].encode() + b'.']

    adapters = {f'/{name}': WsgiAdapter(app, name) for name in ('spam', 'eggs')}

    def handler(message, transport, protocol):
        adapters[message.url](message, transport, protocol)

    with Peer(serve(None, adapter=lambda _: handler)) as peer:
        for _ in range(5):  # then the heads are known as a whole
            for name in (b'spam', b'eggs'):
                peer.send(get(b'/' + name))
                assert split(peer.read_until(b'.'))[2] == name + b'.'


def test_a_connection_is_kept(serve):
    with Peer(serve(hello)) as peer:
        for _ in range(3):
            peer.send(get())
            assert b'Connection' not in peer.read_until(b'World!')
        assert peer.ask(get(b'/', LAST)).endswith(b'World!')


def test_the_names_in_an_environ_are_those_of_its_connection(serve):
    environs = []

    def app(environ, start_response):
        environs.append(environ)
        return hello(environ, start_response)

    servers = [serve(app), serve(app)]
    ports = []
    for server in [servers[0], servers[0], servers[1], servers[0]]:
        address = server.addresses[0]
        with socket.create_connection(address) as client:
            ports.append((address[1], client.getsockname()[1]))
            client.sendall(b'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
            wait_readable(client)
    for environ, (here, there) in zip(environs, ports):
        assert environ['gruvi.sockname'] == ('127.0.0.1', here)
        assert environ['gruvi.peername'] == ('127.0.0.1', there)
        assert (environ['SERVER_PORT'], environ['REMOTE_PORT']) == (str(here), str(there))
    # What is the same for all is kept once: there may be 100,000.
    assert environs[0]['gruvi.sockname'] is environs[1]['gruvi.sockname']


def test_requests_that_come_together_are_answered_in_order(serve):
    running = []

    def app(environ, start_response):
        running.append(environ['PATH_INFO'])
        assert len(running) == 1
        sleep(0)
        running.clear()
        start_response('200 OK', [])
        return [environ['PATH_INFO'].encode()]

    requests = [get(b'/%d' % number) for number in range(40)] + [get(b'/last', LAST)]
    answer = ask(serve(app), b''.join(requests))
    bodies = [part.split(b'HTTP/')[0] for part in answer.split(b'\r\n\r\n')[1:]]
    assert bodies == [b'/%d' % number for number in range(40)] + [b'/last']


def test_requests_that_come_together_have_each_a_fiber_and_a_context(serve):
    fibers, seen = set(), ContextVar('seen', default='nothing')

    def application(environ, start_response):
        before = seen.get()
        seen.set(environ['PATH_INFO'])
        fibers.add(current_fiber())
        start_response('200 OK', [('Content-Type', 'text/plain')])
        return [before.encode()]

    with Peer(serve(application)) as peer:
        peer.send(get(b'/1') + get(b'/2') + get(b'/3', LAST))
        assert peer.read().count(b'\r\n\r\nnothing') == 3
    assert len(fibers) == 3


def test_answers_to_requests_that_came_together_leave_together(serve):
    queued, answered = [], Event()

    def handler(message, transport, protocol):
        queued.append(transport.get_write_buffer_size())
        response = protocol.respond(message)
        response.start('200 OK', [('Content-Type', 'text/plain')])
        response.send(b'.')

    def look_around():
        while not answered.is_set():
            sleep(0)

    server = serve(None, adapter=lambda _: handler)
    others = [spawn(look_around) for _ in range(limits.POLL_EVERY)]  # the hub polls in each turn
    with Peer(server) as peer:
        peer.send(16 * get())
        answer = b''
        while answer.count(b'\r\n\r\n.') < 16:
            answer += peer.read_until(b'.')
    answered.set()
    for fiber in others:
        fiber.join()
    assert 0 < queued[1] and queued == [number * queued[1] for number in range(16)]


def test_a_flood_of_requests_waits_outside(serve):
    begun, go_on = Event(), Event()

    def app(environ, start_response):
        begun.set()
        go_on.wait()
        return hello(environ, start_response)

    server = serve(app)
    with Peer(server) as peer:
        peer.socket.setblocking(False)
        peer.socket.send(get())
        begun.wait(TIMEOUT)
        ((transport, _),) = server.connections
        flood = get() * 1000
        sent = 0
        while transport.is_reading():
            sent += peer.socket.send(flood)
            sleep(0)
        assert sent < 10_000_000
        peer.socket.setblocking(True)
        go_on.set()
        peer.read_until(b'World!')


def test_a_reset_is_noticed_behind_a_flood(serve):
    begun, ended = Event(), Event()

    def app(environ, start_response):
        begun.set()
        try:
            sleep(None)
        except Cancelled:
            ended.set()
            raise

    with Peer(serve(app)) as peer:
        peer.send(get() * 100)
        begun.wait(TIMEOUT)
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
    assert ended.wait(TIMEOUT)


def test_a_handler_is_cancelled_when_its_client_is_gone(serve):
    begun, ended = Event(), Event()

    def app(environ, start_response):
        begun.set()
        try:
            sleep(None)
        finally:
            ended.set()

    with Peer(serve(app)) as peer:
        peer.send(get())
        begun.wait(TIMEOUT)
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
    assert ended.wait(TIMEOUT)


def test_a_client_that_stops_sending_is_answered(serve):
    with Peer(serve(hello)) as peer:
        peer.send(get())
        peer.socket.shutdown(socket.SHUT_WR)
        assert peer.read().endswith(b'World!')


def test_all_that_was_asked_before_the_end_is_answered(serve):
    with Peer(serve(echo)) as peer:
        head = b'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\n'
        peer.send(get() + get() + head + b'0123456789' + get() + head + b'half')
        peer.socket.shutdown(socket.SHUT_WR)
        answer = peer.read()
    assert answer.count(b'HTTP/1.1 200 OK') == 4
    assert answer.count(b'HTTP/1.1 400 Bad Request') == 1
    assert b'0123456789' in answer


def test_half_a_head_is_dropped(serve):
    called = []
    with Peer(serve(lambda *args: called.append(args))) as peer:
        peer.send(get()[:-1])
        peer.socket.shutdown(socket.SHUT_WR)
        assert peer.read() == b''
    assert called == []


# Bodies.


def test_a_body_of_any_length(serve):
    server = serve(echo)
    for size in (0, 1, 100, 65536, 1_000_000):
        body = b'x' * size
        head = b'POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: %d\r\n\r\n'
        assert ask(server, head % size + body).endswith(b'\r\n\r\n' + body)


def test_a_body_in_chunks_with_trailers(serve):
    got = []

    def handler(message, transport, protocol):
        got.append(message.body.read())
        got.append(message.headers)
        protocol.respond(message).start('204 No Content', [])

    answer = ask(
        serve(handler, adapter=lambda handler: handler),
        b'POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n'
        b'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nSpam: eggs\r\n\r\n',
    )
    assert answer.startswith(b'HTTP/1.1 204 No Content\r\n')
    assert b'Content-Length' not in answer
    assert b'Transfer-Encoding' not in answer
    assert got[0] == b'abcde'
    assert got[1][-1] == ('Spam', 'eggs')


def test_a_body_that_nobody_reads_is_dropped(serve):
    with Peer(serve(hello)) as peer:
        peer.send(
            b'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 60000\r\n\r\n' + 60000 * b'x'
        )
        peer.read_until(b'World!')
        assert peer.ask(get(b'/', LAST)).endswith(b'World!')


def test_a_long_body_that_nobody_reads_ends_the_connection(serve):
    with Peer(serve(hello)) as peer:
        head = b'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n'
        assert peer.ask(head).endswith(b'World!')


def test_a_body_that_breaks_off_is_an_error_in_the_handler(serve):
    failed = []

    def app(environ, start_response):
        try:
            environ['wsgi.input'].read()
        except HttpError as error:
            failed.append(error)
        return hello(environ, start_response)

    with Peer(serve(app)) as peer:
        peer.send(b'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nabc')
        peer.socket.shutdown(socket.SHUT_WR)
        assert peer.read().endswith(b'World!')
    assert type(failed[0]) is MessageTruncated


def test_a_malformed_body_is_answered_with_400(serve):
    answer = ask(
        serve(echo),
        b'POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n',
    )
    assert answer.startswith(b'HTTP/1.1 400 Bad Request\r\n')


def test_a_body_larger_than_its_limit(serve):
    server = serve(echo, options=HttpOptions(body=10))
    head = b'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 11\r\n\r\n'
    assert ask(server, head).startswith(b'HTTP/1.1 413 ')


def test_100_continue_comes_when_the_handler_reads(serve):
    head = b'POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n'
    with Peer(serve(echo)) as peer:
        peer.send(head)
        assert peer.read_until(b'\r\n\r\n') == b'HTTP/1.1 100 Continue\r\n\r\n'
        peer.send(b'abc')
        assert peer.read_until(b'abc').startswith(b'HTTP/1.1 200 OK\r\n')
    answer = ask(serve(hello), head)  # which does not read
    assert answer.startswith(b'HTTP/1.1 200 OK\r\n')
    assert b'Connection: close\r\n' in answer


# What clients may do at most.


def test_what_is_no_http_is_refused(serve):
    answer = ask(serve(hello), b'GET / HTTP/1.1\r\nHost: a\r\nBad Field: x\r\n\r\n')
    assert answer.startswith(b'HTTP/1.1 400 Bad Request\r\n')


def test_a_bad_request_behind_a_good_one(serve):
    answer = ask(serve(hello), get() + b'\0')
    assert answer.startswith(b'HTTP/1.1 200 OK\r\n')
    assert b'HTTP/1.1 400 Bad Request\r\n' in answer


def test_the_limits_of_a_head(serve):
    server = serve(hello)
    assert ask(server, get(b'/' + b'x' * 9000)).startswith(b'HTTP/1.1 414 ')
    assert ask(server, get(b'/', b'X: y\r\n' * 101)).startswith(b'HTTP/1.1 431 ')
    assert ask(server, get(b'/', b'X: ' + b'y' * 40000)).startswith(b'HTTP/1.1 431 ')


@pytest.mark.parametrize(
    ('option', 'data', 'status'),
    [
        ('header_timeout', get()[:-1], b'HTTP/1.1 408 '),
        ('keepalive_timeout', b'', b''),
        (
            'body_timeout',
            b'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nab',
            b'HTTP/1.1 408 ',
        ),
    ],
)
def test_a_client_that_is_too_slow(serve, option, data, status):
    answer = ask(serve(echo, options=HttpOptions(**{option: 0.1})), data)
    assert answer[:13] == status


def test_a_body_that_drips_is_given_up(serve):
    server = serve(echo, options=HttpOptions(body_timeout=0.2, body_rate=1000))
    with Peer(server) as peer:
        peer.send(b'POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000\r\n\r\n')
        answers = spawn(peer.read)
        while answers.alive:
            try:
                peer.send(b'x')
            except OSError:
                break
            sleep(0.02)
        assert answers.result(TIMEOUT).startswith(b'HTTP/1.1 408 ')


def test_a_client_that_reads_nothing_is_given_up(serve):
    ended = Event()

    def app(environ, start_response):
        start_response('200 OK', [])
        try:
            while True:
                yield b'x' * 100_000
        finally:
            ended.set()

    with Peer(serve(app, options=HttpOptions(write_timeout=0.1))) as peer:
        peer.send(get())
        assert ended.wait(TIMEOUT)


def test_more_clients_than_allowed_wait(serve):
    go_on = Event()

    def app(environ, start_response):
        go_on.wait()
        return hello(environ, start_response)

    server = serve(app, options=HttpOptions(connections=2))
    peers = []
    for _ in range(2):
        peers.append(Peer(server))
        peers[-1].send(get(b'/', LAST))
    while len(server.connections) < 2:
        sleep(0)
    peers.append(Peer(server))
    peers[-1].send(get(b'/', LAST))
    for _ in range(10):
        sleep(0)
    assert len(server.connections) == 2
    go_on.set()
    for peer in peers:
        assert peer.read().endswith(b'World!')
        peer.socket.close()


# What handlers do wrong.


def test_a_handler_that_fails_is_answered_with_500(serve, caplog):
    def app(environ, start_response):
        raise ZeroDivisionError('spam')

    answer = ask(serve(app), get())
    assert answer.startswith(b'HTTP/1.1 500 Internal Server Error\r\n')
    assert b'spam' not in answer
    assert 'ZeroDivisionError: spam' in caplog.text


def test_a_handler_that_fails_behind_the_head_ends_the_connection(serve, caplog):
    def app(environ, start_response):
        start_response('200 OK', [])
        yield b'abc'
        raise ZeroDivisionError('spam')

    answer = ask(serve(app), get())
    assert answer.endswith(b'3\r\nabc\r\n')
    assert 'ZeroDivisionError: spam' in caplog.text


@pytest.mark.parametrize('size', [2, 4])
def test_a_body_that_is_not_as_long_as_it_says(serve, caplog, size):
    def app(environ, start_response):
        start_response('200 OK', [('Content-Length', '3')])
        yield b'x'
        yield b'x' * (size - 1)

    answer = ask(serve(app), get())
    assert answer.count(b'x') < 4
    assert 'the Content-Length is 3' in caplog.text


@pytest.mark.parametrize(
    'field',
    [
        ('X', 'a\r\nY: b'), ('X', 'a\nb'), ('X', 'a\0'), ('X', 5),
        ('X', '\u560d\u560a'), ('X Y', 'a'), ('X:', 'a'), ('', 'a'), ('\xe9', 'a'), (5, 'a'),
        ('Content-Length', '+5'), ('Content-Length', '5, 5'), ('Transfer-Encoding', 'chunked'),
        ('Connection', 'close'),
    ],
)  # fmt: skip
def test_fields_that_cannot_be_sent(serve, caplog, field):
    def app(environ, start_response):
        start_response('200 OK', [field])
        return []

    assert ask(serve(app), get()).startswith(b'HTTP/1.1 500 ')
    assert 'Error' in caplog.text


@pytest.mark.parametrize('status', ['100 Continue', '101 Switching Protocols', '199 X'])
def test_an_interim_status_is_no_answer(serve, caplog, status):
    def app(environ, start_response):
        start_response(status, [])
        return []

    answer = ask(serve(app), get(b'/') + get(b'/next'))
    assert answer.startswith(b'HTTP/1.1 500 ')
    assert answer.count(b'HTTP/1.1') == 1
    assert f'{status!r} is an interim status' in caplog.text


def test_what_cannot_be_sent_is_logged_as_one_error(serve, caplog):
    def app(environ, start_response):
        start_response('200 OK', [('X-Spam', 'eggs\r\nX-More: eggs')])
        return []

    assert ask(serve(app), get(b'/', LAST)).startswith(b'HTTP/1.1 500 ')
    (record,) = caplog.records
    _, error, _ = record.exc_info
    assert 'X-Spam' in str(error)
    assert error.__suppress_context__ or error.__context__ is None


@pytest.mark.parametrize('status', ['204 No Content', '304 Not Modified'])
@pytest.mark.parametrize('way', ['list', 'pieces', 'write', 'file'])
@pytest.mark.parametrize('method', [b'GET', b'HEAD'])
def test_a_body_where_there_can_be_none(serve, caplog, status, way, method):
    def app(environ, start_response):
        write = start_response(status, [])
        if way == 'write':
            write(b'spam')
        if way == 'file':
            return environ['wsgi.file_wrapper'](io.BytesIO(b'spam'))
        return [b'spam'] if way == 'list' else [b'', b'sp', b'am']

    answer = ask(serve(app), method + b' / HTTP/1.1\r\nHost: a\r\n\r\n' + get(b'/next'))
    assert answer.startswith(b'HTTP/1.1 500 ')
    assert answer.count(b'HTTP/1.1') == 1
    assert b'spam' not in answer
    assert f'a response with {status[:3]} has no body' in caplog.text


def test_a_length_where_there_can_be_no_body(serve, caplog):
    def app(environ, start_response):
        status, length = environ['QUERY_STRING'].split('-')
        start_response(f'{status} X', [('Content-Length', length)])
        return []

    server = serve(app)
    answers = ask(server, get(b'/?204-0') + get(b'/?304-5') + get(b'/?204-5'))
    heads = answers.split(b'\r\n\r\n')
    assert heads[0].startswith(b'HTTP/1.1 204 ')
    assert b'Content-Length' not in heads[0]
    assert heads[1].startswith(b'HTTP/1.1 304 ')
    assert b'Content-Length: 5' in heads[1]
    assert heads[2].startswith(b'HTTP/1.1 500 ')
    assert 'no Content-Length 5' in caplog.text


def test_blanks_around_a_value_are_dropped(serve):
    def app(environ, start_response):
        start_response('200 OK', [('X', ' a\t'), ('Y', 'b')])
        return []

    head = ask(serve(app), get(b'/', LAST))
    assert b'\r\nX: a\r\nY: b\r\n' in head


# The end.


def test_close_waits_for_the_answer(serve):
    begun, go_on = Event(), Event()

    def app(environ, start_response):
        begun.set()
        go_on.wait()
        return hello(environ, start_response)

    server = serve(app)
    with Peer(server) as peer:
        peer.send(get())
        begun.wait(TIMEOUT)
        closing = spawn(server.close)
        while server._listeners:
            sleep(0)
        go_on.set()
        answer = peer.read()
        assert b'Connection: close\r\n' in answer
        assert answer.endswith(b'World!')
        closing.result(TIMEOUT)


def test_close_answers_what_comes_in_its_last_moment(serve):
    server = serve(hello)
    with Peer(server) as peer:
        peer.send(get())
        peer.read_until(b'World!')
        closing = spawn(server.close)
        while server._listeners:
            sleep(0)
        assert b'Connection: close\r\n' in peer.ask(get())
        closing.result(TIMEOUT)


def test_close_cuts_what_takes_too_long(serve):
    begun = Event()

    def app(environ, start_response):
        begun.set()
        sleep(None)

    server = serve(app)
    with Peer(server) as peer:
        peer.send(get())
        begun.wait(TIMEOUT)
        server.close(0.05)
        assert not server.connections
        with pytest.raises(ConnectionResetError):
            peer.read()


def test_close_with_connections_that_are_closing(serve):
    server = serve(hello)
    with Peer(server) as first, Peer(server) as second:
        for peer in (first, second):
            peer.send(get())
            peer.read_until(b'World!')
        next(iter(server.connections))[0].abort()
        closing = spawn(server.close)
        sleep(0)
        second.send(get())
        assert second.read().endswith(b'World!')
        closing.result(TIMEOUT)


def test_close_takes_who_waits_to_be_accepted(serve):
    server = serve(hello)
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(server)) for _ in range(300)]
        for peer in peers:
            peer.socket.sendall(get())
        closing = spawn(server.close)
        for peer in peers:
            assert peer.read_until(b'World!').startswith(b'HTTP/1.1 200 ')
        with pytest.raises(OSError, match='refused'):
            Peer(server)
    closing.result(TIMEOUT)


def test_no_request_is_lost_when_a_server_stops(serve, long):
    for _ in range(long(3, 20)):
        stop_under_load(serve(hello))


def stop_under_load(server):
    lost, served = [], []
    address = server.addresses[0]

    def client():
        with socket.create_connection(address, timeout=TIMEOUT) as peer:
            while True:
                peer.sendall(get())
                answer = b''
                while not answer.endswith(b'World!'):
                    piece = peer.recv(65536)
                    if not piece:
                        lost.append(answer)
                        return
                    answer += piece
                served.append(1)
                if b'Connection: close' in answer:
                    return

    threads = [threading.Thread(target=client) for _ in range(32)]
    for thread in threads:
        thread.start()
    while len(served) < 500:
        sleep(0)
    server.close()
    for thread in threads:
        thread.join()
    assert lost == []


# WSGI.


def test_an_application_that_is_validated(serve):
    def app(environ, start_response):
        body = environ['wsgi.input'].read(3) + environ['wsgi.input'].readline()
        start_response('200 OK', [('Content-Type', 'text/plain')])
        return [body, environ['QUERY_STRING'].encode()]

    head = b'POST /a?b=c HTTP/1.1\r\nHost: a.test\r\nContent-Length: 7\r\nConnection: close\r\n\r\n'
    answer = ask(serve(validator(app)), head + b'spam\nxy')
    assert answer.endswith(b'\r\n\r\n5\r\nspam\n\r\n3\r\nb=c\r\n0\r\n\r\n')


def test_the_environ(serve):
    seen = {}

    def app(environ, start_response):
        seen.update(environ)
        return hello(environ, start_response)

    ask(
        serve(app, server_name='a.test'),
        get(b'/s%20p/%C3%A4?a=%20', b'X-Spam: a\r\nx-spam: b\r\nX_Spam: evil\r\n', LAST),
    )
    assert seen['REQUEST_METHOD'] == 'GET'
    assert seen['PATH_INFO'] == '/s p/ä'.encode().decode('latin-1')
    assert seen['QUERY_STRING'] == 'a=%20'
    assert seen['REQUEST_URI'] == '/s%20p/%C3%A4?a=%20'
    assert seen['HTTP_X_SPAM'] == 'a,b'
    assert seen['HTTP_HOST'] == 'a.test'
    assert seen['SERVER_NAME'] == 'a.test'
    assert seen['SERVER_PROTOCOL'] == 'HTTP/1.1'
    assert seen['REMOTE_ADDR'] == '127.0.0.1'
    assert seen['wsgi.url_scheme'] == 'http'
    assert 'HTTP_CONNECTION' not in seen


def test_an_iterable_is_closed(serve, caplog):
    closed = []

    class Result:
        def __iter__(self):
            yield b'a'
            raise ZeroDivisionError

        def close(self):
            closed.append(True)

    def app(environ, start_response):
        start_response('200 OK', [])
        return Result()

    ask(serve(app), get())
    assert closed == [True]
    assert 'ZeroDivisionError' in caplog.text


def test_start_response_with_exc_info(serve):
    def app(environ, start_response):
        start_response('200 OK', [('X', 'y')])
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response('500 Oops', [], sys.exc_info())
        return [b'oops']

    status, fields, body = split(ask(serve(app), get(b'/', LAST)))
    assert status == 'HTTP/1.1 500 Oops'
    assert 'X' not in fields
    assert body == b'oops'


def test_an_application_that_says_nothing(serve, caplog):
    for app in (lambda environ, start: [b'spam'], lambda environ, start: []):
        assert ask(serve(app), get()).startswith(b'HTTP/1.1 500 ')
        assert 'nothing was said yet of the status' in caplog.text


def test_the_write_of_start_response(serve):
    def app(environ, start_response):
        write = start_response('200 OK', [('Content-Length', '4')])
        write(b'sp')
        write(b'am')
        return []

    assert ask(serve(app), get(b'/', LAST)).endswith(b'\r\n\r\nspam')


def test_trailers_are_what_the_list_says_in_the_end(serve):
    def app(environ, start_response):
        headers = [('Trailer', 'Checksum')]
        start_response('200 OK', headers)
        yield b'spam'
        headers.append(('Checksum', '42'))

    answer = ask(serve(app), get(b'/', LAST))
    assert answer.endswith(b'4\r\nspam\r\n0\r\nChecksum: 42\r\n\r\n')


def test_head_has_the_head_of_get(serve):
    server = serve(hello)
    request = b'HEAD / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n'
    _, fields, body = split(ask(server, request))
    assert fields['Content-Length'] == '13'
    assert body == b''


def test_http_1_0(serve):
    server = serve(hello)
    status, fields, body = split(ask(server, b'GET / HTTP/1.0\r\n\r\n'))
    assert status == 'HTTP/1.0 200 OK'
    assert body == b'Hello, World!'

    def pieces(environ, start_response):
        start_response('200 OK', [])
        yield b'a'
        yield b'b'

    request = b'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n'
    _, fields, body = split(ask(serve(pieces), request))
    assert body == b'ab'
    assert 'Transfer-Encoding' not in fields
    with Peer(server) as peer:
        peer.send(request)
        assert b'Connection: keep-alive\r\n' in peer.read_until(b'World!')


def test_a_thousand_clients_at_once(serve):
    server = serve(echo)

    def client(number):
        with_body = b'%d' % number
        client = HttpClient(timeout=TIMEOUT)
        client.connect(server.addresses[0])
        for _ in range(3):
            client.request('POST', '/', [], with_body)
            assert client.getresponse().body.read() == with_body
        client.close()

    for fiber in [spawn(client, number) for number in range(1000)]:
        fiber.result(60)


def test_what_is_written_behind_the_end_goes_nowhere(serve):
    late = []

    def app(environ, start_response):
        late.append(start_response('200 OK', []))
        return [b'one']

    with Peer(serve(app)) as peer:
        peer.send(get())
        assert peer.read_until(b'one')
        with pytest.raises(HttpError, match='ended'):
            late[0](b'LATE')
        peer.send(get())
        assert b'LATE' not in peer.read_until(b'one')


def test_an_application_that_exits_is_answered_with_500(serve):
    def app(environ, start_response):
        sys.exit('enough')

    server = serve(app)
    for _ in range(2):
        assert ask(server, get()).startswith(b'HTTP/1.1 500 ')
