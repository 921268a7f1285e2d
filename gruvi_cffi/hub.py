"""The hub: the fiber in which the event loop runs.

    fiber ---- hub.switch() ----> hub ---- loop.poll() ----> libuv
      ^                            |
      +------ switch() <-----------+   once what it waits for has happened

A fiber that has to wait says so by switching to the hub. The hub polls and drains the records, and
what they call makes fibers ready. These run in the next turn, in the order in which they became
ready. As long as the turn has more of them, a fiber that waits switches to the next one itself:

    fiber ---- pause() ----> fiber ---- pause() ----> hub
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from threading import get_ident
from time import monotonic
from typing import Any, Optional

from greenlet import GreenletExit, getcurrent, greenlet

from . import closing, limits, threads
from ._native.loop import Loop
from .calls import Call, Mark, NoLoop, Passed, Resumable
from .carriers import Carriers, adopt, current_fiber
from .interrupts import Interrupts
from .pollers import Poller
from .switchback import Nap, SwitchBack, Throw
from .switchpoints import assert_no_switchpoints, refuse, sections, switchpoint
from .timers import Timer, Timers

__all__ = ['Hub', 'assert_no_switchpoints', 'get_hub', 'sleep', 'switch_back', 'switchpoint']

_log = logging.getLogger('gruvi_cffi.hub')

_stuck: list[Loop] = []  # loops that cannot be closed
_LONGEST_WAIT = 1 << 30  # ms; libuv takes an int
_LONG_TURN = 0.05  # seconds


class Hub:
    """The hub of the calling thread. Use ``get_hub()``, which makes it when it is needed.

    :raises RuntimeError: not called in the thread's root fiber.
    """

    ignore_interrupt = False  # True: SIGINT does not raise KeyboardInterrupt in the root fiber

    def __init__(self) -> None:
        root = getcurrent()
        if not threads.is_root(root):
            raise RuntimeError('a hub can only be made in the root fiber of its thread')
        self.name = 'Hub'
        self.thread = get_ident()
        self.data: dict[str, Any] = {'gruvi:next_fiber': 1}
        self.fibers: set[Any] = set()  # those that run or wait; keeps them until they end
        self.loop: Any = Loop()
        self.root = getattr(root, 'fiber', None) or adopt(root, 'Root')
        self.greenlet = greenlet(self._run, root)
        self.to_hub = self.greenlet.switch
        self.timers = Timers()
        adopt(self.greenlet, 'Hub')
        self._poller: Any = self.loop
        self._turn_end = Mark(self._end_turn)
        self._way_back = Mark(lambda: self.greenlet)
        self._passed: Optional[Passed] = None  # on its way to who is switched to
        self._ready: deque[Resumable] = deque([self._turn_end])
        self.carriers = Carriers(self.greenlet, self._ready, self.pause)
        # make_ready() for the hub's own thread, where nobody has to be woken; no signal handler.
        self.enqueue = self._ready.append
        self._sleepers: list[Resumable] = []
        self._rising: list[Resumable] = []
        self._unpolled = 0  # entries that ran since the last poll
        self._hurried = 0  # those of them that came into a turn which had begun
        self._in_callback = False
        self._trimming = False  # some carriers are still to be freed
        self._stopping = False
        self._struck: Optional[BaseException] = None  # what the root fiber is still to be told
        self.inherited = False  # True in a forked child
        self.exiting = False  # True when the process ends: what is given up then is no surprise
        self.gone = ''  # why it cannot be used any more
        self._interrupts = Interrupts.install(self)
        self._pollers: Optional[Poller] = None
        # When it polled last: for who need not know exactly, as a look costs as much as some calls.
        self.now = monotonic()
        # From when to when it could not poll for long; until then nothing leaves that was written.
        self.long_turns: deque[tuple[float, float]] = deque(maxlen=32)

    @property
    def poll(self) -> Poller:
        """Callbacks for descriptors that somebody else reads and writes."""
        self.check()
        if self._pollers is None:
            self._pollers = Poller(self.loop)
        return self._pollers

    @property
    def parent(self) -> greenlet | None:
        return self.greenlet.parent

    def is_alive(self) -> bool:
        """Return True until the hub is closed."""
        return not self.gone

    def check(self) -> None:
        """Raise RuntimeError if the hub is closed, or belongs to the parent process."""
        if self.gone:
            raise RuntimeError(self.gone)

    def time(self) -> float:
        """Return the time that ``call_at()`` goes by, in seconds."""
        return monotonic()

    # What fibers call.

    def switch(self) -> Any:
        """Let other fibers run until somebody switches back, and return what they pass.

        This is a switch point.

        :raises RuntimeError: the hub is closed, belongs to another thread, or is the caller.
        """
        if sections and get_ident() in sections:
            if getcurrent() is self.greenlet:
                raise RuntimeError('the hub cannot wait for itself')
            refuse('Hub.switch')
        if get_ident() != self.thread:
            raise RuntimeError('cannot switch to the hub of another thread')
        return self.pause()

    def pause(self) -> Any:
        """Do what ``switch()`` does, without most of its checks."""
        if self.gone:
            raise RuntimeError(self.gone)
        # What a signal handler raises may strike after any call. So an entry leaves the queue when
        # it is done with, and between that and the switch there is no call. What has continued the
        # caller still stands at the head. The frame waits with it, and must not keep the entry, nor
        # what it runs on: that is asked before, and only its answer is kept.
        ready = self._ready
        while True:
            entry: Any = ready[0]
            if entry.done:
                ready.popleft()
                continue
            target = entry.target()
            if target is not None:
                break
        # A carrier that has become idle often is the one that a new fiber gets.
        stays = target is getcurrent()
        entry.done = target is not self.greenlet
        self._passed = entry.passed
        del entry
        value = None if stays else target.switch()
        del target  # or the traceback of what is raised here would keep it
        return value if self._passed is None else self._take_passed()

    def _take_passed(self) -> Any:
        value, error = self._passed or (None, None)
        self._passed = None
        try:
            if error is not None:
                raise error
            return value
        finally:
            del error  # its traceback holds this frame

    def enqueue_next(self, entry: Resumable) -> None:
        """Resume *entry* in this turn, right behind the fiber that calls; not after too many."""
        if self._hurried < limits.HURRIED_FIBERS:
            self._hurried += 1
            self._ready.insert(1, entry)  # at the head stands what has resumed the caller
        else:
            self._ready.append(entry)

    def sleep_once(self, entry: Resumable) -> None:
        """Resume *entry* at the end of the next turn, behind whatever that turn makes ready."""
        self._sleepers.append(entry)

    # What may be called from any thread, signal handler or finalizer.

    def make_ready(self, entry: Resumable) -> None:
        """Resume *entry* in the next turn. A closed hub ignores it."""
        self._ready.append(entry)
        # The hub says that it waits before it looks once more whether anything is ready.
        if self._poller.waiting:
            self._poller.wake()

    def run_callback(self, callback: Callable[..., object], *args: Any) -> None:
        """Call ``callback(*args)`` in the hub's fiber, in the next turn. It must not switch.

        What it raises is logged; a BaseException that is no Exception is raised in the root fiber.

        :raises TypeError: *callback* cannot be called.
        :raises RuntimeError: the hub is closed.
        """
        if not callable(callback):
            raise TypeError(f'need something to call, not {callback!r}')
        self.check()
        self.make_ready(Call(self, callback, args))

    # Timers.

    def call_later(self, seconds: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call ``callback(*args)`` in the hub's fiber after *seconds*. In the hub's thread only."""
        return self.timers.add(monotonic() + seconds, (callback, args))

    def call_at(self, when: float, callback: Callable[..., object], *args: Any) -> Timer:
        """Call ``callback(*args)`` in the hub's fiber at *when*, in seconds of ``time()``."""
        return self.timers.add(when, (callback, args))

    # The end.

    @switchpoint
    def close(self) -> None:
        """Cancel all fibers, close all handles, and then the loop. Doing so again does nothing.

        A fiber that does not end within ``limits.CLOSE_TURNS`` turns is given up, with a warning.

        :raises RuntimeError: not called in the root fiber of the hub's thread.
        """
        if getcurrent() is not self.root.carrier:
            raise RuntimeError('a hub can only be closed in the root fiber of its thread')
        if self.gone:
            return
        if self._interrupts is not None:
            self._interrupts.close()
            self._interrupts = None
        closing.end_all(self)
        self._stopping = True
        self.to_hub()
        self.gone = 'the hub is closed'
        self._poller = NoLoop()
        loop, self.loop = self.loop, None
        if loop.handles:  # a thread that is stuck will want to tell it one day
            _log.warning('%d operations on files did not end with their hub', len(loop.handles))
            _stuck.append(loop)
        else:
            loop.close()

    def abandon(self) -> None:
        """Let go of what belongs to the parent process, in a forked child."""
        self.inherited = True
        self.gone = 'the hub belongs to the parent process'
        self._stopping = True
        self._poller = NoLoop()
        if self._interrupts is not None:
            self._interrupts.abandon()
            self._interrupts = None
        if self.loop is not None:
            self.loop.abandon()

    # What runs in the hub's fiber.

    def call(self, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        """Make a call that must not switch, and log what it raises."""
        sections[self.thread] = 1
        self._in_callback = True
        try:
            callback(*args)
        except Exception:
            _log.exception('exception in callback %r', callback)
        finally:
            self._in_callback = False
            sections.pop(self.thread, None)

    def resume_from_callback(self, switch: Callable[..., object], *args: Any) -> Any:
        """Switch to a fiber from inside of a callback that ``run_callback()`` queued.

        :raises RuntimeError: called from anywhere else.
        """
        depth = sections.get(self.thread, 0)
        if getcurrent() is not self.greenlet or depth > self._in_callback:
            raise RuntimeError('only callbacks of the hub may switch to a fiber')
        sections.pop(self.thread, None)
        self._in_callback = False
        try:
            self._ready.appendleft(self._way_back)
            return switch(*args)
        finally:
            self._ready.popleft()
            if depth:
                self._in_callback = True
                sections[self.thread] = depth

    def raise_in_root(self, error: BaseException) -> Throw:
        """Raise *error* in the root fiber in the next turn, or as soon as it waits."""
        throw = Throw(self.root, error)
        self.make_ready(throw)
        return throw

    def _run(self) -> None:
        # What a signal handler raises may strike anywhere, also where a loop begins again, and
        # without a hub all would wait for ever. So one loop catches what strikes the other.
        self._drop_marks()
        while True:
            try:
                return self._run_turns()
            except GreenletExit:
                return
            except BaseException as error:
                if self.gone:
                    raise  # to the root fiber
                self._struck = error

    def _run_turns(self) -> None:
        while True:
            try:
                if self._struck is not None:
                    self._recover(self._struck)
                while not self._stopping:
                    self._turn()
                return self.carriers.free()
            except GreenletExit:
                raise
            except BaseException as error:
                if self.gone:
                    raise
                self._struck = error

    def _drop_marks(self) -> None:
        for mark in (self._turn_end, self._way_back):
            while mark in self._ready:
                self._ready.remove(mark)

    def _recover(self, error: BaseException) -> None:
        sections.pop(self.thread, None)
        self._in_callback = False
        self._drop_marks()
        for fiber in self.fibers.copy():
            fiber.begin_elsewhere()  # it may have been struck where it was to begin
        self.raise_in_root(error)
        self._struck = None

    def _turn(self) -> None:
        ready = self._ready
        rising = self._rising
        if self._sleepers:
            rising += self._sleepers
            self._sleepers.clear()
        count = len(ready)
        end = self._turn_end
        ready.append(end)
        while ready[0] is not end:
            entry: Any = ready[0]
            if entry.done:
                ready.popleft()
                continue
            target = entry.target()
            if target is not None:
                entry.done = True
                self._passed = entry.passed
                del entry
                target.switch()
        ready.popleft()
        self._unpolled += count
        if ready and self._unpolled < limits.POLL_EVERY and not (rising or self._sleepers):
            return
        self._unpolled = self._hurried = 0
        sections[self.thread] = 1
        try:
            self._poll()
        finally:
            sections.pop(self.thread, None)
        self.now = monotonic()
        if self.timers.heap or self.timers.new:
            self._run_timers()
        if rising:
            ready.extend(rising)
            rising.clear()
        was_trimming = self._trimming
        self._trimming = self.carriers.trim(len(self.fibers))
        if was_trimming and not self._trimming:
            self._visit_idle()

    def _visit_idle(self) -> None:
        # The frame in which a carrier waits holds that to which it has switched. If that was freed,
        # what is left of it keeps its place in memory, between what could be given back.
        try:
            self._ready.appendleft(self._way_back)
            for carrier in self.carriers.idle.copy():
                carrier.switch()
        finally:
            self._ready.popleft()

    def _end_turn(self) -> Any:
        # In a fiber, after the last entry of a turn. To poll costs as much as to switch four times,
        # so a few fibers that wake each other do without, and then they need no hub at all.
        ready = self._ready
        count = len(ready) - 1
        unpolled = self._unpolled + count
        if count and unpolled < limits.POLL_EVERY and not (self._rising or self._sleepers):
            self._unpolled = unpolled
            ready.rotate(-1)
            return None
        return self.greenlet

    def _poll(self) -> None:
        loop = self._poller
        timeout = 0
        now = monotonic()
        if now - self.now > _LONG_TURN:
            self.long_turns.append((self.now, now))
        if not (self._ready or self._rising or self._sleepers or self._stopping or self._trimming):
            timeout = self._longest_wait(now)
            loop.waiting = True
            if self._ready:
                timeout = 0
        try:
            loop.poll(timeout)
        except BaseException as error:
            if error is loop.failure:
                self.gone = f'the hub has failed: {error}'
                raise
            self.raise_in_root(error)
            self._finish_drain()

    def _finish_drain(self) -> None:
        while True:
            try:
                self._poller.drain()
                return
            except BaseException as error:
                self.raise_in_root(error)

    def _longest_wait(self, now: float) -> int:
        """Return how long the poll may wait, in ms, or -1."""
        when = self.timers.nearest()
        wait = -1 if when is None else min(max(0, math.ceil((when - now) * 1000)), _LONGEST_WAIT)
        return wait if self._interrupts is None else self._interrupts.longest_wait(now, wait)

    def _run_timers(self) -> None:
        timers = self.timers
        now = monotonic()
        number = timers.next_number()
        call = timers.pop_due(now, number)
        while call is not None:
            self.call(*call)
            call = timers.pop_due(now, number)


_reinit_hub = threads.forget  # the name that programs for Gruvi may know


def get_hub() -> Hub:
    """Return the hub of the calling thread.

    The first call makes it, and must be in the root fiber of the thread. A hub that was closed
    stays the thread's hub.
    """
    hub = threads.state.hub or threads.find()
    if hub is None:
        if not threads.is_root(getcurrent()):
            raise AssertionError('the first get_hub() of a thread must be in its root fiber')
        hub = Hub()
        threads.remember(hub)
    return hub  # type: ignore[no-any-return]


def switch_back(
    timeout: float | None = None,
    hub: Hub | None = None,
    lock: AbstractContextManager[Any] | None = None,
) -> SwitchBack:
    """Return the way back into the calling fiber, for whoever it is going to wait for.

    Use it as a context manager around ``hub.switch()``, which raises ``Timeout`` after *timeout*
    seconds. With *lock*, calling the switcher takes that lock first.
    """
    return SwitchBack(get_hub() if hub is None else hub, timeout, lock)


@switchpoint
def sleep(secs: float | None) -> None:
    """Wait *secs* seconds, or for ever if it is None.

    With 0 it returns once everything that was ready has run, and what that has woken.

    :raises ValueError: *secs* is negative.
    """
    hub = get_hub()
    nap = Nap(current_fiber())
    timer = None
    try:
        if secs is not None and secs > 0:
            timer = hub.call_later(secs, hub.make_ready, nap)
        elif secs == 0:
            hub.sleep_once(nap)
        elif secs is not None:
            raise ValueError(f'cannot sleep {secs} seconds')
        hub.pause()
    finally:
        nap.done = True
        if timer is not None:
            timer.cancel()
