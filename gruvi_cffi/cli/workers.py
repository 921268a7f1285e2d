"""Several processes that do the same: started by fork, again when one dies, and ended together.

The parent makes no hub, and imports no application: it only waits.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

_log = logging.getLogger('gruvi_cffi')

_TOO_SOON = 1.0  # seconds that a worker has to live, or its death is no accident


class _Stop(Exception):
    """Somebody wants us to end."""


def run_workers(count: int, work: Callable[[], int]) -> int:
    """Run *work* in *count* processes until SIGTERM or SIGINT, and return the exit status.

    The first of these is passed on as SIGTERM, so is each further one. One that dies is started
    again; if that happens at once, all end.
    """
    workers: dict[int, float] = {}  # pid: when it began
    previous = {each: signal.signal(each, _stop) for each in (signal.SIGTERM, signal.SIGINT)}
    status = 0
    try:
        while True:
            while len(workers) < count:
                workers[start_worker(work)] = time.monotonic()
            pid, raw = os.wait()
            began = workers.pop(pid)
            if time.monotonic() - began < _TOO_SOON:
                _log.error('worker %d ended at once, with %s', pid, _words(raw))
                status = 1
                break
            _log.warning('worker %d ended with %s; starting another', pid, _words(raw))
    except _Stop:
        pass
    finally:
        _end(workers)
        for number, handler in previous.items():
            signal.signal(number, handler)
    return status


def _stop(number: int, frame: Any) -> NoReturn:
    raise _Stop


def start_worker(work: Callable[[], int]) -> int:
    """Run *work* in a process of its own, which then exits with what it returned."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = work()
    except BaseException as error:
        if not isinstance(error, (KeyboardInterrupt, SystemExit)):
            print(f'gruvi_cffi serve: {error}', file=sys.stderr)
    finally:
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(code)


def _end(workers: dict[int, float]) -> None:
    """Have all end, and wait for them."""
    _tell(workers)
    while workers:
        try:
            pid, _ = os.wait()
            workers.pop(pid, None)
        except _Stop:
            _tell(workers)
        except ChildProcessError:
            return


def _tell(workers: dict[int, float]) -> None:
    for pid in workers:
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            pass


def _words(raw: int) -> str:
    if os.WIFSIGNALED(raw):
        return signal.Signals(os.WTERMSIG(raw)).name
    return f'status {os.WEXITSTATUS(raw)}'
