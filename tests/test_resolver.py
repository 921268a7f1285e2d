"""Resolvers: objects of the application, one query for equal questions, and answers that serve."""

import os
import socket
import threading

import pytest

from gruvi_cffi import (
    Cancelled,
    Event,
    Queue,
    ResolverError,
    SystemResolver,
    Timeout,
    TransportError,
    create_connection,
    create_server,
    get_resolver,
    getaddrinfo,
    getnameinfo,
    limits,
    set_resolver,
    sleep,
    spawn,
)
from gruvi_cffi.protocols import Protocol
from gruvi_cffi.resolver import get_lookups


class Fake:
    """Knows some names, says what it was asked, and answers when it is let."""

    def __init__(self, **names):
        self.names = names
        self.asked = []
        self.ended = []
        self.let = Event()
        self.let.set()

    def getaddrinfo(self, node, service, family, socktype, protocol, flags):
        self.asked.append((node, service, family, socktype, protocol, flags))
        try:
            sleep(0)
            assert self.let.wait(20)
        finally:
            self.ended.append(node)
        answer = self.names.get(node, socket.gaierror(socket.EAI_NONAME, 'never heard of it'))
        if isinstance(answer, BaseException):
            raise answer
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, '', (address, service)) for address in answer
        ]

    def getnameinfo(self, sockaddr, flags):
        self.asked.append((sockaddr, flags))
        return 'spam', 'eggs'


@pytest.fixture
def fake():
    fake = Fake(spam=['127.0.0.1', '127.0.0.2'], eggs=['127.0.0.3'])
    set_resolver(fake)
    return fake


@pytest.fixture
def slow(fake):
    fake.let.clear()
    return fake


def addresses(found):
    return [info.sockaddr[0] for info in found]


def until(condition):
    for _ in range(10_000):
        if condition():
            return
        sleep(0.001)
    raise AssertionError('it did not happen')


def in_thread(function, *args):
    """Start *function* in a thread; return that and a list for its result or error."""
    results = []

    def run():
        try:
            results.append(function(*args))
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


# The object.


def test_a_resolver_is_asked(fake):
    assert get_resolver() is fake
    found = getaddrinfo('spam', 80, socket.AF_INET, socket.SOCK_STREAM, 6, socket.AI_CANONNAME)
    assert addresses(found) == ['127.0.0.1', '127.0.0.2']
    assert found[0].sockaddr == ('127.0.0.1', 80)
    assert fake.asked == [('spam', 80, socket.AF_INET, socket.SOCK_STREAM, 6, socket.AI_CANONNAME)]
    assert getnameinfo(('127.0.0.1', 80)) == ('spam', 'eggs')
    assert fake.asked[1:] == [(('127.0.0.1', 80), 0)]


