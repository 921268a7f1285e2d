"""Waiting for signals: real ones, sent to this process."""

import os
import signal
import subprocess
import sys
import threading
from random import Random
from time import monotonic

import pytest

from gruvi_cffi import (
    Cancelled,
    Event,
    SignalReceiver,
    Timeout,
    limits,
    sleep,
    spawn,
    wait,
    wait_signal,
)
from gruvi_cffi.hub import get_hub

USR1, USR2, HUP = signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP


@pytest.fixture(autouse=True)
def put_back():
    """Every test leaves the handlers as they were."""
    before = {number: signal.getsignal(number) for number in (USR1, USR2, HUP, signal.SIGCHLD)}
    yield
    assert {number: signal.getsignal(number) for number in before} == before
    sleep(0)


@pytest.fixture
def handled():
    """Set a handler of our own for SIGUSR1; what it gets comes into this list."""
    handled = []
    previous = signal.signal(USR1, lambda number, frame: handled.append(number))
    yield handled
    signal.signal(USR1, previous)


def send(*numbers):
    for number in numbers:
        os.kill(os.getpid(), number)


def send_soon(*numbers):
    """Send from another thread, so that the hub waits in the poll."""
    threading.Timer(0.01, send, numbers).start()


def outcome(program):
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


# One signal.


def test_a_signal_is_waited_for():
    send_soon(USR1)
    assert wait_signal(USR1) is USR1


def test_the_first_of_several():
    send_soon(USR2)
    assert wait_signal([USR1, USR2], 10) == USR2


def test_who_waits_too_long():
    with pytest.raises(Timeout, match=r'there was no SIGUSR1 or SIGHUP within 0\.001 seconds'):
        wait_signal((USR1, HUP), 0.001)


def test_a_signal_without_a_name():
    number = signal.SIGRTMIN + 3
    send_soon(number)
    assert wait_signal(number) == number
    assert repr(SignalReceiver(number, HUP)) == f'<SignalReceiver of signal {number} or SIGHUP>'


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGSTOP])
def test_what_cannot_be_caught(number):
    with pytest.raises(ValueError, match=f'{number.name} cannot be caught'):
        wait_signal(number)


@pytest.mark.parametrize('number', [0, -1, 4096, 'SIGHUP'])
def test_what_is_no_signal(number):
    with pytest.raises(ValueError, match='no signal'):
        SignalReceiver(number)


def test_what_makes_no_sense():
    with pytest.raises(ValueError, match='need a signal'):
        SignalReceiver()
    with SignalReceiver(USR1) as signals, pytest.raises(ValueError, match='timeout'):
        signals.receive(-1)
    with SignalReceiver(USR1) as signals, pytest.raises(RuntimeError, match='in use'):
        signals.__enter__()


# Many.


def test_signals_come_in_their_order():
    with SignalReceiver(USR1, USR2, HUP) as signals:
        send(HUP, USR2, USR1)
        assert [next(signals) for _ in range(3)] == [HUP, USR2, USR1]


def test_none_is_lost_between_two_waits():
    seen = []
    with SignalReceiver(USR1) as signals:
        for _ in range(50):
            send(USR1)
            sleep(0)
            seen.append(signals.receive(10))
    assert seen == [USR1] * 50


def test_what_comes_right_before_the_wait_is_not_lost():
    class Late(Event):
        def clear(self):
            send(USR1)
            super().clear()

    with SignalReceiver(USR1) as signals:
        signals._changed = Late()
        assert signals.receive(10) == USR1


def test_what_comes_again_before_it_was_received_is_received_once():
    with SignalReceiver(USR1, USR2) as signals:
        for _ in range(1000):
            send(USR1, USR2)
        assert [next(signals), next(signals)] == [USR1, USR2]
        with pytest.raises(Timeout):
            signals.receive(0)


def test_every_receiver_gets_every_signal():
    ready = []

    def receive():
        with SignalReceiver(USR1, USR2) as signals:
            ready.append(True)
            return {next(signals), next(signals)}  # whichever Python saw first

    fibers = [spawn(receive) for _ in range(5)]
    while len(ready) < 5:
        sleep(0)
    send_soon(USR1, USR2)
    assert [fiber.result(10) for fiber in fibers] == [{USR1, USR2}] * 5


