import ast
import importlib
import inspect
import pkgutil
import threading

import pytest

import gruvi_cffi
from gruvi_cffi.hub import get_hub, sleep
from gruvi_cffi.switchpoints import NOTICE, assert_no_switchpoints, switchpoint


def plain(a: int, b: str = 'x', /, c: float = 1.5, *rest: int, d: bool, e: object = None, **more: str) -> list:
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
    def collect(item, into=[]):  # noqa: B006
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
    with assert_no_switchpoints(), pytest.raises(AssertionError, match='Subject.method'):
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


# Every public function of ours that can switch bears the mark. What calls Hub.switch() can; so can
# what calls a function with the mark, whatever object it calls it on.

# Names that also belong to things that do not switch, so that a call says nothing.
AMBIGUOUS = {
    '__exit__', '__enter__', '__next__', '__iter__', 'acquire', 'close', 'connect', 'get', 'join', 'put', 'read', 'result',
    'shutdown', 'wait', 'write', 'writelines', 'run', 'switch', 'flush', 'map', 'exception', 'accept', 'send',
}  # fmt: skip
UNMARKED = {'Hub.switch'}  # by definition


def _modules():
    for info in pkgutil.walk_packages(gruvi_cffi.__path__, 'gruvi_cffi.'):
        if not info.name.endswith('__main__') and '._gv' not in info.name:
            yield importlib.import_module(info.name)


def _functions(module):
    """Yield the qualified name and the object of each public function that *module* defines."""
    for name, value in vars(module).items():
        if getattr(value, '__module__', None) != module.__name__ or name.startswith('_'):
            continue
        if inspect.isclass(value):
            for inner, member in vars(value).items():
                member = getattr(member, '__func__', member)
                member = getattr(member, 'fget', member)
                public = not inner.startswith('_') or inner.startswith('__')
                if inspect.isfunction(member) and public:
                    yield f'{name}.{inner}', member
        elif inspect.isfunction(value):
            yield name, value


def _calls(function):
    """Yield (receiver, name) for each call in the source of *function* itself."""
    try:
        tree = ast.parse(inspect.cleandoc('\n' + inspect.getsource(inspect.unwrap(function))))
    except (OSError, IndentationError, SyntaxError):
        return
    nested = {
        node
        for outer in ast.walk(tree.body[0])
        if isinstance(outer, (ast.FunctionDef, ast.Lambda)) and outer is not tree.body[0]
        for node in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node not in nested:
            if isinstance(node.func, ast.Attribute):
                yield ast.unparse(node.func.value), node.func.attr
            elif isinstance(node.func, ast.Name):
                yield '', node.func.id


def _switches(function, marked):
    for receiver, name in _calls(function):
        if name == 'switch' and receiver.rpartition('.')[2].lstrip('_') in ('hub', 'get_hub()'):
            return True
        if name in marked and (name not in AMBIGUOUS or receiver == 'self'):
            owner = getattr(function, '__qualname__', '').rpartition('.')[0]
            if receiver != 'self' or f'{owner}.{name}' in marked:
                return True
    return False


def unmarked_in(modules):
    functions = {
        f'{module.__name__}.{name}': function for module in modules for name, function in _functions(module)
    }
    marked = set()
    for function in functions.values():
        if getattr(function, '__switchpoint__', False):
            marked |= {function.__name__, function.__qualname__}
    return {
        name
        for name, function in functions.items()
        if not getattr(function, '__switchpoint__', False)
        and function.__qualname__ not in UNMARKED
        and _switches(function, marked)
    }


def test_every_public_function_that_can_switch_is_marked():
    assert unmarked_in(_modules()) == set()


def test_a_function_that_forgot_its_mark_is_found():
    from gruvi_cffi import hub

    unmarked = hub.sleep.__wrapped__
    marked, hub.sleep = hub.sleep, unmarked
    try:
        assert unmarked_in([hub]) == {'gruvi_cffi.hub.sleep'}
    finally:
        hub.sleep = marked
