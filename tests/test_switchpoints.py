import ast
import importlib
import inspect
import pkgutil
import sys
import textwrap
import threading

import pytest

import gruvi_cffi
import gruvi_cffi.hub
from gruvi_cffi.hub import get_hub, sleep
from gruvi_cffi.switchpoints import NOTICE, assert_no_switchpoints, switchpoint


def plain(
    a: int, b: str = 'x', /, c: float = 1.5, *rest: int, d: bool, e: object = None, **more: str
) -> list:
    """Return everything.

    In a list.
    """
    return [a, b, c, rest, d, e, more]


def test_a_switchpoint_passes_every_kind_of_argument():
    marked = switchpoint(plain)
    calls = [
        ((1,), {'d': True}),
        ((1, 'y', 2.0, 3, 4), {'d': False, 'e': 5, 'f': 'z'}),
        ((1,), {'c': 3, 'd': 0}),
    ]
    for args, kwargs in calls:
        assert marked(*args, **kwargs) == plain(*args, **kwargs)


def test_a_switchpoint_looks_like_its_function():
    marked = switchpoint(plain)
    assert inspect.signature(marked) == inspect.signature(plain)
    assert inspect.signature(marked, follow_wrapped=False).parameters.keys() == (
        inspect.signature(plain).parameters.keys()
    )
    assert marked.__annotations__ == plain.__annotations__
    assert marked.__defaults__ == plain.__defaults__
    assert marked.__kwdefaults__ == plain.__kwdefaults__
    assert (marked.__name__, marked.__qualname__, marked.__module__) == (
        plain.__name__, plain.__qualname__, plain.__module__,
    )  # fmt: skip
    assert marked.__switchpoint__ is True
    assert marked.__doc__.startswith('Return everything.\n\nIn a list.')
    assert marked.__doc__.endswith(NOTICE)


def test_a_missing_argument_is_reported_by_the_name_of_the_function():
    with pytest.raises(TypeError, match=r'plain\(\) missing 1 required'):
        switchpoint(plain)(d=True)


def test_a_switchpoint_without_docstring_gets_the_notice():
    assert switchpoint(lambda: None).__doc__ == NOTICE


def test_a_mutable_default_stays_the_same_object():
    def collect(item, into=[]):
        into.append(item)
        return into

    marked = switchpoint(collect)
    assert marked(1) is marked(2) is collect.__defaults__[0]


def test_methods_class_methods_and_static_methods_can_be_switchpoints():
    class Subject:
        @switchpoint
        def method(self, x):
            return self, x

        @classmethod
        @switchpoint
        def of_class(cls, x):
            return cls, x

        @staticmethod
        @switchpoint
        def static(x):
            return x

    subject = Subject()
    assert subject.method(1) == (subject, 1)
    assert subject.of_class(2) == (Subject, 2)
    assert subject.static(3) == 3
    with assert_no_switchpoints(), pytest.raises(AssertionError, match=r'Subject\.method'):
        subject.method(1)


def test_a_call_inside_a_section_is_refused_even_if_it_would_not_switch():
    called = []
    marked = switchpoint(lambda: called.append(1))
    with assert_no_switchpoints():
        with pytest.raises(AssertionError, match=r'called inside assert_no_switchpoints'):
            marked()
    assert called == []
    marked()
    assert called == [1]


def test_sections_nest():
    marked = switchpoint(lambda: 'ran')
    with assert_no_switchpoints():
        with assert_no_switchpoints():
            pass
        with pytest.raises(AssertionError):
            marked()
    assert marked() == 'ran'


def test_a_section_holds_for_its_own_thread_alone():
    results = []
    marked = switchpoint(lambda: results.append('ran'))
    with assert_no_switchpoints():
        thread = threading.Thread(target=marked)
        thread.start()
        thread.join()
    assert results == ['ran']


def test_a_section_of_a_hub_holds_for_the_thread_of_that_hub():
    with assert_no_switchpoints(get_hub()), pytest.raises(AssertionError):
        sleep(0)


def test_hub_switch_is_refused_inside_a_section():
    with assert_no_switchpoints(), pytest.raises(AssertionError, match=r'Hub\.switch'):
        get_hub().switch()


@switchpoint
def echo(first):
    """Give back what is sent."""
    received = yield first
    while True:
        try:
            received = yield received
        except KeyError as error:
            received = error
        if received == 'stop':
            return 'stopped'


def test_a_generator_stays_one():
    assert inspect.isgeneratorfunction(echo)
    assert echo.__switchpoint__


def test_a_generator_switchpoint_passes_send_throw_return_and_close():
    generator = echo('first')
    assert next(generator) == 'first'
    assert generator.send('second') == 'second'
    error = KeyError('k')
    assert generator.throw(error) is error
    with pytest.raises(StopIteration) as stopped:
        generator.send('stop')
    assert stopped.value.value == 'stopped'
    echo('never started').close()


def test_closing_a_generator_switchpoint_closes_the_function_inside():
    steps = []

    @switchpoint
    def generate():
        try:
            yield 1
        finally:
            steps.append('closed')

    generator = generate()
    next(generator)
    generator.close()
    assert steps == ['closed']


@pytest.mark.parametrize('step', [next, lambda g: g.send(None), lambda g: g.throw(KeyError('k'))])
def test_a_generator_checks_at_each_step(step):
    generator = echo(1)
    next(generator)
    with assert_no_switchpoints(), pytest.raises(AssertionError, match='echo'):
        step(generator)


def test_making_a_generator_is_no_step():
    with assert_no_switchpoints():
        generator = echo(1)
    assert next(generator) == 1


