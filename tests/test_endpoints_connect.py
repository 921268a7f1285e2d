"""Connecting when something is slow, refused, or in the way."""

from __future__ import annotations

import contextlib
import errno
import pathlib
import socket
import tempfile
import threading

import pytest
from transporting import Recorder

from gruvi_cffi import limits
from gruvi_cffi._native.tcp import TcpHandle
from gruvi_cffi.address import AddressInfo
from gruvi_cffi.connect import interleave
from gruvi_cffi.endpoints import create_connection
from gruvi_cffi.errors import Cancelled, ConnectTimeout, ResolverError, Timeout, TransportError
from gruvi_cffi.fibers import spawn
from gruvi_cffi.hub import sleep


def closed(transport):
    transport.abort()
    while not transport.closed:
        sleep(0)


@pytest.fixture
def resources():
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def listening(resources):
    """Make listeners on addresses of their own, with the same port."""

    def make(*hosts):
        port = 0
        for host in hosts:
            family = socket.AF_INET6 if ':' in host else socket.AF_INET
            listener = resources.enter_context(socket.socket(family))
            listener.bind((host, port))
            listener.listen()
            port = listener.getsockname()[1]
        return port

    return make


@pytest.fixture
def silence(resources):
    """Make addresses that neither answer nor refuse: their backlog is full."""

    def make(host, port=0):
        listener = resources.enter_context(socket.socket())
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            filler = resources.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        return listener.getsockname()[1]

    return make


@pytest.fixture
def names(monkeypatch):
    """Names and the addresses that they have."""
    known = {}
    system = socket.getaddrinfo

    def look_up(node, service, family=0, socktype=0, proto=0, flags=0):
        if node not in known:
            return system(node, service, family, socktype, proto, flags)
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, 'not numeric')
        return [entry for host in known[node] for entry in system(host, service, 0, socktype)]

    monkeypatch.setattr(socket, 'getaddrinfo', look_up)
    return known


@pytest.fixture
def refusing(resources):
    """A port on which nobody listens, and nobody else can."""
    bound = resources.enter_context(socket.socket())
    bound.bind(('127.0.0.1', 0))
    return bound.getsockname()[1]


def connected_to(address, **kwargs):
    transport, _ = create_connection(Recorder, address, **kwargs)
    peer = transport.get_extra_info('peername')
    closed(transport)
    return peer


# Errors.


def test_a_refused_connection_says_where(refusing):
    with pytest.raises(ConnectionRefusedError) as raised:
        create_connection(Recorder, ('127.0.0.1', refusing))
    assert str(raised.value) == f'could not connect to 127.0.0.1:{refusing}: connection refused'
    assert isinstance(raised.value, TransportError)
    assert raised.value.errno == errno.ECONNREFUSED
    assert raised.value.uv_errno == -errno.ECONNREFUSED


def test_a_missing_unix_socket_says_which():
    with tempfile.TemporaryDirectory() as folder:
        with pytest.raises(FileNotFoundError, match=f"could not connect to '{folder}/missing'"):
            create_connection(Recorder, f'{folder}/missing')


def test_an_abstract_name_that_nobody_listens_on():
    with pytest.raises(ConnectionRefusedError):
        create_connection(Recorder, '\0nobody-listens-here')


def test_a_unix_name_that_is_too_long():
    with pytest.raises(TransportError, match='name too long'):
        create_connection(Recorder, '/' + 'x' * 200)


def test_an_unknown_host():
    with pytest.raises(ResolverError, match=r'does-not-exist\.invalid'):
        create_connection(Recorder, ('does-not-exist.invalid', 80))


def test_when_all_addresses_fail_all_are_named(names, refusing):
    names['all.test'] = ['127.0.0.1', '127.0.0.2']
    with pytest.raises(ConnectionRefusedError) as raised:
        create_connection(Recorder, ('all.test', refusing))
    for host in ('127.0.0.1', '127.0.0.2'):
        assert f'could not connect to {host}:{refusing}: connection refused' in str(raised.value)


# Happy eyeballs.


def info(family, host):
    return AddressInfo(family, socket.SOCK_STREAM, 0, '', (host, 80))


def test_the_families_take_turns():
    four, six = socket.AF_INET, socket.AF_INET6
    found = [info(six, 'a'), info(six, 'b'), info(six, 'c'), info(four, 'd'), info(four, 'e')]
    assert [one.sockaddr[0] for one in interleave(found)] == ['a', 'd', 'b', 'e', 'c']
    assert interleave([]) == []


