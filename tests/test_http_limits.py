import contextlib

import pytest
from httppeer import LAST, Peer, ask, echo, get, hello

from gruvi_cffi import blocking, limits, sleep
from gruvi_cffi.http import HttpOptions, serving


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        *((name, 0) for name in ('line', 'head', 'fields', 'chunk_line', 'connections')),
        *((name, 0) for name in ('header_timeout', 'body_timeout', 'write_timeout')),
        *((name, -1) for name in ('body', 'chunk_extensions', 'pipeline', 'body_rate')),
        ('keepalive_timeout', -1), ('header_timeout', float('inf')), ('body_timeout', float('nan')),
        ('head', 2**31), ('line', None), ('fields', '5'), ('body', 1.5), ('write_timeout', '5'),
    ],
)  # fmt: skip
def test_options_that_make_no_sense(name, value):
    with pytest.raises(ValueError, match=f'^{name} must be '):
        HttpOptions(**{name: value})


def test_no_body_is_allowed(serve):
    server = serve(echo, options=HttpOptions(body=0))
    assert ask(server, get(b'/', LAST)).startswith(b'HTTP/1.1 200 ')
    post = b'POST / HTTP/1.1\r\nHost: a\r\n'
    assert ask(server, post + b'Content-Length: 0\r\n' + LAST + b'\r\n').startswith(
        b'HTTP/1.1 200 '
    )
    assert ask(server, post + b'Content-Length: 1\r\n\r\nx').startswith(b'HTTP/1.1 413 ')
    chunked = post + b'Transfer-Encoding: chunked\r\n' + LAST + b'\r\n'
    assert ask(server, chunked + b'0\r\n\r\n').startswith(b'HTTP/1.1 200 ')
    assert ask(server, chunked + b'1\r\nx\r\n0\r\n\r\n').startswith(b'HTTP/1.1 413 ')


def test_no_chunk_extensions_are_allowed(serve):
    server = serve(echo, options=HttpOptions(chunk_extensions=0))
    chunked = b'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n' + LAST + b'\r\n'
    assert ask(server, chunked + b'1\r\nx\r\n0\r\n\r\n').endswith(b'\r\n\r\nx')
    assert ask(server, chunked + b'1;a\r\nx\r\n0\r\n\r\n').startswith(b'HTTP/1.1 400 ')


def test_no_requests_wait(serve):
    server = serve(echo, options=HttpOptions(pipeline=0))
    assert ask(server, get() * 50 + get(b'/', LAST)).count(b'HTTP/1.1 200 ') == 51


def test_one_request_on_a_connection(serve):
    server = serve(echo, options=HttpOptions(keepalive_timeout=0, header_timeout=5))
    answer = ask(server, get() * 2)
    assert answer.count(b'HTTP/1.1') == 1
    assert b'\r\nConnection: close\r\n' in answer
    assert ask(server, b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc').endswith(
        b'abc'
    )


def test_who_may_ask_once_has_to_ask_in_time(serve):
    server = serve(echo, options=HttpOptions(keepalive_timeout=0, header_timeout=0.1))
    assert ask(server, b'') == b''


def test_a_body_may_drip(serve):
    server = serve(echo, options=HttpOptions(body_timeout=0.3, body_rate=0))
    with Peer(server) as peer:
        peer.send(b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n' + LAST + b'\r\n')
        for _ in range(6):
            sleep(0.1)
            peer.send(b'x')
        assert peer.read().endswith(b'\r\n\r\nxxxxxx')


def test_a_head_may_be_very_large(serve):
    server = serve(hello, options=HttpOptions(head=300_000))
    assert ask(server, get(b'/', LAST, b'X: %b\r\n' % (b'v' * 200_000))).startswith(b'HTTP/1.1 200')
    assert ask(server, get(b'/', LAST, b'X: %b\r\n' % (b'v' * 300_000))).startswith(b'HTTP/1.1 431')


def test_what_was_sent_before_a_failure_leaves_however_much_is_pipelined(serve, monkeypatch):
    size = 20_000_000
    monkeypatch.setattr(serving, 'LOOK', 0.05)  # seconds for a paused connection

    def handler(message, transport, protocol):
        response = protocol.respond(message)
        response.start('200 OK', [('Content-Length', str(2 * size))])
        response.write(b'.')
        transport.write(size * b'.')
        raise ValueError('on purpose')

    with Peer(serve(None, adapter=lambda _: handler)) as peer:
        peer.send(2 * limits.HTTP_PIPELINE * get())
        peer.read_until(b'.')
        sleep(0.2)
        data = b''
        with contextlib.suppress(ConnectionResetError):  # the other requests were not read
            while piece := blocking(peer.socket.recv, 1 << 20):
                data += piece
    assert len(data) > size // 2
