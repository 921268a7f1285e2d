import contextlib
import errno
import os
import resource
import signal
import subprocess
import sys
import threading

import pytest

from gruvi_cffi import Cancelled, StreamClient, StreamError, Timeout, get_hub, sleep, spawn, wait
from gruvi_cffi.process import DETACHED, DEVNULL, PIPE, STDOUT, Process, ProcessError
from gruvi_cffi.sync import Event


def python(program):
    return [sys.executable, '-S', '-c', program]


def until(condition):
    for _ in range(10_000):
        if condition():
            return
        sleep(0.001)
    raise AssertionError('it did not happen')


def zombies():
    found = []
    for name in filter(str.isdigit, os.listdir('/proc')):
        with contextlib.suppress(OSError), open(f'/proc/{name}/stat') as file:
            fields = file.read().rpartition(')')[2].split()
            if fields[0] == 'Z' and int(fields[1]) == os.getpid():
                found.append(int(name))
    return found


@pytest.fixture(autouse=True)
def no_zombies():
    before = zombies()
    yield
    until(lambda: set(zombies()) <= set(before))


@pytest.fixture
def process():
    with Process(timeout=20) as made:
        yield made
        if made.pid is not None and made.returncode is None:
            made.kill()
            made.wait()


# Starting, and how it ends.


def test_an_exit_status(process):
    process.spawn(['sh', '-c', 'exit 7'])
    assert process.pid > 0
    assert process.wait() == 7
    assert process.wait() == process.returncode == process.poll() == 7


def test_a_signal(process):
    process.spawn(['sleep', '100'])
    assert process.returncode is None
    process.terminate()
    assert process.wait() == -signal.SIGTERM
    process.terminate()  # again: nothing happens
    process.kill()
    with pytest.raises(ProcessLookupError) as caught:
        process.send_signal(signal.SIGHUP)
    assert isinstance(caught.value, ProcessError)
    assert str(process.pid) in str(caught.value)


def test_a_text_is_the_name_of_a_program(process):
    process.spawn('true')
    assert process.wait() == 0


def test_a_command_for_the_shell(process):
    process.spawn('echo $((6 * 7)); exit 3', shell=True, stdout=PIPE)
    assert process.communicate() == (b'42\n', b'')
    assert process.returncode == 3


def test_another_executable_than_the_name(process):
    process.spawn(['spam', '-c', 'echo $0'], executable='/bin/sh', stdout=PIPE)
    assert process.communicate()[0] == b'spam\n'


def test_a_shell_of_ones_own(process):
    process.spawn('echo x', shell=True, executable='/bin/echo', stdout=PIPE)
    assert process.communicate()[0] == b'-c echo x\n'


def test_the_exit_is_told_in_the_hub(process):
    told = []
    process.child_exited = lambda *args: told.append(args)
    process.spawn('exit 5', shell=True)
    process.wait()
    sleep(0)
    process.close()
    process.spawn(['sh', '-c', 'kill -9 $$'])
    process.wait()
    sleep(0)
    assert told == [(5, 0), (0, signal.SIGKILL)]


def test_a_process_can_be_waited_for_beside_other_things(process):
    process.spawn(['true'])
    event = Event()
    done, pending = wait([event, process], count=1, timeout=20)
    assert (done, pending) == ([process], [event])
    assert wait([process], timeout=0) == ([process], [])  # also when it has ended before


def test_wait_gives_up(process):
    process.spawn(['sleep', '100'])
    with pytest.raises(Timeout, match='goes on after'):
        process.wait(0.01)
    assert process.returncode is None


def test_one_at_a_time(process):
    process.spawn(['true'])
    with pytest.raises(RuntimeError, match='a child already'):
        process.spawn(['true'])
    process.wait()
    with pytest.raises(RuntimeError, match='a child already'):
        process.spawn(['true'])
    process.close()
    assert process.pid is None
    assert process.returncode == 0
    process.spawn(['false'])
    assert process.wait() == 1