def test_after_a_failure_the_next_is_tried_at_once(names, listening, monkeypatch):
    monkeypatch.setattr(limits, 'ATTEMPT_DELAY', 3600)
    port = listening('127.0.0.3')
    names['some.test'] = ['127.0.0.1', '127.0.0.2', '127.0.0.3']
    assert connected_to(('some.test', port)) == ('127.0.0.3', port)


def test_a_failure_beside_one_that_does_not_answer_is_no_reason_to_wait(
    names, silence, listening, monkeypatch
):
    connect = TcpHandle.connect

    def then_never_mind_the_time(handle, host, *rest):
        if host == '127.0.0.2':
            monkeypatch.setattr(limits, 'ATTEMPT_DELAY', 3600)
        connect(handle, host, *rest)

    monkeypatch.setattr(limits, 'ATTEMPT_DELAY', 0.01)
    monkeypatch.setattr(TcpHandle, 'connect', then_never_mind_the_time)
    port = listening('127.0.0.3')
    silence('127.0.0.1', port)
    names['some.test'] = ['127.0.0.1', '127.0.0.2', '127.0.0.3']
    assert connected_to(('some.test', port)) == ('127.0.0.3', port)


def test_one_that_does_not_answer_is_overtaken(names, silence, listening, monkeypatch):
    monkeypatch.setattr(limits, 'ATTEMPT_DELAY', 0.01)
    port = listening('127.0.0.3')
    for host in ('127.0.0.1', '127.0.0.2'):
        silence(host, port)
    names['slow.test'] = ['127.0.0.1', '127.0.0.2', '127.0.0.3']
    assert connected_to(('slow.test', port)) == ('127.0.0.3', port)


def test_the_first_that_answers_wins(names, listening, monkeypatch):
    monkeypatch.setattr(limits, 'ATTEMPT_DELAY', 0)
    port = listening('127.0.0.1', '127.0.0.2')
    names['two.test'] = ['127.0.0.1', '127.0.0.2']
    assert connected_to(('two.test', port)) in {('127.0.0.1', port), ('127.0.0.2', port)}


def test_both_families_are_tried(names, listening):
    names['both.test'] = ['::1', '127.0.0.1']
    port = listening('127.0.0.1')
    assert connected_to(('both.test', port)) == ('127.0.0.1', port)
    names['both.test'] = ['127.0.0.1', '::1']
    port = listening('::1')
    assert connected_to(('both.test', port))[:2] == ('::1', port)


def test_the_family_can_be_chosen(listening):
    port = listening('127.0.0.1', '::1')
    assert connected_to(('localhost', port), family=socket.AF_INET) == ('127.0.0.1', port)
    with pytest.raises(ResolverError):
        connected_to(('127.0.0.1', port), family=socket.AF_INET6)


def test_an_address_with_flow_and_scope(listening):
    port = listening('::1')
    assert connected_to(('::1', port, 0, 0)) == ('::1', port, 0, 0)


# Time.


def test_a_connection_that_takes_too_long(silence):
    port = silence('127.0.0.1')
    with pytest.raises(ConnectTimeout) as raised:
        create_connection(Recorder, ('127.0.0.1', port), timeout=0.02)
    assert str(raised.value) == f'could not connect to 127.0.0.1:{port} within 0.02 seconds'
    assert isinstance(raised.value, (TransportError, Timeout))
    assert raised.value.errno == errno.ETIMEDOUT


def test_the_timeout_holds_for_all_addresses_together(names, silence, monkeypatch):
    monkeypatch.setattr(limits, 'ATTEMPT_DELAY', 0.01)
    port = silence('127.0.0.1')
    silence('127.0.0.2', port)
    names['slow.test'] = ['127.0.0.1', '127.0.0.2']
    with pytest.raises(ConnectTimeout, match=r'slow\.test'):
        create_connection(Recorder, ('slow.test', port), timeout=0.05)


@pytest.fixture
def deaf(monkeypatch):
    """A resolver that does not answer before the test ends."""
    let = threading.Event()

    def look_up(node, service, family=0, socktype=0, proto=0, flags=0):
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, 'not numeric')
        let.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, 'too late')

    monkeypatch.setattr(socket, 'getaddrinfo', look_up)
    yield
    let.set()


