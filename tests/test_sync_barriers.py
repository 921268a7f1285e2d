import pytest

from gruvi_cffi import Barrier, BrokenBarrierError, Cancelled, sleep, spawn


def test_all_go_on_when_the_last_has_come_again_and_again():
    calls = []
    barrier = Barrier(3, action=lambda: calls.append(barrier.n_waiting))
    for _ in range(2):
        fibers = [spawn(barrier.wait) for _ in range(3)]
        assert [fiber.result() for fiber in fibers] == [0, 1, 2]
    assert calls == [0, 0]
    assert barrier.parties == 3
    assert barrier.n_waiting == 0


def test_who_comes_while_the_action_runs_waits_for_others():
    barrier = Barrier(2, action=lambda: sleep(0))
    fibers = [spawn(barrier.wait) for _ in range(3)]
    assert [fiber.result() for fiber in fibers[:2]] == [0, 1]
    assert fibers[2].alive
    assert barrier.wait() == 1
    assert fibers[2].result() == 0


def test_a_timeout_breaks_it_for_all():
    barrier = Barrier(3, timeout=10)
    patient, other = spawn(barrier.wait), spawn(barrier.wait, 0.001)
    for fiber in (patient, other):
        with pytest.raises(BrokenBarrierError):
            fiber.result()
    assert barrier.broken
    with pytest.raises(BrokenBarrierError):
        barrier.wait()


def test_cancelling_one_breaks_it_for_the_others():
    barrier = Barrier(3)
    first, second = spawn(barrier.wait), spawn(barrier.wait)
    sleep(0)
    first.cancel()
    with pytest.raises(Cancelled):
        first.result()
    with pytest.raises(BrokenBarrierError):
        second.result()


def test_reset_makes_it_as_new():
    barrier = Barrier(2)
    fiber = spawn(barrier.wait)
    sleep(0)
    barrier.reset()
    with pytest.raises(BrokenBarrierError):
        fiber.result()
    assert not barrier.broken
    fiber = spawn(barrier.wait)
    assert {barrier.wait(10), fiber.result()} == {0, 1}


def test_an_action_that_fails_breaks_it():
    barrier = Barrier(2, action=lambda: 1 / 0)
    fiber = spawn(barrier.wait)
    sleep(0)
    with pytest.raises(ZeroDivisionError):
        barrier.wait()
    with pytest.raises(BrokenBarrierError):
        fiber.result()


def test_it_needs_a_party():
    with pytest.raises(ValueError, match='need 1 party'):
        Barrier(0)
