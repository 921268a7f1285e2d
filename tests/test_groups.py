import sys

import pytest

from gruvi_cffi.errors import Cancelled, Timeout
from gruvi_cffi.fibers import spawn
from gruvi_cffi.groups import FiberGroup, timeout
from gruvi_cffi.hub import get_hub, sleep

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup


def fail(error):
    raise error


# timeout().


def test_a_block_in_time_is_left_alone():
    before = len(get_hub().timers)
    with timeout(10):
        sleep(0)
    assert len(get_hub().timers) == before


def test_a_block_that_takes_too_long_raises_timeout():
    with pytest.raises(Timeout, match=r'0\.001 seconds') as caught:
        with timeout(0.001):
            sleep(None)
    assert isinstance(caught.value, TimeoutError)


def test_none_is_no_limit():
    with timeout(None):
        sleep(0.001)


def test_in_a_fiber():
    def run():
        with timeout(0.001):
            sleep(None)

    with pytest.raises(Timeout):
        spawn(run).result()


@pytest.mark.parametrize(
    ('outer', 'inner', 'expired'), [(0.001, 10, 'outer'), (10, 0.001, 'inner')]
)
def test_nested_ones_are_told_apart(outer, inner, expired):
    caught = []
    try:
        with timeout(outer):
            try:
                with timeout(inner):
                    sleep(None)
            except Timeout:
                caught.append('inner')
    except Timeout:
        caught.append('outer')
    assert caught == [expired]


def test_when_both_expire_in_one_turn_the_outer_raises_and_nothing_is_left():
    now = get_hub().time()
    with pytest.raises(Timeout, match=r'^timed out after 0\.00[12] seconds$'):
        with timeout(0.002):
            with timeout(0.001):
                while get_hub().time() < now + 0.005:
                    pass
                sleep(None)
    sleep(0.001)


def test_a_timeout_of_something_inside_is_not_its_own():
    with pytest.raises(Timeout) as caught:
        with timeout(10):
            spawn(sleep, 0.01).join(0.001)
    assert 'timed out after 0.001 seconds' in str(caught.value)
    sleep(0.015)


def test_after_the_block_nothing_fires():
    # It expires while the block computes, so it is on its way when the block is left.
    block = timeout(0.001)
    now = get_hub().time()
    with block:
        while get_hub().time() < now + 0.003:
            pass
    sleep(0)
    sleep(0.002)


def test_an_exception_of_the_block_passes():
    with pytest.raises(ValueError, match='mine'), timeout(10):
        raise ValueError('mine')


def test_cancelled_from_outside_passes():
    def run():
        with timeout(10):
            sleep(None)

    fiber = spawn(run)
    sleep(0)
    fiber.cancel('from outside')
    with pytest.raises(Cancelled, match='from outside'):
        fiber.result()


def test_a_timeout_can_be_used_once():
    block = timeout(1)
    with block:
        pass
    with pytest.raises(RuntimeError, match='once'):
        block.__enter__()


# FiberGroup.


def test_the_block_is_left_when_all_are_done():
    done = []

    def run(number):
        sleep(0.001)
        done.append(number)

    with FiberGroup() as group:
        for number in range(3):
            group.spawn(run, number)
        assert done == []
    assert sorted(done) == [0, 1, 2]


def test_an_empty_group_does_not_wait():
    with FiberGroup():
        pass


def test_spawn_passes_arguments_and_keywords_to_the_function():
    with FiberGroup() as group:
        fiber = group.spawn(lambda *args, **kwargs: (args, kwargs), 1, name='x')
    assert fiber.result() == ((1,), {'name': 'x'})


def test_a_member_can_spawn_more():
    done = []

    def run(left):
        sleep(0)
        done.append(left)
        if left:
            group.spawn(run, left - 1)

    with FiberGroup() as group:
        group.spawn(run, 3)
    assert done == [3, 2, 1, 0]


def test_one_exception_cancels_the_rest_and_is_raised_as_it_is():
    error = ValueError('x')
    with pytest.raises(ValueError) as caught:
        with FiberGroup() as group:
            waiting = [group.spawn(sleep, None) for _ in range(3)]
            group.spawn(fail, error)
    assert caught.value is error
    assert not any(fiber.alive for fiber in waiting)
    assert all(isinstance(fiber.exception, Cancelled) for fiber in waiting)


