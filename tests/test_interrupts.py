import asyncio
import gc
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
from greenlet import getcurrent

from gruvi_cffi._native.poll import READABLE, PollHandle
from gruvi_cffi.fibers import Fiber, current_fiber, spawn
from gruvi_cffi.hub import get_hub, sleep, switch_back
from gruvi_cffi.sync import Event


@pytest.fixture
def handler():
    """Set a handler for a signal for the length of a test."""
    restore = []

    def set_handler(number, function):
        restore.append((number, signal.signal(number, function)))

    yield set_handler
    for number, previous in reversed(restore):
        signal.signal(number, previous)


def send(number):
    os.kill(os.getpid(), number)


def send_soon(number, delay=0.01):
    """Send a signal from another thread, so that it comes while the hub waits in the poll."""
    thread = threading.Timer(delay, send, (number,))
    thread.start()
    return thread


# SIGINT.


def test_sigint_raises_in_the_root_fiber_while_the_hub_waits():
    thread = send_soon(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match='SIGINT received'):
        sleep(None)
    thread.join()
    sleep(0)
    assert get_hub().is_alive()


def test_sigint_while_a_fiber_runs_raises_in_the_root_fiber_alone():
    steps = []

    def run():
        send(signal.SIGINT)
        steps.append('went on')
        sleep(0)
        steps.append('and on')

    fiber = spawn(run)
    with pytest.raises(KeyboardInterrupt):
        sleep(None)
    fiber.join()
    assert steps == ['went on', 'and on']


def test_sigint_while_the_root_fiber_runs_raises_where_it_waits_next():
    send(signal.SIGINT)
    steps = ['not yet']
    with pytest.raises(KeyboardInterrupt):
        sleep(0)
    assert steps == ['not yet']


def test_a_second_sigint_raises_where_it_is():
    def compute():
        send(signal.SIGINT)
        while True:
            send(signal.SIGINT)

    fiber = spawn(compute)
    fiber.add_done_callback(int)
    with pytest.raises(KeyboardInterrupt):
        sleep(None)
    assert isinstance(fiber.exception, KeyboardInterrupt)


def test_a_second_sigint_in_the_root_fiber_is_the_only_one():
    send(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)
    sleep(0)
    sleep(0)


def test_a_second_sigint_never_raises_in_the_hub():
    calls = []

    def callback():
        for _ in range(5):
            send(signal.SIGINT)
        calls.append(current_fiber().name)

    get_hub().run_callback(callback)
    with pytest.raises(KeyboardInterrupt):
        sleep(None)
    assert calls == ['Hub']
    sleep(0)


def test_ignore_interrupt():
    hub = get_hub()
    hub.ignore_interrupt = True
    try:
        send(signal.SIGINT)
        sleep(0)
    finally:
        hub.ignore_interrupt = False


def test_another_threads_hub_gets_no_sigint():
    results = []
    thread = threading.Thread(target=lambda: results.append(sleep(0.03)))
    thread.start()
    send(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        sleep(0)
    thread.join()
    assert results == [None]


def test_signals_under_load_lose_no_record(long):
    # Each byte comes in a record of its own; one that is lost with its drain is missed at the end.
    count = long(1000, 20_000)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    seen = interrupts = 0

    class Reader:
        def handle_ready(self, events, error):
            nonlocal seen
            seen += len(ours.recv(1))
            if seen == count:
                done.switch()

        def handle_closed(self):
            pass

    def interrupt():
        # One after the other: a second one that comes before the first arrived may raise anywhere.
        for number in range(count):
            theirs.send(b'x')
            send(signal.SIGINT)
            while interrupts <= number:
                os.sched_yield()

    handle = PollHandle(get_hub().loop, ours.fileno())
    handle.owner = Reader()
    handle.start(READABLE)
    thread = threading.Thread(target=interrupt)
    with switch_back() as done:
        thread.start()
        while interrupts < count:
            try:
                get_hub().switch()
            except KeyboardInterrupt:
                interrupts += 1
    while seen < count:
        sleep(0)
    thread.join()
    handle.close()
    sleep(0)
    ours.close()
    theirs.close()
    assert seen == count


# Other signals.


def test_a_python_handler_runs_while_the_hub_waits(handler):
    with switch_back(10) as switcher:
        handler(signal.SIGUSR1, switcher)
        thread = send_soon(signal.SIGUSR1)
        (number, _), _ = get_hub().switch()
    thread.join()
    assert number == signal.SIGUSR1


def test_a_handler_runs_though_asyncio_took_the_wakeup_fd(handler):
    async def take():
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR2, print)
        loop.remove_signal_handler(signal.SIGUSR2)

    sleep(0)
    asyncio.run(take())
    with switch_back(10) as switcher:
        handler(signal.SIGUSR1, switcher)
        # Late enough that a wait which is cut short does not help.
        thread = send_soon(signal.SIGUSR1, 0.1)
        get_hub().switch()
    thread.join()


