import contextvars
import functools
import gc
import sys
import threading
import weakref

import pytest
from greenlet import GreenletExit

from gruvi_cffi import limits
from gruvi_cffi.errors import Cancelled, Timeout
from gruvi_cffi.fibers import Fiber, current_fiber, spawn
from gruvi_cffi.hub import get_hub, sleep, switch_back


def fail(error):
    raise error


def forever():
    sleep(None)


# Life.


def test_start_next_runs_before_what_was_ready():
    order = []

    def first():
        order.append('first')
        spawn(order.append, 'spawned')
        Fiber(order.append, ('next',)).start_next()

    spawn(first)
    spawn(order.append, 'second')
    sleep(0)
    assert order == ['first', 'next', 'second', 'spawned']


def test_fibers_that_start_the_next_for_ever_hold_up_no_timer():
    rung = []
    count = [0]

    def again():
        count[0] += 1
        if not rung and count[0] < 100 * limits.HURRIED_FIBERS:
            Fiber(again).start_next()

    spawn(again)
    get_hub().call_later(0, rung.append, True)
    while not rung:
        sleep(0)
    assert count[0] <= 2 * limits.HURRIED_FIBERS


def test_a_fiber_is_alive_from_the_beginning_to_the_end():
    fiber = Fiber(print, ('',))
    assert fiber.alive
    assert fiber.is_alive()
    fiber.start()
    assert fiber.alive
    fiber.join()
    assert not fiber.alive
    assert not fiber.is_alive()


def test_names_count_up():
    first, second = Fiber(print), Fiber(print)
    number = int(first.name.partition('-')[2])
    assert second.name == f'Fiber-{number + 1}'
    assert Fiber(print, name='mine').name == 'mine'


def test_spawn_passes_arguments_to_the_function_and_keywords_to_the_fiber():
    fiber = spawn(lambda *args: (args, current_fiber().name), 1, 2, name='mine')
    assert fiber.result() == ((1, 2), 'mine')


def test_the_constructor_takes_keywords_for_the_function():
    fiber = Fiber(dict, ((('a', 1),),), {'b': 2})
    fiber.start()
    assert fiber.result() == {'a': 1, 'b': 2}


@pytest.mark.parametrize('target', [functools.partial(max, 3, 4), (3).__pos__, int, lambda: 0])
def test_anything_that_can_be_called_can_be_a_target(target):
    assert spawn(target).result() == target()


def test_starting_twice_runs_once(caplog):
    calls = []
    fiber = spawn(calls.append, 1)
    fiber.start()
    fiber.join()
    fiber.start()
    sleep(0)
    assert calls == [1]
    assert 'was started already' in caplog.text


def test_current_fiber():
    root = current_fiber()
    assert root is current_fiber()
    assert root.name == 'Root'
    fiber = spawn(current_fiber)
    assert fiber.result() is fiber
    assert current_fiber() is root


def test_a_fiber_has_room_for_the_application():
    fiber = Fiber(print)
    assert fiber.context is None
    fiber.context = 'mine'
    assert fiber.context == 'mine'
    with pytest.raises(AttributeError):
        fiber.other = 1


# Outcome.


def test_result_returns_what_the_function_returned():
    fiber = spawn(lambda: 42)
    assert fiber.result() == 42
    assert fiber.result(0) == 42


def test_result_raises_what_the_function_raised_each_time_alike():
    error = ValueError('x')
    fiber = spawn(fail, error)
    depths = []
    for _ in range(3):
        with pytest.raises(ValueError) as caught:
            fiber.result()
        assert caught.value is error
        depths.append(len(caught.traceback))
    assert depths[0] == depths[1] == depths[2]
    assert fiber.exception is error


def test_result_and_join_raise_timeout():
    fiber = spawn(forever)
    with pytest.raises(Timeout):
        fiber.result(0.001)
    with pytest.raises(Timeout):
        fiber.join(timeout=0.001)
    assert fiber.alive
    fiber.cancel()


def test_join_returns_nothing_and_raises_nothing_of_the_fiber():
    fiber = spawn(fail, ValueError('x'))
    assert fiber.join() is None


