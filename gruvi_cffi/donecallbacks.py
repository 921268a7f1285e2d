"""Who is to be told of an end: callbacks, and fibers that wait for it.

Both stand in a dict, in the order in which they came, under a handle that is found in constant
time: of a hundred thousand that wait, any may go. To take one out is one step, also between
threads, and only who did so makes its call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Optional

from .switchpoints import assert_no_switchpoints

_log = logging.getLogger('gruvi_cffi.sync')

Call = tuple[Callable[..., object], tuple[Any, ...]]
DoneCallbacks = dict[Any, Optional[Call]]  # the handle is a Waiter if there is no call


def run(callbacks: DoneCallbacks) -> None:
    """Make all calls, and wake all fibers, also those that are added meanwhile."""
    while callbacks:
        for handle in list(callbacks):
            try:
                call = callbacks.pop(handle)
            except KeyError:  # it was taken back, or another thread was faster
                continue
            if call is None:
                handle.hub.make_ready(handle)
            else:
                _make(call)


def _make(call: Call) -> None:
    callback, args = call
    with assert_no_switchpoints():
        try:
            callback(*args)
        except Exception:
            _log.exception('exception in done callback %r', callback)
