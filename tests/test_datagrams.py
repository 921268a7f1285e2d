import asyncio
import errno
import os
import socket
import struct

import pytest

from gruvi_cffi import (
    DatagramProtocol,
    DatagramTransport,
    ResolverError,
    TransportError,
    create_datagram_endpoint,
    get_hub,
    limits,
    sleep,
)
from gruvi_cffi._native.tcp import TcpHandle
from gruvi_cffi._native.udp import UdpHandle

GROUP, GROUP6 = '239.255.10.1', 'ff12::8384'


class Recorder(DatagramProtocol):
    def __init__(self):
        super().__init__()
        self.calls = []
        self.errors = []
        self.lost = []
        self.flow = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.calls.append((data, addr))

    def error_received(self, exc):
        self.errors.append(exc)

    def connection_lost(self, exc):
        self.lost.append(exc)

    def pause_writing(self):
        self.flow.append('pause')

    def resume_writing(self):
        self.flow.append('resume')


class Echo(Recorder):
    def datagram_received(self, data, addr):
        super().datagram_received(data, addr)
        self.transport.sendto(data, addr)


def until(condition):
    for _ in range(10_000):
        if condition():
            return
        sleep(0.001)
    raise AssertionError('it did not happen')


@pytest.fixture
def make():
    made = []

    def create(factory=Recorder, *args, **kwargs):
        transport, protocol = create_datagram_endpoint(factory, *args, **kwargs)
        made.append(transport)
        return transport, protocol

    yield create
    for transport in made:
        transport.abort()
    until(lambda: all(transport.closed for transport in made))


@pytest.fixture(params=['127.0.0.1', '::1'])
def host(request):
    return request.param


def name(transport):
    return transport.get_extra_info('sockname')


# There and back.


def test_there_and_back(make, host):
    server, echo = make(Echo, (host, 0))
    client, recorder = make(Recorder, (host, 0))
    for data in (b'spam', b'', bytes(9000), bytearray(b'eggs'), memoryview(b'ham')):
        client.sendto(data, name(server))
        until(lambda: recorder.calls)
        assert recorder.calls.pop() == (bytes(data), name(server))
        assert echo.calls.pop() == (bytes(data), name(client))


def test_connected(make, host):
    server, _ = make(Echo, (host, 0))
    client, recorder = make(Recorder, None, name(server))
    stranger, _ = make(Recorder, (host, 0))
    assert client.get_extra_info('peername') == name(server)
    assert server.get_extra_info('peername') is None
    stranger.sendto(b'stranger', name(client))
    client.sendto(b'spam')
    client.sendto(b'eggs', name(server))
    until(lambda: len(recorder.calls) == 2)
    assert recorder.calls == [(b'spam', name(server)), (b'eggs', name(server))]
    with pytest.raises(ValueError, match='is connected to'):
        client.sendto(b'x', name(stranger))
    with pytest.raises(TransportError) as caught:
        server.sendto(b'x')
    assert caught.value.errno == errno.EDESTADDRREQ


def test_names_are_looked_up(make):
    server, _ = make(Echo, ('localhost', 0))
    client, recorder = make(Recorder, None, ('localhost', name(server)[1]), family=socket.AF_INET)
    if name(server)[0] == '127.0.0.1':
        client.sendto(b'spam')
        until(lambda: recorder.calls)
    with pytest.raises(ResolverError):
        create_datagram_endpoint(Recorder, None, ('nonesuch.invalid', 1))


def test_more_than_ring_and_arena_hold(make):
    server, recorder = make(Recorder, ('127.0.0.1', 0))
    server.get_extra_info('handle').set_buffers(receive=8_000_000)
    client, _ = make(Recorder, None, name(server))
    sizes = [0, 1, 100, 1400, 9000, 60000]
    sent = 0
    for number in range(6000):
        data = struct.pack('!I', number) + bytes(sizes[number % 6])
        client.sendto(data)
        sent += 1
        if sent % 20 == 0:
            until(lambda: len(recorder.calls) == sent)
    numbers = [struct.unpack('!I', data[:4])[0] for data, _ in recorder.calls]
    assert numbers == list(range(6000))
    assert all(
        len(data) == 4 + sizes[number % 6] for number, (data, _) in enumerate(recorder.calls)
    )


