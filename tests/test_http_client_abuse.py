"""Responses at the edge of the grammar (RFC 9112), and beyond it: what a session makes of them."""

import contextlib
import gzip
import socket
import threading

import pytest

from gruvi_cffi.http import HttpSession, MessageError, MessageTooLarge, MessageTruncated

OK = b'HTTP/1.1 200 OK\r\n'
EMPTY = b'Content-Length: 0\r\n\r\n'
CODING = b'Transfer-Encoding: '
CHUNKED = OK + CODING + b'chunked\r\n\r\n'
HELLO = b'5\r\nhello\r\n0\r\n\r\n'
EARLY = b'HTTP/1.1 103 Early Hints\r\n\r\n'

BROKEN = [
    *(first + b'\r\n' + EMPTY for first in (
        b'HTTP/2.0 200 OK', b'HTTP/3 200 OK', b'HTTP/0.9 200 OK', b'HTTP/1 200 OK',
        b'HTTP/1.1  200 OK', b'HTTP/1.1\t200 OK', b'HTTP/1.1 20 OK', b'HTTP/1.1 2000 OK',
        b'HTTP/1.1 2xx OK', b'HTTP/1.1 +200', b'HTTP/1.1 099 X', b'HTTP/1.1 000 X',
        b'HTTP/1.1 200OK', b'HTTP/1.1', b'http/1.1 200 OK', b'HTTP/1.1 200 a\0b',
        b'HTTP/1.1 200 a\rb', b'HTTP/1.1 200 \x7f', b'HTTP/1.10 200 OK', b' HTTP/1.1 200 OK',
        b'\xef\xbb\xbfHTTP/1.1 200 OK', b'', b'ICY 200 OK', b'220 ready', b'<html>', b'\0\0',
    )),
    *(OK + field + b'\r\n' + EMPTY for field in (
        b'X : 1', b'X\t: 1', b'X', b':', b': v', b'X(: 1', b'X\0: 1', b'X: a\0', b'X: a\rb',
        b'X: a\nb', b'X: \x7f', b'\xe9: 1', b' X: 1', b'X Y: 1', b'X: 1\r', b'X: 1\n',
    )),
    *(OK + b'Content-Length: ' + length + b'\r\n\r\nhello' for length in (
        b'', b'-5', b'+5', b'0x5', b'5,5', b'5 5', b'a', b'5;', b'5_0', b'\x0b5', b'\xd9\xa5',
        b'5.0',
        b'18446744073709551621', b'5\r\nContent-Length: 5', b'5\r\nContent-Length: 6', b'1\r\n 5',
        b'5\r\nTransfer-Encoding: chunked',
    )),
    *(OK + CODING + coding + b'\r\n\r\n' + HELLO for coding in (
        b'', b'gzip, chunked', b'identity', b'gzip', b'chunked, gzip', b'chunked, chunked',
        b'xchunked', b',chunked', b'chunked,', b'chunked;a=b', b'\x0bchunked', b'"chunked"',
        b'chunked\r\nTransfer-Encoding: chunked',
    )),
    *(CHUNKED + body for body in (
        b'g\r\n', b'-5\r\nhello', b'0x5\r\nhello', b'5 \r\nhello', b'5\r\nhelloXY0\r\n\r\n',
        b'5\r\nhello\n0\r\n\r\n', b'5\r\nhello0\r\n\r\n', b'5\nhello\r\n0\r\n\r\n', b'\r\nhello',
        b'5\r\nhello\r\n0\r\n\rX', b'5\r\nhello\r\n0\r\nX\r\n\r\n',
        b'5\r\nhello\r\n0\r\nX : y\r\n\r\n',
        b'10000000000000005\r\nhello', b';a\r\nhello', b'5;\0\r\nhello',
    )),
    b'HTTP/1.0 200 OK\r\n' + CODING + b'chunked\r\n\r\n' + HELLO,
    b'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n\0\1',
    OK + b'Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello',
]  # fmt: skip

CUT_OFF = [
    OK[:9], OK, OK + b'Content-Le', EARLY + OK[:3], OK + b'Content-Length: 5\r\n\r\nhel',
    OK + b'Content-Length: 5\r\n\r\n', CHUNKED, CHUNKED + b'5', CHUNKED + b'5\r\nhe',
    CHUNKED + b'5\r\nhello\r\n', CHUNKED + b'5\r\nhello\r\n0\r\n', CHUNKED + b'0\r\nX: y\r\n',
]  # fmt: skip

