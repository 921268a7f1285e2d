"""Several processes that do the same: started by fork, again when one dies, and ended together.

The parent makes no hub, and imports no application: it only waits. It alone says when to end: a
terminal, or a supervisor, sends a signal to parent and workers at once, which must not count twice.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

_log = logging.getLogger('gruvi_cffi')

_TOO_SOON = 1.0  # seconds that a worker has to live, or its death is no accident
_LONGEST_PAUSE = 30.0  # seconds before another is started, after many have died too soon

Work = Callable[[int], int]


class _Stop(Exception):
    """Somebody wants us to end."""


class Leash:
    """A pipe of which the parent alone has the writing end: it is at its end once that is gone."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()

    def take(self) -> int:
        """Return, in the child, the end to be watched."""
        os.close(self._writing)
        return self._reading

    def close(self) -> None:
        os.close(self._reading)
        os.close(self._writing)


def run_workers(count: int, work: Work, ending: Callable[[], object]) -> int:
    """Run *work* in *count* processes until SIGTERM or SIGINT, and return the exit status.

    *ending* is called before the workers are told to end: by SIGTERM, and by SIGKILL if a second
    signal comes. SIGHUP is passed on to them. One that dies is started again, after a pause if it
    died too soon; if that was one of the first, all end.
    """
    workers: dict[int, float] = {}  # pid: when it began
    previous = {each: signal.signal(each, _stop) for each in (signal.SIGTERM, signal.SIGINT)}
    previous[signal.SIGHUP] = signal.signal(
        signal.SIGHUP, lambda number, frame: tell(tuple(workers), signal.SIGHUP)
    )
    leash = Leash()
    try:
        return _keep(count, work, workers, leash)
    except _Stop:
        return 0
    finally:
        ending()
        _end(workers)
        leash.close()
        for number, handler in previous.items():
            signal.signal(number, handler)


def _keep(count: int, work: Work, workers: dict[int, float], leash: Leash) -> int:
    """Have *count* workers until the first ones cannot live, or something is raised."""
    proved = False  # that one can live
    pause = 0.0
    while True:
        while len(workers) < count:
            workers[start_worker(work, leash)] = time.monotonic()
        pid, raw = os.wait()
        began = workers.pop(pid, None)
        if began is None:
            continue  # of a program that has become this one, or that lost its parent
        if time.monotonic() - began >= _TOO_SOON:
            proved, pause = True, 0.0
        elif not (proved or any(_is_old(each) for each in workers.values())):
            _log.error('worker %d ended at once, with %s', pid, _words(raw))
            return 1
        else:
            pause = min(max(2 * pause, _TOO_SOON / 2), _LONGEST_PAUSE)
        _log.warning('worker %d ended with %s; starting another', pid, _words(raw))
        time.sleep(pause)


def _is_old(began: float) -> bool:
    return time.monotonic() - began >= _TOO_SOON


def _stop(number: int, frame: Any) -> NoReturn:
    raise _Stop


def start_worker(work: Work, leash: Leash) -> int:
    """Run ``work(fd)`` in a process of its own, which then exits with what it returned.

    *fd* is at its end once the parent is gone. SIGHUP is blocked: one that comes before the worker
    knows what to do then waits for ``take_hangups()``.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return pid
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Not SIG_IGN, which forgets one that is pending.
        signal.signal(signal.SIGHUP, lambda number, frame: None)
        code = work(leash.take())
    except BaseException as error:
        if not isinstance(error, (KeyboardInterrupt, SystemExit)):
            print(f'gruvi_cffi serve: {error}', file=sys.stderr)
    finally:
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(code)


def take_hangups() -> None:
    """Let SIGHUP come from now on, also one that came before."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])


def _end(workers: dict[int, float]) -> None:
    """Have all end, and wait for them."""
    tell(workers, signal.SIGTERM)
    while workers:
        try:
            pid, _ = os.wait()
            workers.pop(pid, None)
        except _Stop:
            tell(workers, signal.SIGKILL)
        except ChildProcessError:
            return


def tell(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to those that are still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _words(raw: int) -> str:
    if os.WIFSIGNALED(raw):
        return signal.Signals(os.WTERMSIG(raw)).name
    return f'status {os.WEXITSTATUS(raw)}'