# Every public function of ours that can switch bears the mark. A function can switch if it calls
# Hub.switch(), or a function that can. Whom it calls is known for self.x(), super().x() and names
# of its module; any other y.x() counts if every function x of ours can switch.

# Names that also belong to what is not ours, so that y.x() says nothing.
AMBIGUOUS = {
    'accept', 'acquire', 'close', 'connect', 'exception', 'flush', 'get', 'join', 'map', 'put',
    'read', 'readline', 'result', 'run', 'send', 'shutdown', 'switch', 'wait', 'write',
    'writelines',
    # of the os module and of fs
    'access', 'chmod', 'exists', 'isdir', 'isfile', 'link', 'listdir', 'lstat', 'mkdir', 'open',
    'readlink', 'remove', 'rename', 'replace', 'rmdir', 'scandir', 'seek', 'stat', 'symlink',
    'tell', 'truncate', 'unlink',
}  # fmt: skip
# By definition, and the helpers with which Hub.close() is made.
UNMARKED = {'Hub.switch', 'end_all'}
# What these modules define is the public interface, beside what the package itself exports.
PUBLIC = 'hub fibers groups sync local transports protocols endpoints stream address debug'


class Function:
    """A function of ours: the class that has it, if any, and what its source calls."""

    def __init__(self, function, owner=None):
        self.function = function
        self.owner = owner
        self.marked = getattr(function, '__switchpoint__', False)
        self.plain = inspect.unwrap(function)
        self.calls = set(self._find_calls())

    def _find_calls(self):
        """Yield (receiver, name) for each call, but for those of functions inside of it."""
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(self.plain)))
        except (OSError, SyntaxError):
            return
        left = list(ast.iter_child_nodes(tree.body[0]))
        while left:
            node = left.pop()
            if isinstance(node, (ast.FunctionDef, ast.Lambda)):
                continue
            left += ast.iter_child_nodes(node)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield ast.unparse(node.func.value), node.func.attr
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                yield '', node.func.id

    def switches(self, switching, by_name):
        return any(self._is_switching(*call, switching, by_name) for call in self.calls)

    def _is_switching(self, receiver, name, switching, by_name):
        if receiver == '':
            return inspect.unwrap(self.plain.__globals__.get(name, int)) in switching
        if receiver in ('self', 'cls', 'super()') and self.owner is not None:
            classes = self.owner.__mro__[receiver == 'super()' :]
            found = next((vars(c)[name] for c in classes if name in vars(c)), None)
            return inspect.isfunction(found) and inspect.unwrap(found) in switching
        if name == 'switch' and receiver.rpartition('.')[2].lstrip('_') in ('hub', 'get_hub()'):
            return True
        if name in AMBIGUOUS or name not in by_name:
            return False
        return all(function.plain in switching for function in by_name[name])


def _modules():
    for info in pkgutil.walk_packages(gruvi_cffi.__path__, 'gruvi_cffi.'):
        if not info.name.endswith('__main__') and '._gv' not in info.name:
            yield importlib.import_module(info.name)


def _functions(modules):
    for module in modules:
        for value in vars(module).values():
            if getattr(value, '__module__', None) != module.__name__:
                continue
            if inspect.isclass(value):
                for member in vars(value).values():
                    member = getattr(member, '__func__', getattr(member, 'fget', member))
                    if inspect.isfunction(member):
                        yield Function(member, value)
            elif inspect.isfunction(value):
                yield Function(value)


def _is_public(function, names):
    parts = function.plain.__qualname__.split('.')
    last = parts[-1]
    hidden = last.startswith('_') and not last.endswith('__')
    return parts[0] in names and not hidden


def unmarked(modules, names):
    """Return the public functions, of those whose name begins with one of *names*, without mark."""
    functions = list(_functions(modules))
    by_name = {}
    for function in functions:
        by_name.setdefault(function.plain.__name__, []).append(function)
    switching = {function.plain for function in functions if function.marked}
    before = -1
    while before != len(switching):
        before = len(switching)
        switching |= {f.plain for f in functions if f.switches(switching, by_name)}
    return {
        function.plain.__qualname__
        for function in functions
        if function.plain in switching and not function.marked and _is_public(function, names)
    } - UNMARKED


def public_names():
    names = {name for name in vars(gruvi_cffi) if not name.startswith('_')}
    for module in PUBLIC.split():
        namespace = vars(importlib.import_module(f'gruvi_cffi.{module}'))
        own = namespace['__name__']
        names |= {
            name for name, value in namespace.items() if getattr(value, '__module__', '') == own
        }
    return names


def test_every_public_function_that_can_switch_is_marked():
    assert unmarked(_modules(), public_names()) == set()


class Forgetful:
    """What the test above has to find."""

    def forgot(self):
        get_hub().switch()

    def forgot_below(self):
        self._private()

    def forgot_by_name(self):
        return helper()

    def forgot_of_another(self, other):
        other.forgot()

    @switchpoint
    def marked(self):
        self._private()

    def does_not_switch(self):
        def inner():
            self.forgot()

        return inner

    def _private(self):
        sleep(0)


def helper():
    sleep(0)


def test_a_forgotten_mark_is_found_through_private_helpers_and_other_objects():
    assert unmarked([gruvi_cffi.hub, sys.modules[__name__]], {'Forgetful'}) == {
        'Forgetful.forgot',
        'Forgetful.forgot_below',
        'Forgetful.forgot_by_name',
        'Forgetful.forgot_of_another',
    }
