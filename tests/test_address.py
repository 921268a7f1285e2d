"""Addresses as text, and looking up names."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading

import pytest

from gruvi_cffi import limits
from gruvi_cffi.address import getaddrinfo, getnameinfo, paddr, saddr
from gruvi_cffi.errors import Cancelled, ResolverError, Timeout, TransportError
from gruvi_cffi.fibers import spawn
from gruvi_cffi.hub import get_hub, sleep
from gruvi_cffi.resolverthreads import ResolverThreads, get_threads


@pytest.mark.parametrize(
    ('address', 'text'),
    [
        (('127.0.0.1', 80), '127.0.0.1:80'),
        (('localhost', 'http'), 'localhost:http'),
        (('::1', 80), '[::1]:80'),
        (('fe80::1', 80, 0, 3), '[fe80::1]:80'),
        ('/run/socket', '/run/socket'),
        (b'/run/socket', '/run/socket'),
        ('\0abstract', '\0abstract'),
        ('', ''),
    ],
)
def test_an_address_as_text(address, text):
    assert saddr(address) == text


@pytest.mark.parametrize('address', [(), ('host',), ('a', 1, 2), 80, None, ['host', 80]])
def test_what_is_no_address(address):
    with pytest.raises(TypeError, match='need a name'):
        saddr(address)


@pytest.mark.parametrize(
    ('text', 'address'),
    [
        ('127.0.0.1:80', ('127.0.0.1', 80)),
        ('host:0', ('host', 0)),
        (':80', ('', 80)),
        ('[::1]:80', ('::1', 80)),
        ('/run/socket', '/run/socket'),
        ('/run/odd:1', '/run/odd:1'),
        ('\0a:b', '\0a:b'),
        ('socket', 'socket'),
    ],
)
def test_text_as_an_address(text, address):
    assert paddr(text) == address


@pytest.mark.parametrize(
    'text', ['host:', 'host:http', 'host:-1', '[::1]', '[::1]80', '::1', 'a:²']
)
def test_text_that_is_no_address(text):
    with pytest.raises(ValueError, match='no'):
        paddr(text)


@pytest.mark.parametrize('text', [b'host:80', None, ('host', 80)])
def test_what_is_no_text(text):
    with pytest.raises(TypeError, match=type(text).__name__):
        paddr(text)


@pytest.fixture
def no_threads(monkeypatch):
    """Fail whoever needs a thread."""

    def submit(*args):
        raise AssertionError(f'a thread was asked for: {args}')

    monkeypatch.setattr(get_threads(), 'submit', submit)


@pytest.fixture
def slow(monkeypatch):
    """Threads that answer when they are let, and the names that they were asked for."""
    resolver = ResolverThreads()
    resolver.let = threading.Event()
    resolver.asked = []

    def look_up(node, *args):
        resolver.asked.append(node)
        resolver.let.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, '', ('127.0.0.1', 0))]

    def by_name(node, service, family, socktype, protocol, flags):
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, 'not numeric')
        return look_up(node)

    monkeypatch.setattr(socket, 'getaddrinfo', by_name)
    monkeypatch.setattr('gruvi_cffi.resolverthreads._threads', resolver)
    yield resolver
    resolver.let.set()


@pytest.mark.parametrize(
    ('node', 'family', 'sockaddr'),
    [
        ('127.0.0.1', socket.AF_INET, ('127.0.0.1', 80)),
        ('::1', socket.AF_INET6, ('::1', 80, 0, 0)),
        (None, socket.AF_INET, ('127.0.0.1', 80)),
        (b'127.0.0.1', socket.AF_INET, ('127.0.0.1', 80)),
    ],
)
@pytest.mark.parametrize('port', [80, '80'])
def test_numeric_hosts_need_no_thread(no_threads, node, family, sockaddr, port):
    found = getaddrinfo(node, port, family, socket.SOCK_STREAM)
    assert [info.sockaddr for info in found] == [sockaddr]
    assert found[0]._fields == ('family', 'socktype', 'proto', 'canonname', 'sockaddr')
    assert found[0].family == family
    assert found[0].socktype == socket.SOCK_STREAM


def test_a_name_is_looked_up():
    found = getaddrinfo('localhost', 80, socktype=socket.SOCK_STREAM)
    assert {info.sockaddr[:2] for info in found} & {('127.0.0.1', 80), ('::1', 80)}


def outcome(function, *args):
    """Return what a lookup gives, or the number of its error."""
    try:
        return [tuple(entry) for entry in function(*args)]
    except socket.gaierror as error:
        return error.errno


def test_a_service_is_looked_up_as_the_system_does_it():
    # A small system has no list of services, and then no name of one is known.
    query = '127.0.0.1', 'http', socket.AF_INET, socket.SOCK_STREAM
    assert outcome(getaddrinfo, *query) == outcome(socket.getaddrinfo, *query)


@pytest.mark.parametrize(
    ('args', 'name'),
    [
        (('does-not-exist.invalid',), 'does-not-exist.invalid'),
        (('127.0.0.1', 'no-such-service'), 'no-such-service'),
        (('::1', 80, socket.AF_INET), '::1'),
        (('x' * 64 + '.invalid',), 'x' * 64),
        (('nul\0host',), 'nul'),
    ],
)
def test_what_cannot_be_looked_up(args, name):
    with pytest.raises(ResolverError, match=name) as raised:
        getaddrinfo(*args)
    assert isinstance(raised.value, TransportError)
    assert isinstance(raised.value, socket.gaierror)


def test_the_number_of_the_error_is_that_of_the_system():
    with pytest.raises(ResolverError) as raised:
        getaddrinfo('::1', 80, socket.AF_INET)
    assert raised.value.errno in (socket.EAI_ADDRFAMILY, socket.EAI_NONAME)


def test_a_lookup_that_takes_too_long_times_out(slow):
    with pytest.raises(Timeout, match=r"look up 'slow' with service 80 within 0.01 seconds"):
        getaddrinfo('slow', 80, timeout=0.01)


def test_what_nobody_waits_for_is_not_looked_up(slow, monkeypatch):
    monkeypatch.setattr(limits, 'RESOLVER_THREADS', 1)
    first = spawn(getaddrinfo, 'first')
    while not slow.asked:
        sleep(0.001)
    with pytest.raises(Timeout):
        getaddrinfo('second', timeout=0)
    first.cancel()
    fiber = spawn(getaddrinfo, 'third')
    sleep(0)
    slow.let.set()
    assert fiber.result()[0].sockaddr == ('127.0.0.1', 0)
    assert slow.asked == ['first', 'third']


def test_a_lookup_can_be_cancelled(slow):
    fiber = spawn(getaddrinfo, 'slow')
    sleep(0)
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.result()


def test_there_are_no_more_threads_than_allowed(slow, monkeypatch):
    monkeypatch.setattr(limits, 'RESOLVER_THREADS', 3)
    fibers = [spawn(getaddrinfo, f'slow-{number}') for number in range(20)]
    sleep(0)
    names = [t.name for t in threading.enumerate() if t.name.startswith('gruvi-resolver')]
    assert slow._threads == 3
    assert len(names) >= 3
    assert all(t.daemon for t in threading.enumerate() if t.name in names)
    slow.let.set()
    for fiber in fibers:
        fiber.result()
    assert slow._threads == 3


def test_a_thread_is_used_again(slow):
    slow.let.set()
    for number in range(5):
        getaddrinfo(f'name-{number}')
        while slow._busy:
            sleep(0)
    assert slow._threads == 1


def test_too_many_lookups_are_refused(slow, monkeypatch):
    monkeypatch.setattr(limits, 'RESOLVER_QUEUE', 2)
    fibers = [spawn(getaddrinfo, f'slow-{number}') for number in range(2)]
    sleep(0)
    with pytest.raises(ResolverError, match='2 lookups wait already'):
        getaddrinfo('one-too-many')
    slow.let.set()
    for fiber in fibers:
        fiber.result()


def test_a_thread_that_cannot_be_started(slow, monkeypatch):
    def fail(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, 'start', fail)
        with pytest.raises(ResolverError, match="no thread can be started: can't start new thread"):
            getaddrinfo('first')
    first = spawn(getaddrinfo, 'first')
    sleep(0)
    sleep(0)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, 'start', fail)
        second = spawn(getaddrinfo, 'second')  # waits for the thread that there is
        sleep(0)
        sleep(0)
    slow.let.set()
    assert first.result() == second.result()
    assert (slow._threads, slow._busy) == (1, 0)


def test_names_are_looked_up_in_a_forked_child():
    getaddrinfo('localhost')
    child = os.fork()
    if child == 0:
        status = 1
        try:
            assert getaddrinfo('localhost')
            get_hub().close()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def test_a_lookup_that_hangs_does_not_keep_a_program_from_ending():
    program = """if True:
        import socket, threading
        from gruvi_cffi import getaddrinfo, sleep, spawn

        def hang(node, service, family, socktype, protocol, flags):
            if flags & socket.AI_NUMERICHOST:
                raise socket.gaierror(socket.EAI_NONAME, 'not numeric')
            print('hangs', flush=True)
            hanging.set()
            threading.Event().wait()

        hanging = threading.Event()
        socket.getaddrinfo = hang
        spawn(getaddrinfo, 'slow.test')
        while not hanging.is_set():
            sleep(0.001)
    """
    done = subprocess.run(
        [sys.executable, '-c', program], check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, 'hangs\n', '')


def test_the_name_of_an_address():
    numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    assert getnameinfo(('127.0.0.1', 80), numeric) == ('127.0.0.1', '80')
    assert getnameinfo(('::1', 80, 0, 0), numeric) == ('::1', '80')
    named = ('127.0.0.1', 80), socket.NI_NUMERICHOST
    assert getnameinfo(*named) == socket.getnameinfo(*named)


def test_a_numeric_name_needs_no_thread(no_threads):
    numeric = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    assert getnameinfo(('127.0.0.1', 80), numeric) == ('127.0.0.1', '80')


def test_what_has_no_name():
    with pytest.raises(ResolverError, match='not-numeric'):
        getnameinfo(('not-numeric.invalid', 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)


@pytest.mark.parametrize('port', [-1, 65536, 70000])
def test_a_number_that_is_no_port_is_refused(port):
    with pytest.raises(ValueError, match=f'need a port of 0 to 65535, not {port}'):
        getaddrinfo('127.0.0.1', port)