def test_result_of_a_cancelled_fiber_is_cancelled():
    fiber = spawn(forever)
    sleep(0)
    fiber.cancel('enough')
    with pytest.raises(Cancelled, match='enough'):
        fiber.result()


def test_a_fiber_cannot_wait_for_itself():
    fiber = spawn(lambda: Fiber.join(fiber))
    with pytest.raises(RuntimeError, match='itself'):
        fiber.result()


def test_an_exception_nobody_waits_for_is_logged_with_its_traceback(caplog):
    spawn(fail, ValueError('lost'), name='unwatched')
    sleep(0)
    assert 'uncaught exception in fiber unwatched' in caplog.text
    assert 'in fail' in caplog.text
    assert 'in work' not in caplog.text
    assert 'ValueError: lost' in caplog.text


@pytest.mark.parametrize('watch', [Fiber.join, Fiber.result])
def test_an_exception_somebody_waits_for_is_not_logged(watch, caplog):
    fiber = spawn(fail, ValueError('seen'))
    try:
        watch(fiber)
    except ValueError:
        pass
    assert caplog.text == ''


def test_an_exception_with_a_done_callback_is_not_logged(caplog):
    fiber = spawn(fail, ValueError('seen'))
    fiber.add_done_callback(lambda: None)
    sleep(0)
    assert caplog.text == ''


def test_who_stops_waiting_is_not_registered_any_more(caplog):
    with switch_back() as switcher:

        def run():
            with switch_back() as own:
                switcher.switch(own)
                get_hub().switch()
            fail(ValueError('lost'))

        fiber = spawn(run)
        own = get_hub().switch()
    with pytest.raises(Timeout):
        fiber.join(0.001)
    own.switch()
    sleep(0)
    assert 'ValueError: lost' in caplog.text


@pytest.mark.parametrize('error', [SystemExit(1), KeyboardInterrupt()])
def test_no_exception_leaves_a_fiber(error, caplog):
    fiber = spawn(fail, error)
    sleep(0)
    assert not fiber.alive
    assert fiber.exception is error
    assert 'uncaught exception' in caplog.text


def test_greenlet_exit_is_no_error(caplog):
    fiber = spawn(fail, GreenletExit())
    fiber.join()
    assert not fiber.alive
    assert caplog.text == ''
    assert spawn(lambda: 'next').result() == 'next'


def test_a_failed_fiber_is_freed_without_the_collector():
    def run():
        local_to_the_fiber = Payload()
        found.append(weakref.ref(local_to_the_fiber))
        raise ValueError('x')

    class Payload:
        pass

    found = []
    gc.collect()
    gc.disable()
    try:
        spawn(run).join()
        if sys.implementation.name != 'cpython':  # there nothing is freed without it
            gc.collect()
        assert found[0]() is None
    finally:
        gc.enable()


# cancel().


def test_cancel_takes_effect_in_the_next_turn():
    fiber = spawn(forever)
    sleep(0)
    fiber.cancel()
    assert fiber.alive
    sleep(0)
    assert not fiber.alive


def test_cancel_names_itself_or_says_what_it_is_told():
    messages = []

    def run():
        try:
            sleep(None)
        except Cancelled as error:
            messages.append(str(error))

    for message in (None, 'enough'):
        fiber = spawn(run)
        sleep(0)
        fiber.cancel(message)
        fiber.join()
    assert messages == ['cancelled by Fiber.cancel()', 'enough']


def test_a_cancelled_fiber_ends_quietly(caplog):
    fiber = spawn(forever)
    sleep(0)
    fiber.cancel()
    sleep(0)
    assert not fiber.alive
    assert caplog.text == ''


def test_a_fiber_may_catch_cancelled_and_go_on():
    def run():
        try:
            sleep(None)
        except Cancelled:
            sleep(0)
        return 'went on'

    fiber = spawn(run)
    sleep(0)
    fiber.cancel()
    assert fiber.result() == 'went on'


