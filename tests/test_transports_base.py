"""How transports begin and end."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest
from transporting import Ground, Recorder

from gruvi_cffi import limits
from gruvi_cffi.errors import Cancelled, TransportError
from gruvi_cffi.transports import BaseTransport, Transport


@pytest.fixture
def ground():
    ground = Ground()
    yield ground
    ground.close()


@pytest.fixture(params=['unix', 'tcp'])
def kind(request):
    return request.param


def test_it_starts_with_connection_made(ground, kind):
    protocol = Recorder()
    transport, _ = ground.start(protocol, kind)
    assert protocol.calls == ['made']
    assert protocol.transport is transport
    assert transport.get_protocol() is protocol
    assert transport.is_reading()
    assert not transport.is_closing()


def test_it_starts_once(ground):
    transport, _ = ground.start(Recorder())
    with pytest.raises(TransportError, match='started already'):
        transport.start(Recorder())


def test_a_handle_of_another_kind_is_refused():
    with pytest.raises(TypeError, match='not str'):
        Transport('handle')


def test_an_unknown_mode_is_refused(ground):
    handle, _ = ground.pair()
    with pytest.raises(ValueError, match="not 'x'"):
        Transport(handle, mode='x')


def test_closing_what_was_not_started_is_refused(ground):
    handle, _ = ground.pair()
    with pytest.raises(TransportError, match='not started'):
        Transport(handle).close()


def test_close_tells_the_protocol_later_and_once(ground, kind):
    protocol = Recorder()
    transport, theirs = ground.start(protocol, kind)
    transport.close()
    transport.close()
    assert transport.is_closing()
    assert protocol.calls == ['made']
    ground.until(lambda: transport.closed)
    ground.turns()
    assert protocol.calls == ['made', ('lost', None)]
    assert theirs.recv(1) == b''


def test_abort_tells_the_protocol_later_and_once(ground, kind):
    protocol = Recorder()
    transport, _ = ground.start(protocol, kind)
    transport.abort()
    transport.abort()
    assert protocol.calls == ['made']
    ground.until(lambda: transport.closed)
    transport.abort()
    transport.close()
    ground.turns()
    assert protocol.calls == ['made', ('lost', None)]


def test_abort_resets_a_tcp_connection(ground):
    transport, theirs = ground.start(Recorder(), 'tcp')
    transport.abort()
    ground.until(lambda: transport.closed)
    with pytest.raises(ConnectionResetError):
        theirs.recv(1)


def test_abort_before_the_start_closes_the_handle(ground):
    handle, theirs = ground.pair()
    transport = Transport(handle)
    transport.abort()
    ground.until(lambda: transport.closed)
    assert theirs.recv(1) == b''
    with pytest.raises(TransportError, match='was closed'):
        transport.start(Recorder())


def test_a_base_transport_closes_at_once(ground):
    class Plain(BaseTransport):
        def start(self):
            self._state = 1

    handle, theirs = ground.pair()
    transport = Plain(handle)
    transport.start()
    transport.close()
    ground.until(lambda: transport.closed)
    assert theirs.recv(1) == b''


def test_closing_in_connection_made(ground):
    class Closing(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.write(b'bye')
            transport.close()

    protocol = Closing()
    transport, theirs = ground.start(protocol)
    theirs.send(b'too late')
    ground.until(lambda: transport.closed)
    assert theirs.recv(10) == b'bye'
    assert protocol.calls == ['made', ('lost', None)]


def test_a_reset_by_the_peer_is_told(ground):
    protocol = Recorder()
    transport, theirs = ground.start(protocol, 'tcp')
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
    theirs.close()
    ground.until(lambda: transport.closed)
    assert isinstance(protocol.error, ConnectionResetError)
    assert isinstance(protocol.error, TransportError)
    assert transport.error is protocol.error


def test_a_reset_behind_data_is_told_all_the_same(ground):
    protocol = Recorder()
    transport, theirs = ground.start(protocol, 'tcp')
    theirs.send(b'half a mess')
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
    theirs.close()
    ground.until(lambda: transport.closed)
    assert 'eof' not in protocol.calls
    assert isinstance(protocol.error, ConnectionResetError)


def test_eof_behind_data_is_eof_also_when_we_have_written(ground):
    protocol = Recorder()
    transport, theirs = ground.start(protocol, 'tcp')
    theirs.send(b'all of it')
    theirs.close()
    transport.write(b'nobody reads this')
    ground.until(lambda: transport.closed)
    assert protocol.received == b'all of it'
    assert 'eof' in protocol.calls


def test_close_callbacks_come_before_connection_lost(ground):
    protocol = Recorder()
    transport, _ = ground.start(protocol)
    transport.add_close_callback(protocol.calls.append, 'callback 1')
    transport.add_close_callback(protocol.calls.append, 'callback 2')
    transport.close()
    ground.until(lambda: transport.closed)
    assert protocol.calls == ['made', 'callback 1', 'callback 2', ('lost', None)]


def test_a_close_callback_is_called_at_once_when_it_is_too_late(ground):
    transport, _ = ground.start(Recorder())
    transport.abort()
    ground.until(lambda: transport.closed)
    called = []
    transport.add_close_callback(called.append, 1)
    assert called == [1]


def test_a_close_callback_that_raises_keeps_nobody_from_being_told(ground, caplog):
    protocol = Recorder()
    transport, _ = ground.start(protocol)
    transport.add_close_callback(lambda: 1 / 0)
    transport.add_close_callback(protocol.calls.append, 'callback')
    transport.abort()
    ground.until(lambda: transport.closed)
    assert protocol.calls == ['made', 'callback', ('lost', None)]
    assert 'ZeroDivisionError' in caplog.text


def test_connection_lost_that_raises_is_logged(ground, caplog):
    class Broken(Recorder):
        def connection_lost(self, exc):
            raise ValueError('so what')

    transport, _ = ground.start(Broken())
    transport.abort()
    ground.until(lambda: transport.closed)
    assert 'so what' in caplog.text


def test_connection_made_that_raises_ends_the_connection(ground):
    class Broken(Recorder):
        def connection_made(self, transport):
            raise ValueError('no')

    handle, theirs = ground.pair()
    protocol = Broken()
    transport = Transport(handle)
    with pytest.raises(ValueError, match='no'):
        transport.start(protocol)
    ground.until(lambda: transport.closed)
    assert isinstance(protocol.error, ValueError)
    assert theirs.recv(1) == b''


def test_data_received_that_raises_ends_the_connection(ground, caplog):
    class Broken(Recorder):
        def data_received(self, data):
            raise ValueError('no such thing')

    protocol = Broken()
    transport, theirs = ground.start(protocol)
    theirs.send(b'thing')
    ground.until(lambda: transport.closed)
    assert isinstance(protocol.error, ValueError)
    assert 'no such thing' in caplog.text


@pytest.mark.parametrize('stray', [asyncio.CancelledError, Cancelled, GeneratorExit])
def test_a_stray_cancellation_ends_that_connection_alone(ground, caplog, stray):
    class Broken(Recorder):
        def data_received(self, data):
            raise stray

    protocol = Broken()
    transport, theirs = ground.start(protocol)
    theirs.send(b'thing')
    ground.until(lambda: transport.closed)
    assert isinstance(protocol.error, TransportError)
    assert stray.__name__ in caplog.text


def test_eof_received_that_raises_ends_the_connection(ground, caplog):
    class Broken(Recorder):
        def eof_received(self):
            raise ValueError('never')

    protocol = Broken()
    transport, theirs = ground.start(protocol)
    theirs.close()
    ground.until(lambda: transport.closed)
    assert isinstance(protocol.error, ValueError)
    assert 'never' in caplog.text


def test_writing_to_a_broken_connection_is_no_error_in_the_log(ground, caplog):
    class Proxy(Recorder):
        def data_received(self, data):
            other.write(data)

    other, gone = ground.start(Recorder(keep_open=True))
    protocol = Proxy()
    _, theirs = ground.start(protocol)
    gone.close()
    theirs.send(b'x' * 100_000)  # large enough to be tried at once
    ground.until(lambda: protocol.lost)
    assert isinstance(protocol.error, BrokenPipeError)
    assert [r for r in caplog.records if r.levelno > logging.DEBUG] == []


@pytest.mark.parametrize('method', ['pause_writing', 'resume_writing'])
def test_flow_control_that_raises_is_logged_and_no_more(ground, caplog, method):
    def broken():
        raise ValueError(method)

    protocol = Recorder()
    setattr(protocol, method, broken)
    transport, theirs = ground.start(protocol)
    size = limits.WRITE_HIGH * 100
    transport.write(bytes(size))
    assert len(ground.receive(theirs, size)) == size
    ground.turns()
    assert f'ValueError: {method}' in caplog.text
    assert not transport.is_closing()


def test_it_says_what_it_is(ground):
    transport, _ = ground.start(Recorder())
    assert repr(transport) == "<Transport open peername=''>"
    transport.close()
    assert 'closing' in repr(transport)
    ground.until(lambda: transport.closed)
    assert 'closed' in repr(transport)
