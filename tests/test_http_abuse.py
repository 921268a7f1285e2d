"""Requests at the edge of the grammar (RFC 9112), and beyond it: each gets what it has to.

The tables are values for one place of a request. What is refused is followed by a request that
must not be taken for one; what passes is followed by one that must be answered.
"""

import random

import pytest

from gruvi_cffi import StreamClient, sleep
from gruvi_cffi.http import HttpOptions, HttpServer

HOST = b'Host: a.test\r\n'
NEXT = b'GET /next HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n'
EVIL = b'GET /evil HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n'
CODING = b'Transfer-Encoding: '
CONTROLS = [bytes([code]) for code in (*range(9), *range(11, 32), 127) if code != 13]


def echo(environ, start_response):
    body = environ['wsgi.input'].read()
    start_response('200 OK', [('Content-Length', str(len(body)))])
    return [body]


def line(value):
    return value + b'\r\n' + HOST + b'\r\n'


def target(value):
    return line(b'GET ' + value + b' HTTP/1.1')


def version(value):
    return line(b'GET / ' + value)


def method(value):
    return line(value + b' / HTTP/1.1')


def host(value):
    return b'GET / HTTP/1.1\r\nHost: ' + value + b'\r\n\r\n'


def field(value):
    return b'GET / HTTP/1.1\r\n' + HOST + value + b'\r\n\r\n'


def length(value):
    return b'POST / HTTP/1.1\r\n' + HOST + b'Content-Length: ' + value + b'\r\n\r\nhello'


def coding(value):
    head = b'POST / HTTP/1.1\r\n' + HOST + CODING + value + b'\r\n\r\n'
    return head + b'5\r\nhello\r\n0\r\n\r\n'


def size(value):
    head = b'POST / HTTP/1.1\r\n' + HOST + CODING + b'chunked\r\n\r\n'
    return head + value + b'\r\nhello\r\n0\r\n\r\n'


def chunked(value):
    return b'POST / HTTP/1.1\r\n' + HOST + CODING + b'chunked\r\n\r\n' + value


