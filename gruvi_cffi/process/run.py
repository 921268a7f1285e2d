"""Running a program from start to end, with the conventions of the subprocess module."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, Union

from .._native.process import Text
from ..errors import Timeout
from ..hub import switchpoint
from .process import DETACHED, Process
from .stdio import PIPE


@switchpoint
def run(
    args: Union[Text, Sequence[Text]],
    *,
    stdin: Any = None,
    input: Any = None,  # noqa: A002 - as in subprocess
    stdout: Any = None,
    stderr: Any = None,
    capture_output: bool = False,
    shell: bool = False,
    cwd: Text | None = None,
    timeout: float | None = None,
    check: bool = False,
    encoding: str | None = None,
    text: bool = False,
    env: Mapping[Any, Any] | None = None,
    executable: Text | None = None,
    user: int | None = None,
    group: int | None = None,
    start_new_session: bool = False,
) -> subprocess.CompletedProcess[Any]:
    """Run a program to its end, as ``subprocess.run()`` does, whose arguments these are.

    After *timeout* seconds, or if the fiber is cancelled, the child is killed; with
    *start_new_session* everything that it has started, too.

    :raises subprocess.CalledProcessError: with *check*, it has failed.
    :raises subprocess.TimeoutExpired: it was not through in time; has the output so far, in bytes.
    :raises ProcessError: it could not be started.
    :raises ValueError: arguments that exclude each other.
    """
    if input is not None:
        if stdin is not None:
            raise ValueError('stdin and input exclude each other')
        stdin = PIPE
    if capture_output:
        if stdout is not None or stderr is not None:
            raise ValueError('stdout and stderr exclude capture_output')
        stdout = stderr = PIPE
    process = Process(encoding or ('utf-8' if text else None))
    process.spawn(
        args, executable, stdin, stdout, stderr, shell, cwd, env,
        DETACHED if start_new_session else 0, user=user, group=group,
    )  # fmt: skip
    captured = [process.stdout is not None, process.stderr is not None]
    try:
        output = process.communicate(input, timeout)
    except BaseException as error:
        _kill(process, start_new_session)
        if not isinstance(error, Timeout):
            raise
        partial = [b''.join(pieces) if pieces else None for pieces in process._output]
        assert timeout is not None
        raise subprocess.TimeoutExpired(args, timeout, *partial) from None
    finally:
        process.close()
    assert process.returncode is not None
    out, err = (data if has else None for data, has in zip(output, captured))
    done = subprocess.CompletedProcess(args, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


def _kill(process: Process, whole_group: bool) -> None:
    """End the child and wait for it, which takes no time."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL, to_group=whole_group)
    process.wait(None)


@switchpoint
def check_call(args: Union[Text, Sequence[Text]], **kwargs: Any) -> int:
    """Run a program and return 0; the arguments and errors are those of ``run()``.

    :raises subprocess.CalledProcessError: it has failed.
    """
    return run(args, check=True, **kwargs).returncode


@switchpoint
def check_output(args: Union[Text, Sequence[Text]], **kwargs: Any) -> Any:
    """Run a program and return what it prints; the arguments and errors are those of ``run()``.

    :raises subprocess.CalledProcessError: it has failed; has the output.
    """
    return run(args, check=True, stdout=PIPE, **kwargs).stdout
