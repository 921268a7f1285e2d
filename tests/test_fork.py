import os
import signal
import sys
import threading
import traceback

import pytest

from gruvi_cffi._native.tcp import TcpHandle
from gruvi_cffi.fibers import current_fiber, spawn
from gruvi_cffi.hub import get_hub, sleep, switch_back
from gruvi_cffi.switchpoints import assert_no_switchpoints

pytestmark = pytest.mark.filterwarnings('ignore:This process.*is multi-threaded:DeprecationWarning')


def in_child(function):
    """Fork, run *function* in the child, and return its exit status: 0 if it did not raise."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            code = 0
        except BaseException:  # the child must not go on as a test run
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return status_of(pid)


def status_of(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def refused(function, *args):
    try:
        function(*args)
    except RuntimeError as error:
        assert 'parent process' in str(error), error
    else:
        raise AssertionError(f'{function} was not refused')


def test_a_child_makes_its_own_hub():
    hub = get_hub()
    sleep(0)

    def child():
        assert get_hub() is not hub
        sleep(0.001)
        assert spawn(lambda: 42).result() == 42
        get_hub().close()

    assert in_child(child) == 0
    sleep(0.001)


def test_touching_what_was_inherited_is_refused():
    hub = get_hub()
    handle = TcpHandle(hub.loop)
    fiber = spawn(sleep, None)
    sleep(0)

    def child():
        refused(hub.switch)
        refused(hub.run_callback, print)
        refused(fiber.cancel)
        refused(handle.fileno)
        refused(handle.abort)

    assert in_child(child) == 0
    handle.abort()
    fiber.cancel()
    sleep(0)


def test_the_parent_notices_nothing():
    hub = get_hub()
    steps = []

    def run():
        sleep(0.005)
        steps.append('woken')

    fiber = spawn(run)
    sleep(0)
    assert in_child(lambda: get_hub().close()) == 0
    fiber.join(10)
    assert steps == ['woken']
    assert get_hub() is hub


def test_a_child_drops_its_copies_of_the_parents_descriptors():
    get_hub()
    sleep(0)
    before = set(os.listdir('/proc/self/fd'))

    def child():
        left = {number for number in os.listdir('/proc/self/fd') if number in before}
        targets = [
            os.readlink(f'/proc/self/fd/{number}')
            for number in left
            if os.path.exists(f'/proc/self/fd/{number}')
        ]
        assert not any('eventpoll' in target or 'eventfd' in target for target in targets), targets

    assert in_child(child) == 0


def test_signals_of_the_child_are_its_own():
    hub = get_hub()
    assert hub.is_alive()

    def child():
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert signal.set_wakeup_fd(-1) == -1
        get_hub()
        try:
            os.kill(os.getpid(), signal.SIGINT)
            sleep(None)
        except KeyboardInterrupt:
            pass

    assert in_child(child) == 0
    sleep(0)


def test_after_fork_in_a_fiber_that_fiber_is_the_childs_root():
    def run():
        own = current_fiber()

        def child():
            assert current_fiber() is own
            sleep(0.001)
            assert spawn(lambda: 'ran').result() == 'ran'
            assert get_hub().root is own
            get_hub().close()

        return in_child(child)

    assert spawn(run).result() == 0


@pytest.mark.parametrize(
    ('end', 'code'), [(lambda: None, 0), (lambda: sys.exit(5), 5), (lambda: 1 // 0, 1)]
)
def test_a_child_ends_with_the_fiber_that_forked_it(end, code, capfd):
    def run():
        pid = os.fork()
        if pid == 0:
            sleep(0)
            end()
        return pid

    pid = spawn(run).result()
    assert status_of(pid) == code


def test_other_fibers_do_not_run_in_the_child(tmp_path):
    log = tmp_path / 'log'

    def other():
        try:
            sleep(None)
        finally:
            with log.open('a') as file:
                file.write(f'{os.getpid()}\n')

    fiber = spawn(other)
    sleep(0)

    def child():
        sleep(0.001)
        get_hub().close()

    assert in_child(child) == 0
    fiber.cancel()
    sleep(0)
    assert log.read_text() == f'{os.getpid()}\n'


def test_fork_inside_a_section_without_switchpoints():
    with assert_no_switchpoints():
        code = in_child(lambda: sleep(0.001))
    assert code == 0


def test_a_late_wake_up_for_an_inherited_wait_is_ignored():
    with switch_back() as switcher:
        assert in_child(switcher.switch) == 0


def test_hubs_of_other_threads_are_dropped_too():
    begun, end = threading.Event(), threading.Event()
    hubs = []

    def run():
        hubs.append(get_hub())
        begun.set()
        while not end.is_set():
            sleep(0.001)

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait()
    assert in_child(lambda: refused(hubs[0].run_callback, print)) == 0
    end.set()
    thread.join()
