import threading

import pytest

from gruvi_cffi import Cancelled, Condition, Lock, RLock, sleep, spawn
from gruvi_cffi.sync import acquire_restore, is_locked, release_save

LOCKS = [Lock, RLock, threading.Lock, threading.RLock]


@pytest.mark.parametrize('make', LOCKS)
def test_notify_wakes_in_order_and_the_lock_is_held_again(make):
    condition = Condition(make())
    order = []

    def run(number):
        with condition:
            assert condition.wait()
            order.append(number)

    fibers = [spawn(run, number) for number in range(4)]
    sleep(0)
    with condition:
        condition.notify()
    fibers[0].join()
    assert order == [0]
    with condition:
        condition.notify(2)
    sleep(0)
    sleep(0)
    assert order == [0, 1, 2]
    with condition:
        condition.notify_all()
    fibers[3].join()
    assert order == [0, 1, 2, 3]


@pytest.mark.parametrize('method', ['wait', 'notify', 'notify_all'])
def test_without_the_lock_it_is_an_error(method):
    with pytest.raises(RuntimeError, match='not held'):
        getattr(Condition(), method)()


def test_a_lock_that_is_none_is_refused():
    with pytest.raises(TypeError, match='need a lock, not int'):
        Condition(3)


def test_wait_returns_false_after_the_timeout_with_the_lock_held():
    condition = Condition()
    with condition:
        assert condition.wait(0.001) is False
        assert is_locked(condition._lock)


def test_an_rlock_held_twice_is_released_for_the_wait_and_held_twice_again():
    lock = RLock()
    condition = Condition(lock)

    def run():
        with lock, lock:
            condition.wait()
            return lock.locked()

    fiber = spawn(run)
    sleep(0)
    with condition:
        condition.notify()
    assert fiber.result(10) == 2
    assert not lock.locked()


def test_one_who_timed_out_does_not_count():
    condition = Condition()

    def run(timeout):
        with condition:
            return condition.wait(timeout)

    first, second = spawn(run, 0.001), spawn(run, 10)
    assert first.result() is False
    with condition:
        condition.notify()
    assert second.result() is True


@pytest.mark.parametrize('notified', [False, True])
def test_a_cancelled_one_passes_its_notification_on_and_has_the_lock(notified):
    condition = Condition()
    held = []

    def run():
        with condition:
            try:
                return condition.wait()
            except Cancelled:
                held.append(is_locked(condition._lock))
                raise

    first, second = spawn(run), spawn(run)
    sleep(0)
    first.cancel()
    if notified:
        with condition:
            condition.notify()
    with pytest.raises(Cancelled):
        first.result()
    if not notified:
        with condition:
            condition.notify()
    assert second.result(10)
    assert held == [True]


def test_wait_for_returns_at_once_if_it_is_true():
    condition = Condition()
    with condition:
        assert condition.wait_for(lambda: True) is True


def test_wait_for_skips_those_whose_predicate_is_false():
    condition = Condition()
    values = set()

    def run(value):
        with condition:
            return condition.wait_for(lambda: value in values, 10)

    fibers = [spawn(run, value) for value in 'abc']
    sleep(0)
    values.add('b')
    with condition:
        condition.notify()
    assert fibers[1].result() is True
    assert fibers[0].alive
    assert fibers[2].alive
    values.update('ac')
    with condition:
        condition.notify_all()
    assert fibers[0].result()
    assert fibers[2].result()


def test_wait_for_returns_false_after_the_timeout():
    condition = Condition()
    with condition:
        assert condition.wait_for(lambda: False, 0.001) is False


def test_wait_for_raises_what_the_predicate_raises():
    condition = Condition()
    broken = []

    def run():
        with condition:
            condition.wait_for(lambda: broken and 1 / 0)

    fiber = spawn(run)
    sleep(0)
    broken.append(True)
    with condition:
        condition.notify()
    with pytest.raises(ZeroDivisionError):
        fiber.result()


@pytest.mark.parametrize('make', LOCKS)
def test_the_helpers_release_and_restore(make):
    lock = make()
    lock.acquire()
    state = release_save(lock)
    assert not is_locked(lock)
    acquire_restore(lock, state)
    assert is_locked(lock)
    lock.release()


@pytest.mark.parametrize('helper', [is_locked, release_save])
def test_the_helpers_refuse_foreign_objects(helper):
    with pytest.raises(TypeError, match='need a lock, not str'):
        helper('lock')
