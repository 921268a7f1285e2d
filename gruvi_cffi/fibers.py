"""Fibers: functions with a stack of their own, run in turns by the hub."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from time import monotonic
from types import TracebackType
from typing import Any, NoReturn, Optional

from greenlet import GreenletExit

from . import threads
from .carriers import BareFiber, current_fiber
from .errors import Cancelled
from .hub import Hub, get_hub
from .switchback import SwitchBack, Throw, as_exception
from .switchpoints import assert_no_switchpoints, switchpoint

__all__ = ['Fiber', 'current_fiber', 'spawn']

_log = logging.getLogger('gruvi_cffi.fibers')

_NEW, _QUEUED, _RUNNING, _DONE = range(4)

DoneCallback = tuple[Callable[..., object], tuple[Any, ...]]


class _Cancel(Throw):
    """A Throw that also ends a fiber that was not started."""

    __slots__ = ()

    _fiber: Fiber

    def resume(self) -> None:
        if not self.done and self._fiber.end_unstarted(self._error):
            self.done = True
        super().resume()


class Fiber(BareFiber):
    """Runs ``target(*args, **kwargs)`` once it was started, in a copy of its creator's context.

    The name defaults to ``Fiber-N``.
    """

    __slots__ = (
        '_call', '_callbacks', '_error', '_hub', '_result', '_state', '_traceback', 'started',
    )  # fmt: skip

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
        self.started: Optional[float] = None  # when, in seconds of hub.time()
        self._call: Any = (target, args, kwargs, copy_context())
        self._state = _NEW
        self._callbacks: list[DoneCallback] = []
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
        hub.make_ready(self)

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
        if current_fiber() is self:
            raise RuntimeError('a fiber cannot wait for itself')
        hub = get_hub()
        with SwitchBack(hub, timeout) as switcher:
            handle = self.add_done_callback(switcher)
            try:
                hub.switch()
            finally:
                self.remove_done_callback(handle)

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

    def add_done_callback(self, callback: Callable[..., object], *args: Any) -> DoneCallback | None:
        """Call ``callback(*args)`` when it ends, and return a handle; call it now if it has ended.

        It must not switch. What it raises is logged.
        """
        handle = (callback, args)
        self._callbacks.append(handle)
        if self._state == _DONE:
            self._run_callbacks()
            return None
        return handle

    def remove_done_callback(self, handle: DoneCallback | None) -> None:
        """Take back what ``add_done_callback()`` returned. Does nothing if it was called."""
        with contextlib.suppress(ValueError):
            self._callbacks.remove(handle)  # type: ignore[arg-type]

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

    def resume(self) -> Any:
        """Run it until it waits for the first time. Called by the hub, once."""
        if self._state != _QUEUED:
            return None
        self._state = _RUNNING
        hub = self._hub
        hub.fibers.add(self)
        self.started = monotonic()
        pool = hub.carriers
        self.carrier = carrier = pool.idle.pop() if pool.idle else pool.make()
        carrier.fiber = self
        carrier.gr_context = self._call[3]
        return carrier.switch()

    def work(self) -> None:
        """Run its function. Called by its carrier."""
        target, args, kwargs, _ = self._call
        self._call = None
        try:
            # What is called without a star needs 600 bytes of C stack less, and every fiber that
            # waits keeps them.
            count = 4 if kwargs else len(args)
            if count == 0:
                self._result = target()
            elif count == 1:
                self._result = target(args[0])
            elif count == 2:
                self._result = target(args[0], args[1])
            elif count == 3:
                self._result = target(args[0], args[1], args[2])
            else:
                self._result = target(*args, **kwargs or {})
        except BaseException as error:
            self._error = error
        if self._error is not None:
            self._keep(self._error)
        hub = self._hub
        if hub.inherited:
            self._exit_process()
        self.carrier = None
        self._state = _DONE
        hub.fibers.discard(self)
        if self._callbacks:
            self._run_callbacks()
        exiting = self._error is not None and isinstance(self._error, GreenletExit)
        # The frames of a traceback hold this one: without the fiber there is no cycle.
        del self
        if exiting:
            raise GreenletExit

    def _keep(self, error: BaseException) -> None:
        # Without the frame of work(), which would hold the fiber that holds the traceback.
        self._traceback = error.__traceback__ and error.__traceback__.tb_next
        self._error = error.with_traceback(self._traceback)
        if not self._callbacks:
            self._log_error(error)

    def end_unstarted(self, error: BaseException) -> bool:
        """End it with *error* if it did not run yet; return whether that was so."""
        if self._state not in (_NEW, _QUEUED):
            return False
        self._error = error
        self._call = self._traceback = None
        self._state = _DONE
        if self._callbacks:
            self._run_callbacks()
        return True

    def _run_callbacks(self) -> None:
        # From the end, where that costs nothing; somebody in another thread may add one meanwhile.
        self._callbacks.reverse()
        with assert_no_switchpoints():
            while True:
                try:
                    callback, args = self._callbacks.pop()
                except IndexError:
                    return
                try:
                    callback(*args)
                except Exception:
                    _log.exception('exception in done callback %r', callback)

    def _switch(self, value: Any) -> Any:
        if self._state == _RUNNING and self.carrier is not None:
            return self.carrier.switch(value)
        if self._state != _DONE:
            self._state = _QUEUED
            return self.resume()
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
