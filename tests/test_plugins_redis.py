"""redis-py over our sockets, against a real server."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
import redis
import redis.backoff
import redis.retry

from gruvi_cffi import Cancelled, Event, get_hub, sleep, spawn
from gruvi_cffi.plugins.redis import (
    Backoff,
    Connection,
    ConnectionPool,
    Lock,
    UnixDomainSocketConnection,
)
from gruvi_cffi.socket import Socket

TIMEOUT = 20


@pytest.fixture(params=['tcp', 'unix'])
def pool(request, redis_server):
    if request.param == 'tcp':
        where = {'host': '127.0.0.1', 'port': redis_server.port, 'connection_class': Connection}
    else:
        where = {'path': redis_server.path, 'connection_class': UnixDomainSocketConnection}
    made = ConnectionPool(max_connections=5, socket_timeout=TIMEOUT, **where)
    yield made
    made.disconnect()


@pytest.fixture
def client(pool):
    made = redis.Redis(connection_pool=pool, decode_responses=True)
    made.flushdb()
    return made


def test_its_sockets_are_ours(pool):
    connection = pool.get_connection()
    assert isinstance(connection._sock, Socket)
    assert connection._sock.gettimeout() == TIMEOUT
    pool.release(connection)


def test_what_was_set_is_there(client):
    assert client.set('spam', 'eggs')
    assert client.get('spam') == b'eggs'
    big = bytes(range(256)) * 10_000
    client.set('big', big)
    assert client.get('big') == big


def test_fibers_share_a_pool_and_wait_for_its_connections(client, pool):
    def count():
        for _ in range(20):
            client.incr('count')

    for fiber in [spawn(count) for _ in range(50)]:
        fiber.result(TIMEOUT)
    assert client.get('count') == b'1000'
    assert len(pool._connections) == 5


def test_one_that_waits_keeps_nobody_else_from_it(client):
    waiting = spawn(client.blpop, 'list', TIMEOUT)
    for _ in range(10):
        client.incr('count')
    assert waiting.alive
    client.rpush('list', 'spam')
    assert [*waiting.result(TIMEOUT)] == [b'list', b'spam']


def test_one_that_is_cancelled_leaves_the_others_their_answers(client):
    for _ in range(10):
        waiting = spawn(client.blpop, 'nothing', TIMEOUT)
        sleep(0.001)
        waiting.cancel()
        with pytest.raises(Cancelled):
            waiting.result(TIMEOUT)
        assert client.echo('spam') == b'spam'


def test_no_connection_is_free(pool):
    pool.timeout = 0.005
    connections = [pool.get_connection() for _ in range(5)]
    with pytest.raises(redis.ConnectionError, match='No connection available'):
        pool.get_connection()
    pool.timeout = TIMEOUT
    waiting = spawn(pool.get_connection)
    sleep(0.001)
    assert waiting.alive
    for connection in connections:
        pool.release(connection)
    pool.release(waiting.result(TIMEOUT))


def test_messages_are_published_to_who_waits(client):
    subscriber = client.pubsub()
    subscriber.subscribe('news')
    assert subscriber.get_message(timeout=TIMEOUT)['type'] == 'subscribe'
    assert subscriber.get_message(timeout=0.001) is None
    waiting = spawn(lambda: subscriber.get_message(timeout=TIMEOUT))
    sleep(0.001)
    assert client.publish('news', 'spam') == 1
    assert waiting.result(TIMEOUT)['data'] == b'spam'
    subscriber.close()


def test_a_pipeline_in_one_transaction(client):
    with client.pipeline() as pipeline:
        pipeline.set('spam', 1).incr('spam').get('spam')
        assert pipeline.execute() == [True, 2, b'2']


def test_a_url_with_our_connections(redis_server):
    for url in (f'redis://127.0.0.1:{redis_server.port}/1', f'unix://{redis_server.path}?db=1'):
        pool = ConnectionPool.from_url(url)
        assert redis.Redis(connection_pool=pool).ping()
        assert isinstance(pool._connections[0]._sock, Socket)
        pool.disconnect()
    with pytest.raises(ValueError, match='no TLS'):
        ConnectionPool.from_url('rediss://127.0.0.1:6379')


@pytest.fixture
def refusing():
    """Yield a pool for a port where nobody listens, with two retries."""
    backoff = redis.backoff.ConstantBackoff(0.01)
    with socket.create_server(('127.0.0.1', 0)) as probe:
        port = probe.getsockname()[1]
    errors = (ConnectionRefusedError, redis.ConnectionError)  # of older and of newer versions
    retry = redis.retry.Retry(Backoff(backoff), 2, errors)
    return ConnectionPool(host='127.0.0.1', port=port, retry=retry)


def test_others_run_between_two_attempts(refusing):
    turns = []
    done = Event()

    def others():
        while not done.is_set():
            turns.append(None)
            sleep(0)

    fiber = spawn(others)
    before = get_hub().time()
    with pytest.raises(redis.ConnectionError, match=r'refused|111'):
        refusing.get_connection()
    assert get_hub().time() - before >= 0.02
    done.set()
    fiber.join()
    assert len(turns) > 3


def test_a_server_that_does_not_answer():
    with socket.create_server(('127.0.0.1', 0)) as silent:
        port = silent.getsockname()[1]
        pool = ConnectionPool(host='127.0.0.1', port=port, socket_timeout=0.01)
        with pytest.raises(redis.TimeoutError):
            redis.Redis(connection_pool=pool).ping()
        pool.disconnect()


def test_a_lock_is_held_by_one_fiber_at_a_time(client):
    held = []

    def work():
        lock = client.lock('lock', sleep=0.001, lock_class=Lock)
        for _ in range(5):
            with lock:
                held.append(None)
                sleep(0)
                assert len(held) == 1
                held.pop()

    for fiber in [spawn(work) for _ in range(4)]:
        fiber.result(TIMEOUT)


def test_a_lock_object_that_fibers_share(client):
    lock = client.lock('lock', sleep=0.001, lock_class=Lock)
    assert lock.acquire()
    assert spawn(lambda: lock.acquire(blocking=False)).result(TIMEOUT) is False
    assert spawn(lambda: lock.acquire(blocking_timeout=0.005)).result(TIMEOUT) is False
    waiting = spawn(lock.acquire)
    sleep(0.005)
    assert waiting.alive
    lock.release()
    assert waiting.result(TIMEOUT) is True
    with pytest.raises(redis.exceptions.LockError):
        lock.release()  # it is another fiber's


def test_threads_share_a_pool(client, pool):
    failed = []

    def count():
        for _ in range(50):
            client.incr('count')

    def run():
        try:
            for fiber in [spawn(count) for _ in range(5)]:
                fiber.result(TIMEOUT)
        except BaseException as error:
            failed.append(error)
        get_hub().close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert client.get('count') == b'1000'
    assert len(pool._connections) == 5


def test_options_of_the_socket(redis_server):
    options = {socket.TCP_KEEPIDLE: 7} if hasattr(socket, 'TCP_KEEPIDLE') else {}
    made = Connection(
        host='127.0.0.1',
        port=redis_server.port,
        socket_keepalive=True,
        socket_keepalive_options=options,
    )
    with contextlib.closing(made._connect()) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        for option, value in options.items():
            assert sock.getsockopt(socket.IPPROTO_TCP, option) == value
