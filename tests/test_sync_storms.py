"""Threads, signal handlers, finalizers, and cancelling at every moment."""

import contextlib
import gc
import signal
import threading

import pytest

from gruvi_cffi import Cancelled, Condition, Event, Lock, Queue, Semaphore, sleep, spawn


def test_producers_and_consumers_of_many_threads_lose_and_reorder_nothing(long):
    count, fibers_each = long(40, 400), 20
    queue, lock = Queue(50), Lock()
    numbers = iter(range(5 * fibers_each * count))
    got = []

    def produce():
        for _ in range(count):
            with lock:
                queue.put(next(numbers))

    def consume():
        for _ in range(count):
            with Condition(lock_of_got):
                got.append(queue.get())

    lock_of_got = Lock()

    def in_fibers(function):
        for fiber in [spawn(function) for _ in range(fibers_each)]:
            fiber.result(60)

    threads = [
        threading.Thread(target=in_fibers, args=(function,))
        for function in [produce] * 5 + [consume] * 5
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == list(range(5 * fibers_each * count))


def test_two_hubs_hand_items_back_and_forth(long):
    count, ahead = long(50_000, 1_000_000), 100
    there, back = Queue(ahead), Queue(ahead)
    seen = []

    def echo():
        expected = 0
        while (item := there.get()) is not None:
            assert item == expected
            expected += 1
            back.put(item)
        seen.append(expected)

    def send():
        for number in range(count):
            there.put(number)
        there.put(None)

    thread = threading.Thread(target=echo)
    thread.start()
    sender = spawn(send)
    for number in range(count):
        assert back.get() == number
    sender.result(60)
    thread.join()
    assert seen == [count]


@pytest.fixture
def storm():
    """Call a function from a signal handler, every so many microseconds."""
    previous = signal.getsignal(signal.SIGALRM)

    def start(function, interval=0.0002):
        signal.signal(signal.SIGALRM, lambda number, frame: function())
        signal.setitimer(signal.ITIMER_REAL, interval, interval)

    yield start
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, previous)


def test_a_queue_takes_all_that_a_signal_handler_puts(storm, long):
    queue, count = Queue(), long(2000, 20000)
    put = iter(range(10**9))
    storm(lambda: queue.put_nowait(next(put)))
    got = [queue.get(timeout=10) for _ in range(count)]
    signal.setitimer(signal.ITIMER_REAL, 0)
    got += [queue.get() for _ in range(queue.qsize())]
    # Not in order: a handler that has its number may itself be interrupted by the next.
    assert sorted(got) == list(range(next(put)))


def test_a_semaphore_counts_every_release_of_a_signal_handler(storm, long):
    semaphore, count = Semaphore(0), long(2000, 20000)
    released = []

    def release():
        released.append(None)
        semaphore.release()

    storm(release)
    for _ in range(count):
        assert semaphore.acquire(timeout=10)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert semaphore.value == len(released) - count


def test_an_event_set_in_a_signal_handler_wakes_whoever_waits(storm, long):
    event = Event()
    storm(event.set)
    for _ in range(long(1000, 10000)):
        assert event.wait(10)
        event.clear()


def test_a_lock_released_in_a_signal_handler_is_never_lost(storm, long):
    lock = Lock()

    def release():
        with contextlib.suppress(RuntimeError):  # another signal came first
            lock.release()

    storm(release)
    for _ in range(long(1000, 10000)):
        assert lock.acquire(timeout=10)


class Last:
    """Does something when it is collected, wherever that happens."""

    def __init__(self, function):
        self.function = function
        self.cycle = self

    def __del__(self):
        self.function()


def test_finalizers_may_wake_while_the_same_objects_are_in_use(long):
    queue, semaphore, event = Queue(), Semaphore(0), Event()
    count = long(2000, 20000)
    before = gc.get_threshold() if hasattr(gc, 'get_threshold') else None  # PyPy has none
    if before:
        gc.set_threshold(5)
    try:
        for number in range(count):
            Last(lambda number=number: queue.put_nowait(number))
            Last(semaphore.release)
            Last(event.set)
            queue.put(-1)
            semaphore.acquire(timeout=0.001)
            event.clear()
        gc.collect()
    finally:
        if before:
            gc.set_threshold(*before)
    found = sorted(queue.get_nowait() for _ in range(2 * count))
    assert found == [-1] * count + list(range(count))


# A fiber that is cancelled at any moment of a wait takes nothing with it: whatever it was about to
# get, somebody else gets.

MAKE = {
    'lock': lambda: (lock := Lock(), lock.acquire(), lock.acquire, lock.release)[2:],
    'semaphore': lambda: (semaphore := Semaphore(0), semaphore.acquire, semaphore.release)[1:],
    'queue': lambda: (queue := Queue(), queue.get, lambda: queue.put(True))[1:],
}


@pytest.mark.parametrize('turns', range(4))
@pytest.mark.parametrize('order', ['cancel first', 'give first'])
@pytest.mark.parametrize('kind', MAKE)
def test_cancelled_at_any_moment_nothing_is_lost(kind, order, turns):
    take, give = MAKE[kind]()
    first, second = spawn(take), spawn(take)
    for _ in range(turns):
        sleep(0)
    steps = [first.cancel, give]
    for step in steps if order == 'cancel first' else reversed(steps):
        step()
    try:
        taken = first.result(10)
    except Cancelled:
        taken = None
    if taken:
        assert second.alive
        give()
    assert second.result(10)