def test_cancel_right_after_spawn_comes_at_the_first_wait():
    steps = []

    def run():
        steps.append('begin')
        sleep(None)
        steps.append('unreachable')

    fiber = spawn(run)
    fiber.cancel()
    fiber.join()
    assert steps == ['begin']


def test_cancel_of_a_fiber_that_never_starts_ends_it():
    calls = []
    fiber = Fiber(calls.append, (1,))
    fiber.add_done_callback(calls.append, 'done')
    fiber.cancel()
    sleep(0)
    assert not fiber.alive
    assert calls == ['done']
    assert get_hub().is_alive()


def test_a_fiber_cancelled_before_its_start_does_not_run():
    calls = []
    fiber = Fiber(calls.append, (1,))
    fiber.cancel()
    fiber.start()
    fiber.join()
    assert calls == []


def test_cancel_of_an_ended_fiber_does_nothing():
    fiber = spawn(int)
    fiber.join()
    fiber.cancel()
    sleep(0)
    assert fiber.result() == 0


def test_cancel_that_comes_after_the_end_does_not_hit_the_next_fiber_on_the_carrier():
    def wait_once():
        with switch_back() as switcher:
            switchers.append(switcher)
            get_hub().switch()

    switchers = []
    fiber = spawn(wait_once)
    sleep(0)
    switchers[0].switch()
    fiber.cancel()
    following = spawn(sleep, 0.002)
    fiber.join()
    assert following.result() is None


def test_a_fiber_can_cancel_itself():
    def run():
        current_fiber().cancel('myself')
        sleep(None)

    with pytest.raises(Cancelled, match='myself'):
        spawn(run).result()


def test_cancel_from_another_thread():
    fiber = spawn(forever)
    sleep(0)
    thread = threading.Thread(target=fiber.cancel)
    thread.start()
    fiber.join(10)
    thread.join()
    assert not fiber.alive


# Done callbacks.


def test_done_callbacks_run_in_order_and_once():
    calls = []
    fiber = spawn(int)
    fiber.add_done_callback(calls.append, 1)
    removed = fiber.add_done_callback(calls.append, 'removed')
    fiber.add_done_callback(calls.append, 2)
    fiber.remove_done_callback(removed)
    fiber.remove_done_callback(removed)
    fiber.join()
    sleep(0)
    assert calls == [1, 2]


def test_a_done_callback_of_an_ended_fiber_runs_at_once():
    calls = []
    fiber = spawn(int)
    fiber.join()
    assert fiber.add_done_callback(calls.append, 1) is None
    assert calls == [1]


def test_a_done_callback_must_not_switch_and_does_not_harm_others(caplog):
    calls = []
    fiber = spawn(int)
    fiber.add_done_callback(sleep, 0)
    fiber.add_done_callback(calls.append, 1)
    fiber.join()
    assert calls == [1]
    assert 'called inside assert_no_switchpoints' in caplog.text


def test_join_from_another_thread():
    fiber = spawn(sleep, 0.005)
    results = []
    thread = threading.Thread(target=lambda: results.append(fiber.result(10)))
    thread.start()
    fiber.join()
    thread.join()
    assert results == [None]


# switch() and throw().


@pytest.mark.parametrize(
    'use', [lambda f: f.switch(), lambda f: f.throw(ValueError), lambda f: f.throw(None)]
)
def test_switch_and_throw_are_for_the_hub(use):
    fiber = spawn(forever)
    sleep(0)
    with pytest.raises(RuntimeError, match='only callbacks of the hub'):
        use(fiber)
    fiber.cancel()


def test_a_callback_may_start_a_fiber_by_switching_to_it():
    fiber = Fiber(current_fiber)
    get_hub().run_callback(fiber.switch)
    assert fiber.result() is fiber


def test_a_fiber_that_a_callback_switches_to_may_wait_and_gets_the_value():
    def run():
        sleep(0)
        return get_hub().switch()

    fiber = Fiber(run)
    get_hub().run_callback(fiber.switch)
    sleep(0)
    sleep(0)
    get_hub().run_callback(fiber.switch, 'value')
    assert fiber.result() == 'value'