@pytest.mark.parametrize('name', ['wait', 'communicate', 'send_signal', 'terminate', 'kill'])
def test_without_a_child(name):
    arguments = (1,) if name == 'send_signal' else ()
    with pytest.raises(RuntimeError, match='no child'):
        getattr(Process(), name)(*arguments)


def test_closing_one_that_runs_leaves_it_alone(process):
    process.spawn(['cat'], stdin=PIPE, stdout=PIPE)
    pid = process.pid
    process.close()
    process.close()
    until(lambda: not os.path.exists(f'/proc/{pid}'))  # it saw EOF, and was waited for


# What cannot be started.


@pytest.mark.parametrize(
    ('args', 'options', 'number', 'words'),
    [
        (['/nonesuch'], {}, errno.ENOENT, "run '/nonesuch'"),
        (['nonesuch'], {}, errno.ENOENT, "run 'nonesuch'"),
        ([''], {}, errno.ENOENT, "run ''"),
        (['/etc/passwd'], {}, errno.EACCES, "run '/etc/passwd'"),
        (['/'], {}, errno.EACCES, "run '/'"),
        (['true'], {'cwd': '/nonesuch'}, errno.ENOENT, "enter the folder '/nonesuch'"),
        (['true'], {'cwd': '/etc/passwd'}, errno.ENOTDIR, "enter the folder '/etc/passwd'"),
        (['true', 'x' * 3_000_000], {}, errno.E2BIG, "run 'true'"),
        (['true'], {'env': {'PATH': '/nonesuch'}}, errno.ENOENT, "run 'true'"),
        (['/nonesuch'], {'user': os.getuid()}, errno.ENOENT, "run '/nonesuch'"),
    ],
)
def test_why_it_could_not_be_started(process, args, options, number, words):
    with pytest.raises(ProcessError) as caught:
        process.spawn(args, stdin=PIPE, stdout=PIPE, **options)
    assert caught.value.errno == number
    assert words in str(caught.value)
    assert isinstance(caught.value, OSError)
    assert process.pid is None
    process.spawn(['true'])  # it can be tried again
    assert process.wait() == 0


@pytest.mark.parametrize(
    ('args', 'options', 'kind', 'words'),
    [
        ([], {}, ValueError, 'the name of a program'),
        (['tr\0ue'], {}, ValueError, 'NUL'),
        (['true', 5], {}, TypeError, 'not int'),
        (['true'], {'env': {'A=B': 'C'}}, ValueError, 'environment variable'),
        (['true'], {'env': {'A': 'B\0'}}, ValueError, 'NUL'),
        (['true'], {'stdin': 'file'}, TypeError, 'need a file descriptor'),
        (['true'], {'stdout': STDOUT}, TypeError, 'need a file descriptor'),
        (['true'], {'stdout': 1.5}, TypeError, 'need a file descriptor'),
        (['true'], {'stdout': True}, TypeError, 'need a file descriptor'),
        (['true'], {'extra_handles': [None]}, TypeError, 'need a file descriptor'),
        (['true'], {'extra_handles': [PIPE]}, TypeError, 'need a file descriptor'),
        (['true'], {'flags': 1}, ValueError, 'DETACHED'),
    ],
)
def test_what_makes_no_sense(process, args, options, kind, words):
    with pytest.raises(kind, match=words):
        process.spawn(args, **options)
    assert process.pid is None


def test_a_descriptor_that_is_closed(process):
    reader, writer = os.pipe()
    os.close(reader)
    os.close(writer)
    with pytest.raises(ProcessError) as caught:
        process.spawn(['true'], stdin=reader, extra_handles=[writer])
    assert caught.value.errno == errno.EBADF


def test_no_descriptors_left(process):
    sleep(0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(map(int, os.listdir('/proc/self/fd')))
    for spare in range(8):
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + spare, hard))
        try:
            process.spawn(['cat'], stdin=PIPE, stdout=PIPE, stderr=PIPE)
        except OSError as error:
            assert error.errno == errno.EMFILE
            assert process.pid is None
        else:
            process.communicate()
            process.close()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# What it gets.


