"""Child processes whose pipes are streams."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Optional, Union

from .._native.process import Text, spawn_process
from ..errors import Error, StreamError, Timeout, TransportError, check_timeout
from ..fibers import Fiber, spawn
from ..hub import get_hub, switchpoint
from ..stream import Stream, TextStream
from ..sync import Event
from .child import Child, split
from .stdio import Stdio

DETACHED = 8  # a flag of spawn(), with libuv's number: the child leads a session of its own

AnyStream = Union[Stream, TextStream, None]


class ProcessError(Error, OSError):
    """A child process could not be started, or cannot be signalled."""

    @classmethod
    def from_errno(cls, number: int, doing: str) -> ProcessError:
        """Return the error for *number*; *doing* completes "could not ..."."""
        kind = _KINDS.get(number, cls)
        return kind(number, f'could not {doing}: {os.strerror(number).lower()}')

    def __str__(self) -> str:
        return str(self.args[-1]) if self.args else ''


class ProcessFileNotFoundError(ProcessError, FileNotFoundError):
    """There is no such program, or no such folder to start it in."""


class ProcessPermissionError(ProcessError, PermissionError):
    """It may not be run, or not be signalled."""


class ProcessLookUpError(ProcessError, ProcessLookupError):
    """It has ended."""


_KINDS: dict[int, type[ProcessError]] = {
    errno.ENOENT: ProcessFileNotFoundError,
    errno.EACCES: ProcessPermissionError,
    errno.EPERM: ProcessPermissionError,
    errno.ESRCH: ProcessLookUpError,
}


class Process:
    """Runs one child process at a time, whose pipes are streams.

    With *encoding* they are text streams. *timeout*, in seconds, is the limit for each call that
    waits, and for the streams; each call takes one of its own too, where -1 is this one and None
    none. Used as a context manager it is closed at the end, which does not end the child.
    """

    def __init__(self, encoding: str | None = None, timeout: float | None = None) -> None:
        check_timeout(timeout)
        self._encoding = encoding
        self._timeout = timeout
        self._child: Optional[Child] = None
        self._exited = Event()
        self._streams: list[Stream | None] = [None, None, None]
        self._files: list[AnyStream] = [None, None, None]
        self._output: list[list[bytes]] = [[], []]  # what communicate() has got so far
        self._unsent: Optional[bytes] = None  # what it has to send
        self.args: Any = None
        self.returncode: Optional[int] = None

    def __repr__(self) -> str:
        state = 'not started' if self._child is None else f'pid={self.pid}'
        return f'<Process {self.args!r} {state} returncode={self.returncode}>'

    @property
    def stdin(self) -> Any:
        """A stream to the child's standard input, or None if that is no pipe."""
        return self._files[0]

    @property
    def stdout(self) -> Any:
        """A stream from its standard output, or None."""
        return self._files[1]

    @property
    def stderr(self) -> Any:
        """A stream from its standard error output, or None."""
        return self._files[2]

    @property
    def pid(self) -> int | None:
        """The process id; None before ``spawn()`` and after ``close()``."""
        return None if self._child is None else self._child.pid

    def spawn(
        self,
        args: Union[Text, Sequence[Text]],
        executable: Text | None = None,
        stdin: Any = None,
        stdout: Any = None,
        stderr: Any = None,
        shell: bool = False,
        cwd: Text | None = None,
        env: Mapping[Any, Any] | None = None,
        flags: int = 0,
        extra_handles: Sequence[Any] | None = None,
        *,
        user: int | None = None,
        group: int | None = None,
    ) -> None:
        """Start a child. This does not wait for anything but the start of its program.

        *args* is its name and its arguments; a single text is a name, or with *shell* a command for
        ``/bin/sh``. *executable* is run instead of the program, or the shell. *stdin*, *stdout* and
        *stderr* are None (what this process has), PIPE, DEVNULL, STDOUT (*stderr* only: where
        *stdout* goes), a descriptor, or something with one; *extra_handles*, likewise, become 3, 4
        and so on. *env* replaces the environment, and its PATH is where the program is looked for.
        *flags* may be DETACHED. *user* and *group* are ids.

        No other descriptor gets to it that Python has opened, and all its signals are as a shell
        would start it.

        :raises ProcessError: it could not be started; a FileNotFoundError too if there is no
            program or no folder *cwd*, a PermissionError if it may not be run.
        :raises RuntimeError: there is a child, maybe an ended one, and ``close()`` was not called.
        :raises TypeError: something is none of what it may be.
        :raises ValueError: there is a NUL in a text, or *flags* are unknown.
        """
        if self._child is not None:
            raise RuntimeError('there is a child already: close() the process first')
        if flags & ~DETACHED:
            raise ValueError(f'the only flag is DETACHED, not {flags!r}')
        arguments = _arguments(args, shell, executable)
        hub = get_hub()
        stdio = Stdio()
        try:
            for given in (stdin, stdout, stderr):
                stdio.add_standard(given)
            for given in extra_handles or ():
                stdio.add(given)
            file = executable if executable is not None else arguments[0]
            pid = spawn_process(
                file, arguments, stdio.fds, folder=cwd, variables=env,
                user=-1 if user is None else user, group=-1 if group is None else group,
                detached=bool(flags & DETACHED),
            )  # fmt: skip
            if pid < 0:
                raise _spawn_error(-pid, file, cwd)
            self._exited = Event()
            self.args, self.returncode = args, None
            self._child = Child(hub, pid, self._ended)
            stdio.close_theirs()
            self._set_streams(stdio.open_streams(hub.loop, self._timeout))
        except BaseException:
            self._give_up()
            raise
        finally:
            stdio.close_theirs()
            stdio.close_ours()

    def _set_streams(self, streams: list[Stream | None]) -> None:
        self._streams = streams
        self._output = [[], []]
        self._unsent = None
        encoding = self._encoding
        self._files = [
            stream if stream is None or encoding is None else TextStream(stream, encoding)
            for stream in streams
        ]

    def _give_up(self) -> None:
        """Leave nothing of a child that runs but cannot be talked to; it is waited for."""
        child, self._child = self._child, None
        if child is not None:
            child.send_signal(signal.SIGKILL)

    def _ended(self, status: int) -> None:
        exit_status, term_signal = split(status)
        self.returncode = -term_signal if term_signal else exit_status
        self._exited.set()
        self.child_exited(exit_status, term_signal)

    def child_exited(self, exit_status: int, term_signal: int) -> None:
        """Called in the hub's fiber when the child has ended; to be overridden, or assigned."""

    # Waiting.

    @switchpoint
    def wait(self, timeout: float | None = -1) -> int:
        """Return the exit status, or minus the signal that ended it, once the child has ended.

        :raises Timeout: it goes on after *timeout* seconds.
        :raises RuntimeError: there is no child.
        """
        child = self._running()
        seconds = self._timeout if timeout == -1 else timeout
        if not self._exited.wait(seconds):
            raise Timeout(f'the process {child.pid} goes on after {seconds} seconds')
        assert self.returncode is not None
        return self.returncode

    def poll(self) -> int | None:
        """Return what ``wait()`` would, or None if the child goes on."""
        return self.returncode

    def add_done_callback(self, callback: Callable[..., object], *args: Any) -> Any:
        """Call ``callback(*args)`` when the child has ended, and return a handle; or call it now.

        It must not switch.
        """
        return self._exited.add_done_callback(callback, *args)

    def remove_done_callback(self, handle: Any) -> None:
        """Take back what ``add_done_callback()`` returned."""
        self._exited.remove_done_callback(handle)

    @switchpoint
    def communicate(self, input: Any = None, timeout: float | None = -1) -> tuple[Any, Any]:  # noqa: A002 - as in subprocess
        """Send *input* and EOF, take all output, wait for the end; return (stdout, stderr).

        Both are empty unless they are pipes. After a Timeout it may be called again, without
        *input*, and nothing is lost. Whoever has inherited the pipes and goes on keeps it waiting.

        :raises Timeout: that was not all after *timeout* seconds.
        :raises RuntimeError: there is no child.
        :raises TypeError: *input* is bytes where text is needed, or the other way round.
        """
        self._running()
        seconds = self._timeout if timeout == -1 else timeout
        until = None if seconds is None else monotonic() + seconds
        if input is not None:
            self._unsent = self._encoded(input)
        fibers = [spawn(self._feed)]
        fibers += [spawn(self._collect, number) for number in (0, 1)]
        try:
            for fiber in fibers:
                fiber.result(_left(until))
            self.wait(_left(until))
        except Timeout:
            raise Timeout(f'the process {self.pid} goes on after {seconds} seconds') from None
        finally:
            _end(fibers)
        return self._decoded(0), self._decoded(1)

    def _feed(self) -> None:
        stream = self._streams[0]
        if stream is None or stream.closed:
            return
        try:
            if self._unsent:
                stream.transport.set_write_buffer_limits(0)  # to know when all has gone
                data, self._unsent = self._unsent, None
                stream.write(data, None)
            stream.drain(None)
            stream.close(None)
        except (TransportError, StreamError):
            pass  # it does not want to know more

    def _collect(self, number: int) -> None:
        stream = self._streams[number + 1]
        while stream is not None and not stream.closed:
            data = stream.read1(-1, None)
            if not data:
                return
            self._output[number].append(data)

    def _encoded(self, data: Any) -> bytes:
        if self._streams[0] is None:
            raise ValueError('there is no pipe to send input through')
        if self._encoding is None:
            return bytes(memoryview(data))
        if not isinstance(data, str):
            raise TypeError(f'need a str as input, not {type(data).__name__}')
        return data.encode(self._encoding)

    def _decoded(self, number: int) -> Any:
        data = b''.join(self._output[number])
        if self._encoding is None:
            return data
        return data.decode(self._encoding).replace('\r\n', '\n').replace('\r', '\n')

    # Signals, and the end.

    def _running(self) -> Child:
        if self._child is None:
            raise RuntimeError('there is no child')
        return self._child

    def send_signal(self, signum: int, *, to_group: bool = False) -> None:
        """Send the signal *signum*, or with *to_group* send it to the group that the child leads.

        :raises ProcessError: the child has ended (a ProcessLookupError too), or may not be
            signalled any more.
        :raises RuntimeError: there is no child.
        """
        child = self._running()
        try:
            child.send_signal(signum, to_group)
        except OSError as error:
            number = error.errno or errno.ESRCH
            raise ProcessError.from_errno(number, f'send a signal to {child.pid}') from None

    def terminate(self) -> None:
        """Send SIGTERM; do nothing if the child has ended."""
        self._send_quietly(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL; do nothing if the child has ended."""
        self._send_quietly(signal.SIGKILL)

    def _send_quietly(self, signum: int) -> None:
        try:
            self.send_signal(signum)
        except ProcessLookupError:
            pass

    @switchpoint
    def close(self) -> None:
        """Close the streams, and forget the child, which goes on and is waited for nevertheless.

        Does nothing if there is none. ``spawn()`` may follow.
        """
        streams, self._streams = self._streams, [None, None, None]
        self._files = [None, None, None]
        self._child = None
        for stream in streams:
            if stream is not None:
                stream.close()

    def __enter__(self) -> Process:
        return self

    @switchpoint
    def __exit__(self, *exc: object) -> None:
        """Close."""
        self.close()


def _arguments(args: Any, shell: bool, executable: Text | None) -> list[Text]:
    if isinstance(args, (str, bytes, os.PathLike)):
        arguments: list[Text] = [args]
    else:
        arguments = list(args)
    if not arguments:
        raise ValueError('need at least the name of a program')
    if shell:
        arguments = ['/bin/sh' if executable is None else executable, '-c', *arguments]
    return arguments


def _spawn_error(number: int, file: Text, folder: Text | None) -> ProcessError:
    what = f'run {os.fsdecode(file)!r}'
    if folder is not None and not (os.path.isdir(folder) and os.access(folder, os.X_OK)):
        what = f'enter the folder {os.fsdecode(folder)!r}'
    return ProcessError.from_errno(number, what)


def _left(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - monotonic())


def _end(fibers: list[Fiber]) -> None:
    for fiber in fibers:
        fiber.cancel()
    for fiber in fibers:
        fiber.join()