REFUSED = [
    (line, 400, [
        b'', b'GET', b'GET /', b'GET / ', b' GET / HTTP/1.1', b'\tGET / HTTP/1.1', b'/ HTTP/1.1',
        b'GET  / HTTP/1.1', b'GET /  HTTP/1.1', b'GET\t/ HTTP/1.1', b'GET /a b HTTP/1.1',
        b'GET\xa0/ HTTP/1.1', b'GET / HTTP/1.1 ', b'GET / HTTP/1.1\t', b'HTTP/1.1 200 OK',
        b'\rGET / HTTP/1.1', b'\nGET / HTTP/1.1', b'\xef\xbb\xbfGET / HTTP/1.1', b'EHLO a', b'\0',
        b'GET / HTTP/1.1\r', b'GET / HTTP/1.1\n', b'\r\n' * 5 + b'GET / HTTP/1.1',
        b'CONNECT a.test HTTP/1.1', b'CONNECT / HTTP/1.1', b'CONNECT a.test: HTTP/1.1',
        b'OPTIONS ** HTTP/1.1', b'GET * HTTP/1.1',
    ]),
    (method, 400, [b'G\xe9T', b'"GET"', b'GET:', b'G(T', b'G/T', b'G\x7fT', *CONTROLS]),
    (method, 501, [b'get', b'Get', b'SPAM', b'XGET', b'GETX', b"!#$%&'*+-.^_`|~9", b'G' * 200]),
    (version, 400, [
        b'HTTP/1.10', b'HTTP/01.1', b'HTTP/11', b'HTTP/1.', b'HTTP/.1', b'HTTP/1.x', b'HTTP/x.1',
        b'HTTP//1.1', b'HTTP 1.1', b'HTTP', b'http/1.1', b'HTTPS/1.1', b'HTTP/-1.1', b'HTTP/1 .1',
        b'HTTP/1,1', b'HTTP/\xd9\xa1.1', b'HTTP/1.1\0', b'HTXP/1.1', b'ICE/1.0', b'HTTP/10.1',
    ]),
    (version, 505, [b'HTTP/0.9', b'HTTP/2.0', b'HTTP/3.0', b'HTTP/9.9']),
    (target, 400, [
        b'/\xff', b'/\xc3\xa9', b'/a#b', b'/a"b', b'/a<b', b'/a\\b', b'/a^b', b'/a`b', b'/a{b',
        b'/a|b', b'/[a]', b'/%', b'/%1', b'/%zz', b'/?a=%', b'?q', b'a', b'a.test:80', b'.',
        b'http:', b'http://', b'http:///x', b'http:a.test/', b'http://u@a.test/', b'http://b.test/',
        b'http://a.test.evil/', b'http://a.tes/', b'http://a.test:x/', b'http://a.test#f',
        b'ftp://a.test/', b'file:///x', b'javascript:x', *(b'/a' + each for each in CONTROLS),
    ]),
    (host, 400, [
        b'', b'a b', b'a/', b'u@a', b'a:8x', b'a:-1', b'a:+80', b'a: 80', b'a :80', b'a:80:80',
        b'a:65536', b':80', b'::1', b'[::1', b'::1]', b'[]', b'[zz]', b'[::1]x', b'[::1%25eth0]',
        b'[1:2:3:4:5:6:7:8:9]', b'[127.0.0.1]', b'[v.a]', b'[v1.]', b'a?x', b'a#x', b'a\\b', b'<a>',
        b'a, b', b'%zz', b'{a}', b'\xc3\xa9', b'http://a', b'//a', b'a\r\n b', b'a\r\nHost: a',
        b'a\r\nhost: b', b'a\r\nHost:', *(b'a' + each for each in CONTROLS),
    ]),
    (field, 400, [
        b'X : 1', b'X\t: 1', b' X: 1', b'X', b':', b': v', b'X Y: 1', b'X\xa0: 1', b'X: 1\r\n 2',
        b'X: 1\r\n\t2', b'X: 1\r\n ', b'X: a\rb', b'X: a\nb', b'X:\rb', b'X: a\r', b'X: a\n',
        b'X: 1\n\n', b'X: 1\r\n\rZ', b'GET /evil HTTP/1.1', b'\xc3\xa9: 1',
        *(b'X' + each.encode() + b'Y: 1' for each in '"(),/;<=>?@[\\]{}'),
        *(b'X' + each + b'Y: 1' for each in CONTROLS), *(b'X: a' + each for each in CONTROLS),
        b'Content-Length : 5', b'Content-Length\0: 5', b' Content-Length: 5',
        b'Transfer-Encoding : chunked', b'\x0bTransfer-Encoding: chunked',
        b'X: 1\r\n Transfer-Encoding: chunked',
    ]),
    (length, 400, [
        b'', b'a', b'5a', b'+5', b'-5', b'-0', b'0x5', b'5e0', b'5.0', b'5,5', b'5, 5', b'5,',
        b',5',
        b'5;5', b'5 5', b'5\t5', b'"5"', b'5_0', b'\xa05', b'\xb2', b'\xef\xbc\x95', b'\xd9\xa5',
        b'18446744073709551616', b'18446744073709551621', b'1' * 400, b'5\r\n 5', b'\r\n 5',
        b'5\r\nContent-Length: 5', b'5\r\ncontent-length: 6', b'0\r\nContent-Length: 5',
        b'5\r\nContent-Length:', b'5\r\nTransfer-Encoding: chunked', *CONTROLS,
        *(b'5' + each for each in CONTROLS),
    ]),
    (length, 413, [
        b'65537', b'4294967301', b'9223372036854775807', b'9223372036854775808',
        b'18446744073709551615', b'000000000000000000000000065537',
    ]),
    (coding, 400, [
        b'', b'identity', b'gzip', b'chunked, gzip', b'chunked, chunked', b'gzip, chunked, gzip',
        b',chunked', b'chunked,', b', ,chunked', b'chunked;', b'chunked;a=b', b'xchunked',
        b'chunkedx', b'chunkedchunked', b'"chunked"', b'(chunked)', b'chunked x', b'chun ked',
        b'\xa0chunked', b'gzip chunked', b'gzip,,chunked', b'chun\xe2\x84\xaaed', b'chun\r\n ked',
        b'chunked\r\nTransfer-Encoding: chunked', b'chunked\r\nTransfer-Encoding: identity',
        b'identity\r\nTransfer-Encoding: chunked', b'chunked\r\nContent-Length: 5',
        b'chunked\r\nContent-Length: 0', b'gzip, chunked\r\nContent-Length: 5',
        b'chunked;q=1, chunked', *(b'chunked' + each for each in CONTROLS),
    ]),
    (coding, 501, [
        b'gzip, chunked', b'deflate,chunked', b'identity, chunked', b'gzip, br, Chunked',
        b'gzip;q=1, chunked',
    ]),
    (size, 400, [
        b'', b' ', b'-5', b'+5', b'0x5', b'5h', b'5_0', b' 5', b'5 ', b'5\t', b'5 5', b'5,5',
        b'"5"',
        b'5;', b'5; ', b'5;;a', b'5;=b', b'5;a=', b'5;a=b c', b'5;a="b', b'5;a="b"c', b'5;a(b',
        b'5;a=[', b'5;\xc3\xa9', b'5;a=\xe9', b'\xd9\xa5', b'\xb2', b'5;a\nb', b'5;a\rb', b'5\n',
        b'5;\n', b'5:', b'g', b'00000000000000005', b'10000000000000005', b'5;a ', b'5;a="\n"',
        b';5', b'5;' + b'x' * 5000, *(b'5' + each for each in CONTROLS),
        *(b'5;' + each for each in CONTROLS), *(b'5;a="' + each + b'"' for each in CONTROLS),
    ]),
    (size, 413, [b'10001', b'FFFFFFFF', b'7FFFFFFFFFFFFFFF', b'8000000000000000', b'F' * 16]),
    (chunked, 400, [
        *(b'5\r\nhello' + each + b'0\r\n\r\n' for each in (
            b'', b'XY', b'\n', b'\r', b'\r\r\n', b'\n\r', b'\rX', b' \r\n', b'\r\n\r\n', b'\r\n\n',
            b'\r\n ', b'x\r\n',
        )),
        *(b'5\r\nhello\r\n0' + each for each in (
            b'\n\n', b'\r\n\n', b'\r\n\rX', b'\r\r\n\r\n', b'\r\n \r\n\r\n', b'\r\nX\r\n\r\n',
            b'\r\n: v\r\n\r\n', b'\r\nX : v\r\n\r\n', b'\r\n X: v\r\n\r\n',
            b'\r\nX: v\r\n w\r\n\r\n',
            b'\r\nX: a\0\r\n\r\n', b'\r\nX: a\rb\r\n\r\n', b'\r\nX(: v\r\n\r\n', b'\r\n\0\r\n\r\n',
            b'x\r\n\r\n', b';\0\r\n\r\n', b'\r\nGET /evil HTTP/1.1\r\n\r\n',
        )),
    ]),
    (chunked, 431, [b'0\r\nX: ' + b'v' * 40000, b'0\r\n' + b'X: v\r\n' * 101 + b'\r\n']),
]  # fmt: skip

