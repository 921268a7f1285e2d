"""Starting again when the code has changed: a parent, and a child that does the work.

The child looks at the files of all modules that it has, and ends when one has changed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

from ..fibers import spawn
from ..hub import sleep, switchpoint
from ..logging import get_logger
from .workers import WAITED, Leash, Signals, Work, ended, start_worker, tell

RELOAD = 75  # exit status of a child that wants to be started again
_EVERY = 0.5  # seconds between two looks at the files

_log = get_logger()


def run_reloading(work: Work) -> int:
    """Run *work* in a process, again whenever it returns RELOAD, and return its exit status.

    It is told to end by SIGTERM, and by SIGKILL if a second signal comes. SIGHUP is passed on.
    """
    leash = Leash()
    try:
        with Signals():
            while True:
                raw, told = _follow(start_worker(work, leash))
                status = os.WEXITSTATUS(raw) if os.WIFEXITED(raw) else 1
                if status != RELOAD:
                    return status
                if told:
                    return 0
    finally:
        leash.close()


def _follow(child: int) -> tuple[int, int]:
    """Pass signals on to *child* until it has ended.

    Return its status, and how often it was told to end.
    """
    told = 0
    while True:
        number = signal.sigwait(WAITED)
        if number == signal.SIGCHLD:
            for pid, raw in ended():
                if pid == child:
                    return raw, told
        elif number == signal.SIGHUP:
            tell([child], signal.SIGHUP)
        else:
            told += 1
            tell([child], signal.SIGTERM if told == 1 else signal.SIGKILL)


class Watch:
    """Knows whether a file of a module has changed since it was first seen."""

    def __init__(self) -> None:
        self.changed = False
        self._seen = dict(_stamps())

    @switchpoint
    def wait(self) -> None:
        """Wait until one has, or one that could not be loaded is there."""
        while not self._look():
            sleep(_EVERY)

    def spawn(self) -> None:
        """Have the process end when one has."""
        spawn(self._end_then)

    def _end_then(self) -> None:
        self.wait()
        self.changed = True
        os.kill(os.getpid(), signal.SIGTERM)

    def _look(self) -> bool:
        for path, stamp in _stamps():
            if self._seen.setdefault(path, stamp) != stamp:
                _log.warning('{} has changed; starting again', path)
                return True
        return False


def _stamps() -> Iterator[tuple[str, int]]:
    """Iterate over the files of modules, and of what is in the current folder, and their times."""
    paths = {getattr(module, '__file__', None) for module in tuple(sys.modules.values())}
    # One that could not be imported is no module.
    paths.update(entry.path for entry in os.scandir() if entry.name.endswith('.py'))
    for path in paths:
        if path is not None:
            try:
                yield os.path.abspath(path), os.stat(path).st_mtime_ns
            except OSError:
                pass
