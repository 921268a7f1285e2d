import threading

import pytest

from gruvi_cffi import Cancelled, Event, sleep, spawn


def test_set_wakes_everybody_and_later_waits_return_at_once():
    event = Event()
    fibers = [spawn(event.wait) for _ in range(10)]
    sleep(0)
    assert not event.is_set()
    event.set()
    assert event.is_set()
    assert [fiber.result() for fiber in fibers] == [True] * 10
    assert event.wait() is True


def test_wait_returns_false_after_the_timeout():
    assert Event().wait(0.001) is False


def test_after_set_and_clear_those_who_waited_wake_and_others_wait():
    event = Event()
    fiber = spawn(event.wait)
    sleep(0)
    event.set()
    event.clear()
    assert fiber.result() is True
    assert event.wait(0.001) is False


def test_a_thread_can_set_it():
    event = Event()
    thread = threading.Thread(target=event.set)
    thread.start()
    assert event.wait(10)
    thread.join()


def test_fibers_of_several_threads_wait_for_one():
    event = Event()
    results = []
    ready = threading.Semaphore(0)

    def run():
        fibers = [spawn(event.wait, 10) for _ in range(5)]
        sleep(0)
        ready.release()
        results.extend(fiber.result() for fiber in fibers)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in threads:
        ready.acquire()
    event.set()
    for thread in threads:
        thread.join()
    assert results == [True] * 20


def test_callbacks_run_once_in_set_and_at_once_if_it_is_set():
    event = Event()
    calls = []
    assert event.add_done_callback(calls.append, 1) is not None
    event.remove_done_callback(event.add_done_callback(calls.append, 2))
    event.set()
    assert calls == [1]
    assert event.add_done_callback(calls.append, 3) is None
    event.clear()
    event.set()
    assert calls == [1, 3]


def test_a_callback_may_use_the_event_and_may_not_switch(caplog):
    event = Event()
    event.add_done_callback(event.clear)
    event.add_done_callback(sleep, 0)
    event.set()
    assert not event.is_set()
    assert 'assert_no_switchpoints' in caplog.text or 'AssertionError' in caplog.text


def test_a_cancelled_waiter_is_gone():
    event = Event()
    fibers = [spawn(event.wait), spawn(event.wait)]
    sleep(0)
    fibers[0].cancel()
    with pytest.raises(Cancelled):
        fibers[0].result()
    assert '1 waiting' in repr(event)
    event.set()
    assert fibers[1].result()