PASSED = [
    (method, [b'GET', b'HEAD', b'PUT', b'DELETE', b'OPTIONS', b'TRACE', b'PROPFIND', b'M-SEARCH']),
    (version, [b'HTTP/1.1', b'HTTP/1.2', b'HTTP/1.9']),
    (target, [
        b'/', b'//', b'//b.test/', b'/..', b"/!$&'()*+,;=:@-._~", b'/??', b'/%00%0d%0a', b'/%ff',
        b'http://a.test/', b'HTTP://A.TEST/x?y', b'http://a.test', b'http://a.test?q',
        b'https://a.test/',
    ]),
    (host, [
        b'a', b'A.TEST', b'a:80', b'a:0', b'a:65535', b'a:0080', b'a:', b'[::1]', b'[::1]:80',
        b'[::1]:', b'[::ffff:1.2.3.4]', b'127.0.0.1', b'a_b', b'xn--a', b'a.', b'%41', b' a \t',
        b"a!$&'()*+;=~", b'[v1f.x:y]',
    ]),
    (field, [
        b"!#$%&'*+-.^_`|~0Az: 1", b'X:', b'X: ', b'X:\t\xff\t', b'X: a\tb', b'X:Y:Z',
        b'X: 1\r\nX: 2',
        b'Transfer-Encoding-X: y', b'Content-Length-X: y', b'Transfer_Encoding: chunked',
        b'X-Transfer-Encoding: chunked', b'TE: chunked', b'Proxy-Connection: close',
        b'Connection: xclose', b'Connection: "close"', b'Connection: ,,,', b'Upgrade: a',
        b'Connection: Upgrade\r\nUpgrade: h2c', b'Expect: 100-continue', b'Expect: spam',
    ]),
    (length, [b'5', b' 5 ', b'\t5\t', b'05', b'0' * 300 + b'5']),
    (coding, [b'chunked', b'Chunked', b'CHUNKED', b' chunked\t']),
    (size, [
        b'5', b'05', b'0000000000000005', b'5;a', b'5;a=b', b'5;a="b;c"', b'5;a="b\\"c"', b'5;a=""',
        b'5;a;b;c', b'5 ; a = b', b'5\t;\ta\t=\t"b"', b'5;a="\xe9"', b"5;!#$%&'*+-.^_`|~=x",
    ]),
    (chunked, [
        b'0\r\n\r\n', b'0000\r\n\r\n', b'0;a=b\r\n\r\n', b'1\r\na\r\n' * 3000 + b'0\r\n\r\n',
        b'a\r\n0123456789\r\n0\r\n\r\n', b'0\r\nX: v\r\n\r\n', b'0\r\nConnection: close\r\n\r\n',
        b'0\r\nContent-Length: abc\r\nTransfer-Encoding: gzip\r\n\r\n', b'0\r\n\r\n\r\n',
        b'0\r\nX:GET /evil HTTP/1.1\r\n\r\n',
    ]),
]  # fmt: skip


