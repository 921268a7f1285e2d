"""Futures, pools, and waiting for several things."""

import asyncio
import concurrent.futures
import contextvars
import io
import json
import math
import os
import sqlite3
import threading
import zlib

import pytest

from gruvi_cffi import Cancelled, Event, Timeout, assert_no_switchpoints, limits, sleep, spawn
from gruvi_cffi.futures import (
    FiberPool,
    Future,
    ThreadPool,
    as_completed,
    blockify,
    blocking,
    get_cpu_pool,
    get_io_pool,
    wait,
)


@pytest.fixture(params=[ThreadPool, FiberPool])
def kind(request):
    return request.param


class Gate:
    """Holds up those who come, threads and fibers, and counts them."""

    def __init__(self):
        self.open = Event()
        self.inside = []

    def __call__(self, value=None):
        self.inside.append(value)
        assert self.open.wait(20)
        return value


def until(condition):
    for _ in range(10_000):
        if condition():
            return
        sleep(0.001)
    raise AssertionError('it did not happen')


# Futures.


def test_a_result_wakes_all_who_wait():
    future = Future()
    fibers = [spawn(future.result) for _ in range(3)]
    sleep(0)
    assert not future.done()
    threading.Thread(target=future.set_result, args=('spam',)).start()
    assert [fiber.result(10) for fiber in fibers] == ['spam'] * 3
    assert future.exception() is None


@pytest.mark.parametrize('error', [ValueError('spam'), ValueError])
def test_an_exception_is_raised_and_returned_as_it_was_set(error):
    future = Future()
    future.set_exception(error)
    for _ in range(2):
        with pytest.raises(ValueError):
            future.result()
    assert future.exception() is error


def test_only_the_first_completion_counts():
    future = Future()
    future.set_result(1)
    future.set_result(2)
    future.set_exception(ValueError())
    assert future.result() == 1
    assert not future.cancel()


def test_who_waits_too_long():
    future = Future()
    with pytest.raises(Timeout, match=r'0\.001 seconds'):
        future.result(0.001)
    with pytest.raises(Timeout):
        future.exception(timeout=0.001)


@pytest.mark.parametrize('can_cancel', [None, True, False])
def test_cancelling(can_cancel):
    future, called = Future(), []
    future.add_done_callback(called.append, 1)
    if can_cancel is not None:
        assert future.set_running(can_cancel)
        assert future.running()
    assert future.cancel() is (can_cancel is not False)
    assert future.cancelled() is future.done() is (can_cancel is not False)
    assert called == [1] * future.done()
    if future.done():
        assert not future.set_running()
        with pytest.raises(Cancelled):
            future.result()


def test_callbacks_run_in_order_and_can_be_taken_back():
    future, called = Future(), []
    future.add_done_callback(called.append, 1)
    handle = future.add_done_callback(called.append, 2)
    future.add_done_callback(called.append, 3)
    future.remove_done_callback(handle)
    future.set_result(None)
    assert called == [1, 3]
    assert future.add_done_callback(called.append, 4) is None
    assert called == [1, 3, 4]
    future.remove_done_callback(handle)