def test_a_handler_that_raises_does_so_in_the_root_fiber_if_the_hub_waits(handler):
    def leave(number, frame):
        raise SystemExit(number)

    handler(signal.SIGUSR1, leave)
    thread = send_soon(signal.SIGUSR1)
    with pytest.raises(SystemExit):
        sleep(None)
    thread.join()
    sleep(0)


class Strike(BaseException):
    """What a handler raises."""


@pytest.mark.parametrize('strikes', [1, 2])
def test_what_strikes_the_hub_between_two_turns_does_not_end_it(monkeypatch, strikes):
    hub = get_hub()
    left = [Strike(number) for number in range(strikes)]

    class Struck(type(hub)):
        @property
        def _stopping(self):
            if left:
                raise left.pop()
            return False

    with monkeypatch.context() as patched:
        patched.setattr(hub, '__class__', Struck)
        for _ in range(strikes):
            with pytest.raises(Strike):
                sleep(None)
        assert spawn(int).result(10) == 0


@pytest.mark.parametrize('before', [0, 1])
def test_what_strikes_where_a_fiber_begins_does_not_lose_it(before):
    left = [Strike()]

    class Struck(Fiber):
        def work(self):
            if left:
                raise left.pop()
            super().work()

    sleep(0)
    for _ in range(before):  # on whose carrier it begins
        spawn(int)
    fibers = [Struck(int) for _ in range(3)]
    for fiber in fibers:
        fiber.start()
    with pytest.raises(Strike):
        sleep(10)
    assert [fiber.result(10) for fiber in fibers] == [0, 0, 0]


def test_what_strikes_right_before_a_switch_loses_nobody(monkeypatch):
    woken = Event()

    def strike():
        monkeypatch.setattr('gruvi_cffi.hub.getcurrent', getcurrent)
        raise Strike

    def struck():
        woken.wait()
        monkeypatch.setattr('gruvi_cffi.hub.getcurrent', strike)
        with pytest.raises(Strike):
            sleep(0)  # it was to switch to the other

    first, other = spawn(struck), spawn(woken.wait)
    sleep(0)
    woken.set()
    first.result(10)
    assert other.result(10)


def test_a_storm_of_handlers_that_wake_loses_no_wake_up(handler, long):
    """The waking half of every primitive is a switcher; this one is called by a signal handler."""
    count = long(300, 20_000)
    current = []
    handler(signal.SIGALRM, lambda number, frame: current and current[-1].switch('woken'))
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    try:
        for _ in range(count):
            with switch_back(10) as switcher:
                current[:] = [switcher]
                assert get_hub().switch() == 'woken'
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def test_a_storm_of_handlers_that_run_callbacks_loses_none(handler):
    # A handler may interrupt itself, so the order is not that of the numbers.
    called = []
    numbers = itertools.count()
    handler(signal.SIGALRM, lambda *_: get_hub().run_callback(called.append, next(numbers)))
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        while len(called) < 300:
            sleep(0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    sleep(0)
    assert sorted(called) == list(range(next(numbers)))


def test_finalizers_may_wake():
    class Waker:
        def __init__(self, switcher):
            self.switcher = switcher
            self.cycle = self

        def __del__(self):
            self.switcher.switch('finalized')

    for _ in range(50):
        with switch_back(10) as switcher:
            Waker(switcher)
            timer = get_hub().call_later(0.0001, lambda: [[] for _ in range(10_000)])
            gc.collect()
            assert get_hub().switch() == 'finalized'
        timer.cancel()


# What was taken is given back. In a process of its own, since it is about the main thread's hub.

GIVEN_BACK = """
import signal, socket
from gruvi_cffi.hub import get_hub, sleep
mine, other = socket.socketpair()
mine.setblocking(False)
signal.set_wakeup_fd(mine.fileno())
hub = get_hub()
sleep(0)
assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
hub.close()
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
assert signal.set_wakeup_fd(-1) == mine.fileno()
"""
KEPT = """
import signal
from gruvi_cffi.hub import get_hub
handler = lambda *args: None
signal.signal(signal.SIGINT, handler)
hub = get_hub()
assert signal.getsignal(signal.SIGINT) is handler
hub.close()
assert signal.getsignal(signal.SIGINT) is handler
"""
LATER = """
import signal
from gruvi_cffi.hub import get_hub
hub = get_hub()
handler = lambda *args: None
signal.signal(signal.SIGINT, handler)
hub.close()
assert signal.getsignal(signal.SIGINT) is handler
"""


@pytest.mark.parametrize('program', [GIVEN_BACK, KEPT, LATER])
def test_close_gives_back_what_was_taken(program):
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, '')