def test_throw_keeps_the_instance():
    fiber = spawn(forever)
    sleep(0)
    error = ValueError('x')
    get_hub().run_callback(fiber.throw, error)
    with pytest.raises(ValueError) as caught:
        fiber.result()
    assert caught.value is error


def test_throw_into_a_fiber_that_never_started_ends_it():
    fiber = Fiber(print)
    get_hub().run_callback(fiber.throw, ValueError, 'x')
    with pytest.raises(ValueError, match='x'):
        fiber.result()


def test_switch_to_an_ended_fiber_warns(caplog):
    fiber = spawn(int)
    fiber.join()
    get_hub().run_callback(fiber.switch)
    get_hub().run_callback(fiber.throw, ValueError)
    sleep(0)
    assert caplog.text.count('has ended') == 2


def test_a_timer_may_switch_to_a_fiber():
    fiber = Fiber(current_fiber)
    get_hub().call_later(0, fiber.switch)
    assert fiber.result() is fiber


# Context and carriers.

variable = contextvars.ContextVar('variable', default='default')


def test_a_fiber_runs_in_a_copy_of_its_creators_context():
    def run():
        seen.append(variable.get())
        variable.set('of the fiber')
        sleep(0)
        seen.append(variable.get())

    seen = []
    token = variable.set('of the root')
    fiber = Fiber(run)
    variable.set('later')
    fiber.start()
    fiber.join()
    assert seen == ['of the root', 'of the fiber']
    assert variable.get() == 'later'
    variable.reset(token)


def test_nothing_of_a_fiber_is_left_for_the_next_on_its_carrier():
    def run():
        before = variable.get()
        variable.set('mine')
        current_fiber().context = 'mine'
        carriers.append(current_fiber().carrier)
        return before

    carriers = []
    for _ in range(3):
        fiber = spawn(run)
        assert fiber.result() == 'default'
    assert len(set(carriers)) == 1
    assert fiber.carrier is None


def test_an_idle_carrier_keeps_nothing_alive():
    class Payload:
        pass

    def run(payload):
        variable.set(payload)
        return weakref.ref(payload)

    payload = Payload()
    fiber = spawn(run, payload)
    reference = fiber.result()
    del payload, fiber
    gc.collect()
    assert reference() is None


def test_a_parked_fiber_is_kept_though_nobody_refers_to_it():
    steps = []

    def run():
        try:
            sleep(0.002)
        finally:
            steps.append('end')

    spawn(run)
    sleep(0)
    gc.collect()
    assert steps == []
    sleep(0.004)
    assert steps == ['end']


def test_the_pool_keeps_a_bounded_number_and_frees_the_oldest(monkeypatch):
    monkeypatch.setattr(limits, 'IDLE_CARRIERS', 20)
    made = set()
    left = set()

    def run():
        made.add(current_fiber().carrier.serial)
        sleep(0)

    def use():
        fibers = [spawn(run) for _ in range(200)]
        for fiber in fibers:
            fiber.join()
        for _ in range(10):  # turns, each of which frees some
            sleep(0)
        left.update(carrier.serial for carrier in get_hub().carriers.idle)

    # In a thread of its own, with a hub whose carriers nothing else has used.
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert 0 < len(left) <= 20
    assert left == set(sorted(made)[-len(left) :])


# Scale.


def test_a_thousand_fibers_at_once():
    results = []

    def run(number):
        sleep(0)
        results.append(number)

    fibers = [spawn(run, number) for number in range(1000)]
    for fiber in fibers:
        fiber.join()
    assert results == list(range(1000))


def test_a_chain_of_a_thousand_that_wait_for_each_other():
    def run(left):
        return spawn(run, left - 1).result() + 1 if left else 0

    assert spawn(run, 1000).result() == 1000


def test_each_fiber_has_its_own_depth_of_recursion():
    def descend(depth):
        if depth:
            return descend(depth - 1)
        sleep(0)
        return 'bottom'

    fibers = [spawn(descend, 500) for _ in range(10)]
    assert [fiber.result() for fiber in fibers] == ['bottom'] * 10
