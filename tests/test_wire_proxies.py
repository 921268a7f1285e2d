"""What proxies say: Forwarded, X-Forwarded-* and the PROXY protocol."""

import struct

import pytest

from gruvi_cffi.wire.http_forwarded import Forwarded, originator, parse_forwarded
from gruvi_cffi.wire.proxy_protocol import MAX_V1, Proxied, parse_proxy_header

LIMIT = 4096


def trusted(address):
    return address.startswith('10.') or address == 'fd00::1'


@pytest.mark.parametrize(
    ('value', 'elements'),
    [
        ('for=192.0.2.1', [{'for': '192.0.2.1'}]),
        (
            'For="[2001:db8::1]:80";Proto=https, for=b',
            [{'for': '[2001:db8::1]:80', 'proto': 'https'}, {'for': 'b'}],
        ),
        ('for="a\\"b" ; host=c', [{'for': 'a"b', 'host': 'c'}]),
        ('', []),
        (', ,for=a,', [{'for': 'a'}]),
    ],
)  # fmt: skip
def test_forwarded_is_taken_apart(value, elements):
    assert parse_forwarded(value) == elements


@pytest.mark.parametrize(
    'value',
    ['for', 'for=', 'for=a b', 'for="a', 'for=a;for=b', 'for=a,,=b', 'for = a', 'for=[::1]'],
)
def test_what_is_no_forwarded_is_refused(value):
    with pytest.raises(ValueError, match='malformed'):
        parse_forwarded(value)


@pytest.mark.parametrize(
    ('fields', 'said'),
    [
        ({}, None),
        ({'x-forwarded-for': ['192.0.2.1']}, Forwarded('192.0.2.1')),
        ({'x-forwarded-for': ['1.1.1.1, 192.0.2.1', '10.0.0.1']}, Forwarded('192.0.2.1')),
        ({'x-forwarded-for': ['10.0.0.2, 10.0.0.1']}, Forwarded('10.0.0.2')),
        ({'x-forwarded-for': ['2001:DB8::1']}, Forwarded('2001:db8::1')),
        ({'x-forwarded-for': ['192.0.2.1:80']}, Forwarded('192.0.2.1', '80')),
        ({'x-forwarded-for': ['1.1.1.1, unknown']}, Forwarded('')),
        ({'x-forwarded-proto': ['HTTPS']}, Forwarded('', '', 'https')),
        (
            {
                'x-forwarded-for': ['192.0.2.1'],
                'x-forwarded-proto': ['http, https'],
                'x-forwarded-host': ['a.test:81'],
            },
            Forwarded('192.0.2.1', '', 'https', 'a.test:81'),
        ),
        (
            {
                'forwarded': ['for=192.0.2.9;proto=https;host=a.test, for=10.0.0.1'],
                'x-forwarded-for': ['1.2.3.4'],
            },
            Forwarded('192.0.2.9', '', 'https', 'a.test'),
        ),
        ({'forwarded': ['for=1.1.1.1, for="[2001:db8::5]:80"']}, Forwarded('2001:db8::5', '80')),
        ({'forwarded': ['for=_hidden']}, Forwarded('')),
        ({'forwarded': ['']}, None),
    ],
)  # fmt: skip
def test_who_asks(fields, said):
    assert originator(fields, trusted) == said


@pytest.mark.parametrize(
    'fields',
    [
        {'x-forwarded-for': ['spam']},
        {'x-forwarded-for': ['1.2.3']},
        {'x-forwarded-for': ['1.2.3.4 1.2.3.5']},
        {'x-forwarded-proto': ['gopher']},
        {'x-forwarded-host': ['a b']},
        {'x-forwarded-host': ['a/b']},
        {'forwarded': ['for=999.1.1.1']},
        {'forwarded': ['for="[::g]"']},
    ],
)
def test_what_is_malformed_is_no_address(fields):
    with pytest.raises(ValueError):
        originator(fields, trusted)


def v2(command, family, data, signature=b'\r\n\r\n\0\r\nQUIT\n'):
    return signature + struct.pack('!BBH', command, family, len(data)) + data


FOUR = struct.pack('!4s4sHH', bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]), 5000, 80)
SIX = struct.pack('!16s16sHH', bytes(15) + b'\1', bytes(15) + b'\2', 5000, 80)


@pytest.mark.parametrize(
    ('header', 'said'),
    [
        (b'PROXY TCP4 1.2.3.4 192.0.2.2 50 80\r\n', Proxied(('1.2.3.4', 50), ('192.0.2.2', 80))),
        (b'PROXY TCP6 ::1 ::2 0 65535\r\n', Proxied(('::1', 0), ('::2', 65535))),
        (b'PROXY UNKNOWN\r\n', Proxied(None, None)),
        (b'PROXY UNKNOWN ffff::1 what ever\r\n', Proxied(None, None)),
        (v2(0x21, 0x11, FOUR), Proxied(('192.0.2.1', 5000), ('192.0.2.2', 80))),
        (v2(0x21, 0x11, FOUR + b'\4\0\1x'), Proxied(('192.0.2.1', 5000), ('192.0.2.2', 80))),
        (v2(0x21, 0x21, SIX), Proxied(('::1', 5000), ('::2', 80))),
        (v2(0x20, 0x00, b''), Proxied(None, None)),
        (v2(0x20, 0x11, FOUR), Proxied(None, None)),
        (v2(0x21, 0x31, bytes(216)), Proxied(None, None)),
    ],
)  # fmt: skip
def test_a_proxy_header_is_found_at_each_cut(header, said):
    assert parse_proxy_header(header + b'GET / HTTP/1.1\r\n', LIMIT) == (said, len(header))
    for cut in range(len(header)):
        assert parse_proxy_header(header[:cut], LIMIT) is None


@pytest.mark.parametrize(
    'header',
    [
        b'GET / HTTP/1.1\r\n', b'\r\n\r\n\0\r\nQUIX\n', b'PROXZ', b'PROXY TCP4 1.2.3.4\r\n',
        b'PROXY TCP4 1.2.3.4 1.2.3.4 1 99999\r\n', b'PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n',
        b'PROXY TCP4 ::1 ::1 1 2\r\n', b'PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n',
        b'PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n', b'PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n',
        b'PROXY UNKNOWN ' + b'x' * MAX_V1, b'PROXY SCTP 1.2.3.4 1.2.3.4 1 2\r\n',
        v2(0x11, 0x11, FOUR), v2(0x22, 0x11, FOUR), v2(0x21, 0x11, FOUR[:-1]),
        v2(0x21, 0x12, FOUR), v2(0x21, 0x41, FOUR), v2(0x21, 0x11, bytes(LIMIT)),
    ],
)  # fmt: skip
def test_what_is_no_proxy_header_is_refused(header):
    with pytest.raises(ValueError):
        parse_proxy_header(header, LIMIT)