def test_its_environment(process):
    env = {'A': os.fsdecode('ä'.encode()), 'B': ''}  # the locale may know no umlauts
    process.spawn(['/usr/bin/env'], env=env, stdout=PIPE)
    assert process.communicate()[0].decode().split() == ['A=ä', 'B=']


def test_its_path_is_that_of_its_environment(process, tmp_path):
    program = tmp_path / 'spam'
    program.write_text('#!/bin/sh\necho eggs\n')
    program.chmod(0o755)
    process.spawn(['spam'], env={'PATH': f'/nonesuch:{tmp_path}'}, stdout=PIPE)
    assert process.communicate()[0] == b'eggs\n'


def test_its_folder(process, tmp_path):
    process.spawn(['pwd'], cwd=tmp_path, stdout=PIPE)
    assert process.communicate()[0].decode().strip() == str(tmp_path)


def test_a_session_of_its_own(process):
    process.spawn(
        python('import os; print(os.getsid(0) == os.getpid())'), flags=DETACHED, stdout=PIPE
    )
    assert process.communicate()[0] == b'True\n'


@pytest.mark.parametrize('flags', [0, DETACHED])
def test_its_user_and_group(process, flags):
    user, group = (65534, 65534) if os.getuid() == 0 else (os.getuid(), os.getgid())
    process.spawn(['sh', '-c', 'id -u; id -g'], user=user, group=group, flags=flags, stdout=PIPE)
    assert process.communicate()[0].split() == [b'%d' % user, b'%d' % group]


def test_its_signals_are_not_ours(process):
    # Python ignores SIGPIPE; what it starts must not. 32 and 33 are the C library's own.
    private = 1 << 31 | 1 << 32
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    try:
        process.spawn(['grep', '-E', 'Sig(Ign|Blk)', '/proc/self/status'], stdout=PIPE)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
    for line in process.communicate()[0].splitlines():
        assert int(line.split()[1], 16) & ~private == 0


def test_nothing_else_is_inherited(process):
    reader, writer = os.pipe()
    try:
        pipe = os.readlink(f'/proc/self/fd/{reader}')
        process.spawn(['ls', '-l', '/proc/self/fd'], stdin=PIPE, stdout=PIPE, stderr=PIPE)
        out = process.communicate()[0].decode()
    finally:
        os.close(reader)
        os.close(writer)
    assert pipe not in out


def test_descriptors_take_any_place(process, tmp_path):
    files = [open(tmp_path / str(number), 'w+') for number in range(6)]
    try:
        # Each is another's place, as far as that can be.
        numbers = [file.fileno() for file in files]
        process.spawn(
            ['sh', '-c', 'echo 1 >&1; echo 2 >&2; echo 3 >&3; echo 4 >&4; echo 5 >&5'],
            stdin=numbers[0], stdout=files[1], stderr=files[2], extra_handles=files[3:],
        )  # fmt: skip
        assert process.wait() == 0
        for number, file in enumerate(files[1:], 1):
            file.seek(0)
            assert file.read() == f'{number}\n'
    finally:
        for file in files:
            file.close()


def test_descriptors_can_change_places():
    # In a child of ours, where 0 to 4 can be spared.
    program = """
import fcntl, os
from gruvi_cffi.process import Process
out = fcntl.fcntl(1, fcntl.F_DUPFD, 20)
for number in (3, 4):
    os.dup2(os.open(f'/proc/self/comm', os.O_RDONLY), number)
reader, writer = os.pipe()
os.dup2(reader, 3); os.dup2(writer, 4)
process = Process()
process.spawn(['sh', '-c', 'echo spam >&3; head -n 1 <&4'], stdout=out, extra_handles=[4, 3])
assert process.wait(20) == 0
"""
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, check=False, timeout=30
    )
    assert (done.stdout, done.stderr) == (b'spam\n', b'')


