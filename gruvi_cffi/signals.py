"""Waiting for signals.

    signal --> the main thread runs our handler --> every receiver of the signal --> its fiber

Python runs handlers in the main thread alone, and only that can set them. Ours is there as long as
somebody wants the signal. What was there before comes back afterwards, unless somebody has set
another one meanwhile.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic
from types import FrameType, TracebackType
from typing import Any, Union

from . import limits, threads
from .errors import Timeout, check_timeout
from .hub import Hub, get_hub, switchpoint
from .sync import Event

__all__ = ['SignalReceiver', 'wait_signal']

_Handler = Union[Callable[[int, Any], Any], int]

# Windows has neither.
_UNCATCHABLE = {getattr(signal, name, 0) for name in ('SIGKILL', 'SIGSTOP')}

_receivers: dict[int, dict[SignalReceiver, None]] = {}  # who wants a signal, in order
_previous: dict[int, _Handler] = {}  # what was there before our handler
_unreceived: set[int] = set()  # what has come, and no receiver has returned it


class SignalReceiver:
    """The *signums* that come while the block runs, in their order; an iterator that waits.

    What comes again before it was received is received once, as with signals between processes.
    Every receiver of a signal gets it; what would handle it otherwise does not, not even the
    KeyboardInterrupt of SIGINT. What nobody has received when the last receiver of that signal ends
    is sent again, to what handles it then.

    Outside of the main thread, that has to have a hub that runs. A forked child receives nothing.

    :raises ValueError: one is no signal, or cannot be caught.
    """

    def __init__(self, *signums: int) -> None:
        if not signums:
            raise ValueError('need a signal to receive')
        self._names = {signum: _check(signum) for signum in signums}
        self._arrived: deque[int] = deque()
        self._changed = Event()
        self._open = False

    def __repr__(self) -> str:
        return f'<{type(self).__name__} of {self._show()}>'

    @switchpoint
    def __enter__(self) -> SignalReceiver:
        """Begin to receive.

        :raises RuntimeError: it is in use; what handles a signal was not set by Python; or this is
            not the main thread, and that has no hub that runs.
        """
        if self._open:
            raise RuntimeError('the receiver is in use already')
        get_hub()  # first: if a hub began later, our handler would keep it from taking SIGINT
        self._open = True
        self._arrived.clear()
        for signum in self._names:
            _receivers.setdefault(signum, {})[self] = None
        try:
            for signum in self._names:
                _want(signum)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()

    def __iter__(self) -> SignalReceiver:
        return self

    @switchpoint
    def __next__(self) -> int:
        """Wait for the next signal. There is none once the block was left."""
        signum = self._next(None)
        if signum is None:
            raise StopIteration
        return signum

    @switchpoint
    def receive(self, timeout: float | None = None) -> int:
        """Wait for the next signal, and return its number.

        :raises Timeout: there was none within *timeout* seconds.
        :raises RuntimeError: the block was left, or is the parent process's.
        """
        check_timeout(timeout)
        signum = self._next(timeout)
        if signum is None:
            raise RuntimeError(f'{self._show()} can be received only inside of the block')
        return signum

    def deliver(self, signum: int) -> None:
        """Take what has come. Called by the handler, between any two bytecodes."""
        if signum not in self._arrived:
            self._arrived.append(signum)
        self._changed.set()

    def forget(self) -> None:
        """Receive no more, and wake who waits."""
        self._open = False
        self._changed.set()

    def _next(self, timeout: float | None) -> int | None:
        until = None if timeout is None else monotonic() + timeout
        while self._open:
            if self._arrived:
                signum = self._arrived.popleft()
                _unreceived.discard(signum)
                return self._names[signum]
            self._changed.clear()
            if self._arrived or not self._open:
                continue  # it came before the event was clear
            left = None if until is None else max(0.0, until - monotonic())
            if not self._changed.wait(left):
                raise Timeout(f'there was no {self._show()} within {timeout} seconds')
        return None

    def _leave(self) -> None:
        self.forget()
        for signum in self._names:
            _receivers[signum].pop(self, None)
            if not _receivers[signum]:
                _release(signum)

    def _show(self) -> str:
        return ' or '.join(getattr(each, 'name', f'signal {each}') for each in self._names.values())


@switchpoint
def wait_signal(signum: int | Iterable[int], timeout: float | None = None) -> int:
    """Wait for the signal *signum*, or the first of several, and return its number.

    Between two calls nobody catches it; whoever waits in a loop wants a ``SignalReceiver``.

    :raises Timeout: it did not come within *timeout* seconds.
    :raises ValueError: it is no signal, or cannot be caught.
    :raises RuntimeError: as at the beginning of a ``SignalReceiver``.
    """
    signums = (signum,) if isinstance(signum, int) else signum
    with SignalReceiver(*signums) as receiver:
        return receiver.receive(timeout)


def _check(signum: int) -> int:
    """Return *signum* as Python has it: with a name, if it has one."""
    for known in signal.valid_signals():
        if known == signum:
            if known in _UNCATCHABLE:
                raise ValueError(f'{signal.Signals(known).name} cannot be caught')
            return known
    raise ValueError(f'{signum!r} is no signal')


# The one handler. A receiver may come and go in any thread; what is to be changed then is found
# out in the main thread, where no two are at it.


def _handle(signum: int, frame: FrameType | None) -> None:
    receivers = list(_receivers[signum])
    _unreceived.add(signum)
    for receiver in receivers:
        receiver.deliver(signum)
    if not receivers:
        _adjust(signum)


def _adjust(signum: int) -> None:
    """Set our handler if somebody wants the signal, else put back what there was."""
    current = signal.getsignal(signum)
    if not _receivers[signum]:
        again = signum in _unreceived
        _unreceived.discard(signum)
        if current is _handle:
            signal.signal(signum, _previous[signum])
            if again:
                signal.raise_signal(signum)
    elif current is None:
        raise RuntimeError(f'what handles signal {signum} could not be put back: it is not Python')
    elif current is not _handle:
        _previous[signum] = current
        signal.signal(signum, _handle)


def _want(signum: int) -> None:
    if threading.current_thread() is threading.main_thread():
        _adjust(signum)
    elif signal.getsignal(signum) is not _handle:
        _ask_main_thread(signum)


def _ask_main_thread(signum: int) -> None:
    hub = _main_hub()
    if hub is None:
        raise RuntimeError('only the main thread can catch signals, and it has no hub')
    errors: list[Exception] = []
    done = Event()

    def adjust() -> None:
        try:
            _adjust(signum)
        except Exception as error:
            errors.append(error)
        done.set()

    hub.run_callback(adjust)
    if not done.wait(limits.SIGNAL_TIMEOUT):
        raise RuntimeError('only the main thread can catch signals, and its hub does not run')
    if errors:
        raise errors[0]


def _release(signum: int) -> None:
    if threading.current_thread() is threading.main_thread():
        _adjust(signum)
        return
    hub = _main_hub()
    if hub is not None:
        try:
            hub.run_callback(_adjust, signum)
            return
        except RuntimeError:
            pass  # it has just been closed
    if signum in _unreceived:
        signal.raise_signal(signum)  # the handler finds that nobody wants it


def _main_hub() -> Hub | None:
    main = threading.main_thread().ident
    for hub in threads.all_hubs():
        if hub.thread == main and hub.is_alive():
            return hub  # type: ignore[no-any-return]
    return None


def _after_fork() -> None:
    for signum, receivers in _receivers.items():
        for receiver in list(receivers):
            receiver.forget()
        receivers.clear()
        _unreceived.discard(signum)  # it was the parent's
        _adjust(signum)


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_after_fork)
