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
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_log = logging.getLogger('gruvi_cffi')

_TOO_SOON = 1.0  # seconds that a worker has to live, or its death is no accident
_LONGEST_PAUSE = 30.0  # seconds before another is started, after many have died too soon

# What a parent waits for; SIGALRM ends a pause. Windows has neither all of them nor fork().
WAITED = frozenset(
    getattr(signal, name)
    for name in ('SIGTERM', 'SIGINT', 'SIGHUP', 'SIGCHLD', 'SIGALRM')
    if hasattr(signal, name)
)

Work = Callable[[int], int]


class Signals:
    """In this block the WAITED signals wait until ``signal.sigwait()`` takes them, one by one.

    A handler that raises is no way to end: it may be called inside of what ``os.fork()`` calls,
    where its exception is lost.
    """

    def __enter__(self) -> None:
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, WAITED)
        # Where there is no handler for it, BSDs forget it although it is blocked.
        self._previous = signal.signal(signal.SIGCHLD, _ignore)

    def __exit__(self, *exc: object) -> None:
        signal.signal(signal.SIGCHLD, self._previous)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)


def _ignore(number: int, frame: Any) -> None:
    """Do nothing. Unlike SIG_IGN this does not forget a signal that is pending."""


def ended() -> Iterator[tuple[int, int]]:
    """Iterate over the children that have ended since this was asked: process and status."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, raw = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            yield pid, raw


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
    leash = Leash()
    keeper = _Keeper(count, work, leash)
    with Signals():
        try:
            return keeper.run()
        finally:
            ending()
            keeper.end()
            leash.close()


class _Keeper:
    """Keeps as many workers as there have to be."""

    def __init__(self, count: int, work: Work, leash: Leash) -> None:
        self._count = count
        self._work = work
        self._leash = leash
        self._workers: dict[int, float] = {}  # pid: when it began
        self._proved = False  # that one can live
        self._pause = 0.0

    def run(self) -> int:
        """Return the exit status once somebody wants us to end, or the first ones cannot live."""
        self._fill()
        while True:
            number = signal.sigwait(WAITED)
            if number == signal.SIGHUP:
                tell(self._workers, signal.SIGHUP)
            elif number == signal.SIGALRM:
                self._fill()
            elif number != signal.SIGCHLD:
                return 0
            elif not all(self._may_replace(*each) for each in ended()):
                return 1

    def end(self) -> None:
        """Have all end, and wait for them."""
        tell(self._workers, signal.SIGTERM)
        while True:
            for pid, _ in ended():
                self._workers.pop(pid, None)
            if not self._workers:
                return
            if signal.sigwait(WAITED) in (signal.SIGTERM, signal.SIGINT):
                tell(self._workers, signal.SIGKILL)

    def _fill(self) -> None:
        while len(self._workers) < self._count:
            self._workers[start_worker(self._work, self._leash)] = time.monotonic()

    def _may_replace(self, pid: int, raw: int) -> bool:
        """Start another worker, perhaps later, unless the first ones cannot live."""
        began = self._workers.pop(pid, None)
        if began is None:
            return True  # of a program that has become this one, or that lost its parent
        if _is_old(began):
            self._proved, self._pause = True, 0.0
        elif not (self._proved or any(_is_old(each) for each in self._workers.values())):
            _log.error('worker %d ended at once, with %s', pid, _words(raw))
            return False
        else:
            self._pause = min(max(2 * self._pause, _TOO_SOON / 2), _LONGEST_PAUSE)
        _log.warning('worker %d ended with %s; starting another', pid, _words(raw))
        if self._pause:
            signal.setitimer(signal.ITIMER_REAL, self._pause)
        else:
            self._fill()
        return True


def _is_old(began: float) -> bool:
    return time.monotonic() - began >= _TOO_SOON


def start_worker(work: Work, leash: Leash) -> int:
    """Run ``work(fd)`` in a process of its own, which then exits with what it returned.

    *fd* is at its end once the parent is gone. The parent has its ``Signals``, so that none is lost
    on the way: SIGHUP stays blocked until the worker calls ``take_hangups()``.
    """
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, _ignore)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WAITED - {signal.SIGHUP})
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
    if hasattr(signal, 'pthread_sigmask'):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])


def tell(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to those that are still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _words(raw: int) -> str:
    if os.WIFSIGNALED(raw):
        return signal.Signals(os.WTERMSIG(raw)).name
    return f'status {os.WEXITSTATUS(raw)}'
