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
from .threads import hubs

__all__ = ['dump_fibers', 'dump_fibers_on']

_SWITCHPOINT = re.compile(r'<switchpoint (.*)>')


def dump_fibers() -> str:
    """Return name, age, what it waits for and stack of each fiber of the process."""
    parts = []
    for hub in sorted(hubs, key=lambda hub: hub.thread):
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


def _begun(fiber: Any) -> float:
    started: float = fiber.started
    return started


def _describe(hub: Hub, fiber: BareFiber, running: FrameType | None) -> str:
    # The greenlet that runs has no frame of its own to show; the thread has.
    frame = getattr(fiber.carrier, 'gr_frame', None)
    state = 'runs' if frame is None else f'waits in {_waits_in(frame)}'
    started = getattr(fiber, 'started', None)
    age = f', {monotonic() - started:.1f} s old' if started is not None else ''
    stack = traceback.format_stack(running if frame is None else frame)
    return f'{fiber.name} (thread {hub.thread}{age}) {state}\n{"".join(stack)}'


def _waits_in(frame: FrameType) -> str:
    """Return the switch points that *frame* is inside of, the outermost first."""
    names = []
    current: FrameType | None = frame
    while current is not None:
        match = _SWITCHPOINT.match(current.f_code.co_filename)
        if match:
            names.append(match[1])
        current = current.f_back
    return ' > '.join(reversed(names)) or 'Hub.switch'
