import gc
import logging
import random
import socket
import threading
import time
import weakref

import pytest

from gruvi_cffi._native.poll import READABLE, PollHandle
from gruvi_cffi.errors import Cancelled, Timeout, TransportError
from gruvi_cffi.fibers import Fiber, current_fiber, spawn
from gruvi_cffi.hub import Hub, get_hub, sleep, switch_back
from gruvi_cffi.switchpoints import switchpoint
from gruvi_cffi.timers import Timer


def in_thread(function):
    """Run *function* in a thread of its own; return what it returned, raise what it raised."""
    outcome = []

    def run():
        try:
            outcome.append((function(), None))
        except BaseException as error:  # passed on below
            outcome.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    value, error = outcome[0]
    if error is not None:
        raise error
    return value


# The hub itself.


def test_each_thread_has_its_own_hub():
    hub = get_hub()
    assert get_hub() is hub
    assert in_thread(get_hub) is not hub


def test_the_hub_is_alive_and_named():
    hub = get_hub()
    assert hub.is_alive()
    assert hub.name == 'Hub'
    assert hub.parent is current_fiber().carrier
    assert hub.data['gruvi:next_fiber'] >= 1


def test_a_hub_is_made_in_the_root_fiber_only():
    with pytest.raises(RuntimeError, match='root fiber'):
        spawn(Hub).result()


def test_get_hub_first_called_outside_the_root_fiber_is_refused():
    from greenlet import greenlet

    with pytest.raises(AssertionError, match='root fiber'):
        in_thread(lambda: greenlet(get_hub).switch())


def test_switch_from_the_hub_itself_is_refused():
    errors = []

    def switch():
        try:
            get_hub().switch()
        except RuntimeError as error:
            errors.append(str(error))

    get_hub().run_callback(switch)
    sleep(0)
    assert errors == ['the hub cannot wait for itself']


def test_switch_from_another_thread_is_refused():
    hub = get_hub()
    spawn(sleep, 0).join()
    with pytest.raises(RuntimeError, match='cannot switch'):
        in_thread(hub.switch)


# Callbacks.


def test_callbacks_run_in_order_in_the_hub():
    calls = []
    hub = get_hub()
    for number in range(5):
        hub.run_callback(lambda number: calls.append((number, current_fiber().name)), number)
    assert calls == []
    sleep(0)
    assert calls == [(number, 'Hub') for number in range(5)]


def test_a_callback_of_a_callback_runs_in_a_later_turn():
    turns = []
    hub = get_hub()

    def again(left):
        turns.append(left)
        if left:
            hub.run_callback(again, left - 1)

    hub.run_callback(again, 3)
    hub.run_callback(turns.append, 'same turn')
    while turns[-1:] != [0]:
        sleep(0)
    assert turns == [3, 'same turn', 2, 1, 0]


def test_what_cannot_be_called_is_refused():
    with pytest.raises(TypeError):
        get_hub().run_callback('not callable')


