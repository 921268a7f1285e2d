"""Futures: results that are not there yet."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Optional, Union

from ..errors import Cancelled, Timeout
from ..hub import switchpoint
from ..sync import Event

Raised = Union[BaseException, type[BaseException]]


class Future:
    """A result that somebody will provide. From any thread.

    pending --set_running()--> running --set_result(), set_exception(), cancel()--> done

    When it is cancelled before it runs, ``on_cancel()`` is called.
    """

    S_PENDING, S_RUNNING, S_RUNNING_NOCANCEL, S_DONE, S_EXCEPTION = range(5)

    __slots__ = (
        '__weakref__', '_event', '_exception', '_on_cancel', '_result', '_to_end', '_to_start',
        '_traceback', 'state',
    )  # fmt: skip

    def __init__(self, on_cancel: Callable[[], object] | None = None) -> None:
        self.state = self.S_PENDING
        self._event = Event()
        self._result: Any = None
        self._exception: Optional[Raised] = None
        self._traceback: Optional[TracebackType] = None
        self._on_cancel = on_cancel
        # Who takes the one thing in them starts or ends it: one step, also between threads.
        self._to_start = [True]
        self._to_end = [True]

    def __repr__(self) -> str:
        states = ('pending', 'running', 'running', 'done', 'failed')
        state = 'cancelled' if self.cancelled() else states[self.state]
        return f'<Future {state}>'

    # For whoever waits.

    def running(self) -> bool:
        """Return True while it is being worked on."""
        return self.state in (self.S_RUNNING, self.S_RUNNING_NOCANCEL) and not self.done()

    def done(self) -> bool:
        """Return True once there is a result or an exception."""
        return self._event.is_set()

    def cancelled(self) -> bool:
        """Return True if it was cancelled."""
        error = self._exception
        return isinstance(error, Cancelled) or error is Cancelled

    @switchpoint
    def result(self, timeout: float | None = None) -> Any:
        """Return the result, or raise the exception, once it is there.

        :raises Timeout: it was not there in *timeout* seconds.
        :raises Cancelled: it was cancelled.
        """
        self._wait(timeout)
        error = self._exception
        if error is None:
            return self._result
        if isinstance(error, type):
            raise error
        raise error.with_traceback(self._traceback)  # or each raise would add to it

    @switchpoint
    def exception(self, timeout: float | None = None) -> Raised | None:
        """Return the exception once it is done, as it was set; None if there is a result.

        :raises Timeout: it was not done in *timeout* seconds.
        """
        self._wait(timeout)
        return self._exception

    def _wait(self, timeout: float | None) -> None:
        if not self._event.is_set() and not self._event.wait(timeout):
            raise Timeout(f'there was no result within {timeout} seconds')

    def cancel(self) -> bool:
        """Cancel it, and return True; False if it is done, or cannot be cancelled any more."""
        try:
            self._to_start.pop()
        except IndexError:
            if self.state != self.S_RUNNING:
                return False
        if not self._end(self.S_EXCEPTION, None, Cancelled('cancelled by Future.cancel()')):
            return False
        if self._on_cancel is not None:
            self._on_cancel()
        return True

    def add_done_callback(self, callback: Callable[..., object], *args: Any) -> object:
        """Call ``callback(*args)`` when it is done, where that happens, and return a handle.

        If it is done already, call it now and return None. It must not switch; what it raises is
        logged.
        """
        return self._event.add_done_callback(callback, *args)

    def remove_done_callback(self, handle: object) -> None:
        """Take back what ``add_done_callback()`` returned. Does nothing if it was called."""
        self._event.remove_done_callback(handle)

    # For whoever provides it.

    def set_running(
        self, can_cancel: bool = False, on_cancel: Callable[[], object] | None = None
    ) -> bool:
        """Begin to work on it; return False if somebody else did, or it was cancelled.

        With *can_cancel* it can be cancelled still, and ``on_cancel()`` is called then.
        """
        try:
            self._to_start.pop()
        except IndexError:
            return False
        self._on_cancel = on_cancel
        if self._to_end:
            self.state = self.S_RUNNING if can_cancel else self.S_RUNNING_NOCANCEL
        return True

    def set_result(self, value: Any) -> None:
        """Make it done with *value*. Does nothing if it is done."""
        self._end(self.S_DONE, value, None)

    def set_exception(self, error: Raised) -> None:
        """Make it done with an exception, or the class of one. Does nothing if it is done."""
        self._end(self.S_EXCEPTION, None, error)

    def _end(self, state: int, value: Any, error: Raised | None) -> bool:
        try:
            self._to_end.pop()
        except IndexError:
            return False
        self._result = value
        self._exception = error
        if isinstance(error, BaseException):
            self._traceback = error.__traceback__
        self.state = state
        self._event.set()
        return True