@pytest.fixture
def ask():
    server = HttpServer(echo, options=HttpOptions(body=65536))
    server.listen(('127.0.0.1', 0))

    def ask(data, cut):
        """Return what comes until the server closes."""
        client = StreamClient()
        client.connect(server.addresses[0])
        at = 0
        while at < len(data):
            length = cut.randint(1, max(2, len(data) // 4)) if cut else len(data)
            client.write(data[at : at + length])
            at += length
            sleep(0)
        answer = client.read(timeout=10)
        client.close()
        return answer

    yield ask
    server.close(0)


@pytest.mark.parametrize('cut', [None, random.Random(5)], ids=['whole', 'cut'])
@pytest.mark.parametrize(
    ('make', 'status', 'values'),
    REFUSED,
    ids=[f'{make.__name__}-{code}' for make, code, _ in REFUSED],
)
def test_what_is_refused(ask, make, status, values, cut):
    wrong = {}
    for value in values:
        answer = ask(make(value) + EVIL, cut)
        if not answer.startswith(b'HTTP/1.1 %d ' % status) or answer.count(b'HTTP/1.1 ') != 1:
            wrong[value[:50]] = answer[:50]
    assert wrong == {}


@pytest.mark.parametrize('cut', [None, random.Random(5)], ids=['whole', 'cut'])
@pytest.mark.parametrize(('make', 'values'), PASSED, ids=[make.__name__ for make, _ in PASSED])
def test_what_passes(ask, make, values, cut):
    wrong = {}
    for value in values:
        answer = ask(make(value) + NEXT, cut)
        if answer.count(b'HTTP/1.1 200 ') != 2 or not answer.endswith(b'\r\n\r\n'):
            wrong[value[:50]] = answer[:50]
        if make in (length, coding, size) and b'\r\n\r\nhelloHTTP/1.1 ' not in answer:
            wrong[value[:50]] = answer
    assert wrong == {}