def test_the_timeout_holds_for_the_lookup_too(deaf):
    with pytest.raises(ConnectTimeout, match=r'within 0\.02 seconds'):
        create_connection(Recorder, ('slow.test', 80), timeout=0.02)


def test_without_a_timeout_the_lookup_has_its_own(deaf, monkeypatch):
    monkeypatch.setattr(limits, 'RESOLVER_TIMEOUT', 0.02)
    with pytest.raises(Timeout, match='look up') as raised:
        create_connection(Recorder, ('slow.test', 80))
    assert not isinstance(raised.value, ConnectTimeout)


def test_a_cancelled_lookup_leaves_nothing(deaf):
    fiber = spawn(create_connection, Recorder, ('slow.test', 80))
    sleep(0)
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.result()


def test_a_cancelled_connection_leaves_nothing(names, silence, monkeypatch):
    monkeypatch.setattr(limits, 'ATTEMPT_DELAY', 0)
    port = silence('127.0.0.1')
    silence('127.0.0.2', port)
    names['slow.test'] = ['127.0.0.1', '127.0.0.2']
    fiber = spawn(create_connection, Recorder, ('slow.test', port))
    for _ in range(20):
        sleep(0.001)
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.result()


@pytest.mark.parametrize('turns', range(6))
def test_cancelling_at_any_moment_leaves_nothing(listening, turns):
    port = listening('127.0.0.1')
    protocol = Recorder()
    fiber = spawn(create_connection, lambda: protocol, ('127.0.0.1', port))
    for _ in range(turns):
        sleep(0)
    fiber.cancel()
    try:
        transport, _ = fiber.result()
    except Cancelled:
        assert protocol.calls in ([], ['made', ('lost', None)])
    else:
        closed(transport)


# A Unix socket whose backlog is full.


@pytest.fixture
def full(resources):
    folder = resources.enter_context(tempfile.TemporaryDirectory(prefix='g'))
    listener = resources.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(f'{folder}/socket')
    listener.listen(0)
    with contextlib.suppress(BlockingIOError):
        while True:
            filler = resources.enter_context(socket.socket(socket.AF_UNIX))
            filler.setblocking(False)
            filler.connect(f'{folder}/socket')
    return listener


def test_a_full_backlog_is_waited_for(full):
    fiber = spawn(create_connection, Recorder, full.getsockname())
    for _ in range(10):
        sleep(0.001)
    assert fiber.alive
    full.accept()[0].close()
    transport, protocol = fiber.result()
    assert protocol.calls == ['made']
    closed(transport)


@pytest.mark.parametrize('kind', [str, str.encode, pathlib.Path])
def test_a_backlog_that_stays_full_is_a_timeout(full, kind):
    with pytest.raises(ConnectTimeout, match=r'socket within 0.02 seconds'):
        create_connection(Recorder, kind(full.getsockname()), timeout=0.02)


def test_waiting_for_a_full_backlog_can_be_cancelled(full):
    fiber = spawn(create_connection, Recorder, full.getsockname())
    sleep(0.001)
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.result()


# The local address.


def test_the_local_address_is_bound(listening, resources):
    port = listening('127.0.0.1')
    for local in (('127.0.0.2', 0), ('localhost', 0)):
        transport, _ = create_connection(Recorder, ('127.0.0.1', port), local_address=local)
        expected = '127.0.0.2' if local[0] == '127.0.0.2' else '127.0.0.1'
        assert transport.get_extra_info('sockname')[0] == expected
        closed(transport)


def test_a_local_address_of_another_family(listening):
    port = listening('127.0.0.1')
    with pytest.raises(TransportError, match='local address is of another family'):
        create_connection(Recorder, ('127.0.0.1', port), local_address=('::1', 0))


def test_a_local_address_that_is_taken(listening, refusing):
    port = listening('127.0.0.1')
    with pytest.raises(TransportError, match='could not bind to') as raised:
        create_connection(
            Recorder, ('127.0.0.1', port), local_address=('127.0.0.1', refusing), timeout=5
        )
    assert raised.value.errno == errno.EADDRINUSE


def test_a_local_address_is_for_tcp():
    with pytest.raises(ValueError, match='local address is for TCP'):
        create_connection(Recorder, '/run/socket', local_address=('127.0.0.1', 0))