def test_one_exception_interrupts_the_block_where_it_waits():
    with pytest.raises(ValueError, match='x'):
        with FiberGroup() as group:
            group.spawn(fail, ValueError('x'))
            sleep(None)


def test_an_exception_of_a_member_is_not_logged(caplog):
    with pytest.raises(ValueError, match='x'), FiberGroup() as group:
        group.spawn(fail, ValueError('x'))
    assert caplog.text == ''


def test_several_exceptions_come_in_a_group():
    def fail_when_cancelled():
        try:
            sleep(None)
        except Cancelled:
            raise KeyError('second') from None

    with pytest.raises(ExceptionGroup) as caught:
        with FiberGroup() as group:
            group.spawn(fail_when_cancelled)
            sleep(0)
            group.spawn(fail, ValueError('first'))
    assert [type(error) for error in caught.value.exceptions] == [ValueError, KeyError]


def test_the_exception_of_the_block_counts_as_one():
    with pytest.raises(ValueError, match='block'):
        with FiberGroup() as group:
            waiting = group.spawn(sleep, None)
            raise ValueError('block')
    assert not waiting.alive


def test_exceptions_of_the_block_and_of_a_member_come_in_a_group():
    def fail_when_cancelled():
        try:
            sleep(None)
        except Cancelled:
            raise KeyError('member') from None

    with pytest.raises(ExceptionGroup) as caught:
        with FiberGroup() as group:
            group.spawn(fail_when_cancelled)
            sleep(0)
            raise ValueError('block')
    assert [type(error) for error in caught.value.exceptions] == [ValueError, KeyError]


def test_a_base_exception_among_several_makes_a_base_group():
    def fail_when_cancelled():
        try:
            sleep(None)
        except Cancelled:
            raise SystemExit(1) from None

    with pytest.raises(BaseExceptionGroup) as caught:
        with FiberGroup() as group:
            group.spawn(fail_when_cancelled)
            sleep(0)
            group.spawn(fail, ValueError('x'))
    assert not isinstance(caught.value, Exception)


def test_a_member_that_is_cancelled_is_no_failure():
    with FiberGroup() as group:
        fiber = group.spawn(sleep, None)
        other = group.spawn(sleep, 0.001)
        sleep(0)
        fiber.cancel()
    assert other.exception is None


@pytest.mark.parametrize('in_block', [True, False])
def test_a_cancelled_parent_cancels_the_members_and_waits_for_them(in_block):
    ended = []

    def member():
        try:
            sleep(None)
        finally:
            sleep(0)
            ended.append(True)

    def run():
        with FiberGroup() as group:
            group.spawn(member)
            group.spawn(member)
            if in_block:
                sleep(None)
        ended.append('unreachable')

    fiber = spawn(run)
    sleep(0)
    sleep(0)
    fiber.cancel('from outside')
    with pytest.raises(Cancelled, match='from outside'):
        fiber.result()
    assert ended == [True, True]


def test_a_member_that_fails_in_a_cancelled_group_is_logged(caplog):
    def member():
        try:
            sleep(None)
        finally:
            raise ValueError('while ending')

    def run():
        with FiberGroup() as group:
            group.spawn(member)
            sleep(None)

    fiber = spawn(run)
    sleep(0)
    sleep(0)
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.result()
    assert 'ValueError: while ending' in caplog.text


def test_a_timeout_around_a_group_ends_it():
    members = []
    with pytest.raises(Timeout), timeout(0.001), FiberGroup() as group:
        members.append(group.spawn(sleep, None))
    assert not members[0].alive


def test_nothing_starts_in_a_group_that_was_left_or_is_cancelled():
    with FiberGroup() as group:
        pass
    with pytest.raises(RuntimeError, match='was left'):
        group.spawn(print)

    def late():
        try:
            sleep(None)
        except Cancelled:
            cancelled.spawn(print)

    with pytest.raises(ExceptionGroup) as caught:
        with FiberGroup() as cancelled:
            cancelled.spawn(late)
            sleep(0)
            cancelled.spawn(fail, ValueError('x'))
    assert 'is being cancelled' in str(caught.value.exceptions[1])


def test_groups_nest():
    outer_members = []
    with pytest.raises(KeyError):
        with FiberGroup() as outer:
            outer_members.append(outer.spawn(sleep, None))
            with FiberGroup() as inner:
                inner.spawn(fail, KeyError('inner'))
    assert not outer_members[0].alive
