"""Structure for waiting: a limit of time for a block, and fibers that do not outlive one.

Both may have to interrupt a fiber that waits somewhere inside of the block. Each throws an
exception of its own into it, and knows that one again when it comes out, so nested ones are told
apart.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Optional

from .carriers import BareFiber, current_fiber
from .errors import Cancelled, Timeout
from .fibers import Fiber
from .hub import Hub, get_hub
from .switchback import Nap, Throw
from .switchpoints import switchpoint
from .timers import Timer

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

__all__ = ['FiberGroup', 'timeout']

_log = logging.getLogger('gruvi_cffi.fibers')


class _Interrupt:
    """A Cancelled for *fiber* that can be taken back, and recognised."""

    def __init__(self, hub: Hub, fiber: BareFiber, message: str) -> None:
        self._hub = hub
        self._fiber = fiber
        self._error = Cancelled(message)
        self._throw: Optional[Throw] = None

    def send(self) -> None:
        if self._throw is None:
            self._throw = Throw(self._fiber, self._error)
            self._hub.make_ready(self._throw)

    def revoke(self) -> None:
        """Let it not arrive any more."""
        if self._throw is not None:
            self._throw.done = True

    def caused(self, error: BaseException | None) -> bool:
        return error is self._error


class timeout:  # noqa: N801 - used like a function
    """Raise ``Timeout`` from this block when it takes longer than *seconds*; None is no limit.

    The fiber is interrupted where it waits, by a ``Cancelled`` that becomes the ``Timeout`` at the
    end of the block. Once the block was left, nothing is raised any more.
    """

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._timer: Optional[Timer] = None

    def __enter__(self) -> timeout:
        if self._timer is not None:
            raise RuntimeError('a timeout can be used only once')
        if self._seconds is not None:
            hub = get_hub()
            self._interrupt = _Interrupt(hub, current_fiber(), f'{self._seconds} seconds are over')
            self._timer = hub.call_later(self._seconds, self._interrupt.send)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is None:
            return
        self._timer.cancel()
        self._interrupt.revoke()
        if self._interrupt.caused(error):
            raise Timeout(f'timed out after {self._seconds} seconds') from error


class FiberGroup:
    """Fibers that have all ended when the block is left.

    The first exception, of one of them or of the block, cancels the rest and is raised when all
    have ended; if there were several, in an ExceptionGroup. Leaving the block is a switch point.
    """

    def __init__(self) -> None:
        self._members: set[Fiber] = set()
        self._errors: list[BaseException] = []
        self._aborted = False
        self._left = False
        self._nap: Optional[Nap] = None

    def __enter__(self) -> FiberGroup:
        self._hub = get_hub()
        self._parent = current_fiber()
        self._interrupt = _Interrupt(self._hub, self._parent, 'a fiber of the group has failed')
        return self

    @switchpoint
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._interrupt.revoke()
        if error is not None:
            self._cancel_members()
        stopped = error if not isinstance(error, Exception) else None
        if self._interrupt.caused(stopped):
            stopped = None
        stopped = self._wait_for_members(stopped)
        self._left = True
        if stopped is not None:
            self._leave_stopped(stopped, stopped is error)
        else:
            self._leave_failed(error)

    def spawn(self, func: Callable[..., object], *args: Any, **kwargs: Any) -> Fiber:
        """Start ``func(*args, **kwargs)`` in a fiber of the group, and return that.

        :raises RuntimeError: the block was left, or the group is being cancelled.
        """
        if self._left or self._aborted:
            state = 'was left' if self._left else 'is being cancelled'
            raise RuntimeError(f'cannot start a fiber in a group that {state}')
        fiber = Fiber(func, args, kwargs)
        self._members.add(fiber)
        fiber.add_done_callback(self._ended, fiber)
        fiber.start()
        return fiber

    def _ended(self, fiber: Fiber) -> None:
        self._members.discard(fiber)
        error = fiber.exception
        if error is not None and not isinstance(error, Cancelled):
            self._errors.append(error)
            if not self._aborted:  # or if all fail, each would cancel all
                self._cancel_members()
            if self._nap is None:
                self._interrupt.send()
        if self._nap is not None and not self._members:
            self._hub.make_ready(self._nap)

    def _cancel_members(self) -> None:
        self._aborted = True
        for fiber in self._members:
            fiber.cancel('the group of the fiber is being cancelled')

    def _wait_for_members(self, stopped: BaseException | None) -> BaseException | None:
        """Wait, whatever comes; return what first asked the parent to stop, if anything did."""
        while self._members:
            self._nap = Nap(self._parent)
            try:
                self._hub.switch()
            except BaseException as error:  # raised again when all have ended
                stopped = stopped or error
                self._cancel_members()
            finally:
                self._nap.done = True
        return stopped

    def _leave_stopped(self, stopped: BaseException, on_its_way: bool) -> None:
        for error in self._errors:
            _log.error('a fiber of a cancelled group failed', exc_info=error)
        if not on_its_way:
            raise stopped

    def _leave_failed(self, error: BaseException | None) -> None:
        errors = self._errors
        if isinstance(error, Exception):
            if not errors:
                return
            errors = [error, *errors]
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise BaseExceptionGroup('several fibers of a group failed', errors) from None
