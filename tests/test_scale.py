"""How cost grows with numbers: what is done is counted here, since time says too little."""

import gc
import random
import sys
import threading
import weakref
from collections import Counter

import greenlet
import pytest

from gruvi_cffi import (
    Cancelled,
    Condition,
    Event,
    Fiber,
    FiberGroup,
    Future,
    Lock,
    Queue,
    Semaphore,
    as_completed,
    get_hub,
    limits,
    sleep,
    spawn,
)
from gruvi_cffi.switchback import Waiter


@pytest.fixture
def switches():
    """How often a greenlet was switched to, by greenlet, from now on."""
    counted = Counter()
    before = greenlet.settrace(lambda _, args: counted.update([args[1]]))
    yield counted
    greenlet.settrace(before)


# How often it is switched.


def in_fiber(function):
    """Run *function* in a fiber beside which there are idle carriers, and return its result."""
    for fiber in [spawn(sleep, 0) for _ in range(5)]:
        fiber.join()
    return spawn(function).result()


def test_who_starts_a_fiber_and_waits_for_it_switches_to_it_and_back(switches):
    hub = get_hub()

    def run():
        sleep(0)  # a turn begins, with nothing that stands behind
        switches.clear()
        for _ in range(10):
            spawn(int).join()
        return switches.copy()

    counted = in_fiber(run)
    assert sum(counted.values()) == 20
    assert counted[hub.root.carrier] == counted[hub.carriers.parent] == 0


def test_fibers_that_end_start_those_that_wait_to_without_a_switch(switches):
    def run():
        fibers = [spawn(int) for _ in range(100)]
        switches.clear()
        for fiber in fibers:
            fiber.join()
        return sum(switches.values())

    assert in_fiber(run) <= 4


def test_fibers_that_wake_each_other_switch_without_the_hub(switches):
    here, there = Event(), Event()

    def answer():
        for _ in range(20):
            here.wait()
            here.clear()
            there.set()

    def run():
        fiber = spawn(answer)
        sleep(0)
        switches.clear()
        for _ in range(20):
            here.set()
            there.wait()
            there.clear()
        counted = switches.copy()
        fiber.join()
        return counted

    counted = in_fiber(run)
    assert sum(counted.values()) <= 42
    assert counted[get_hub().carriers.parent] <= 1


def test_fibers_that_never_stop_waking_each_other_do_not_keep_the_hub_from_polling():
    hub = get_hub()
    here, there = Event(), Event()
    turns = []

    def answer(mine, theirs):
        while len(turns) < 3:
            mine.wait()
            mine.clear()
            theirs.set()

    def count():
        turns.append(1)
        if len(turns) < 3:
            hub.call_later(0, count)

    hub.call_later(0, count)
    fibers = [spawn(answer, here, there), spawn(answer, there, here)]
    here.set()
    for fiber in fibers:
        fiber.join()
    assert len(turns) == 3


# What waits, and goes in any order.


def lock():
    held = Lock()
    held.acquire()
    return held.acquire


def condition():
    condition = Condition()

    def wait():
        with condition:
            condition.wait()

    return wait


def full_queue():
    queue = Queue(1)
    queue.put(0)
    return lambda: queue.put(1)


WAITS = {
    'condition': condition,
    'event': lambda: Event().wait,
    'fiber': lambda: Fiber(int).join,
    'future': lambda: Future().result,
    'lock': lock,
    'queue': lambda: Queue().get,
    'full queue': full_queue,
    'semaphore': lambda: Semaphore(0).acquire,
    'several': lambda: lambda event=Event(): list(as_completed([event])),
}


@pytest.mark.skipif(sys.implementation.name != 'cpython', reason='it collects when it likes')
@pytest.mark.parametrize('name', WAITS)
def test_of_those_who_were_cancelled_in_any_order_nothing_stays(name):
    wait = WAITS[name]()
    fibers = [spawn(wait) for _ in range(300)]
    sleep(0)
    random.Random(7).shuffle(fibers)
    standing = []
    while fibers:
        for fiber in fibers[:100]:
            fiber.cancel()
        for fiber in fibers[:100]:
            fiber.join()
        del fiber, fibers[:100]
        gc.collect()
        standing.append(sum(issubclass(type(each), Waiter) for each in gc.get_objects()))
    # A line is tidied when the half of it is gone.
    assert standing[0] < 310
    assert standing[1] < 210
    assert standing[2] < 10


class Compared:
    """Something to call that counts how often it is compared."""

    def __init__(self):
        self.count = 0

    def __call__(self):
        pass

    def __eq__(self, other):
        self.count += 1
        return self is other

    __hash__ = None


