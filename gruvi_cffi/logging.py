"""Which hub and which fiber a message is from, for the logging of the standard library.

``ContextFilter`` tells the handlers of a program. Loggers of ``get_logger()`` put it in front of
what they say, together with an object that it is about.
"""

from __future__ import annotations

import logging
import sys
import threading
from itertools import count
from typing import Any

from greenlet import getcurrent

__all__ = ['TRACE', 'ContextFilter', 'ContextLogger', 'get_logger']

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
        text = _format(msg, args, kwargs) if args or kwargs else msg
        name, line, function, stack = '(unknown file)', 0, '(unknown function)', None
        place = ''
        if logger.isEnabledFor(logging.DEBUG) or own.get('stack_info'):
            above = _STACKLEVEL + own.get('stacklevel', 1) - 1
            name, line, function, stack = logger.findCaller(own.get('stack_info', False), above)
            place = f'{name.rpartition("/")[2]}:{line}'
        head = f'[{"/".join(_where())}|{self.context or "-"}|{place}] '
        record = logger.makeRecord(
            logger.name, level, name, line, head + text, (), _raised(own.get('exc_info')),
            function, own.get('extra'), stack,
        )  # fmt: skip
        record.said = text  # without what stands before it, for who shows that otherwise
        logger.handle(record)


# Past _write() and the method of the level, to who called that. Before 3.11, findCaller() skips two
# frames by itself.
_STACKLEVEL = 3 if sys.version_info >= (3, 11) else 1

_OWN = ('exc_info', 'stack_info', 'stacklevel', 'extra')


def _format(msg: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    try:
        return msg.format(*args, **kwargs)
    except Exception as error:  # a message is no reason to fail
        return f'{msg} (not formatted with {args!r} and {kwargs!r}: {error!r})'


def _raised(given: Any) -> Any:
    """Return what a record has as exc_info for what a caller may have given."""
    if isinstance(given, BaseException):
        return type(given), given, given.__traceback__
    if given and not isinstance(given, tuple):
        return sys.exc_info()
    return given


class ContextFilter(logging.Filter):
    """Gives records ``hub``, the thread whose hub it is, and ``fiber``. It lets all of them pass.

    Added to a handler, it is asked in the fiber that says something, whatever logger that uses.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.hub, record.fiber = _where()
        return True


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


def _where() -> tuple[str, str]:
    thread = threading.current_thread().name
    fiber = getattr(getcurrent(), 'fiber', None)
    return 'Main' if thread == 'MainThread' else thread, 'Root' if fiber is None else fiber.name
