import pytest

from gruvi_cffi import (
    Cancelled,
    LifoQueue,
    PriorityQueue,
    Queue,
    QueueEmpty,
    QueueFull,
    Timeout,
    sleep,
    spawn,
)

KINDS = [Queue, LifoQueue, PriorityQueue]
every_kind = pytest.mark.parametrize('kind', KINDS)


@pytest.mark.parametrize(
    ('kind', 'expected'), [(Queue, [3, 1, 2]), (LifoQueue, [2, 1, 3]), (PriorityQueue, [1, 2, 3])]
)
def test_the_order_of_each_kind(kind, expected):
    queue = kind()
    for item in (3, 1, 2):
        queue.put(item)
    assert [queue.get() for _ in range(3)] == expected
    assert queue.empty()


@every_kind
def test_without_waiting(kind):
    queue = kind(1)
    with pytest.raises(QueueEmpty):
        queue.get_nowait()
    with pytest.raises(QueueEmpty):
        queue.get(block=False)
    queue.put_nowait(1)
    assert queue.full()
    with pytest.raises(QueueFull):
        queue.put_nowait(2)
    with pytest.raises(QueueFull):
        queue.put(2, block=False)
    assert queue.get_nowait() == 1


@every_kind
def test_waiting_too_long(kind):
    queue = kind(1)
    with pytest.raises(QueueEmpty):
        queue.get(timeout=0.001)
    queue.put(1)
    with pytest.raises(QueueFull):
        queue.put(2, timeout=0.001)
    assert queue.get() == 1
    assert queue.empty()


@every_kind
def test_getters_are_served_in_order(kind):
    queue = kind()
    fibers = [spawn(queue.get) for _ in range(3)]
    sleep(0)
    for item in range(3):
        queue.put(item)
    assert [fiber.result() for fiber in fibers] == [0, 1, 2]


def test_rank_is_taken_when_put_is_called():
    queue = Queue(1)
    for item in range(5):
        spawn(queue.put, item)
    sleep(0)
    assert [queue.get() for _ in range(5)] == list(range(5))


def test_sizes_are_summed():
    queue = Queue(10)
    queue.put('a', size=7)
    assert queue.qsize() == 7
    with pytest.raises(QueueFull):
        queue.put_nowait('b', size=4)
    queue.put_nowait('c', size=3)
    queue.put_nowait('nothing', size=0)
    assert queue.full()
    assert [queue.get() for _ in range(3)] == ['a', 'c', 'nothing']
    assert queue.qsize() == 0


@pytest.mark.parametrize('size', [11, -1])
def test_an_item_that_can_never_fit_is_refused(size):
    with pytest.raises(ValueError, match='cannot be in a queue of 10'):
        Queue(10).put('a', size=size)


def test_a_small_item_behind_a_large_one_that_gave_up_gets_in():
    queue = Queue(2)
    queue.put('a')
    large = spawn(lambda: queue.put('large', timeout=0.01, size=2))
    small = spawn(queue.put, 'small')
    with pytest.raises(QueueFull):
        large.result()
    small.result(10)
    assert [queue.get(), queue.get()] == ['a', 'small']


def test_join_waits_for_all_and_wakes_all():
    queue = Queue()
    for item in range(3):
        queue.put(item)
    joiners = [spawn(queue.join) for _ in range(2)]
    for _ in range(3):
        sleep(0)
        assert all(fiber.alive for fiber in joiners)
        queue.get()
        queue.task_done()
    for fiber in joiners:
        fiber.result(10)
    queue.join()
    with pytest.raises(RuntimeError, match='more often'):
        queue.task_done()


def test_join_raises_timeout():
    queue = Queue()
    queue.put(1)
    assert queue.unfinished_tasks == 1
    with pytest.raises(Timeout):
        queue.join(0.001)


@every_kind
@pytest.mark.parametrize('supplied', [False, True])
def test_a_cancelled_getter_loses_nothing(kind, supplied):
    queue = kind()
    first, second = spawn(queue.get), spawn(queue.get)
    sleep(0)
    first.cancel()
    if supplied:
        queue.put('item')
    with pytest.raises(Cancelled):
        first.result()
    if not supplied:
        queue.put('item')
    assert second.result(10) == 'item'
    assert queue.empty()


def test_what_a_cancelled_getter_was_given_is_the_next_again():
    queue = Queue()
    fiber = spawn(queue.get)
    sleep(0)
    fiber.cancel()
    queue.put(1)
    queue.put(2)
    with pytest.raises(Cancelled):
        fiber.result()
    assert [queue.get(), queue.get()] == [1, 2]


def test_a_cancelled_putter_lets_in_who_is_smaller():
    queue = Queue(10)
    queue.put('there', size=8)
    large = spawn(lambda: queue.put('large', size=5))
    small = spawn(lambda: queue.put('small', size=1))
    sleep(0)
    large.cancel()
    small.join(10)
    assert queue.qsize() == 9


def test_a_cancelled_putter_has_not_put():
    queue = Queue(1)
    queue.put(1)
    fiber = spawn(queue.put, 2)
    sleep(0)
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.result()
    assert queue.get() == 1
    with pytest.raises(QueueEmpty):
        queue.get_nowait()


def test_a_consumer_drains_all_within_one_sleep():
    queue = Queue()
    got = []

    def consume():
        while True:
            got.append(queue.get())

    fiber = spawn(consume)
    sleep(0)
    for item in range(100):
        queue.put(item)
    sleep(0)
    assert got == list(range(100))
    fiber.cancel()
    sleep(0)


def test_what_cannot_be_compared_is_not_put():
    queue = PriorityQueue()
    for item in (3, 1, 2):
        queue.put(item)
    with pytest.raises(TypeError):
        queue.put('spam')
    assert queue.qsize() == queue.unfinished_tasks == 3
    assert [queue.get() for _ in range(3)] == [1, 2, 3]
    with pytest.raises(QueueEmpty):
        queue.get_nowait()
