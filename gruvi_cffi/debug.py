"""Seeing inside: what every fiber of the process does or waits for."""

from __future__ import annotations

import re
import signal
import sys
import traceback
from time import monotonic
from types import FrameType
from typing import Any

from .carriers import BareFiber
from .hub import Hub
from .threads import all_hubs

__all__ = ['dump_fibers', 'dump_fibers_on']

_SWITCHPOINT = re.compile(r'<switchpoint (.*)>')


def dump_fibers() -> str:
    """Return name, age, what it waits for and stack of each fiber of the process."""
    parts = []
    for hub in sorted(all_hubs(), key=lambda hub: hub.thread):
        running = sys._current_frames().get(hub.thread)
        for fiber in [hub.root, *sorted(hub.fibers.copy(), key=_begun)]:
            parts.append(_describe(hub, fiber, running))
    return '\n'.join(parts)


def dump_fibers_on(signum: int) -> None:
    """Print ``dump_fibers()`` to stderr whenever the signal *signum* comes.

    To be called in the main thread. It comes while the hub waits, too. A fiber that
    computes is shown where it is.
    """
    signal.signal(signum, _print)


def _print(signum: int, frame: FrameType | None) -> None:
    sys.stderr.write(dump_fibers())
    sys.stderr.flush()


def _begun(fiber: Any) -> tuple[float, int, str]:
    return fiber.started, len(fiber.name), fiber.name  # those of a turn: Fiber-9 before Fiber-10


def _describe(hub: Hub, fiber: BareFiber, running: FrameType | None) -> str:
    # The greenlet that runs has no frame of its own to show; the thread has.
    frame = getattr(fiber.carrier, 'gr_frame', None)
    state = 'runs' if frame is None else f'waits in {_waits_in(frame)}'
    started = getattr(fiber, 'started', None)
    age = f', {monotonic() - started:.1f} s old' if started is not None else ''
    frames = _frames(running if frame is None else frame)
    stack = traceback.StackSummary.extract((each, each.f_lineno) for each in frames).format()
    return f'{fiber.name} (thread {hub.thread}{age}) {state}\n{"".join(stack)}'


def _waits_in(frame: FrameType) -> str:
    """Return the switch points that *frame* is inside of, the outermost first."""
    found = (_SWITCHPOINT.match(each.f_code.co_filename) for each in _frames(frame))
    return ' > '.join(match[1] for match in found if match) or 'Hub.switch'


def _frames(innermost: FrameType | None) -> list[FrameType]:
    """Return the frames of a stack, the outermost first."""
    frames = []
    frame = innermost
    # Below the first frame of a fiber PyPy has those of its greenlet module, and below them the
    # last frame of the fiber again.
    while frame is not None and frame.f_globals.get('__name__') != 'greenlet':
        frames.append(frame)
        frame = frame.f_back
    return frames[::-1]
