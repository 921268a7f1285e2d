"""The look at the socket of a transport."""

from __future__ import annotations

import os
import socket

import pytest
from transporting import Ground, Recorder


@pytest.fixture
def ground():
    ground = Ground()
    yield ground
    ground.close()


def test_what_kind_of_socket_it_is(ground):
    transport, _ = ground.start(Recorder(), 'tcp')
    view = transport.get_extra_info('socket')
    assert (view.family, view.type) == (socket.AF_INET, socket.SOCK_STREAM)
    assert view.proto in (0, socket.IPPROTO_TCP)
    transport, _ = ground.start(Recorder(), 'unix')
    assert transport.get_extra_info('socket').family == socket.AF_UNIX


def test_names(ground):
    transport, theirs = ground.start(Recorder(), 'tcp')
    view = transport.get_extra_info('socket')
    assert view.getpeername() == theirs.getsockname()
    assert view.getsockname() == theirs.getpeername()


def test_options(ground):
    transport, _ = ground.start(Recorder(), 'tcp')
    view = transport.get_extra_info('socket')
    for value in (1, 0):
        view.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, value)
        assert view.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == value
    assert len(view.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)) == 8
    with pytest.raises(OSError):
        view.setsockopt(socket.SOL_SOCKET, 9999, 1)


def test_the_descriptor_stays_with_the_transport(ground):
    protocol = Recorder()
    transport, theirs = ground.start(protocol)
    view = transport.get_extra_info('socket')
    assert view.fileno() == transport.get_extra_info('handle').fileno()
    assert f'fd={view.fileno()}' in repr(view)
    del view
    theirs.send(b'spam')
    ground.until(lambda: protocol.received == b'spam')


@pytest.mark.parametrize('timeout', [None, 5.0])
def test_no_look_makes_the_transport_block(ground, timeout):
    transport, _ = ground.start(Recorder())
    view = transport.get_extra_info('socket')
    looks = [
        lambda: view.family, lambda: view.type, lambda: view.proto, view.getsockname,
        view.getpeername, lambda: view.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR),
        lambda: view.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096),
        lambda: view.dup().close(), lambda: transport.get_extra_info('unix_creds'),
    ]  # fmt: skip
    socket.setdefaulttimeout(timeout)
    try:
        for look in looks:
            look()
            assert not os.get_blocking(view.fileno())
    finally:
        socket.setdefaulttimeout(None)
    with view.dup() as duplicate:
        assert duplicate.gettimeout() == 0


def test_a_duplicate_is_the_callers(ground):
    transport, theirs = ground.start(Recorder())
    with transport.get_extra_info('socket').dup() as duplicate:
        transport.abort()
        ground.until(lambda: transport.closed)
        duplicate.send(b'still here')
        assert theirs.recv(20) == b'still here'


def test_after_the_end_there_is_no_descriptor(ground):
    transport, _ = ground.start(Recorder())
    view = transport.get_extra_info('socket')
    transport.abort()
    assert view.fileno() == -1
    with pytest.raises(OSError):
        view.getsockname()
    assert repr(view) == '<TransportSocket fd=-1>'
