"""Loggers that know the thread and the fiber, and put what they say about an object in front."""

from __future__ import annotations

import logging
import sys
import threading
from itertools import count
from typing import Any

from greenlet import getcurrent

__all__ = ['TRACE', 'ContextLogger', 'get_logger']

TRACE = 5  # finer than DEBUG
logging.addLevelName(TRACE, 'TRACE')

_plain: dict[str, ContextLogger] = {}
_numbers: dict[str, count[int]] = {}


class ContextLogger:
    """Writes ``[Thread/Fiber|context|file:line] text`` to a logger of the standard library.

    Messages are formatted with ``str.format()``, and only if there are arguments. File and line are
    looked up only if the logger is enabled for DEBUG: that is slow.
    """

    def __init__(self, logger: logging.Logger, context: str = '') -> None:
        self._logger = logger
        self.context = context

    def log(self, level: int, msg: str, *args: Any, **kwargs: Any) -> None:
        """Write *msg* at *level*; exc_info, stack_info and extra are as in the standard library."""
        self._write(level, msg, args, kwargs)

    def trace(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Write *msg* at the level TRACE."""
        self._write(TRACE, msg, args, kwargs)

    def debug(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Write *msg* at the level DEBUG."""
        self._write(logging.DEBUG, msg, args, kwargs)

    def info(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Write *msg* at the level INFO."""
        self._write(logging.INFO, msg, args, kwargs)

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Write *msg* at the level WARNING."""
        self._write(logging.WARNING, msg, args, kwargs)

    def error(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Write *msg* at the level ERROR."""
        self._write(logging.ERROR, msg, args, kwargs)

    def critical(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Write *msg* at the level CRITICAL."""
        self._write(logging.CRITICAL, msg, args, kwargs)

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Write *msg* at the level ERROR, with the traceback of the current exception."""
        kwargs.setdefault('exc_info', sys.exc_info())
        self._write(logging.ERROR, msg, args, kwargs)

    def _write(self, level: int, msg: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        logger = self._logger
        if not logger.isEnabledFor(level):
            return
        own = {key: kwargs.pop(key) for key in _OWN if key in kwargs}
        text = msg.format(*args, **kwargs) if args or kwargs else msg
        name, line, function = '(unknown file)', 0, '(unknown function)'
        place = ''
        if logger.isEnabledFor(logging.DEBUG):
            name, line, function, _ = logger.findCaller(stacklevel=_STACKLEVEL)
            place = f'{name.rpartition("/")[2]}:{line}'
        head = f'[{_where()}|{self.context or "-"}|{place}] '
        record = logger.makeRecord(
            logger.name, level, name, line, head + text, (), own.get('exc_info'),
            function, own.get('extra'), own.get('stack_info'),
        )  # fmt: skip
        logger.handle(record)


# Past _write() and the method of the level, to who called that. Before 3.11, findCaller() skips two
# frames by itself.
_STACKLEVEL = 3 if sys.version_info >= (3, 11) else 1

_OWN = ('exc_info', 'stack_info', 'extra')


def get_logger(context: object = None, name: str = 'gruvi_cffi') -> ContextLogger:
    """Return a logger on the standard library's logger *name*.

    With *context*, a str or an object that becomes ``ClassName-N``, it is a new one whose messages
    show it. Without, it is the same each time.
    """
    if context is None:
        if name not in _plain:
            _plain[name] = ContextLogger(logging.getLogger(name))
        return _plain[name]
    if not isinstance(context, str):
        kind = type(context).__name__
        context = f'{kind}-{next(_numbers.setdefault(kind, count(1)))}'
    return ContextLogger(logging.getLogger(name), context)


def _where() -> str:
    thread = threading.current_thread().name
    fiber = getattr(getcurrent(), 'fiber', None)
    name = 'Root' if fiber is None else fiber.name
    return f'{"Main" if thread == "MainThread" else thread}/{name}'
