"""The base classes of protocols, and the fiber that handles messages."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from gruvi_cffi.errors import Cancelled
from gruvi_cffi.fibers import current_fiber
from gruvi_cffi.hub import get_hub, sleep
from gruvi_cffi.protocols import BaseProtocol, BufferedProtocol, MessageProtocol, Protocol


@pytest.mark.parametrize('name', ['BaseProtocol', 'Protocol', 'BufferedProtocol'])
def test_they_have_what_those_of_asyncio_have(name):
    ours, theirs = globals()[name], getattr(asyncio, name)
    for method, function in inspect.getmembers(theirs, inspect.isfunction):
        if not method.startswith('_'):
            there = list(inspect.signature(function).parameters)
            assert list(inspect.signature(getattr(ours, method)).parameters) == there


def test_they_do_nothing():
    protocol = Protocol()
    protocol.connection_made(None)
    protocol.data_received(b'data')
    assert not protocol.eof_received()
    protocol.pause_writing()
    protocol.resume_writing()
    protocol.connection_lost(None)
    assert not BufferedProtocol().eof_received()


def test_a_buffered_one_has_to_say_where_its_buffer_is():
    with pytest.raises(TypeError, match='BufferedProtocol'):
        BufferedProtocol().get_buffer(-1)


@pytest.mark.parametrize('kind', [BaseProtocol, Protocol, BufferedProtocol, MessageProtocol])
def test_a_subclass_need_not_call_init(kind):
    class Lazy(kind):
        def __init__(self):
            pass

    protocol = Lazy()
    assert protocol._timeout is None
    protocol.connection_made(None)
    protocol.connection_lost(None)


class FakeTransport:
    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda: self.calls.append(name)


def settle():
    for _ in range(5):
        sleep(0)


def start(handler, **kwargs):
    transport = FakeTransport()
    protocol = MessageProtocol(handler, **kwargs)
    protocol.connection_made(transport)
    return transport, protocol


def test_messages_are_handled_one_after_the_other():
    handled = []

    def handler(message, transport_, protocol_):
        assert (transport_, protocol_) == (transport, protocol)
        handled.append(f'begin {message}')
        sleep(0)
        handled.append(f'end {message}')

    transport, protocol = start(handler)
    for message in range(3):
        protocol.message_received(message)
    assert handled == []
    for _ in range(10):
        sleep(0)
    assert handled == [f'{what} {message}' for message in range(3) for what in ('begin', 'end')]


def test_an_idle_connection_holds_no_fiber():
    before = len(get_hub().fibers)
    fibers = []
    _transport, protocol = start(lambda *args: fibers.append(current_fiber()))
    protocol.message_received(1)
    settle()
    assert len(get_hub().fibers) == before
    protocol.message_received(2)
    settle()
    assert len(fibers) == 2
    assert len(get_hub().fibers) == before


def test_reading_is_paused_while_too_many_messages_wait():
    busy = True

    def handler(message, transport, protocol):
        while busy:
            sleep(0)

    transport, protocol = start(handler)
    protocol.max_queue_size = 3
    for message in range(2):
        protocol.message_received(message)
    assert transport.calls == []
    protocol.message_received(2)
    assert transport.calls == ['pause_reading']
    settle()
    assert transport.calls == ['pause_reading', 'resume_reading']
    busy = False
    settle()
    assert set(transport.calls[2:]) <= {'resume_reading'}


def test_a_handler_that_raises_closes_the_connection(caplog):
    handled = []

    def handler(message, transport, protocol):
        handled.append(message)
        raise ValueError(f'no {message}')

    transport, protocol = start(handler)
    protocol.message_received('spam')
    protocol.message_received('eggs')
    settle()
    assert handled == ['spam']
    assert transport.calls[-1] == 'close'
    assert 'no spam' in caplog.text


def test_losing_the_connection_cancels_the_handler_and_drops_the_rest():
    calls = []

    def handler(message, transport, protocol):
        calls.append(message)
        try:
            sleep(None)
        except Cancelled:
            calls.append('cancelled')
            raise

    _transport, protocol = start(handler)
    protocol.message_received('spam')
    protocol.message_received('eggs')
    settle()
    protocol.connection_lost(None)
    settle()
    assert calls == ['spam', 'cancelled']


def test_a_handler_that_was_not_begun_is_not_called_for_a_lost_connection():
    calls = []
    _transport, protocol = start(lambda *args: calls.append(args))
    protocol.message_received('spam')
    protocol.connection_lost(None)
    settle()
    assert calls == []
    protocol.message_received('late')
    settle()
    assert calls == []


def test_without_a_handler_messages_are_dropped():
    transport, protocol = start(None)
    protocol.message_received('spam')
    settle()
    assert transport.calls == []
