import threading

import pytest

from gruvi_cffi import Cancelled, Lock, RLock, assert_no_switchpoints, sleep, spawn

both = pytest.mark.parametrize('make', [Lock, RLock])


@both
def test_a_lock_is_held_once_it_was_acquired(make):
    lock = make()
    assert lock.locked() == 0
    assert lock.acquire() is True
    assert lock.locked() == 1
    lock.release()
    assert lock.locked() == 0


@both
def test_the_context_manager_gives_true_and_releases_after_an_error(make):
    lock = make()
    with pytest.raises(ValueError), lock as held:
        assert held is True
        assert lock.locked()
        raise ValueError
    assert not lock.locked()


@both
def test_who_waits_gets_it_in_order_of_arrival(make):
    lock = make()
    order = []

    def run(number):
        with lock:
            order.append(number)
            sleep(0)

    lock.acquire()
    fibers = [spawn(run, number) for number in range(10)]
    sleep(0)
    lock.release()
    for fiber in fibers:
        fiber.join()
    assert order == list(range(10))


def test_release_hands_over_so_that_nobody_overtakes():
    lock = Lock()
    lock.acquire()
    fiber = spawn(lock.acquire)
    sleep(0)
    lock.release()
    assert lock.locked()
    assert lock.acquire(blocking=False) is False
    assert fiber.result() is True
    lock.release()


@both
def test_without_blocking_or_in_time_it_returns_false(make):
    lock = make()
    lock.acquire()
    tries = [spawn(lock.acquire, False), spawn(lock.acquire, True, 0.001)]
    assert [fiber.result() for fiber in tries] == [False, False]
    lock.release()
    assert spawn(lock.acquire, True, 0.001).result()


@both
def test_releasing_what_is_not_held_is_an_error(make):
    with pytest.raises(RuntimeError, match='not held'):
        make().release()


def test_a_lock_may_be_released_by_any_fiber_and_thread():
    lock = Lock()
    lock.acquire()
    spawn(lock.release).join()
    lock.acquire()
    thread = threading.Thread(target=lock.release)
    thread.start()
    assert lock.acquire(timeout=10)
    thread.join()


def test_an_rlock_can_only_be_released_by_its_owner():
    lock = RLock()
    lock.acquire()
    with pytest.raises(RuntimeError, match='not held by this fiber'):
        spawn(lock.release).result()
    lock.release()


def test_an_rlock_counts():
    lock = RLock()
    for _ in range(3):
        lock.acquire()
    assert lock.locked() == 3
    for _ in range(2):
        lock.release()
    assert spawn(lock.acquire, False).result() is False
    lock.release()
    assert spawn(lock.acquire, False).result() is True


@both
def test_acquiring_is_a_switch_point_even_if_it_would_not_wait(make):
    lock = make()
    with assert_no_switchpoints(), pytest.raises(AssertionError, match='acquire'):
        lock.acquire()
    assert not lock.locked()


@pytest.mark.parametrize('handed_over', [False, True])
def test_a_cancelled_waiter_leaves_the_others_their_turn(handed_over):
    lock = Lock()
    lock.acquire()
    fibers = [spawn(lock.acquire) for _ in range(3)]
    sleep(0)
    fibers[0].cancel()
    if handed_over:  # its Cancelled is in flight when the lock becomes its own
        lock.release()
    with pytest.raises(Cancelled):
        fibers[0].result()
    if not handed_over:
        lock.release()
    assert fibers[1].result()
    assert not fibers[2].alive or lock.locked()
    lock.release()
    assert fibers[2].result()
    lock.release()
    assert not lock.locked()


def test_what_was_handed_to_one_who_is_cancelled_later_in_the_turn_is_passed_on():
    lock = Lock()
    lock.acquire()
    first, second = spawn(lock.acquire), spawn(lock.acquire)
    first_cancelled = spawn(first.cancel)  # queued behind both
    sleep(0)
    lock.release()
    first.cancel()
    first_cancelled.join()
    assert second.result(10) in (True,)
    lock.release()


def test_those_who_gave_up_leave_nothing_behind():
    lock = Lock()
    lock.acquire()
    fibers = [spawn(lock.acquire, True, 0) for _ in range(200)]
    assert not any(fiber.result() for fiber in fibers)
    assert '0 waiting' in repr(lock)
    lock.release()
    assert not lock.locked()


@both
@pytest.mark.parametrize(('timeout', 'error'), [(float('nan'), ValueError), ('1', TypeError)])
def test_who_cannot_wait_stands_in_nobodys_line(make, timeout, error):
    lock = make()

    def wait():
        with pytest.raises(error):
            lock.acquire(timeout=timeout)

    lock.acquire()
    spawn(wait).result()
    lock.release()
    assert spawn(lock.acquire, False).result()