def test_fibers_share_a_receiver():
    with SignalReceiver(USR1, USR2) as signals:
        fibers = [spawn(signals.receive, name='receiver') for _ in range(2)]
        sleep(0)
        send(USR1, USR2)
        assert sorted(fiber.result(10) for fiber in fibers) == [USR1, USR2]


def test_who_waits_is_woken_when_the_block_is_left():
    with SignalReceiver(USR1) as signals:
        iterates, receives = spawn(list, signals), spawn(signals.receive)
        failed = Event()
        receives.add_done_callback(failed.set)
        sleep(0)
    assert iterates.result(10) == []
    assert failed.wait(10)
    with pytest.raises(RuntimeError, match='SIGUSR1 can be received only inside'):
        receives.result()


def test_a_receiver_can_be_used_again():
    signals = SignalReceiver(USR1)
    for _ in range(2):
        with signals:
            send(USR1)
            assert signals.receive(10) == USR1


def test_one_who_waits_can_be_cancelled():
    fiber = spawn(wait_signal, USR1)
    sleep(0)
    assert signal.getsignal(USR1) is not signal.SIG_DFL
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.result()


def test_none_is_lost_while_receivers_come_and_go(handled, long):
    """Each signal is received, or comes to the handler, before the next one is sent."""
    count, random = long(50, 5000), Random(1)
    noticed, missed = [], []

    def notice():
        return len(noticed) + len(handled)

    def receive():
        while True:
            with SignalReceiver(USR1, USR2) as signals:
                while random.random() < 0.8:
                    try:
                        noticed.append(signals.receive(random.choice([0, 0.0002, 0.001])))
                    except Timeout:
                        break
            sleep(0)

    def send_all():
        for _ in range(count):
            before, until = notice(), monotonic() + 10
            send(USR1)
            while notice() == before and monotonic() < until:
                os.sched_yield()
            if notice() == before:
                missed.append(before)

    thread = threading.Thread(target=send_all)
    thread.start()
    fibers = []
    while thread.is_alive():
        fibers = [fiber for fiber in fibers if fiber.alive]
        fibers += [spawn(receive) for _ in range(3 - len(fibers))]
        random.choice(fibers).cancel()
        sleep(random.choice([0, 0.0003, 0.001]))
    thread.join()
    for fiber in fibers:
        fiber.cancel()
    wait(fibers)
    assert missed == []
    assert noticed


# The handlers that were there before.


def test_the_handler_before_is_put_back_when_the_last_receiver_leaves(handled):
    theirs = signal.getsignal(USR1)
    with SignalReceiver(USR1):
        with SignalReceiver(USR1):
            assert signal.getsignal(USR1) is not theirs
        assert signal.getsignal(USR1) is not theirs
        with SignalReceiver(USR1) as signals:
            send(USR1)
            next(signals)
    assert signal.getsignal(USR1) is theirs
    assert handled == []


def test_a_handler_that_was_set_meanwhile_is_left_alone(handled):
    before = signal.getsignal(USR1)
    later = []
    with SignalReceiver(USR1):
        signal.signal(USR1, lambda number, frame: later.append(number))
        theirs = signal.getsignal(USR1)
    assert signal.getsignal(USR1) is theirs
    with SignalReceiver(USR1) as signals:
        send(USR1)
        assert next(signals) == USR1
    assert signal.getsignal(USR1) is theirs
    signal.signal(USR1, before)
    assert handled == later == []


def test_our_handler_that_was_kept_by_another_passes_on_what_nobody_wants(handled):
    with SignalReceiver(USR1):
        ours = signal.getsignal(USR1)
    theirs = signal.signal(USR1, ours)
    send(USR1)
    assert handled == [USR1]
    assert signal.getsignal(USR1) is theirs


def test_a_handler_that_calls_ours_is_not_called_in_a_circle():
    with SignalReceiver(USR1):
        ours = signal.getsignal(USR1)
        called = []
        signal.signal(USR1, lambda *args: called.append(ours(*args)))
    send(USR1)
    assert called == [None]
    signal.signal(USR1, signal.SIG_DFL)


def test_what_was_not_received_is_sent_again(handled):
    with SignalReceiver(USR1, USR2) as signals:
        send(USR2, USR1)
        assert next(signals) == USR2
    assert handled == [USR1]


def test_what_another_receiver_got_is_not_sent_again(handled):
    with SignalReceiver(USR1) as signals:
        with SignalReceiver(USR1):
            send(USR1)
        assert next(signals) == USR1
    assert handled == []