def test_an_exception_of_a_callback_is_logged(caplog):
    calls = []
    get_hub().run_callback(lambda: 1 // 0)
    get_hub().run_callback(calls.append, 'next')
    sleep(0)
    assert calls == ['next']
    assert 'ZeroDivisionError' in caplog.text


def test_a_base_exception_of_a_callback_is_raised_in_the_root_fiber():
    def leave():
        raise SystemExit(3)

    get_hub().run_callback(leave)
    with pytest.raises(SystemExit):
        sleep(None)
    sleep(0)
    assert get_hub().is_alive()


def test_a_callback_that_calls_a_switchpoint_is_told(caplog):
    get_hub().run_callback(sleep, 0)
    sleep(0)
    assert 'switchpoint sleep() called inside assert_no_switchpoints' in caplog.text


def test_run_callback_from_another_thread_wakes_the_hub():
    hub = get_hub()
    with switch_back() as switcher:
        thread = threading.Thread(target=hub.run_callback, args=(switcher.switch, 'woken'))
        hub.run_callback(thread.start)
        assert hub.switch() == 'woken'
    thread.join()


def test_what_becomes_ready_between_the_last_look_and_the_poll_is_not_missed(monkeypatch):
    hub = get_hub()
    nearest = hub.timers.nearest
    late = []

    def interrupted():
        # A finalizer or a signal handler may run here: the hub has seen that nothing is ready.
        if late:
            hub.run_callback(late.pop())
        return nearest()

    monkeypatch.setattr(hub.timers, 'nearest', interrupted)
    with switch_back(10) as switcher:
        late.append(switcher.switch)
        hub.switch()


def test_a_base_exception_of_a_drain_comes_after_the_rest_of_the_drain():
    seen = []

    class Reader:
        def __init__(self):
            self.ours, self.theirs = socket.socketpair()
            self.handle = PollHandle(get_hub().loop, self.ours.fileno())
            self.handle.owner = self
            self.handle.start(READABLE)

        def handle_ready(self, events, error):
            self.handle.close()
            seen.append(self.ours.recv(1))
            raise SystemExit

        def handle_closed(self):
            self.ours.close()
            self.theirs.close()

    readers = [Reader() for _ in range(3)]
    for reader in readers:
        reader.theirs.send(b'x')
    with pytest.raises(SystemExit):
        sleep(None)
    assert seen == [b'x'] * 3
    for _ in range(2):
        with pytest.raises(SystemExit):
            sleep(None)
    sleep(0)


# Timers.


def test_timers_run_in_the_order_of_their_times():
    calls = []
    hub = get_hub()
    now = hub.time()
    hub.call_at(now + 0.003, calls.append, 3)
    hub.call_at(now + 0.001, calls.append, 1)
    hub.call_at(now + 0.002, calls.append, 2)
    hub.call_at(now + 0.002, calls.append, 'after 2')
    sleep(0.004)
    assert calls == [1, 2, 'after 2', 3]


def test_a_timer_is_never_early():
    hub = get_hub()
    for seconds in (0, 0.0001, 0.0015, 0.003):
        begin = time.monotonic()
        sleep(seconds)
        assert time.monotonic() - begin >= seconds
    assert hub.time() >= begin


@pytest.mark.parametrize('method', ['call_later', 'call_at'])
def test_what_is_no_time_is_refused(method):
    # In the heap, it would keep all others from being called, and the hub from waiting.
    with pytest.raises(ValueError, match='need a time in seconds, not nan'):
        getattr(get_hub(), method)(float('nan'), print)
    sleep(0.001)


def test_a_timer_for_the_far_future_stops_nothing():
    timer = get_hub().call_later(float('inf'), print)
    sleep(0.001)
    timer.cancel()


def test_a_cancelled_timer_is_not_called():
    calls = []
    timer = get_hub().call_later(0, calls.append, 1)
    timer.cancel()
    timer.cancel()
    sleep(0.001)
    assert calls == []
    assert not timer.active


def test_a_timer_can_cancel_another_that_is_due():
    calls = []
    hub = get_hub()
    now = hub.time()
    hub.call_at(now - 2, lambda: Timer.cancel(second))
    second = hub.call_at(now - 1, calls.append, 'cancelled')
    hub.call_at(now, calls.append, 'third')
    sleep(0)
    assert calls == ['third']
    assert len(hub.timers) == 0


def test_a_timer_that_starts_itself_again_does_not_stop_the_hub():
    calls = []
    hub = get_hub()

    def again():
        calls.append(1)
        nonlocal timer
        timer = hub.call_at(0, again)

    timer = hub.call_at(0, again)
    sleep(0)
    sleep(0)
    timer.cancel()
    assert 2 <= len(calls) <= 10


def test_cancelled_timers_do_not_pile_up():
    hub = get_hub()
    keep = [hub.call_later(1000, print) for _ in range(10)]
    for _ in range(10_000):
        hub.call_later(1000, print).cancel()
    assert len(hub.timers.heap) + len(hub.timers.new) < 1000
    assert len(hub.timers) == 10
    for timer in keep:
        timer.cancel()


def test_many_timers_run_in_the_order_of_their_times_but_those_that_were_cancelled():
    hub = get_hub()
    now = hub.time()
    order = list(range(3000))
    random.Random(7).shuffle(order)
    called = []
    timers = {number: hub.call_at(now + number * 1e-6, called.append, number) for number in order}
    for number in order[:1500]:
        timers[number].cancel()
    while len(called) < 1500:
        sleep(0.001)
    sleep(0)
    assert called == sorted(order[1500:])
    assert len(hub.timers) == 0


def test_behind_a_cancelled_timer_the_next_one_is_in_time():
    hub = get_hub()
    with switch_back() as switcher:
        hub.call_later(0.001, print).cancel()
        hub.call_later(0.002, switcher)
        hub.switch()
    assert hub.timers.nearest() is None


def test_an_exception_of_a_timer_is_logged_and_the_next_one_runs(caplog):
    calls = []
    get_hub().call_later(0, lambda: 1 // 0)
    get_hub().call_later(0, calls.append, 1)
    sleep(0.001)
    assert calls == [1]
    assert 'ZeroDivisionError' in caplog.text


# sleep().


def test_sleep_refuses_negative_seconds():
    with pytest.raises(ValueError, match='-1'):
        sleep(-1)


def test_sleep_without_a_limit_ends_by_cancel():
    fiber = spawn(sleep, None)
    sleep(0)
    assert fiber.alive
    fiber.cancel()
    sleep(0)
    assert not fiber.alive


def test_sleep_0_lets_everything_run_that_was_ready_and_what_that_wakes():
    steps = []
    with_switchers = []

    def waiter():
        with switch_back() as switcher:
            with_switchers.append(switcher)
            get_hub().switch()
        steps.append('waiter')
        second.switch()

    def second_waiter():
        nonlocal second
        with switch_back() as second:
            get_hub().switch()
        steps.append('second')

    second = None
    spawn(waiter)
    spawn(second_waiter)
    sleep(0)
    with_switchers[0].switch()
    sleep(0)
    steps.append('root')
    assert steps == ['waiter', 'second', 'root']


def test_spawn_and_sleep_0_runs_the_fiber_to_its_first_wait():
    steps = []

    def run():
        steps.append('begin')
        sleep(None)

    fiber = spawn(run)
    sleep(0)
    assert steps == ['begin']
    fiber.cancel()


def test_fibers_in_sleep_0_take_turns():
    steps = []

    def run(name):
        for _ in range(3):
            steps.append(name)
            sleep(0)

    fibers = [spawn(run, name) for name in 'ab']
    for fiber in fibers:
        fiber.join()
    assert steps == list('ababab')


def test_sleep_0_lets_timers_and_other_threads_in():
    hub = get_hub()
    calls = []
    hub.call_later(0.001, calls.append, 'timer')
    thread = threading.Thread(target=hub.run_callback, args=(calls.append, 'thread'))
    thread.start()
    while len(calls) < 2:
        sleep(0)
    thread.join()
    assert sorted(calls) == ['thread', 'timer']


# switch_back().


def wait(switcher_to, timeout=None, **kwargs):
    """Wait in a fiber; hand out the switcher through the list."""
    with switch_back(timeout, **kwargs) as switcher:
        switcher_to.append(switcher)
        return get_hub().switch()


def started(timeout=None, **kwargs):
    found = []
    fiber = spawn(lambda: wait(found, timeout, **kwargs))
    sleep(0)
    return fiber, found[0]


def test_calling_the_switcher_returns_all_arguments():
    fiber, switcher = started()
    switcher(1, 2, key='value')
    assert fiber.result() == ((1, 2), {'key': 'value'})


@pytest.mark.parametrize('value', [None, 1, (), (1, 2), [3], {'a': 1}])
def test_switch_returns_the_value_itself(value):
    fiber, switcher = started()
    switcher.switch(value)
    assert fiber.result() is value


def test_throw_raises_the_very_instance():
    fiber, switcher = started()
    error = ValueError('x')
    switcher.throw(error)
    with pytest.raises(ValueError) as caught:
        fiber.result()
    assert caught.value is error


def test_throw_takes_a_class_and_its_argument():
    fiber, switcher = started()
    switcher.throw(KeyError, 'missing')
    with pytest.raises(KeyError, match='missing'):
        fiber.result()


def test_only_the_first_counts():
    fiber, switcher = started()
    assert switcher.active
    switcher.switch('first')
    assert not switcher.active
    switcher.throw(ValueError)
    switcher.switch('third')
    assert fiber.result() == 'first'


def test_after_the_timeout_its_instance_is_the_timeout():
    fiber, switcher = started(0.001)
    assert switcher.timeout == 0.001
    with pytest.raises(Timeout) as caught:
        fiber.result()
    assert caught.value is switcher.timeout
    assert isinstance(caught.value, TimeoutError)


def test_a_timeout_of_0_is_allowed():
    with pytest.raises(Timeout), switch_back(0):
        get_hub().switch()


def test_a_wait_that_ends_leaves_no_timer():
    before = len(get_hub().timers)
    fiber, switcher = started(1000)
    assert len(get_hub().timers) == before + 1
    switcher.switch()
    fiber.join()
    assert len(get_hub().timers) == before


def test_a_left_block_is_inactive_and_its_wake_up_goes_nowhere():
    hub = get_hub()
    with switch_back() as old:
        pass
    assert not old.active
    with switch_back() as queued:
        queued.switch('stale')
    with switch_back(0.001) as fresh:
        old.switch('older')
        with pytest.raises(Timeout):
            hub.switch()
    assert not fresh.active


def test_a_wake_up_that_comes_behind_a_cancel_does_not_end_the_next_wait():
    ends = []

    def run():
        try:
            with switch_back() as switcher:
                switchers.append(switcher)
                get_hub().switch()
        except Cancelled:
            with switch_back() as switcher:
                switchers.append(switcher)
                ends.append(get_hub().switch())

    switchers = []
    fiber = spawn(run)
    sleep(0)
    fiber.cancel()
    switchers[0].switch('stale')
    sleep(0)
    assert ends == []
    switchers[1].switch('fresh')
    fiber.join()
    assert ends == ['fresh']


def test_a_switcher_knows_its_fiber():
    fiber, switcher = started()
    assert switcher.fiber is fiber
    switcher.switch()
    fiber.join()
    with switch_back() as own:
        assert own.fiber is current_fiber()


def test_waking_an_ended_fiber_does_nothing():
    fiber, switcher = started()
    fiber.cancel()
    sleep(0)
    switcher.switch()
    switcher.throw(ValueError)
    sleep(0)
    assert not fiber.alive


def test_cleanups_run_when_the_block_is_left(caplog):
    calls = []
    with switch_back() as switcher:
        switcher.add_cleanup(lambda: 1 // 0)
        switcher.add_cleanup(calls.append, 1)
        assert calls == []
    assert calls == [1]
    assert 'ZeroDivisionError' in caplog.text


def test_calling_takes_the_lock():
    lock = threading.Lock()
    fiber, switcher = started(lock=lock)
    lock.acquire()
    thread = threading.Thread(target=switcher, args=('late',))
    thread.start()
    sleep(0.001)
    assert switcher.active
    lock.release()
    assert fiber.result() == (('late',), {})
    thread.join()


def test_of_many_threads_that_wake_one_wins(long):
    for _ in range(long(50, 2000)):
        fiber, switcher = started()
        barrier = threading.Barrier(4)

        def wake(number, barrier=barrier, switcher=switcher):
            barrier.wait()
            switcher.switch(number)

        threads = [threading.Thread(target=wake, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        assert fiber.result(10) in range(4)
        for thread in threads:
            thread.join()


# close(). In a thread, so that the hub of the test run lives on.


def closed_in_thread(before_close=lambda: None):
    def run():
        hub = get_hub()
        kept = before_close()
        hub.close()
        return hub, kept

    return in_thread(run)


def test_a_closed_hub_stays_the_hub_and_refuses_everything():
    def run():
        hub = get_hub()
        assert hub.is_alive()
        hub.close()
        hub.close()
        assert get_hub() is hub
        assert not hub.is_alive()
        assert hub.loop is None
        with pytest.raises(RuntimeError, match='closed'):
            hub.run_callback(print)
        with pytest.raises(RuntimeError, match='closed'):
            hub.switch()
        with pytest.raises(RuntimeError, match='closed'):
            spawn(print)

    in_thread(run)


def test_close_is_for_the_root_fiber_of_the_own_thread():
    hub = get_hub()
    with pytest.raises(RuntimeError, match='root fiber'):
        spawn(hub.close).result()
    with pytest.raises(RuntimeError, match='root fiber'):
        in_thread(hub.close)


def test_close_lets_go_of_the_loop():
    _, loop = closed_in_thread(lambda: weakref.ref(get_hub().loop))
    gc.collect()
    assert loop() is None


def test_close_cancels_fibers_and_lets_them_clean_up():
    steps = []

    def run():
        try:
            sleep(None)
        except Cancelled as error:
            steps.append(str(error))
            sleep(0)
            steps.append('cleaned up')
            raise

    def begin():
        spawn(run)
        spawn(run)

    closed_in_thread(begin)
    assert steps == ['hub closed', 'hub closed', 'cleaned up', 'cleaned up']


def test_close_gives_up_a_fiber_that_does_not_end(caplog):
    def stay():
        while True:
            try:
                sleep(None)
            except Cancelled:
                continue

    hub, _ = closed_in_thread(lambda: spawn(stay, name='stubborn'))
    assert 'fiber stubborn did not end when its hub was closed' in caplog.text
    assert not hub.is_alive()


def test_close_closes_handles():
    from gruvi_cffi._native.tcp import TcpHandle

    closed = []

    class Owner:
        def handle_closed(self):
            closed.append(True)

    def begin():
        for _ in range(10):
            TcpHandle(get_hub().loop).owner = Owner()

    closed_in_thread(begin)
    assert len(closed) == 10


def test_waking_a_fiber_of_a_closed_hub_does_nothing():
    switchers = []

    def begin():
        spawn(lambda: wait(switchers))
        sleep(0)

    closed_in_thread(begin)
    switchers[0].switch('late')


def test_what_close_interrupts_runs_no_more_switchpoints():
    @switchpoint
    def late():
        return 'ran'

    hub, _ = closed_in_thread()
    assert late() == 'ran'
    assert len(hub.fibers) == 0


def test_a_never_started_fiber_does_not_hold_up_close():
    hub, fiber = closed_in_thread(lambda: Fiber(print))
    assert fiber.alive
    assert not hub.is_alive()


def test_nothing_is_logged_by_a_quiet_life(caplog):
    with caplog.at_level(logging.WARNING):
        closed_in_thread(lambda: spawn(sleep, None))
    assert caplog.text == ''


def test_a_loop_that_fails_ends_the_hub_instead_of_spinning():
    def run():
        hub = get_hub()
        batch, hub.loop._batch = hub.loop._batch, (iter(()), -1)  # what cannot be
        with pytest.raises(TransportError, match='could not poll'):
            sleep(1)
        assert not hub.is_alive()
        with pytest.raises(RuntimeError, match='the hub has failed'):
            sleep(0)
        hub.loop._batch = batch
        hub.loop.close()

    in_thread(run)
