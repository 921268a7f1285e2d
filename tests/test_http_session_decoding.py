"""Compressed bodies: undone piece by piece, and no further than is good."""

import gzip
import importlib.util
import random
import zlib

import pytest
from rawserver import RawServer, response

from gruvi_cffi import limits
from gruvi_cffi.http import HttpSession, MessageError, MessageTooLarge, MessageTruncated

_random = random.Random(5)
TEXT = bytes(_random.choices(b'spam eggs ', k=300_000))


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKERS = {
    'gzip': gzip.compress,
    'x-gzip': gzip.compress,
    'deflate': zlib.compress,
    'deflate, as some servers send it': raw_deflate,
}
if importlib.util.find_spec('brotli'):
    import brotli

    PACKERS['br'] = lambda data: brotli.compress(data, quality=3)
if importlib.util.find_spec('backports') and importlib.util.find_spec('backports.zstd'):
    from backports import zstd

    PACKERS['zstd'] = zstd.compress


def coding(name):
    return name.partition(',')[0]


@pytest.fixture
def session():
    with HttpSession(timeout=10) as session:
        yield session


@pytest.fixture(params=PACKERS)
def packing(request):
    return coding(request.param), PACKERS[request.param]


@pytest.mark.parametrize('text', [b'', b'x', TEXT, bytes(1_000_000)])
def test_a_compressed_body_is_undone(session, packing, text):
    name, pack = packing
    body = pack(text)
    with RawServer([response(body, Content_Encoding=name)]) as server:
        said = session.get(server.url)
    assert said.content == text
    assert said.headers['Content-Encoding'] == name
    assert said.size == len(body)


def test_it_may_come_in_any_pieces(session, packing):
    name, pack = packing
    body = pack(TEXT[:2000])
    head = f'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: {name}\r\n\r\n'
    chunks = b''.join(b'1\r\n%b\r\n' % body[at : at + 1] for at in range(len(body)))
    with RawServer([head.encode() + chunks + b'0\r\n\r\n']) as server:
        with session.get(server.url, stream=True) as said:
            assert b''.join(said.iter_bytes()) == TEXT[:2000]


def test_pieces_are_small_and_come_as_they_are_wanted(session, packing):
    name, pack = packing
    with RawServer([response(pack(TEXT * 10), Content_Encoding=name)]) as server:
        with session.get(server.url, stream=True) as said:
            sizes = [len(piece) for piece in said.iter_bytes()]
    assert sum(sizes) == len(TEXT) * 10
    assert max(sizes) <= 2 * 65536


def test_a_bomb_goes_no_further(session, packing):
    name, pack = packing
    body = pack(bytes(300 * 1024 * 1024))
    with RawServer([response(body, Content_Encoding=name)]) as server:
        seen = 0
        with (
            session.get(server.url, stream=True) as said,
            pytest.raises(MessageTooLarge, match='become more'),
        ):
            for piece in said.iter_bytes():
                seen += len(piece)
    assert seen <= max(limits.HTTP_DECODED_FREE, limits.HTTP_DECODED_RATIO * len(body))


def test_what_breaks_off_is_an_error(session, packing):
    name, pack = packing
    with RawServer([response(pack(TEXT)[:-20], Content_Encoding=name)]) as server:
        with pytest.raises(MessageError):
            session.get(server.url)


def test_a_gzip_that_breaks_off_is_truncated(session):
    with RawServer([response(gzip.compress(TEXT)[:-20], Content_Encoding='gzip')]) as server:
        with pytest.raises(MessageTruncated, match='ends in the middle'):
            session.get(server.url)


def test_what_was_not_compressed_is_an_error(session, packing):
    with RawServer([response(b'\xff hello', Content_Encoding=packing[0])]) as server:
        with pytest.raises(MessageError):
            session.get(server.url)


def test_several_members_follow_each_other(session):
    body = gzip.compress(b'one ') + gzip.compress(b'two')
    with RawServer([response(body, Content_Encoding='gzip')]) as server:
        assert session.get(server.url).content == b'one two'


def test_codings_are_undone_in_their_order(session):
    body = gzip.compress(zlib.compress(TEXT))
    with RawServer([response(body, Content_Encoding='deflate, identity, gzip')]) as server:
        assert session.get(server.url).content == TEXT


def test_there_are_not_too_many_codings(session):
    with RawServer([response(b'x', Content_Encoding=', '.join(['gzip'] * 5))]) as server:
        with pytest.raises(MessageTooLarge, match='5 times'):
            session.get(server.url)


def test_an_unknown_coding_is_left_alone(session):
    with RawServer([response(b'abc', Content_Encoding='compress')]) as server:
        assert session.get(server.url).content == b'abc'


def test_raw_bytes_can_be_had(session):
    body = gzip.compress(TEXT)
    with RawServer([response(body, Content_Encoding='gzip')]) as server:
        with session.get(server.url, stream=True) as said:
            assert b''.join(said.iter_raw()) == body


def test_a_response_to_head_is_not_decoded(session):
    with RawServer(
        [b'HTTP/1.1 200 OK\r\nContent-Length: 50\r\nContent-Encoding: gzip\r\n\r\n']
    ) as server:
        assert session.head(server.url).content == b''
