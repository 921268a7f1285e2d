import os
import signal
import subprocess
import sys

import pytest

from gruvi_cffi import Cancelled, sleep, spawn
from gruvi_cffi.process import DEVNULL, PIPE, STDOUT, ProcessError, check_call, check_output, run


def until(condition):
    for _ in range(10_000):
        if condition():
            return
        sleep(0.001)
    raise AssertionError('it did not happen')


CALLS = [
    (['echo', 'spam'], {'stdout': PIPE}),
    (['sh', '-c', 'echo out; echo err >&2; exit 3'], {'capture_output': True}),
    (['sh', '-c', 'echo out; echo err >&2'], {'stdout': PIPE, 'stderr': STDOUT}),
    (['cat'], {'input': b'spam', 'stdout': PIPE}),
    (['cat'], {'input': b'', 'stdout': PIPE}),
    (['cat'], {'input': 'sp\r\nam', 'stdout': PIPE, 'text': True}),
    (['cat'], {'input': 'ä', 'capture_output': True, 'encoding': 'latin-1'}),
    (['cat'], {'stdin': DEVNULL, 'stdout': PIPE}),
    ('kill -9 $$', {'shell': True}),
    ('echo $A', {'shell': True, 'env': {'A': 'B'}, 'stdout': PIPE, 'text': True}),
    (['pwd'], {'cwd': '/', 'stdout': PIPE}),
    (['true'], {}),
]


@pytest.mark.parametrize(('args', 'options'), CALLS)
def test_the_same_as_subprocess(args, options):
    names = {DEVNULL: subprocess.DEVNULL, PIPE: subprocess.PIPE, STDOUT: subprocess.STDOUT}
    theirs = {
        name: names.get(value, value) if type(value) is int else value
        for name, value in options.items()
    }
    mine, other = run(args, **options), subprocess.run(args, **theirs, check=False)
    assert vars(mine) == vars(other)


def test_a_failure_that_is_checked():
    for call in (run, check_call, check_output):
        options = {'check': True} if call is run else {}
        with pytest.raises(subprocess.CalledProcessError) as caught:
            call(
                ['sh', '-c', 'echo out; exit 3'],
                **options,
                **({} if call is check_output else {'stdout': DEVNULL}),
            )
        assert caught.value.returncode == 3
        assert caught.value.output == (b'out\n' if call is check_output else None)
    assert check_call(['true']) == 0
    assert check_output(['echo', 'spam'], text=True) == 'spam\n'


def test_out_of_time():
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        run(['sh', '-c', 'echo spam; exec sleep 100'], timeout=0.3, capture_output=True)
    assert caught.value.timeout == 0.3
    assert caught.value.cmd[0] == 'sh'
    assert caught.value.output == b'spam\n'


def test_out_of_time_with_a_grandchild_that_has_the_pipes():
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        run('sleep 100 & echo $!; wait', shell=True, timeout=0.3, stdout=PIPE)
    os.kill(int(caught.value.output), signal.SIGKILL)


def test_out_of_time_takes_the_whole_session_along():
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        run(
            'sleep 100 & echo $!; wait', shell=True, timeout=0.3, stdout=PIPE,
            start_new_session=True,
        )  # fmt: skip
    until(lambda: ended(int(caught.value.output)))


def ended(pid):
    try:
        with open(f'/proc/{pid}/stat') as file:
            return file.read().rpartition(')')[2].split()[0] in 'ZX'
    except OSError:
        return True


def test_one_that_is_cancelled_is_killed(tmp_path):
    path = tmp_path / 'pid'
    fiber = spawn(run, ['sh', '-c', f'echo $$ >{path}; exec sleep 100'])
    until(lambda: path.exists() and path.read_text())
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.result(20)
    assert not os.path.exists(f'/proc/{int(path.read_text())}')


def test_what_excludes_each_other():
    with pytest.raises(ValueError, match='stdin and input'):
        run(['true'], stdin=PIPE, input=b'')
    with pytest.raises(ValueError, match='capture_output'):
        run(['true'], stdout=PIPE, capture_output=True)


def test_one_that_cannot_be_started():
    with pytest.raises(ProcessError):
        run(['nonesuch'])


def test_a_program_without_a_hub_before():
    program = 'from gruvi_cffi.process import check_output\nprint(check_output(["echo", "spam"]))'
    done = subprocess.run(
        [sys.executable, '-c', program], capture_output=True, check=False, timeout=30
    )
    assert (done.stdout, done.stderr) == (b"b'spam\\n'\n", b'')