def test_a_burst_comes_in_one_turn_and_in_order(make):
    server, recorder = make(Recorder, ('127.0.0.1', 0))
    client, _ = make(Recorder, None, name(server))
    for number in range(100):
        client.sendto(b'%d' % number)
    until(lambda: len(recorder.calls) == 100)
    assert [int(data) for data, _ in recorder.calls] == list(range(100))


def test_a_thousand_peers(make, long):
    server, echo = make(Echo, ('127.0.0.1', 0))
    peers = [make(Recorder, None, name(server)) for _ in range(long(200, 1000))]
    for round_ in range(3):
        for number, (transport, _) in enumerate(peers):
            transport.sendto(b'%d' % round_)
            if number % 100 == 99:  # all of them are more than a socket of the system holds
                until(lambda: len(peers[number][1].calls) == round_ + 1)
        until(lambda: all(len(protocol.calls) == round_ + 1 for _, protocol in peers))
    assert len({addr for _, addr in echo.calls}) == len(peers)


def test_protocols_for_asyncio(make):
    class Theirs(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, addr):
            self.transport.sendto(data.upper(), addr)

    server, _ = make(Theirs, ('127.0.0.1', 0))
    client, recorder = make(Recorder, None, name(server))
    client.sendto(b'spam')
    until(lambda: recorder.calls)
    assert recorder.calls[0][0] == b'SPAM'


# Errors.


def test_nobody_there(make):
    gone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    gone.bind(('127.0.0.1', 0))
    address = gone.getsockname()
    gone.close()
    client, recorder = make(Recorder, None, address)
    for _ in range(2):
        client.sendto(b'spam')
        until(lambda: recorder.errors)
        assert isinstance(recorder.errors.pop(), ConnectionRefusedError)
    assert not client.is_closing()


def test_too_large(make):
    client, recorder = make(Recorder, ('127.0.0.1', 0))
    client.sendto(bytes(65535), name(client))
    client.sendto(b'behind it', name(client))
    until(lambda: recorder.errors and recorder.calls)
    assert recorder.errors[0].errno == errno.EMSGSIZE
    assert [data for data, _ in recorder.calls] == [b'behind it']
    with pytest.raises(TransportError) as caught:
        client.sendto(bytes(65537), name(client))
    assert caught.value.errno == errno.EMSGSIZE


def test_what_makes_no_sense(make):
    transport, _ = make(Recorder, ('127.0.0.1', 0))
    for wrong in ('text', 5, None):
        with pytest.raises(TypeError, match='bytes-like'):
            transport.sendto(wrong, name(transport))
    with pytest.raises(TransportError):
        transport.sendto(b'x', ('nonesuch', 1))
    with pytest.raises(ValueError, match='Unix'):
        create_datagram_endpoint(Recorder, '/tmp/socket')
    with pytest.raises(ValueError, match='Unix'):
        create_datagram_endpoint(Recorder, None, '/tmp/socket')
    with pytest.raises(TypeError):
        create_datagram_endpoint(Recorder, ('127.0.0.1',))
    with pytest.raises(TypeError):
        create_datagram_endpoint(Recorder, 1.5)
    with pytest.raises(ValueError, match='in common'):
        create_datagram_endpoint(Recorder, ('127.0.0.1', 0), ('::1', 1))
    with pytest.raises(TransportError) as caught:
        create_datagram_endpoint(Recorder, name(transport))
    assert caught.value.errno == errno.EADDRINUSE
    with pytest.raises(TransportError):
        create_datagram_endpoint(Recorder, ('192.0.2.1', 0))
    with TcpOf() as handle, pytest.raises(TypeError, match='UDP handle'):
        DatagramTransport(handle)


class TcpOf:
    def __enter__(self):
        self.handle = TcpHandle(get_hub().loop)
        return self.handle

    def __exit__(self, *exc):
        self.handle.abort()


