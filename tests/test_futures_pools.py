"""Pools in trouble: their users, workers, threads, hubs and processes end at any moment."""

import asyncio
import concurrent.futures
import contextvars
import gc
import itertools
import logging
import os
import threading

import pytest

from gruvi_cffi import (
    Cancelled,
    Event,
    FiberPool,
    ThreadPool,
    blocking,
    get_io_pool,
    limits,
    local,
    sleep,
    spawn,
    wait,
)
from gruvi_cffi.futures import Future
from gruvi_cffi.hub import get_hub


@pytest.fixture(params=[ThreadPool, FiberPool])
def kind(request):
    return request.param


def until(condition):
    for _ in range(10_000):
        if condition():
            return
        sleep(0.001)
    raise AssertionError('it did not happen')


def in_thread(function):
    """Run *function* in a thread to its end, and return what it returned or raised."""
    results = []

    def run():
        try:
            results.append(function())
        except BaseException as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: not thread.is_alive())
    return results[0]


class Stuck:
    """Occupies the only worker of a pool."""

    def __init__(self, pool):
        self.began, self.go = Event(), Event()
        self.future = pool.submit(self)
        assert self.began.wait(10)

    def __call__(self):
        self.began.set()
        assert self.go.wait(20)


# Futures and threads.


def test_three_threads_wait_for_the_same_future(kind):
    with kind(1) as pool:
        stuck = Stuck(pool)
        future = pool.submit(str, 'spam')
        results = []
        threads = [
            threading.Thread(target=lambda: results.append(future.result(10))) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        stuck.go.set()
        until(lambda: len(results) == 3)
        for thread in threads:
            thread.join()
        assert results == ['spam'] * 3


def test_a_future_that_is_done_cannot_begin():
    future = Future()
    future.set_result(1)
    assert future.set_running(can_cancel=True)
    assert future.done()
    assert not future.running()
    assert not future.cancel()


def test_who_is_told_that_it_was_cancelled_before_it_began():
    called = []
    future = Future(lambda: called.append(future.done()))
    assert future.cancel()
    assert not future.cancel()
    assert called == [True]


def test_a_callback_that_fails_takes_nothing_along(kind, caplog):
    def fail():
        raise ValueError('callback')

    called = []
    with kind(1) as pool:
        stuck = Stuck(pool)
        stuck.future.add_done_callback(fail)
        stuck.future.add_done_callback(called.append, 1)
        stuck.go.set()
        pool.join()
        assert pool.submit(int).result(10) == 0
    assert called == [1]
    assert 'exception in done callback' in caplog.text


def test_a_callback_that_exits_does_not_end_the_worker(kind, caplog):
    with kind(1) as pool:
        stuck = Stuck(pool)
        stuck.future.add_done_callback(exit, 7)
        others = [pool.submit(int) for _ in range(3)]
        stuck.go.set()
        assert [future.result(10) for future in others] == [0, 0, 0]
        pool.join()
    assert 'SystemExit' in caplog.text


def test_an_exception_of_blocking_leaves_no_garbage():
    def fail():
        with pytest.raises(ZeroDivisionError):
            blocking(divmod, 1, 0)

    fail()
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            fail()
        unreachable = gc.collect()
    finally:
        gc.enable()
    assert not unreachable  # PyPy does not count


# Jobs and workers.


def test_who_waits_for_its_own_pool_is_told(kind):
    with kind(1) as pool:
        with pytest.raises(RuntimeError, match=f'a job of the pool {pool.name} cannot close it'):
            pool.submit(pool.close).result(10)
        with pytest.raises(RuntimeError, match='cannot wait for it'):
            pool.submit(pool.join).result(10)
        assert pool.submit(int).result(10) == 0


def test_a_job_may_submit_another(kind):
    with kind(1) as pool:
        assert pool.submit(lambda: pool.submit(str, 'later')).result(10).result(10) == 'later'


def test_jobs_that_were_cancelled_do_not_pile_up(kind):
    with kind(1) as pool:
        stuck = Stuck(pool)
        kept = pool.submit(str, 'kept')
        for _ in range(1000):
            assert pool.submit(int).cancel()
        assert len(pool._jobs) < 10
        stuck.go.set()
        pool.join()
        assert kept.result() == 'kept'


def test_a_fiber_pool_wakes_one_worker_for_a_job():
    turns = []

    class Counting(FiberPool):
        def _next_job(self):
            job = super()._next_job()
            turns.append(job)
            return job

    with Counting(minsize=50) as pool:
        sleep(0)
        for number in range(20):
            assert pool.submit(abs, -number).result(10) == number
        assert len(turns) == 20


def test_map_takes_an_endless_iterable(kind, monkeypatch):
    monkeypatch.setattr(limits, 'MAP_AHEAD', 10)
    taken = []

    def numbers():
        for number in itertools.count():
            taken.append(number)
            yield number

    with kind(2) as pool:
        results = pool.map(abs, numbers())
        assert [next(results) for _ in range(30)] == list(range(30))
        assert len(taken) == 40
        results.close()
        pool.join()


def test_an_iterable_of_map_that_fails(kind):
    def numbers():
        yield 1
        raise ValueError('no more')

    with kind(1) as pool, pytest.raises(ValueError, match='no more'):
        list(pool.map(abs, numbers()))


def test_a_thread_that_cannot_be_started(monkeypatch):
    def fail(self):
        raise RuntimeError("can't start new thread")

    with ThreadPool(2) as pool:
        stuck = Stuck(pool)
        monkeypatch.setattr(threading.Thread, 'start', fail)
        future = pool.submit(int)  # has to wait for the one that there is
        stuck.go.set()
        assert future.result(10) == 0
    with ThreadPool(2) as pool:
        with pytest.raises(RuntimeError, match="can't start"):
            pool.submit(int)
        pool.join()


# Hubs.


def test_the_hub_of_a_thread_of_a_pool_is_closed_with_it():
    hubs = []
    with ThreadPool(1) as pool:
        pool.submit(lambda: hubs.append(get_hub()) or sleep(0)).result(10)
        assert hubs[0].is_alive()

    def closed():
        gc.collect()  # where that closes it
        return not hubs[0].is_alive()

    until(closed)


def test_jobs_of_a_hub_that_is_closed_are_cancelled():
    def make():
        pool = FiberPool(1)
        futures.extend([pool.submit(sleep, None), pool.submit(int)])
        executor_futures.append(pool.as_executor().submit(int))
        sleep(0)
        sleep(0)
        get_hub().close()
        with pytest.raises(RuntimeError, match='closed'):
            pool.submit(int)
        return pool

    futures, executor_futures = [], []
    pool = in_thread(make)
    for future in futures:
        with pytest.raises(Cancelled):
            future.result(10)
    assert executor_futures[0].cancelled()
    pool.join()
    pool.close()


def test_a_hub_that_is_closed_abandons_its_threads_jobs():
    began, go = threading.Event(), threading.Event()

    def call():
        began.set()
        go.wait(20)

    def call_and_close():
        spawn(blocking, call)
        until(began.is_set)
        get_hub().close()

    before = get_io_pool().abandoned
    in_thread(call_and_close)
    assert get_io_pool().abandoned == before + 1
    go.set()
    until(lambda: get_io_pool().abandoned == before)


def test_jobs_come_from_other_threads():
    with FiberPool(3) as pool:

        def submit():
            return [pool.submit(lambda: (threading.get_ident(), sleep(0))) for _ in range(100)]

        futures = in_thread(submit)
        assert {future.result(10)[0] for future in futures} == {threading.get_ident()}


# Processes.


@pytest.mark.parametrize('inside', [False, True])
def test_a_forked_child_may_use_the_pool(kind, inside):
    def fork():
        child = os.fork()
        if child == 0:
            status = 1
            try:
                assert pool.abandoned == 0
                assert pool.submit(int, '7').result(20) == 7
                pool.close()
                status = 0
            finally:
                os._exit(status)
        return os.waitpid(child, 0)[1]

    with kind(1) as pool:
        pool.submit(int).result(10)
        inside = inside and kind is ThreadPool
        assert (pool.submit(fork).result(30) if inside else fork()) == 0
        assert pool.submit(int).result(10) == 0


# What a job sees of who submits it.

name = contextvars.ContextVar('name', default='nobody')


@pytest.mark.parametrize('way', ['submit', 'map', 'blocking', 'executor'])
def test_context_variables_go_along_and_do_not_come_back(kind, way):
    def job(_=None):
        seen = name.get()
        name.set('the job')
        if way != 'blocking':  # the threads of that pool would keep their hubs
            sleep(0)
        return seen, name.get()

    def call():
        name.set('the caller')
        if way == 'blocking':
            seen = blocking(job)
        elif way == 'executor':
            future = pool.as_executor().submit(job)
            wait([future])
            seen = future.result()
        else:
            seen = pool.submit(job).result() if way == 'submit' else next(pool.map(job, [1]))
        return seen, name.get()

    with kind(1) as pool:
        fibers = [spawn(call) for _ in range(3)]
        for fiber in fibers:
            assert fiber.result(10) == (('the caller', 'the job'), 'the caller')
    assert name.get() == 'nobody'


def test_local_data_does_not_go_along(kind):
    data = local()
    data.name = 'the caller'

    def job():
        seen = getattr(data, 'name', None)
        data.name = 'the job'
        return seen

    with kind(1) as pool:
        first, second = pool.submit(job).result(10), pool.submit(job).result(10)
        assert first is None
        # A job of a fiber pool has a fiber of its own; threads have their root fibers.
        assert second == (None if kind is FiberPool else 'the job')
        future = pool.as_executor().submit(getattr, data, 'name', None)
        wait([future])
        assert future.result() == second
    assert data.name == 'the caller'


# Executors.


def test_the_standard_library_waits_for_our_executor():
    with ThreadPool(2) as pool, pool.as_executor() as executor:
        futures = [executor.submit(int, str(number)) for number in range(10)]
        assert concurrent.futures.wait(futures, 10).not_done == set()
        results = [future.result() for future in concurrent.futures.as_completed(futures, 10)]
        assert sorted(results) == list(range(10))
        failed = executor.submit(int, 'spam')
        with pytest.raises(ValueError, match='spam'):
            failed.result(10)


def test_an_executor_of_fibers_serves_another_thread():
    async def main():
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(executor, threading.get_ident) for _ in range(5)]
        return await asyncio.gather(*calls)

    with FiberPool(2) as pool, pool.as_executor() as executor:
        idents = in_thread(lambda: asyncio.run(main()))
        assert idents == [threading.get_ident()] * 5


