import pytest

from gruvi_cffi import BoundedSemaphore, Cancelled, Semaphore, sleep, spawn


def test_it_can_be_acquired_so_often():
    semaphore = Semaphore(2)
    assert semaphore.acquire()
    assert not semaphore.locked()
    assert semaphore.acquire()
    assert semaphore.locked()
    assert semaphore.acquire(blocking=False) is False
    assert semaphore.acquire(timeout=0.001) is False
    semaphore.release()
    assert semaphore.acquire(blocking=False) is True


def test_release_serves_in_order():
    semaphore = Semaphore(0)
    order = []

    def run(number):
        with semaphore as got:
            assert got
            order.append(number)

    fibers = [spawn(run, number) for number in range(5)]
    sleep(0)
    semaphore.release()
    for fiber in fibers:
        fiber.join()
    assert order == list(range(5))
    assert semaphore.value == 1


def test_release_of_several_wakes_several_and_keeps_the_rest():
    semaphore = Semaphore(0)
    fibers = [spawn(semaphore.acquire) for _ in range(2)]
    sleep(0)
    semaphore.release(3)
    assert all(fiber.result() for fiber in fibers)
    assert semaphore.value == 1


@pytest.mark.parametrize('released', [False, True])
def test_one_who_is_cancelled_passes_it_on(released):
    semaphore = Semaphore(0)
    first, second = spawn(semaphore.acquire), spawn(semaphore.acquire)
    sleep(0)
    first.cancel()
    if released:
        semaphore.release()
    with pytest.raises(Cancelled):
        first.result()
    if not released:
        semaphore.release()
    assert second.result(10)
    assert semaphore.value == 0


def test_a_bounded_one_refuses_to_grow():
    semaphore = BoundedSemaphore(1)
    with pytest.raises(ValueError, match='more often than acquired'):
        semaphore.release()
    with semaphore:
        pass
    assert semaphore.value == 1


@pytest.mark.parametrize('call', [lambda: Semaphore(-1), lambda: Semaphore().release(0)])
def test_numbers_that_make_no_sense_are_refused(call):
    with pytest.raises(ValueError, match='need'):
        call()