def test_what_was_not_received_does_what_it_would_have_done():
    program = """if True:
        import os, signal
        from gruvi_cffi import SignalReceiver
        with SignalReceiver(signal.SIGTERM):
            os.kill(os.getpid(), signal.SIGTERM)
            print('still here', flush=True)
        print('not here')
    """
    assert outcome(program) == (-signal.SIGTERM, 'still here\n', '')


def test_a_handler_that_python_did_not_set_is_refused(monkeypatch):
    monkeypatch.setattr(signal, 'getsignal', lambda number: None)
    with pytest.raises(RuntimeError, match='could not be put back'):
        wait_signal(USR1)
    monkeypatch.undo()
    assert signal.getsignal(USR1) is signal.SIG_DFL


# SIGINT and SIGCHLD.


def test_sigint_can_be_received_and_raises_again_afterwards():
    with SignalReceiver(signal.SIGINT) as signals:
        send_soon(signal.SIGINT)
        assert next(signals) == signal.SIGINT
    send_soon(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        sleep(None)


def test_sigint_is_pythons_own_again_when_the_hub_is_closed_first():
    program = """if True:
        import os, signal
        from gruvi_cffi import SignalReceiver, get_hub
        with SignalReceiver(signal.SIGINT):
            get_hub().close()
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            print('interrupted')
    """
    assert outcome(program) == (0, 'interrupted\n', '')


def test_sigint_is_the_hubs_though_that_begins_in_the_block():
    program = """if True:
        import os, signal
        from gruvi_cffi import SignalReceiver, get_hub, sleep
        with SignalReceiver(signal.SIGINT):
            get_hub()
        os.kill(os.getpid(), signal.SIGINT)
        print('not yet')
        try:
            sleep(0)
        except KeyboardInterrupt:
            print('in the root fiber, where it waits')
    """
    assert outcome(program) == (0, 'not yet\nin the root fiber, where it waits\n', '')


def test_children_are_waited_for_as_without_us():
    with SignalReceiver(signal.SIGCHLD) as signals:
        child = subprocess.Popen([sys.executable, '-S', '-c', 'raise SystemExit(7)'])
        assert signals.receive(30) == signal.SIGCHLD
        assert child.wait() == 7


# Threads and forks.


def in_thread(function):
    """Call *function* in a thread while the hub of this one runs, and return its outcome."""
    ended, results = Event(), []

    def run():
        try:
            results.append(function())
        except Exception as error:
            results.append(error)
        ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert ended.wait(30)
    thread.join()
    return results[0]


def test_another_thread_can_wait_while_the_hub_of_the_main_thread_runs():
    def receive():
        with SignalReceiver(USR1, USR2) as signals:
            send(USR1)
            first = next(signals)
            send(USR2)
            return first, next(signals)

    get_hub()
    assert in_thread(receive) == (USR1, USR2)


def test_the_error_of_another_thread_is_raised_there(monkeypatch):
    monkeypatch.setattr(signal, 'getsignal', lambda number: None)
    assert 'could not be put back' in str(in_thread(lambda: wait_signal(USR1)))
    monkeypatch.undo()


def test_what_another_thread_did_not_receive_is_sent_again(handled):
    def leave():
        with SignalReceiver(USR1) as signals:
            send(USR1)
            while not signals._arrived:
                sleep(0.001)

    in_thread(leave)
    sleep(0)
    assert handled == [USR1]


def test_another_thread_cannot_wait_when_the_main_one_does_not_run_its_hub(monkeypatch):
    monkeypatch.setattr(limits, 'SIGNAL_TIMEOUT', 0.01)
    get_hub()
    errors = []

    def wait():
        try:
            wait_signal(USR1)
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join()
    assert errors == ['only the main thread can catch signals, and its hub does not run']


def test_another_thread_cannot_wait_when_the_main_one_has_no_hub():
    program = """if True:
        import signal, threading
        from gruvi_cffi import wait_signal
        def wait():
            try:
                wait_signal(signal.SIGUSR1)
            except RuntimeError as error:
                print(error)
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()
    """
    message = 'only the main thread can catch signals, and it has no hub\n'
    assert outcome(program) == (0, message, '')


def test_a_forked_child_does_not_inherit_who_waits():
    with SignalReceiver(USR1) as signals:
        child = os.fork()
        if child == 0:
            try:
                signals.receive()
            except RuntimeError:
                send(USR1)
            os._exit(1)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == USR1
        send(USR1)
        assert next(signals) == USR1
