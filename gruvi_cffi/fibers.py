"""Fibers: functions with a stack of their own, run in turns by the hub."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from types import TracebackType
from typing import Any, NoReturn, Optional

from greenlet import GreenletExit, getcurrent

from . import donecallbacks, threads
from .carriers import BareFiber, current_fiber
from .donecallbacks import DoneCallbacks
from .errors import Cancelled, Timeout
from .hub import Hub, get_hub
from .switchback import Throw, Waiter, as_exception
from .switchpoints import switchpoint

__all__ = ['Fiber', 'current_fiber', 'spawn']

_log = logging.getLogger('gruvi_cffi.fibers')

_NEW, _QUEUED, _RUNNING, _DONE = range(4)


class _Cancel(Throw):
    """A Throw that also ends a fiber that was not started."""

    __slots__ = ()

    _fiber: Fiber

    def target(self) -> Any:
        error = self.passed[1]
        if error is not None and self._fiber.end_unstarted(error):
            self.done = True
            return None
        return super().target()


class Fiber(BareFiber):
    """Runs ``target(*args, **kwargs)`` once it was started, in a copy of its creator's context.

    The name defaults to ``Fiber-N``.
    """

    __slots__ = (
        '_call', '_callbacks', '_error', '_hub', '_result', '_state', '_traceback', 'done',
        'started',
    )  # fmt: skip

    passed = None

    _name: Any  # a number until somebody asks for it

    def __init__(
        self,
        target: Callable[..., object],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        name: str | None = None,
        hub: Hub | None = None,
    ) -> None:
        self._hub = hub = hub or threads.state.hub or get_hub()
        if name is None:
            number = hub.data['gruvi:next_fiber']
            hub.data['gruvi:next_fiber'] = number + 1
            self._name = number
        else:
            self._name = name
        self.carrier = None
        self.context = None
        self.started: Optional[float] = None  # in which turn, in seconds of hub.time()
        self._call: Any = (target, args, kwargs, copy_context())
        self._state = _NEW
        self.done = False  # True once it needs no start any more
        self._callbacks: DoneCallbacks = {}
        self._result: Any = None
        self._error: Optional[BaseException] = None

    @property
    def name(self) -> str:
        if type(self._name) is int:
            return f'Fiber-{self._name}'
        return str(self._name)

    @property
    def hub(self) -> Hub:
        return self._hub

    @property
    def alive(self) -> bool:
        """True until it has ended, also before it starts."""
        return self._state != _DONE

    @property
    def exception(self) -> BaseException | None:
        """What it has ended with; None if it returned, or did not end yet."""
        return self._error

    # To be called from anywhere.

    def start(self) -> None:
        """Let it run in the next turn.

        :raises RuntimeError: its hub is closed.
        """
        if self._state != _NEW:
            _log.warning('fiber %s was started already', self.name)
            return
        hub = self._hub
        if hub.gone:
            hub.check()
        self._state = _QUEUED
        hub.enqueue(self)  # this is make_ready(), without the call of it
        if hub._poller.waiting:
            hub._poller.wake()

    def start_next(self) -> None:
        """Let it run in this turn, right behind the calling fiber, which is of the same hub.

        After ``limits.HURRIED_FIBERS`` of them without a look at I/O and timers: in the next turn.

        :raises RuntimeError: its hub is closed.
        """
        self._hub.check()
        self._state = _QUEUED
        self._hub.enqueue_next(self)

    def cancel(self, message: str | None = None) -> None:
        """Raise ``Cancelled(message)`` in it, in the next turn or where it waits next.

        One that was never started ends without running. Does nothing if it has ended.

        :raises RuntimeError: its hub is closed.
        """
        if self._state == _DONE:
            return
        self._hub.check()
        self._hub.make_ready(_Cancel(self, Cancelled(message or 'cancelled by Fiber.cancel()')))

    @switchpoint
    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended, *timeout* seconds at most.

        :raises Timeout: it has not.
        """
        if self._state == _DONE:
            return
        waiter = Waiter(threads.state.hub or get_hub())
        if waiter.carrier is self.carrier:
            raise RuntimeError('a fiber cannot wait for itself')
        self._callbacks[waiter] = None
        if self._state != _DONE:  # it may run in another thread
            try:
                if timeout is None:
                    waiter.hub.pause()
                else:
                    waiter.wait(timeout)
            finally:
                waiter.done = True
                self._callbacks.pop(waiter, None)
        if self._state != _DONE:
            raise Timeout(f'timed out after {timeout} seconds')

    @switchpoint
    def result(self, timeout: float | None = None) -> Any:
        """Return what its function returned or raise what it raised, once it has ended.

        A fiber that was cancelled raises the ``Cancelled`` it ended with.

        :raises Timeout: it has not ended in *timeout* seconds.
        """
        self.join(timeout)
        if self._error is None:
            return self._result
        # The traceback of the fiber alone: each raise would add to it.
        raise self._error.with_traceback(self._traceback)

    def add_done_callback(self, callback: Callable[..., object], *args: Any) -> object:
        """Call ``callback(*args)`` when it ends, and return a handle; call it now if it has ended.

        It must not switch. What it raises is logged.
        """
        handle = object()
        self._callbacks[handle] = (callback, args)
        if self._state == _DONE:
            donecallbacks.run(self._callbacks)
            return None
        return handle

    def remove_done_callback(self, handle: object) -> None:
        """Take back what ``add_done_callback()`` returned. Does nothing if it was called."""
        self._callbacks.pop(handle, None)

    # To be called from callbacks of the hub.

    def switch(self, value: Any = None) -> Any:
        """Make its ``hub.switch()`` return *value*; start it if it was not.

        :raises RuntimeError: the caller is no callback of its hub.
        """
        return self._hub.resume_from_callback(self._switch, value)

    def throw(
        self,
        typ: type[BaseException] | BaseException,
        val: object = None,
        tb: TracebackType | None = None,
    ) -> Any:
        """Make its ``hub.switch()`` raise.

        :raises RuntimeError: the caller is no callback of its hub.
        """
        return self._hub.resume_from_callback(self._throw, typ, val, tb)

    def target(self) -> Any:
        """Return the carrier on which it begins to run. See ``Resumable``."""
        if self.carrier is not None:
            return self.carrier
        hub = self._hub
        pool = hub.carriers
        if pool.idle:
            carrier = pool.idle.pop()
        elif getcurrent() is hub.greenlet:
            carrier = pool.make()
        else:  # a carrier stands on the C stack of who starts it: that must not be a fiber
            return hub.greenlet
        self.begin(carrier)
        return carrier

    def begin(self, carrier: Any) -> None:
        """Lease *carrier*, on which it is to run next."""
        hub = self._hub
        hub.fibers.add(self)
        self.started = hub.now
        carrier.fiber = self
        carrier.gr_context = self._call[3]
        self._state = _RUNNING
        self.carrier = carrier

    def begin_elsewhere(self) -> None:
        """Queue it anew if its carrier has died before its function was called."""
        if self._call is not None and self.carrier is not None and self.carrier.dead:
            self.carrier = None
            self._state = _QUEUED
            self.done = False
            self._hub.make_ready(self)

    def work(self) -> None:
        """Run its function. Called by its carrier."""
        target, args, kwargs, _ = self._call
        self._call = None
        try:
            # What is called without a star needs 600 bytes of C stack less, and the tuple has 60.
            # Every fiber that waits would keep them.
            count = 4 if kwargs else len(args)
            if count == 1:
                (first,) = args
                del args
                self._result = target(first)
            elif count == 0:
                self._result = target()
            elif count == 2:
                first, second = args
                del args
                self._result = target(first, second)
            elif count == 3:
                first, second, third = args
                del args
                self._result = target(first, second, third)
            else:
                self._result = target(*args, **kwargs or {})
        except BaseException as error:
            self._error = error
        exiting = self._error is not None and self._keep(self._error)
        hub = self._hub
        if hub.inherited:
            self._exit_process()
        self.carrier = None
        self._state = _DONE
        hub.fibers.discard(self)
        if self._callbacks:
            donecallbacks.run(self._callbacks)
        # The frames of a traceback hold this one: without the fiber there is no cycle.
        del self
        if exiting:
            raise GreenletExit

    def _keep(self, error: BaseException) -> bool:
        """Take what its function has raised; return whether that is to end the greenlet, too."""
        # Without the frame of work(), which would hold the fiber that holds the traceback.
        self._traceback = error.__traceback__ and error.__traceback__.tb_next
        self._error = error.with_traceback(self._traceback)
        if not self._callbacks:
            self._log_error(error)
        return isinstance(error, GreenletExit)

    def end_unstarted(self, error: BaseException) -> bool:
        """End it with *error* if it did not run yet; return whether that was so."""
        if self._state not in (_NEW, _QUEUED):
            return False
        self._error = error
        self._call = self._traceback = None
        self._state = _DONE
        self.done = True
        if self._callbacks:
            donecallbacks.run(self._callbacks)
        return True

    def _switch(self, value: Any) -> Any:
        if self._state == _RUNNING and self.carrier is not None:
            return self.carrier.switch(value)
        if self._state != _DONE:
            carrier = self.target()
            self.done = True
            return carrier.switch()
        _log.warning('fiber %s has ended: nothing to switch to', self.name)
        return None

    def _throw(self, typ: Any, val: object, tb: TracebackType | None) -> Any:
        error = as_exception(typ, val, tb)
        if self._state == _RUNNING and self.carrier is not None:
            return self.carrier.throw(error)
        if not self.end_unstarted(error):
            _log.warning('fiber %s has ended: nothing to throw into', self.name)
        return None

    def _log_error(self, error: BaseException) -> None:
        if isinstance(error, (Cancelled, GreenletExit)):
            _log.debug('fiber %s was cancelled', self.name)
        else:
            _log.error('uncaught exception in fiber %s', self.name, exc_info=error)

    def _exit_process(self) -> NoReturn:
        """End a child that was forked in this fiber: its hub is the parent's, so nothing is left.

        As when a thread has forked and ends, nothing runs at exit but the flushing of output.
        """
        error = self._error
        code: Any = 0
        if isinstance(error, SystemExit):
            code = error.code or 0
        elif error is not None:
            code = 1
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(code if isinstance(code, int) else 1)


def spawn(func: Callable[..., object], *args: Any, **kwargs: Any) -> Fiber:
    """Start ``func(*args)`` in a new fiber and return that.

    The keyword arguments go to ``Fiber()``, not to *func*.
    """
    fiber = Fiber(func, args, **kwargs) if kwargs else Fiber(func, args)
    fiber.start()
    return fiber
