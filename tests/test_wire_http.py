import pytest

from gruvi_cffi.wire.http_fields import (
    b2s,
    create_chunk,
    create_chunked_body_end,
    create_request,
    create_response,
    get_header,
    parse_content_type,
    parse_te,
    parse_trailer,
    remove_headers,
    rfc1123_date,
    s2b,
)  # fmt: skip
from gruvi_cffi.wire.http_url import ParsedUrl, parse_url


@pytest.mark.parametrize(
    ('header', 'parsed'),
    [
        ('text/plain', ('text/plain', {})),
        ('text/plain; charset=utf-8', ('text/plain', {'charset': 'utf-8'})),
        (' text/plain ;  a=b;c="d" ', ('text/plain', {'a': 'b', 'c': 'd'})),
        (r'text/plain; a="b \"c\" \\"', ('text/plain', {'a': 'b "c" \\'})),
        ('text/plain; a=b c=d', ('text/plain', {'a': 'b'})),
        ('text/plain; foo="\xe9"', ('text/plain', {'foo': '\xe9'})),
        ('text', ('', {})),
        ('', ('', {})),
    ],
)
def test_content_types(header, parsed):
    assert parse_content_type(header) == parsed


@pytest.mark.parametrize(
    ('header', 'parsed'),
    [
        ('trailers', [('trailers', None)]),
        ('trailers, Foo', [('trailers', None), ('Foo', None)]),
        ('foo;q=0.5 , bar; q=1', [('foo', '0.5'), ('bar', '1')]),
        ('foo;q=2,bar;q=x', [('foo', None), ('bar', None)]),
        ('', []),
    ],
)
def test_transfer_codings(header, parsed):
    assert parse_te(header) == parsed


@pytest.mark.parametrize(
    ('header', 'parsed'),
    [('foo', ['foo']), ('foo, Bar ,baz', ['foo', 'Bar', 'baz']), ('foo; bar', []), ('', [])],
)
def test_names_of_trailers(header, parsed):
    assert parse_trailer(header) == parsed


def test_lists_of_headers():
    headers = [('Foo', '1'), ('bar', '2'), ('foo', '3')]
    assert get_header(headers, 'FOO') == '1'
    assert get_header(headers, 'baz') is None
    assert get_header(headers, 'baz', 'x') == 'x'
    assert remove_headers(headers, 'fOO') is headers == [('bar', '2')]


def test_dates():
    assert rfc1123_date(0) == 'Thu, 01 Jan 1970 00:00:00 GMT'
    assert rfc1123_date().endswith(' GMT')


def test_messages():
    headers = [('A', 'b'), ('C', '\xe9')]
    assert (
        create_request('1.1', 'GET', '/', headers) == b'GET / HTTP/1.1\r\nA: b\r\nC: \xe9\r\n\r\n'
    )
    assert create_response('1.0', '200 OK', []) == b'HTTP/1.0 200 OK\r\n\r\n'
    assert create_chunk(b'x' * 26) == b'1A\r\n' + b'x' * 26 + b'\r\n'
    assert create_chunked_body_end() == b'0\r\n\r\n'
    assert create_chunked_body_end([('a', 'b')]) == b'0\r\na: b\r\n\r\n'
    assert b2s(s2b('\xe9')) == '\xe9'


@pytest.mark.parametrize(
    ('url', 'parsed'),
    [
        ('http://a.test', ParsedUrl('http', 'a.test')),
        ('HTTP://a.test/', ParsedUrl('HTTP', 'a.test', '/')),
        ('http://a.test/b?c#d', ParsedUrl('http', 'a.test', '/b', 'c', 'd')),
        ('http://u:p@a.test:80/b', ParsedUrl('http', 'a.test', '/b', port='80', userinfo='u:p')),
        ('http://[::1]:80/', ParsedUrl('http', '::1', '/', port='80')),
        ('a.test/b', ParsedUrl('http', 'a.test', '/b')),
        ('a.test:8080', ParsedUrl('http', 'a.test', port='8080')),
        ('/b?c', ParsedUrl(path='/b', query='c')),
        ('*', ParsedUrl(path='*')),
        ('http://a.test?b', ParsedUrl('http', 'a.test', query='b')),
    ],
)
def test_urls(url, parsed):
    assert parse_url(url) == parsed


@pytest.mark.parametrize(
    'url',
    ['', 'http://', 'http://a b/', 'http://a/\r\n', 'http://a:65536/', 'http://a:x/', 'mailto:x',
     'http://[x]/', 'http://a@b@c/', '/a b', 'http://\x00/'],
)  # fmt: skip
def test_what_is_no_url(url):
    with pytest.raises(ValueError):
        parse_url(url)


def test_targets_of_connect():
    assert parse_url('a.test:80', is_connect=True) == ParsedUrl(host='a.test', port='80')
    for wrong in ('a.test', '/', '*', 'http://a.test:80', 'a.test:80/', ':80'):
        with pytest.raises(ValueError):
            parse_url(wrong, is_connect=True)


def test_what_a_url_means():
    assert parse_url('https://a.test').addr == ('a.test', 443)
    assert parse_url('ws://a.test:81').addr == ('a.test', 81)
    assert parse_url('foo://a.test').addr == ('a.test', None)
    assert parse_url('wss://a.test').ssl
    assert not parse_url('http://a.test').ssl
    assert parse_url('http://a.test').target == '/'
    assert parse_url('http://a.test/b?c').target == '/b?c'