def test_one_of_many_threads_completes_it():
    for _ in range(200):
        future, won = Future(), []
        future.add_done_callback(won.append, True)
        threads = [threading.Thread(target=future.set_result, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert won == [True]


# Pools.


def test_a_job_has_arguments_a_result_and_an_error(kind):
    with kind(2) as pool:
        assert pool.submit(int, '12', base=3).result() == 5
        failed = pool.submit(int, 'spam')
        with pytest.raises(ValueError, match='spam'):
            failed.result()
        assert isinstance(failed.exception(), ValueError)


def test_no_more_workers_than_its_size(kind):
    gate = Gate()
    with kind(5) as pool:
        futures = [pool.submit(gate, number) for number in range(40)]
        until(lambda: len(gate.inside) >= 5)
        sleep(0.01)
        assert len(gate.inside) == 5
        gate.open.set()
        assert [future.result() for future in futures] == list(range(40))
        assert len(gate.inside) == 40


def test_workers_are_made_when_they_are_needed(kind):
    gate = Gate()
    with kind() as pool:
        assert '0 workers' in repr(pool)
        futures = [pool.submit(gate, number) for number in range(30)]
        until(lambda: len(gate.inside) == 30)
        gate.open.set()
        wait(futures)


def test_names_and_sizes(kind):
    with kind(5, 2, 'spam') as pool:
        assert (pool.maxsize, pool.minsize, pool.name) == (5, 2, 'spam')
        assert '2 workers' in repr(pool)
    with kind() as pool:
        assert pool.name.startswith(f'{kind.__name__}-')


@pytest.mark.parametrize(('maxsize', 'minsize'), [(0, 0), (-1, 0), (1, 2), (None, -1)])
def test_sizes_that_make_no_sense(kind, maxsize, minsize):
    with pytest.raises(ValueError, match='need 0 <= minsize'):
        kind(maxsize, minsize)


def test_close_does_what_is_queued_and_takes_no_more(kind):
    gate = Gate()
    pool = kind(1)
    futures = [pool.submit(gate, number) for number in range(3)]
    until(lambda: gate.inside)
    closer = spawn(pool.close)
    sleep(0)  # it has begun
    with pytest.raises(RuntimeError, match='closed'):
        pool.submit(gate)
    gate.open.set()
    closer.join(10)
    assert [future.result() for future in futures] == [0, 1, 2]
    assert '0 workers' in repr(pool)
    pool.close()


def test_join_waits_for_everything_and_the_pool_goes_on(kind):
    with kind(2) as pool:
        pool.join()
        done = []
        for number in range(20):
            pool.submit(done.append, number)
        pool.join()
        assert sorted(done) == list(range(20))
        assert pool.submit(int).result() == 0


def test_map_keeps_the_order_and_begins_with_the_first_step(kind):
    with kind(3) as pool:
        calls = []
        results = pool.map(lambda a, b: calls.append(a) or a + b, [1, 2, 3], [10, 20, 30, 40])
        assert calls == []
        assert list(results) == [11, 22, 33]


def test_map_cancels_what_is_left(kind):
    gate = Gate()
    with kind(1) as pool:
        results = pool.map(gate, range(5), timeout=0.01)
        with pytest.raises(Timeout):
            next(results)
        gate.open.set()
        pool.join()
        assert gate.inside in ([0], [])  # the thread may not have begun


def test_jobs_run_in_the_context_of_who_submits_them(kind):
    name = contextvars.ContextVar('name', default='nobody')
    with kind(1) as pool:
        name.set('spam')
        future = pool.submit(name.get)
        pool.submit(name.set, 'job').result()
        assert future.result() == 'spam'
    assert name.get() == 'spam'


def test_a_job_of_fibers_can_be_cancelled_and_its_worker_lives_on():
    with FiberPool(1) as pool:
        ended = []

        def job():
            try:
                sleep(None)
            finally:
                ended.append(True)

        future = pool.submit(job)
        sleep(0)
        until(future.running)
        sleep(0)
        assert future.cancel()
        until(lambda: ended)
        assert pool.submit(int).result(10) == 0


def test_a_job_of_threads_may_wait_as_fibers_do():
    with ThreadPool(1) as pool:
        assert pool.submit(lambda: sleep(0.001) or spawn(int).result()).result() == 0


def test_a_job_cannot_close_its_own_pool():
    with ThreadPool(1) as pool, pytest.raises(RuntimeError, match='cannot close it'):
        pool.submit(pool.close).result()


# blocking().


def test_blocking_calls_in_a_thread_while_others_run():
    began, turns = threading.Event(), []

    def call(value, *, more):
        began.wait(20)
        return value + more, threading.get_ident()

    def others():
        for turn in range(3):
            turns.append(turn)
            sleep(0)
        began.set()

    spawn(others)
    result, ident = blocking(call, 1, more=2)
    assert result == 3
    assert ident != threading.get_ident()
    assert turns == [0, 1, 2]
    with pytest.raises(ZeroDivisionError):
        blocking(divmod, 1, 0)


def test_blocking_is_a_switchpoint():
    with assert_no_switchpoints(), pytest.raises(AssertionError):
        blocking(int)


def test_a_call_that_nobody_waits_for_any_more_is_counted():
    began, end = threading.Event(), threading.Event()

    def call():
        began.set()
        end.wait(20)

    fiber = spawn(blocking, call)
    until(began.is_set)
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.result()
    assert get_io_pool().abandoned == 1
    end.set()
    until(lambda: get_io_pool().abandoned == 0)


def test_the_shared_pools():
    assert get_io_pool() is get_io_pool()
    assert get_io_pool().name == 'Io'
    assert get_cpu_pool().maxsize == os.cpu_count()


def test_blockify_runs_the_methods_in_a_pool():
    idents = []

    class Spam(io.StringIO):
        def read(self, *args):
            idents.append(threading.get_ident())
            return super().read(*args)

    with blockify(Spam('one\ntwo\n')) as spam:
        assert spam.read(4) == 'one\n'
        assert list(spam) == ['two\n']
        assert spam.newlines is None
        assert spam.read.__switchpoint__
    assert spam.closed
    assert idents != [threading.get_ident()]
    assert blockify(os.path).basename('/a/b') == 'b'


def test_a_blockified_method_takes_what_the_method_takes():
    class Spam:
        def method(self, a, b=2, *rest, c=3, **more):
            return a, b, rest, c, more

    spam = blockify(Spam())
    assert spam.method(1) == (1, 2, (), 3, {})
    assert spam.method(1, 4, 5, c=6, d=7) == (1, 4, (5,), 6, {'d': 7})
    assert spam.method(func=1, self_=2, a=3)[4] == {'func': 1, 'self_': 2}
    with pytest.raises(TypeError, match=r'method\(\)'):
        spam.method()
    assert blockify(json).dumps({'a': 1}, indent=1) == '{\n "a": 1\n}'
    assert blocking(dict, func=1, name=2) == {'func': 1, 'name': 2}


def test_blockified_functions_without_a_signature():
    assert blockify(math).hypot(3, 4) == 5
    assert blockify(zlib).crc32(b'spam') == zlib.crc32(b'spam')
    assert blockify({'a': 1}).get('b') is None
    one = ThreadPool(1)
    with one:
        connection = blockify(blockify(sqlite3, one).connect(':memory:'), one)
        cursor = blockify(connection.execute('select 1'), one)
        assert cursor.fetchall() == [(1,)]
        connection.close()


def test_a_blockified_module_has_its_exceptions():
    database = blockify(sqlite3)
    with pytest.raises(database.OperationalError):
        database.connect('/nonesuch/file')
    assert database.Error is sqlite3.Error


def test_a_blockified_function_is_a_switch_point():
    with assert_no_switchpoints(), pytest.raises(AssertionError, match='hypot'):
        blockify(math).hypot(3, 4)


def test_a_forked_child_has_workers_of_its_own():
    blocking(int)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = blocking(int, '7')
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


# As an Executor.


def test_asyncio_runs_its_calls_in_our_pool():
    async def main(executor):
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(executor, threading.current_thread)

    with ThreadPool(2, name='ours') as pool, pool.as_executor() as executor:
        assert isinstance(executor, concurrent.futures.Executor)
        assert asyncio.run(main(executor)).name.startswith('ours')


def test_an_executor_that_was_shut_down_leaves_the_pool_open():
    with ThreadPool(1) as pool:
        with pool.as_executor() as executor:
            futures = list(executor.map(int, '123'))
        assert futures == [1, 2, 3]
        with pytest.raises(RuntimeError, match='shut down'):
            executor.submit(int)
        assert pool.submit(int).result() == 0


def test_its_futures_have_errors_and_can_be_cancelled():
    gate = Gate()
    with ThreadPool(1) as pool:
        executor = pool.as_executor()
        first = executor.submit(gate)
        second = executor.submit(int)
        until(lambda: gate.inside)
        assert second.cancel()
        gate.open.set()
        executor.shutdown()
        assert first.result() is None
        assert second.cancelled()


# wait() and as_completed().


def test_wait_takes_all_that_can_complete():
    event, future, foreign = Event(), Future(), concurrent.futures.Future()
    fiber = spawn(sleep, 0)
    objects = [future, event, fiber, foreign]
    threading.Timer(0.005, foreign.set_result, [1]).start()
    spawn(event.set)
    future.set_result(1)
    done, pending = wait(objects, timeout=10)
    assert done[0] is future
    assert set(map(id, done)) == set(map(id, objects))
    assert pending == []


def test_wait_returns_what_there_is():
    one, other = Future(), Future()
    one.set_result(1)
    assert wait([one, other], timeout=0.001) == ([one], [other])
    assert wait([other, one], count=1) == ([one], [other])
    assert wait([other], count=0) == ([], [other])
    assert wait([one, one, other], count=2) == ([one, one], [other])
    assert wait([]) == ([], [])


def test_a_future_that_was_cancelled_has_completed():
    future = Future()
    waiter = spawn(wait, [future])
    sleep(0)
    future.cancel()
    assert waiter.result(10) == ([future], [])


def test_what_cannot_be_waited_for():
    with pytest.raises(TypeError, match='cannot wait for 1'):
        wait([1])
    for count in (-1, 2):
        with pytest.raises(ValueError, match='of 1 objects'):
            wait([Future()], count)
    with pytest.raises(TypeError):
        next(as_completed([object()]))


def test_as_completed_yields_in_order_of_completion():
    futures = [Future() for _ in range(3)]
    found = []
    fiber = spawn(lambda: found.extend(as_completed(futures)))
    for number in (2, 0, 1):
        sleep(0)
        futures[number].set_result(number)
    fiber.join(10)
    assert found == [futures[2], futures[0], futures[1]]
    with pytest.raises(Timeout):
        list(as_completed([Future()], timeout=0.001))


def test_thousands_of_jobs_from_a_crowd_of_fibers(long):
    fibers, jobs = long((100, 10), (1000, 10))
    running, most, lock = set(), [], threading.Lock()

    def job(number):
        with lock:
            running.add(threading.get_ident())
            most.append(len(running))
        result = number * number
        with lock:
            running.discard(threading.get_ident())
        return result

    def work(first):
        return [blocking(job, first + number) for number in range(jobs)]

    crowd = [spawn(work, jobs * number) for number in range(fibers)]
    results = [result for fiber in crowd for result in fiber.result(100)]
    assert results == [number * number for number in range(fibers * jobs)]
    assert max(most) <= limits.IO_THREADS
    assert get_io_pool().abandoned == 0