def test_an_executor_can_cancel_what_waits():
    with ThreadPool(1) as pool:
        executor = pool.as_executor()
        stuck = Stuck(pool)
        futures = [executor.submit(int) for _ in range(3)]
        spawn(stuck.go.set)
        executor.shutdown(cancel_futures=True)
        assert all(future.cancelled() for future in futures)


def test_leaving_an_executor_lets_its_fibers_run():
    with FiberPool(1) as pool:
        with pool.as_executor() as executor:
            futures = [executor.submit(sleep, 0) for _ in range(3)]
        assert all(future.done() for future in futures)


def test_a_job_that_raised_leaves_no_garbage_in_an_executor(caplog):
    caplog.set_level(logging.DEBUG)
    with ThreadPool(1) as pool, pool.as_executor() as executor:
        error = executor.submit(divmod, 1, 0).exception(10)
        frames = []
        traceback = error.__traceback__
        while traceback is not None:
            frames.append(traceback.tb_frame)
            traceback = traceback.tb_next
        assert not any('future' in frame.f_locals for frame in frames)


# Waiting for futures of the standard library.


def test_who_waits_in_a_loop_leaves_one_callback():
    foreign = concurrent.futures.Future()
    for _ in range(10):
        assert wait([foreign, foreign], timeout=0) == ([], [foreign, foreign])
    assert len(foreign._done_callbacks) == 1
    foreign.set_result(1)
    assert wait([foreign, foreign], 1) == ([foreign], [foreign])
    assert wait([foreign]) == ([foreign], [])


def test_equal_objects_are_told_apart():
    class Same(Event):
        __hash__ = None

        def __eq__(self, other):
            return True

    one, other = Same(), Same()
    other.set()
    done, pending = wait([one, other], 1)
    assert done[0] is other
    assert pending[0] is one


def test_many_are_waited_for_in_linear_time():
    futures = [Future() for _ in range(20_000)]
    for future in reversed(futures):
        future.set_result(None)
    done, pending = wait(futures)
    assert len(done) == 20_000
    assert pending == []