def test_a_protocol_that_raises_is_no_reason_to_close(make, caplog):
    class Broken(Recorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            raise ZeroDivisionError('spam')

    server, broken = make(Broken, ('127.0.0.1', 0))
    for _ in range(2):
        server.sendto(b'x', name(server))
    until(lambda: len(broken.calls) == 2)
    assert 'ZeroDivisionError' in caplog.text
    assert not server.is_closing()


# Taking over.


@pytest.mark.parametrize('how', ['socket', 'fd', 'handle'])
def test_what_is_there_already(make, how):
    server, _ = make(Echo, ('127.0.0.1', 0))
    given = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    given.bind(('127.0.0.1', 0))
    address = given.getsockname()
    if how != 'socket':
        given = given.detach()
    if how == 'handle':
        given = UdpHandle(get_hub().loop, fd=given)
    client, recorder = make(Recorder, given, name(server))
    assert name(client) == address
    client.sendto(b'spam')
    until(lambda: recorder.calls)


def test_what_cannot_be_taken_over():
    reader, writer = os.pipe()
    stream = socket.socket()
    for given in (reader, stream, 999):
        with pytest.raises(TransportError):
            create_datagram_endpoint(Recorder, given)
    os.close(reader)
    os.close(writer)
    assert stream.fileno() >= 0
    stream.close()


# Options.


def test_broadcast(make):
    server, recorder = make(Recorder, ('0.0.0.0', 0))
    client, errors = make(Recorder, ('0.0.0.0', 0))
    target = ('127.255.255.255', name(server)[1])
    client.sendto(b'refused', target)
    until(lambda: errors.errors)
    assert isinstance(errors.errors[0], PermissionError)
    client, _ = make(Recorder, ('0.0.0.0', 0), broadcast=True)
    client.sendto(b'spam', target)
    until(lambda: recorder.calls)
    assert [data for data, _ in recorder.calls] == [b'spam']


def test_a_port_for_several(make):
    first, _ = make(Recorder, ('127.0.0.1', 0), reuse_port=True)
    second, _ = make(Recorder, name(first), reuse_port=True)
    assert name(first) == name(second)


def test_multicast(make):
    server, recorder = make(Recorder, ('0.0.0.0', 0))
    member = server.get_extra_info('handle')
    client, _ = make(Recorder, ('127.0.0.1', 0))
    sender = client.get_extra_info('handle')
    sender.set_interface('127.0.0.1')
    target = (GROUP, name(server)[1])

    def arrives(data):
        recorder.calls.clear()
        client.sendto(data, target)
        client.sendto(b'end', ('127.0.0.1', target[1]))
        until(lambda: recorder.calls and recorder.calls[-1][0] == b'end')
        return len(recorder.calls) == 2

    assert not arrives(b'before')
    member.join(GROUP, '127.0.0.1')
    assert arrives(b'joined')
    member.leave(GROUP, '127.0.0.1')
    assert not arrives(b'left')
    member.join(GROUP, '127.0.0.1', source='127.0.0.1')
    assert arrives(b'from that source')
    member.leave(GROUP, '127.0.0.1', source='127.0.0.1')
    member.join(GROUP, '127.0.0.1', source='127.0.0.2')
    assert not arrives(b'from another source')
    for call in (member.join, member.leave):
        with pytest.raises(TransportError):
            call('10.0.0.1')
        with pytest.raises(TransportError):
            call('spam')


def test_multicast_of_ipv6(make):
    # Loopback may have no route for it, so ask the kernel who is a member.
    def is_member():
        with open('/proc/net/igmp6') as file:
            return 'ff120000000000000000000000008384' in file.read()

    handle = make(Recorder, ('::', 0))[0].get_extra_info('handle')
    handle.join(GROUP6, '::1%lo')
    assert is_member()
    handle.leave(GROUP6, '::1%lo')
    assert not is_member()
    handle.set_interface('::%lo')


def test_options_reach_the_kernel(make):
    transport, _ = make(Recorder, ('127.0.0.1', 0))
    handle = transport.get_extra_info('handle')
    handle.set_ttl(7)
    handle.set_multicast_ttl(8)
    handle.set_multicast_loop(False)
    handle.set_buffers(receive=20_000, send=30_000)
    copy = socket.socket(fileno=os.dup(handle.fileno()))
    with copy:
        assert copy.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == 7
        assert copy.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 8
        assert copy.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP) == 0
        assert copy.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 40_000
        assert copy.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 60_000
    for call in (handle.set_ttl, handle.set_multicast_ttl, handle.set_buffers):
        with pytest.raises(TransportError):
            call(-1)