def test_what_is_numeric_is_not_asked(fake):
    assert addresses(getaddrinfo('127.0.0.1', 80)) == ['127.0.0.1'] * 3
    getaddrinfo('::1', '80')
    getnameinfo(('::1', 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
    assert fake.asked == []


def test_it_may_wait_and_others_run(slow):
    fiber = spawn(getaddrinfo, 'spam')
    until(lambda: slow.asked)
    slow.let.set()
    assert addresses(fiber.result(10)) == ['127.0.0.1', '127.0.0.2']


def test_connections_and_servers_ask_it(fake):
    connected = Event()

    class Accepted(Protocol):
        def connection_made(self, transport):
            transport.abort()
            connected.set()

    server = create_server(Accepted, ('eggs', 0))
    fake.names['here'] = [server.addresses[0][0]]
    transport, _ = create_connection(Protocol, ('here', server.addresses[0][1]))
    assert connected.wait(10)
    transport.abort()
    server.close()
    assert [node for node, *_ in fake.asked] == ['eggs', 'here']


def test_it_may_ask_the_system():
    class Ours(SystemResolver):
        def getaddrinfo(self, node, *args):
            return super().getaddrinfo('localhost' if node == 'spam' else node, *args)

    set_resolver(Ours())
    assert getaddrinfo('spam', 80) == getaddrinfo('localhost', 80)


def test_none_is_the_systems(fake):
    set_resolver(None)
    assert isinstance(get_resolver(), SystemResolver)
    assert getaddrinfo('localhost', 80)
    assert fake.asked == []


def test_the_system_knows_its_hosts(monkeypatch):
    hosts = {}
    if os.path.exists('/etc/hosts'):
        with open('/etc/hosts') as lines:
            words = [line.split('#')[0].split() for line in lines]
        hosts = {line[1]: line[0] for line in words if len(line) > 1}
    for name in hosts or ['localhost']:
        found = getaddrinfo(name, 80, socktype=socket.SOCK_STREAM)
        assert [tuple(info) for info in found] == socket.getaddrinfo(
            name, 80, type=socket.SOCK_STREAM
        )


def test_what_is_no_resolver():
    class Half:
        getaddrinfo = print

    for wrong in (Half(), 'resolver', 7):
        with pytest.raises(TypeError, match='need a resolver'):
            set_resolver(wrong)


# Errors.


def test_what_it_does_not_know_is_a_resolver_error(fake):
    message = "could not look up 'ham' with service 80: never heard of it"
    with pytest.raises(ResolverError, match=message) as raised:
        getaddrinfo('ham', 80)
    assert raised.value.errno == socket.EAI_NONAME


@pytest.mark.parametrize('error', [ResolverError('no'), Timeout('late'), KeyError('a bug')])
def test_other_errors_are_raised_as_they_are(fake, error):
    fake.names['ham'] = error
    fibers = [spawn(getaddrinfo, 'ham') for _ in range(3)]
    for fiber in fibers:
        with pytest.raises(type(error)) as raised:
            fiber.result(10)
        assert raised.value is error
    assert len(fake.asked) == 1


def test_an_answer_without_an_address(fake):
    fake.names['ham'] = []
    with pytest.raises(ResolverError, match="could not look up 'ham': there is no address"):
        getaddrinfo('ham')


def test_errors_are_not_kept(fake):
    for _ in range(2):
        with pytest.raises(ResolverError):
            getaddrinfo('ham')
    fake.names['ham'] = ['127.0.0.9']
    assert addresses(getaddrinfo('ham')) == ['127.0.0.9']
    assert len(fake.asked) == 3


@pytest.mark.parametrize('timeout', [-1, float('nan')])
def test_a_timeout_that_makes_no_sense(fake, timeout):
    with pytest.raises(ValueError, match='need a timeout'):
        getaddrinfo('spam', timeout=timeout)


# One query for those who ask the same.


def test_who_asks_the_same_at_once_shares_a_query(slow):
    fibers = [spawn(getaddrinfo, 'spam') for _ in range(100)]
    other = spawn(getaddrinfo, 'spam', 80)
    until(lambda: len(slow.asked) == 2)
    slow.let.set()
    found = [fiber.result(10) for fiber in fibers]
    assert addresses(found[0]) == ['127.0.0.1', '127.0.0.2']
    assert all(each == found[0] and each is not found[1] for each in found[2:])
    assert other.result(10)[0].sockaddr[1] == 80
    assert len(slow.asked) == 2


def test_who_gives_up_leaves_the_others_their_query(slow):
    first, second, third = (spawn(getaddrinfo, 'spam') for _ in range(3))
    until(lambda: slow.asked)
    first.cancel()
    with pytest.raises(Cancelled):
        first.result()
    with pytest.raises(Timeout, match=r"could not look up 'spam' within 0\.001 seconds"):
        getaddrinfo('spam', timeout=0.001)
    assert slow.ended == []
    slow.let.set()
    assert second.result(10) == third.result(10)
    assert len(slow.asked) == 1


def test_a_query_ends_when_nobody_waits_for_it(slow):
    fibers = [spawn(getaddrinfo, 'spam') for _ in range(2)]
    until(lambda: slow.asked)
    for fiber in fibers:
        assert slow.ended == []
        fiber.cancel()
        sleep(0)
        sleep(0)
    until(lambda: slow.ended == ['spam'])
    slow.let.set()
    assert getaddrinfo('spam')
    assert len(slow.asked) == 2


def test_threads_share_a_query(slow):
    mine = spawn(getaddrinfo, 'spam')
    until(lambda: slow.asked)
    threads = [in_thread(getaddrinfo, 'spam') for _ in range(5)]
    (query,) = get_lookups()._queries.values()
    until(lambda: query.waiters == 6)
    slow.let.set()
    wanted = mine.result(10)
    for thread, results in threads:
        thread.join()
        assert results == [wanted]
    assert len(slow.asked) == 1


def test_another_asks_again_when_the_thread_of_the_query_ends(slow):
    leave = threading.Event()

    def ask_and_leave():
        fiber = spawn(getaddrinfo, 'spam')
        while not leave.is_set():
            sleep(0.001)
        return fiber

    thread, _ = in_thread(ask_and_leave)
    until(lambda: slow.asked)
    mine = spawn(getaddrinfo, 'spam')
    sleep(0)
    leave.set()
    until(lambda: not mine.alive or len(slow.asked) == 2)
    slow.let.set()
    assert addresses(mine.result(10)) == ['127.0.0.1', '127.0.0.2']
    thread.join()


def test_threads_and_fibers_ask_this_and_that(fake, monkeypatch):
    monkeypatch.setattr(limits, 'RESOLVER_MAX_AGE', 0)
    answers = Queue()

    def ask():
        for number in range(50):
            fibers = [spawn(getaddrinfo, name, number % 3) for name in ('spam', 'eggs')]
            answers.put([addresses(fiber.result(20)) for fiber in fibers])

    threads = [in_thread(ask) for _ in range(5)]
    for _ in range(250):
        assert answers.get(timeout=30) == [['127.0.0.1', '127.0.0.2'], ['127.0.0.3']]
    for thread, results in threads:
        thread.join()
        assert results == [None]
    assert get_lookups()._queries == {}
    assert len(fake.asked) <= 500


# Answers that are used again.


def test_an_answer_is_used_again_as_long_as_it_is_young(fake):
    first = getaddrinfo('spam')
    first.clear()
    assert addresses(getaddrinfo('spam')) == ['127.0.0.1', '127.0.0.2']
    assert len(fake.asked) == 1
    assert getaddrinfo('spam', max_age=60)
    assert len(fake.asked) == 1
    getaddrinfo('spam', max_age=0)
    assert len(fake.asked) == 2
    sleep(0.002)
    getaddrinfo('spam', max_age=0.001)
    assert len(fake.asked) == 3
    getnameinfo(('127.0.0.1', 80))
    getnameinfo(('127.0.0.1', 80))
    assert len(fake.asked) == 4


def test_the_default_age_can_be_changed(fake, monkeypatch):
    monkeypatch.setattr(limits, 'RESOLVER_MAX_AGE', 0)
    getaddrinfo('spam')
    getaddrinfo('spam')
    assert len(fake.asked) == 2


def test_not_too_many_answers_are_kept(fake, monkeypatch):
    monkeypatch.setattr(limits, 'RESOLVER_ENTRIES', 3)
    for port in range(5):
        getaddrinfo('spam', port)
    assert len(get_lookups()._answers) == 3
    for port in (4, 3, 2, 0):
        getaddrinfo('spam', port)
    assert [port for _, port, *_ in fake.asked] == [0, 1, 2, 3, 4, 0]


def test_who_sets_a_resolver_forgets_the_answers(fake):
    getaddrinfo('spam')
    set_resolver(fake)
    getaddrinfo('spam')
    assert len(fake.asked) == 2


def test_an_address_that_cannot_be_connected_to_is_asked_for_again(fake):
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        port = unused.getsockname()[1]
        for _ in range(2):
            with pytest.raises(TransportError):
                create_connection(Protocol, ('spam', port))
    assert len(fake.asked) == 2


def test_a_forked_child_asks_for_itself(slow):
    fiber = spawn(getaddrinfo, 'spam')
    until(lambda: slow.asked)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            slow.let.set()
            assert getaddrinfo('spam', timeout=20)
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    slow.let.set()
    assert fiber.result(10)
