"""Switch points: the functions in which other fibers may run, and the check that none is called.

A call of a switch point inside ``assert_no_switchpoints()`` fails, even if it would not have
switched this time. So code that must not be interrupted says so once, and a change far below that
makes it wait is seen at the first call instead of in production.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from threading import get_ident
from types import FunctionType, TracebackType
from typing import Any, Protocol, TypeVar, cast

F = TypeVar('F', bound=Callable[..., Any])

# Thread -> how many sections without switch points it is in. Process-wide, because asking whether
# it is empty is all that most calls of a switch point ever pay for.
sections: dict[int, int] = {}

NOTICE = '.. note:: This is a switch point: other fibers may run before it returns.'

_PLAIN = """
def make(_sp_function, _sp_name, _sp_sections, _sp_ident, _sp_refuse, _sp_checked):
    def {name}({parameters}):
        if _sp_sections and _sp_ident() in _sp_sections:
            _sp_refuse(_sp_name)
        return _sp_function({arguments})
    return {name}
"""
_GENERATOR = """
def make(_sp_function, _sp_name, _sp_sections, _sp_ident, _sp_refuse, _sp_checked):
    def {name}({parameters}):
        return (yield from _sp_checked(_sp_function({arguments}), _sp_name))
    return {name}
"""


class _OfThread(Protocol):
    @property
    def thread(self) -> int: ...


class assert_no_switchpoints:  # noqa: N801 - used like a function
    """Make every call of a switch point in this block raise AssertionError.

    It holds for the calling thread, or for that of *hub*.
    """

    __slots__ = ('_thread',)

    def __init__(self, hub: _OfThread | None = None) -> None:
        self._thread = get_ident() if hub is None else hub.thread

    def __enter__(self) -> None:
        sections[self._thread] = sections.get(self._thread, 0) + 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A fork inside the block has emptied the table in the child.
        depth = sections.pop(self._thread, 1)
        if depth > 1:
            sections[self._thread] = depth - 1


def switchpoint(function: F) -> F:
    """Mark *function* as a switch point, and return it with the check in front.

    The result has the same name, signature and type hints. A generator function checks each time
    it is asked for its next value.
    """
    if inspect.isgeneratorfunction(function):
        wrapper = _wrapper(function, _GENERATOR)
    else:
        wrapper = _wrapper(function, _PLAIN)
    functools.update_wrapper(wrapper, function)
    wrapper.__defaults__ = getattr(function, '__defaults__', None)
    wrapper.__kwdefaults__ = getattr(function, '__kwdefaults__', None)
    wrapper.__doc__ = f'{inspect.cleandoc(function.__doc__ or "")}\n\n{NOTICE}'.lstrip()
    wrapper.__dict__['__switchpoint__'] = True
    return cast(F, wrapper)


def refuse(name: str) -> None:
    """Raise the error for a call of the switch point *name* where none is allowed."""
    raise AssertionError(f'switchpoint {name}() called inside assert_no_switchpoints')


def _wrapper(function: Callable[..., Any], template: str) -> FunctionType:
    # A wrapper with *args and **kwargs costs five times as much as one with the same signature.
    parameters, arguments = _spell(function)
    name = function.__name__ if function.__name__.isidentifier() else 'function'
    source = template.format(name=name, parameters=parameters, arguments=arguments)
    qualname = function.__qualname__
    namespace: dict[str, Any] = {}
    exec(compile(source, f'<switchpoint {qualname}>', 'exec'), namespace)
    made = namespace['make'](function, qualname, sections, get_ident, refuse, _checked)
    return cast(FunctionType, made)


def _spell(function: Callable[..., Any]) -> tuple[str, str]:
    """Return the source of the parameters of *function*, and that of a call which passes them."""
    bare = []
    arguments = []
    for parameter in inspect.signature(function).parameters.values():
        default = None if parameter.default is not parameter.empty else parameter.empty
        bare.append(parameter.replace(default=default, annotation=parameter.empty))
        arguments.append(_PASSED[parameter.kind].format(parameter.name))
    return str(inspect.Signature(bare))[1:-1], ', '.join(arguments)


_PASSED = {
    inspect.Parameter.POSITIONAL_ONLY: '{0}',
    inspect.Parameter.POSITIONAL_OR_KEYWORD: '{0}',
    inspect.Parameter.VAR_POSITIONAL: '*{0}',
    inspect.Parameter.KEYWORD_ONLY: '{0}={0}',
    inspect.Parameter.VAR_KEYWORD: '**{0}',
}


def _checked(generator: Generator[Any, Any, Any], name: str) -> Generator[Any, Any, Any]:
    """Pass everything on to *generator* (PEP 380), with the check before each step."""
    step: Callable[..., Any] = generator.send
    value: Any = None
    while True:
        if sections and get_ident() in sections:
            refuse(name)
        try:
            item = step(value)
        except StopIteration as stop:
            return stop.value
        try:
            value = yield item
            step = generator.send
        except GeneratorExit:
            generator.close()
            raise
        except BaseException as error:
            value = error
            step = generator.throw