TOO_LARGE = [
    OK[:-2] + b'x' * 100_000, OK + b'X' * 100_000, OK + b'X: y\r\n' * 300 + EMPTY,
    OK + (b'X: ' + b'v' * 1000 + b'\r\n') * 100, EARLY * 17 + OK + EMPTY,
    CHUNKED + b'1;' + b'x' * 5000, CHUNKED + (b'1;' + b'x' * 3000 + b'\r\na\r\n') * 6,
    CHUNKED + b'0\r\n' + b'X: y\r\n' * 300, CHUNKED + b'0\r\nX: ' + b'v' * 70_000,
    OK + b'Content-Encoding: gzip\r\nConnection: close\r\n\r\n' + gzip.compress(bytes(200_000_000)),
]  # fmt: skip

KEPT = [
    OK + EMPTY, OK + b'Content-Length:\t5 \r\n\r\nhello', OK + b'content-length:05\r\n\r\nhello',
    CHUNKED + HELLO, OK + CODING + b'CHUNKED \r\n\r\n5;a="b"\r\nhello\r\n0\r\nX: y\r\n\r\n',
    CHUNKED + b'0\r\nConnection: close\r\nContent-Length: 9\r\n\r\n',
    *(first + b'\r\n' + EMPTY for first in (
        b'HTTP/1.1 200', b'HTTP/1.1 200 ', b'HTTP/1.1 200  two', b'HTTP/1.1 200 \xe9',
        b'HTTP/1.2 200 OK',
        b'HTTP/1.1 600 X', b'HTTP/1.1 999', b'HTTP/1.1 404 Not Found',
    )),
    *(OK + field + b'\r\n' + EMPTY for field in (
        b'X:', b'X:\xff', b'X: a\tb', b'X: 1\r\n 2\r\n\t3', b'Connection: keep-alive',
        b'X: ' + b'v' * 60_000,
    )),
    *(b'HTTP/1.1 %b X\r\n%b\r\n' % (status, field) for status in (b'204', b'304') for field in (
        b'', b'Content-Length: 5\r\n', b'Transfer-Encoding: chunked\r\n',
    )),
    EARLY * 16 + OK + EMPTY, b'HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n' + OK + EMPTY,
    b'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n' + EMPTY,
]  # fmt: skip

LAST = [
    OK + b'Connection: close\r\n' + EMPTY, OK + b'Connection: Close, x\r\n' + EMPTY,
    b'HTTP/1.0 200 OK\r\n' + EMPTY, OK + EMPTY + b'x', OK + EMPTY + b'\r\n',
    OK + b'Content-Length: 5\r\n\r\nhello' + OK + EMPTY, CHUNKED + HELLO + OK + EMPTY,
    b'HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\nhello', b'HTTP/1.1 304 X\r\n\r\nhello',
]  # fmt: skip


TO_THE_END = [OK + b'\r\n', OK + b'\r\nhello', b'HTTP/1.0 200 OK\r\n\r\nhello']


class Server:
    """Gives an answer, in pieces, to whatever comes; *stays* says whether it closes behind it."""

    def __init__(self):
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.url = f'http://127.0.0.1:{self._listener.getsockname()[1]}/'
        self.answer, self.piece, self.stays = b'', 0, True
        self.connections = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with connection, contextlib.suppress(OSError):
                while connection.recv(65536):
                    piece = self.piece or len(self.answer)
                    for at in range(0, len(self.answer), piece):
                        connection.sendall(self.answer[at : at + piece])
                    if not self.stays:
                        break

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


def outcome(server, answer):
    """Return the error of a request, or how many connections two of them needed."""
    server.answer, server.connections = answer, 0
    with HttpSession(timeout=10) as session:
        try:
            session.get(server.url)
            session.get(server.url)
        except MessageError as error:
            return type(error)
        return server.connections


@pytest.mark.parametrize('piece', [0, 1, 7])
@pytest.mark.parametrize(
    ('answers', 'wanted', 'stays'),
    [
        (BROKEN, MessageError, True),
        (CUT_OFF, MessageTruncated, False),
        (TOO_LARGE, MessageTooLarge, True),
        (KEPT, 1, True),
        (LAST, 2, True),
        (TO_THE_END, 2, False),
    ],
    ids=['broken', 'cut off', 'too large', 'kept', 'last', 'to the end'],
)
def test_answers(server, answers, wanted, stays, piece):
    server.stays = stays
    wrong = {}
    for answer in answers:
        # What comes later than the end of an answer may be taken for the next one's beginning.
        server.piece = piece if len(answer) < 1000 and answers is not LAST else 0
        found = outcome(server, answer)
        if found != wanted:
            wrong[answer[:60]] = found
    assert wrong == {}