@pytest.mark.parametrize('make', [Event, Future, lambda: Fiber(int)])
def test_a_done_callback_is_found_without_comparing_it_with_others(make):
    it = make()
    callback = Compared()
    handles = [it.add_done_callback(callback) for _ in range(100)]
    random.Random(7).shuffle(handles)
    for handle in handles:
        it.remove_done_callback(handle)
    assert callback.count == 0


def test_when_all_of_a_group_fail_each_is_cancelled_once():
    counted = []

    def stubborn():
        try:
            sleep(None)
        except Cancelled:
            counted.append(1)
        for _ in range(5):
            try:
                sleep(0)
            except Cancelled:
                counted.append(1)

    def fail():
        try:
            sleep(None)
        except Cancelled:
            raise ValueError('one of many') from None

    with pytest.raises(BaseException, match='several'), FiberGroup() as group:
        group.spawn(stubborn)
        for _ in range(20):
            group.spawn(fail)
        sleep(0)
        raise ValueError('the block')
    assert counted == [1]


class Time(float):
    """A time that counts how often it is compared."""

    count = 0

    __hash__ = None

    def __lt__(self, other):
        Time.count += 1
        return float(self) < other

    def __gt__(self, other):
        Time.count += 1
        return float(self) > other

    def __eq__(self, other):
        Time.count += 1
        return float(self) == other


def test_a_timer_that_is_cancelled_soon_is_not_compared_with_those_that_are_pending():
    hub = get_hub()
    now = hub.time()
    pending = [hub.call_at(now + 1000 + number, int) for number in range(10_000)]
    Time.count = 0
    for number in range(1000):
        hub.call_at(Time(now + 900 - number), int).cancel()
    for timer in pending:
        timer.cancel()
    assert Time.count < 5000


# What is given back.


def test_carriers_that_are_too_many_are_freed_a_few_at_a_time_while_the_hub_is_idle(monkeypatch):
    monkeypatch.setattr(limits, 'IDLE_CARRIERS', 10)
    monkeypatch.setattr(limits, 'FREED_CARRIERS', 5)
    left = [200]

    def run():
        fibers = [spawn(sleep, None) for _ in range(200)]
        sleep(0)
        carriers = [weakref.ref(fiber.carrier) for fiber in fibers]
        random.Random(7).shuffle(fibers)
        for fiber in fibers:
            fiber.cancel()
        for fiber in fibers:
            fiber.join()
        del fiber, fibers
        while left[-1] > 10 and len(left) < 500:
            sleep(0.001)
            gc.collect()
            left.append(sum(carrier() is not None for carrier in carriers))

    # In a thread of its own, with a hub whose carriers nothing else has used.
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert left[-1] <= 10
    assert left[1] > 10


@pytest.mark.parametrize(('scattered', 'freed'), [(0, False), (640, True)])
def test_only_beside_few_fibers_stacks_are_freed_that_leave_holes(monkeypatch, scattered, freed):
    monkeypatch.setattr(limits, 'IDLE_CARRIERS', 20)
    monkeypatch.setattr(limits, 'SCATTERED_FIBERS', scattered)
    ended = [number for number in range(640) if number % 4]
    assert (carriers_left(640, ended) < len(ended)) == freed


def test_beside_many_fibers_whole_blocks_of_stacks_are_freed(monkeypatch):
    monkeypatch.setattr(limits, 'IDLE_CARRIERS', 20)
    monkeypatch.setattr(limits, 'SCATTERED_FIBERS', 0)
    left = carriers_left(640, range(500))
    # In order of creation, 7 blocks of 64 have ended, and all that are too many would be 6.
    assert 500 - 7 * 64 <= left <= 500 - 5 * 64


def carriers_left(count, ended):
    """Let *count* fibers wait, end some, and return how many idle carriers are kept."""

    def run(pool):
        events = [Event() for _ in range(count)]
        fibers = [spawn(event.wait) for event in events]
        sleep(0)
        for number in ended:
            events[number].set()
        for number in ended:
            fibers[number].join()
        carriers = list(pool.idle)
        for _ in range(50):  # turns, and 64 can be freed in each
            sleep(0)
        left = sum(not carrier.dead for carrier in carriers)
        for event in events:
            event.set()
        for fiber in fibers:
            fiber.join()
        return left

    results = []
    # In a thread of its own, with a hub whose carriers nothing else has used.
    thread = threading.Thread(target=lambda: results.append(run(get_hub().carriers)))
    thread.start()
    thread.join()
    return results[0]
