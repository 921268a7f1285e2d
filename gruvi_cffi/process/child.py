"""Waiting for a child process, whatever becomes of who started it.

    pidfd --- readable ---+
                          +--> waitpid() --> status
    a thread that waits --+

Nobody touches SIGCHLD, and nobody waits for children of others: the application's own handler and
its use of the subprocess module go on as before.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from typing import Optional

from .._native.poll import READABLE, PollHandle
from ..errors import TransportError
from ..hub import Hub

_log = logging.getLogger('gruvi_cffi.process')

UNKNOWN = 255 << 8  # the status of a child that somebody else has waited for


class Child:
    """The child *pid* of this process; ``ended(status)`` is called in the hub's fiber, once.

    Nothing has to hold it: it stays until the child was waited for, so that no zombie is left. What
    is left of them when the hub closes, threads wait for.
    """

    def __init__(self, hub: Hub, pid: int, ended: Callable[[int], object]) -> None:
        self._hub = hub
        self._ended = ended
        self._reaping = threading.Lock()
        self.pid = pid
        self.status: Optional[int] = None  # as of os.waitpid()
        self._handle = self._watch()
        if self._handle is None:
            self._start_thread()

    def send_signal(self, number: int, to_group: bool = False) -> None:
        """Send the signal *number* to it, or to the process group that it leads.

        :raises ProcessLookupError: it has ended.
        :raises PermissionError: it belongs to somebody else now.
        """
        with self._reaping:  # until it was waited for, the pid is nobody else's
            if self.status is not None:
                raise ProcessLookupError(f'the process {self.pid} has ended')
            if to_group:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)

    # Where there is a pidfd: Linux, but not PyPy 7.3.11.

    def _watch(self) -> PollHandle | None:
        if not hasattr(os, 'pidfd_open'):
            return None
        try:
            fd = os.pidfd_open(self.pid)
        except OSError:  # an old kernel, or no descriptors left
            return None
        try:
            handle = PollHandle(self._hub.loop, fd)
        except TransportError:
            return None
        finally:
            os.close(fd)
        handle.owner = self
        handle.start(READABLE)
        return handle

    def handle_ready(self, events: int, error: Exception | None) -> None:
        if self._reap(os.WNOHANG):
            assert self._handle is not None
            self._handle.close()
            self._ended(self._status())

    def handle_closed(self) -> None:
        if self.status is None:  # the hub goes before the child
            self._start_thread()

    # Elsewhere.

    def _start_thread(self) -> None:
        name = f'gruvi-child-{self.pid}'
        threading.Thread(target=self._wait, name=name, daemon=True).start()

    def _wait(self) -> None:
        if hasattr(os, 'waitid'):
            _wait_quietly(self.pid)
            self._reap(0)
        else:  # the pid may be another's for a moment before that is known
            self._reap_unlocked(0)
        try:
            self._hub.run_callback(self._ended, self._status())
        except RuntimeError:
            pass  # the hub is gone, and so is whoever wanted to know

    def _reap(self, flags: int) -> bool:
        with self._reaping:
            return self._reap_unlocked(flags)

    def _reap_unlocked(self, flags: int) -> bool:
        try:
            pid, status = os.waitpid(self.pid, flags)
        except ChildProcessError:
            _log.warning('somebody else has waited for the process %d', self.pid)
            pid, status = self.pid, UNKNOWN
        if pid == 0:
            return False
        self.status = status
        return True

    def _status(self) -> int:
        assert self.status is not None
        return self.status


def _wait_quietly(pid: int) -> None:
    """Return when the child has ended, and leave it to be waited for."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    except ChildProcessError:
        pass


def split(status: int) -> tuple[int, int]:
    """Return the exit status and the signal that a *status* of ``os.waitpid()`` means."""
    if os.WIFSIGNALED(status):
        return 0, os.WTERMSIG(status)
    return os.WEXITSTATUS(status), 0


def name_of(number: int) -> str:
    """Return the name of the signal *number*."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f'signal {number}'
