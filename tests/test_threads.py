import os
import subprocess
import sys
import textwrap
import threading

import pytest

from gruvi_cffi.fibers import current_fiber, spawn
from gruvi_cffi.hub import get_hub, sleep, switch_back
from gruvi_cffi.threads import forget


def descriptors():
    return len(os.listdir('/proc/self/fd'))


def run_in(count, function):
    threads = [threading.Thread(target=function) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def end_thread():
    # PyPy tells nobody that a thread ends, so there it has to say so itself.
    if sys.implementation.name != 'cpython':
        get_hub().close()


def test_a_thread_that_ends_closes_its_hub():
    hubs = []

    def run():
        hubs.append(get_hub())
        sleep(0.001)
        end_thread()

    run_in(1, run)
    assert not hubs[0].is_alive()


def test_many_threads_leave_no_descriptor(long):
    before = descriptors()
    ended = []

    def run():
        sleep(0.01)
        ended.append(current_fiber().name)
        end_thread()

    for _ in range(long(4, 20)):
        run_in(50, run)
    assert len(ended) == long(200, 1000)
    assert descriptors() == before


def test_a_thread_that_ends_lets_its_fibers_clean_up():
    cleaned = []

    def wait():
        try:
            sleep(None)
        finally:
            sleep(0)
            cleaned.append(True)

    def run():
        spawn(wait)
        sleep(0)
        end_thread()

    run_in(1, run)
    assert cleaned == [True]


def test_the_hubs_of_dead_threads_do_not_pile_up():
    before = descriptors()
    for _ in range(20):
        run_in(1, lambda: sleep(0.001))
    assert descriptors() - before < 10


def test_a_thread_that_closed_its_hub_ends_quietly(caplog):
    run_in(1, lambda: get_hub().close())
    assert caplog.text == ''


def test_a_thread_without_a_hub_does_not_get_one():
    before = descriptors()
    seen = []
    run_in(1, lambda: seen.append((current_fiber().name, descriptors())))
    assert seen == [('Root', before)]


def test_many_threads_run_callbacks_and_none_is_lost(long):
    count = long(500, 20_000)
    hub = get_hub()
    called = []

    def run():
        for number in range(count):
            hub.run_callback(called.append, number)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    while len(called) < 4 * count:
        sleep(0.0001)
    for thread in threads:
        thread.join()
    assert sorted(called) == sorted(list(range(count)) * 4)


def test_threads_wake_a_hub_that_is_about_to_wait(long):
    """A wake-up between the last look at the queue and the poll must not be lost."""
    hub = get_hub()
    requests = []
    served = threading.Event()
    ended = []

    def run():
        while not ended:
            if requests:
                requests.pop().switch()
            else:
                served.wait(0.0001)

    thread = threading.Thread(target=run)
    thread.start()
    for _ in range(long(2000, 100_000)):
        with switch_back(10) as switcher:
            requests.append(switcher)
            hub.switch()
    ended.append(True)
    thread.join()


def test_a_hub_can_be_forgotten():
    def run():
        first = get_hub()
        first.close()
        forget()
        second = get_hub()
        seen.append(second is not first and second.is_alive())
        sleep(0)

    seen = []
    run_in(1, run)
    assert seen == [True]


# The end of the process.

EXITS = {
    'with a waiting fiber': """
        spawn(sleep, None)
        sleep(0)
        """,
    'with a fiber that never ran': """
        spawn(sleep, None)
        """,
    'with a fiber that does not end': """
        def stay():
            while True:
                try:
                    sleep(None)
                except BaseException:
                    pass
        spawn(stay)
        sleep(0)
        """,
    'with open handles': """
        from gruvi_cffi._native.tcp import TcpHandle
        for _ in range(10):
            TcpHandle(get_hub().loop)
        """,
    'after close': """
        get_hub().close()
        """,
    'with a hub of a daemon thread': """
        import threading
        ready = threading.Event()
        def run():
            spawn(sleep, None)
            spawn(ready.set)
            sleep(None)
        threading.Thread(target=run, daemon=True).start()
        ready.wait()
        """,
    'with a connection of a daemon thread': """
        import threading
        from gruvi_cffi import Event, StreamClient, StreamServer
        def echo(stream, transport, protocol):
            while data := stream.read1():
                stream.write(data)
        server = StreamServer(echo)
        server.listen(('127.0.0.1', 0))
        ready = Event()
        def run():
            client = StreamClient()
            client.connect(server.addresses[0])
            client.write(b'x')
            client.stream.read(1)
            ready.set()
            sleep(100)
        threading.Thread(target=run, daemon=True).start()
        ready.wait()
        sleep(0.1)
        """,
    'with hubs of threads that end at the same time': """
        import threading
        for _ in range(10):
            threading.Thread(target=sleep, args=(0.01,)).start()
        """,
    'with a pending timer': """
        get_hub().call_later(1000, print)
        sleep(0)
        """,
    'with objects that wake when they are finalized': """
        class Waker:
            def __del__(self):
                self.switcher.switch()
        waker = Waker()
        def wait():
            with switch_back() as waker.switcher:
                get_hub().switch()
        spawn(wait)
        sleep(0)
        """,
}


@pytest.mark.parametrize('program', EXITS.values(), ids=EXITS)
def test_the_interpreter_exits_silently_and_promptly(program):
    head = 'from gruvi_cffi.hub import *\nfrom gruvi_cffi.fibers import *\n'
    done = subprocess.run(
        [sys.executable, '-c', head + textwrap.dedent(program)],
        capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


def test_sys_exit_in_the_root_fiber_keeps_its_code():
    program = 'import sys\nfrom gruvi_cffi.fibers import *\nfrom gruvi_cffi.hub import *\n'
    program += 'spawn(sleep, None)\nsleep(0)\nsys.exit(7)\n'
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, text=True, timeout=10, check=False
    )
    assert (done.returncode, done.stderr) == (7, '')