def test_a_socket_pair_as_an_extra_handle(process):
    import socket

    ours, theirs = socket.socketpair()
    process.spawn(['sh', '-c', 'read line <&3; echo "<$line>" >&3'], extra_handles=[theirs])
    theirs.close()
    client = StreamClient(timeout=20)
    client.connect(ours)
    client.write(b'spam\n')
    assert client.readline() == b'<spam>\n'
    client.close()
    assert process.wait() == 0


def test_devnull(process):
    process.spawn(['sh', '-c', 'cat; echo spam'], stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    assert process.wait() == 0
    assert (process.stdin, process.stdout, process.stderr) == (None, None, None)


def test_errors_go_where_output_goes(process):
    process.spawn(['sh', '-c', 'echo out; echo err >&2'], stdout=PIPE, stderr=STDOUT)
    assert process.communicate() == (b'out\nerr\n', b'')


def test_pipes_can_be_opened_anew_by_their_names(process):
    process.spawn(['sh', '-c', 'cat /dev/stdin >/dev/stderr'], stdin=PIPE, stderr=PIPE)
    assert process.communicate(b'spam') == (b'', b'spam')


# Streams.


def test_a_conversation(process):
    process.spawn(['cat'], stdin=PIPE, stdout=PIPE)
    for line in (b'spam\n', b'eggs\n'):
        process.stdin.write(line)
        assert process.stdout.readline() == line
    process.stdin.close()
    assert process.stdout.read() == b''
    assert process.wait() == 0


def test_end_of_input(process):
    process.spawn(['wc', '-c'], stdin=PIPE, stdout=PIPE)
    process.stdin.write(b'spam')
    process.stdin.write_eof()
    assert process.stdout.read().strip() == b'4'
    with pytest.raises(StreamError):
        process.stdin.read()
    with pytest.raises(StreamError):
        process.stdout.write(b'x')


def test_text():
    with Process('utf-8', timeout=20) as process:
        process.spawn(['cat'], stdin=PIPE, stdout=PIPE)
        process.stdin.write('später\n')
        assert process.stdout.readline() == 'später\n'
        assert process.communicate('größer\r\n') == ('größer\n', '')
        with pytest.raises(TypeError, match='need a str'):
            process.communicate(b'spam')


def test_a_read_that_takes_too_long_loses_nothing():
    with Process(timeout=0.05) as process:
        process.spawn(['cat'], stdin=PIPE, stdout=PIPE)
        process.stdin.write(b'sp')
        with pytest.raises(Timeout):
            process.stdout.readline()
        process.stdin.write(b'am\n')
        assert process.stdout.readline(timeout=20) == b'spam\n'
        process.communicate(timeout=20)


def test_a_child_that_reads_nothing_holds_up_who_writes(process):
    process.spawn(['sleep', '100'], stdin=PIPE)
    with pytest.raises(Timeout):
        for _ in range(100):
            process.stdin.write(bytes(65536), timeout=0.05)
    process.kill()
    process.wait()
    process.stdin.transport.abort()


def test_ten_megabytes_both_ways(process):
    data = os.urandom(10_000_000)
    process.spawn(['cat'], stdin=PIPE, stdout=PIPE)
    assert process.communicate(data) == (data, b'')


def test_output_on_both_pipes(process):
    program = 'import os\nfor _ in range(100): os.write(1, b"o" * 9999); os.write(2, b"e" * 9999)'
    process.spawn(python(program), stdout=PIPE, stderr=PIPE)
    assert process.communicate() == (b'o' * 999_900, b'e' * 999_900)


def test_input_that_nobody_reads(process):
    process.spawn(['true'], stdin=PIPE)
    assert process.communicate(bytes(1_000_000)) == (b'', b'')
    assert process.returncode == 0


def test_input_without_a_pipe(process):
    process.spawn(['true'])
    with pytest.raises(ValueError, match='no pipe'):
        process.communicate(b'spam')


def test_communicate_goes_on_after_a_timeout(process):
    program = 'import sys, os; os.write(1, b"one"); sys.stdin.read(); os.write(1, b"two")'
    process.spawn(python(program), stdin=PIPE, stdout=PIPE)
    with pytest.raises(Timeout):
        # stdin stays open here: what reads it has been given nothing to end with
        process.stdout.transport.pause_reading()
        process.communicate(b'spam', timeout=0.05)
    process.stdout.transport.resume_reading()
    assert process.communicate() == (b'onetwo', b'')


def test_communicate_can_be_cancelled(process):
    process.spawn(['cat'], stdin=PIPE, stdout=PIPE)
    fibers = set(get_hub().fibers)
    fiber = spawn(process.communicate, bytes(1_000_000))
    process.stdout.transport.pause_reading()
    sleep(0.01)
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.result(20)
    assert get_hub().fibers == fibers
    assert process.returncode is None


# Others' children and handlers.


def test_a_handler_of_sigchld_stays_and_hears_of_all():
    heard = []
    before = signal.signal(signal.SIGCHLD, lambda *args: heard.append(args))
    handler = signal.getsignal(signal.SIGCHLD)
    try:
        for user in (None, os.getuid()):  # with fork and without
            heard.clear()
            with Process(timeout=20) as process:
                other = subprocess.Popen(['sleep', '100'])
                process.spawn(['true'], user=user)
                assert process.wait() == 0
                until(lambda: heard)
                heard.clear()
                other.kill()
                assert other.wait(20) == -signal.SIGKILL
                until(lambda: heard)
        assert signal.getsignal(signal.SIGCHLD) is handler
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_children_of_the_subprocess_module_are_left_to_it(process):
    others = [subprocess.Popen(['sh', '-c', f'exit {number}']) for number in range(5)]
    process.spawn(['true'])
    assert process.wait() == 0
    assert [other.wait(20) for other in others] == list(range(5))


def test_a_child_that_somebody_else_has_waited_for(process, caplog):
    reader, writer = os.pipe()
    process.spawn(['sh', '-c', 'read x; exit 3'], stdin=reader)
    os.write(writer, b'\n')
    with contextlib.suppress(ChildProcessError):  # where a thread of ours was faster
        os.waitpid(process.pid, 0)
    assert process.wait() in (3, 255)
    os.close(reader)
    os.close(writer)


def test_a_cancelled_parent_leaves_no_zombie():
    pids = []

    def parent():
        process = Process()
        process.spawn(['sleep', '100'], stdin=PIPE)
        pids.append(process.pid)
        try:
            process.wait()
        finally:
            process.close()

    fiber = spawn(parent)
    until(lambda: pids)
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.result(20)
    os.kill(pids[0], signal.SIGKILL)
    until(lambda: not os.path.exists(f'/proc/{pids[0]}'))


def test_children_of_a_hub_that_is_gone_are_waited_for():
    pids = []

    def run():
        process = Process()
        process.spawn(['sleep', '100'])
        pids.append(process.pid)
        get_hub().close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    os.kill(pids[0], signal.SIGKILL)
    until(lambda: not os.path.exists(f'/proc/{pids[0]}'))
    name = f'gruvi-child-{pids[0]}'
    until(lambda: name not in [thread.name for thread in threading.enumerate()])


def test_two_hubs_have_children_of_their_own():
    results = []

    def run():
        for number in range(20):
            with Process(timeout=20) as process:
                process.spawn(['sh', '-c', f'exit {number}'])
                results.append(process.wait() == number)
        get_hub().close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    until(lambda: not any(thread.is_alive() for thread in threads))
    assert results == [True] * 40


def test_a_hundred_at_once_with_a_mebibyte_each_way(long):
    def one(number):
        data = bytes([number % 256]) * 2**20
        with Process(timeout=60) as process:
            process.spawn(['cat'], stdin=PIPE, stdout=PIPE)
            assert process.communicate(data) == (data, b'')
            return process.returncode

    fibers = [spawn(one, number) for number in range(long(30, 100))]
    assert {fiber.result(60) for fiber in fibers} == {0}
