import os
import re
import signal
import threading

import pytest

from gruvi_cffi.debug import dump_fibers, dump_fibers_on
from gruvi_cffi.fibers import spawn
from gruvi_cffi.hub import get_hub, sleep


def test_it_shows_name_age_wait_and_stack():
    def wait_for_a_long_time():
        sleep(1000)

    fiber = spawn(wait_for_a_long_time, name='sleeper')
    sleep(0)
    text = dump_fibers()
    part = text[text.index('sleeper') :]
    assert re.match(r'sleeper \(thread \d+, \d+\.\d s old\) waits in sleep\n', part)
    assert 'in wait_for_a_long_time' in part
    fiber.cancel()


def test_it_shows_all_switchpoints_on_the_way():
    target = spawn(sleep, None)
    fiber = spawn(target.result, name='joiner')
    sleep(0)
    assert re.search(r'joiner .* waits in Fiber.result > Fiber.join\n', dump_fibers())
    fiber.cancel()
    target.cancel()


def test_it_shows_a_wait_below_no_switchpoint():
    fiber = spawn(get_hub().switch, name='bare')
    sleep(0)
    assert re.search(r'bare .* waits in Hub.switch\n', dump_fibers())
    fiber.cancel()


def test_it_shows_what_runs():
    text = spawn(dump_fibers, name='asker').result()
    assert re.search(r'asker .* runs\n', text)
    assert re.search(r'Root .* waits in Fiber.result', text)
    assert re.search(r'Root \(thread \d+\) runs\n', dump_fibers())


def test_it_shows_other_threads():
    begun, end = threading.Event(), threading.Event()

    def run():
        fiber = spawn(sleep, None, name='elsewhere')
        sleep(0)
        begun.set()
        end.wait()
        fiber.cancel()

    thread = threading.Thread(target=run)
    thread.start()
    begun.wait()
    text = dump_fibers()
    end.set()
    thread.join()
    assert f'elsewhere (thread {thread.ident}' in text


@pytest.fixture
def printing():
    previous = signal.getsignal(signal.SIGUSR2)
    dump_fibers_on(signal.SIGUSR2)
    yield
    signal.signal(signal.SIGUSR2, previous)


def test_a_signal_prints_it_while_the_hub_waits(printing, capsys):
    fiber = spawn(sleep, None, name='parked')
    sleep(0)
    thread = threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGUSR2))
    thread.start()
    sleep(0.05)
    thread.join()
    assert 'parked (thread' in capsys.readouterr().err
    fiber.cancel()


def test_a_signal_shows_a_fiber_that_computes(printing, capsys):
    def compute_for_ever():
        os.kill(os.getpid(), signal.SIGUSR2)

    spawn(compute_for_ever, name='busy').join()
    text = capsys.readouterr().err
    assert re.search(r'busy .* runs\n', text)
    assert 'in compute_for_ever' in text