# Flow control.


def test_pause_and_resume(make):
    server, _ = make(Recorder, ('127.0.0.1', 0))
    client, _ = make(Recorder, None, name(server))

    class Pausing(Recorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            self.transport.pause_reading()

    one_by_one = Pausing()
    one_by_one.transport = server
    server.set_protocol(one_by_one)
    for number in range(5):
        client.sendto(b'%d' % number)
    for number in range(5):
        until(lambda: len(one_by_one.calls) == number + 1)
        sleep(0.001)
        assert len(one_by_one.calls) == number + 1
        assert not server.is_reading()
        server.resume_reading()
        server.resume_reading()
    assert [data for data, _ in one_by_one.calls] == [b'0', b'1', b'2', b'3', b'4']


def test_back_pressure(make):
    server, _ = make(Recorder, ('127.0.0.1', 0))
    client, recorder = make(Recorder, None, name(server))
    client.set_write_buffer_limits(10_000, 2_000)
    assert client.get_write_buffer_limits() == (2_000, 10_000)
    for _ in range(20):
        client.sendto(bytes(1000))
    assert recorder.flow == ['pause']
    assert client.get_write_buffer_size() == 20_000
    until(lambda: recorder.flow == ['pause', 'resume'])
    assert client.get_write_buffer_size() <= 2_000
    with pytest.raises(ValueError):
        client.set_write_buffer_limits(1, 2)


def test_a_queue_has_an_end(make, monkeypatch):
    monkeypatch.setattr(limits, 'DATAGRAM_QUEUE', 5000)
    server, receiver = make(Recorder, ('127.0.0.1', 0))
    client, recorder = make(Recorder, None, name(server))
    for _ in range(10):
        client.sendto(bytes(1000))
    until(lambda: len(recorder.errors) == 4)
    assert {error.errno for error in recorder.errors} == {errno.ENOBUFS}
    until(lambda: len(receiver.calls) == 6)


# The end.


def test_close_sends_what_is_queued(make):
    server, receiver = make(Recorder, ('127.0.0.1', 0))
    client, recorder = make(Recorder, None, name(server))
    for _ in range(30):
        client.sendto(b'spam')
    client.close()
    client.close()
    assert client.is_closing()
    with pytest.raises(TransportError, match='closing'):
        client.sendto(b'x')
    until(lambda: recorder.lost)
    assert recorder.lost == [None]
    until(lambda: len(receiver.calls) == 30)
    with pytest.raises(TransportError, match='closed'):
        client.sendto(b'x')
    assert client.get_extra_info('sockname') is None


def test_abort_drops_it(make):
    server, receiver = make(Recorder, ('127.0.0.1', 0))
    client, recorder = make(Recorder, None, name(server))
    client.sendto(b'dropped')
    client.close()
    client.abort()
    other, _ = make(Recorder, None, name(server))
    other.sendto(b'end')
    until(lambda: receiver.calls and recorder.lost)
    assert [data for data, _ in receiver.calls] == [b'end']


def test_a_transport_that_was_not_started():
    handle = UdpHandle(get_hub().loop)
    transport = DatagramTransport(handle)
    for call in (transport.close, transport.pause_reading, lambda: transport.sendto(b'x')):
        with pytest.raises(TransportError, match='not started'):
            call()
    transport.abort()
    until(lambda: transport.closed)
    with pytest.raises(TransportError, match='closed'):
        transport.start(Recorder())


def test_one_direction_only():
    for mode, call, words in (
        ('w', lambda transport: transport.pause_reading(), 'not for reading'),
        ('r', lambda transport: transport.sendto(b'x', ('127.0.0.1', 1)), 'not for writing'),
    ):
        transport = DatagramTransport(UdpHandle(get_hub().loop), mode)
        transport.start(Recorder())
        with pytest.raises(TransportError, match=words):
            call(transport)
        transport.abort()
