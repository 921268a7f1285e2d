import contextvars
import gc
import threading
import weakref

import pytest

from gruvi_cffi.fibers import spawn
from gruvi_cffi.groups import FiberGroup
from gruvi_cffi.hub import get_hub, sleep
from gruvi_cffi.local import local


def test_an_attribute_can_be_set_read_and_deleted():
    data = local()
    data.x = 1
    assert data.x == 1
    data.x = 2
    assert data.x == 2
    del data.x
    assert not hasattr(data, 'x')


def test_what_is_missing_is_an_attribute_error():
    data = local()
    with pytest.raises(AttributeError, match='missing'):
        data.missing
    with pytest.raises(AttributeError, match='missing'):
        del data.missing
    with pytest.raises(AttributeError):
        data.__getattr__('missing')
    with pytest.raises(AttributeError):
        data.__delattr__('missing')


def test_it_takes_no_arguments():
    with pytest.raises(TypeError):
        local(1)


def test_every_fiber_has_its_own():
    data = local()
    data.x = 'root'

    def run(value):
        assert not hasattr(data, 'x')
        data.x = value
        sleep(0)
        return data.x

    fibers = [spawn(run, number) for number in range(10)]
    assert [fiber.result() for fiber in fibers] == list(range(10))
    assert data.x == 'root'


def test_every_object_has_its_own():
    one, other = local(), local()
    one.x = 1
    assert not hasattr(other, 'x')


def test_every_thread_has_its_own():
    data = local()
    data.x = 'here'
    seen = []
    thread = threading.Thread(target=lambda: seen.append(hasattr(data, 'x')))
    thread.start()
    thread.join()
    assert seen == [False]


class Payload:
    pass


def test_the_data_goes_with_the_fiber():
    data = local()

    def run():
        data.payload = Payload()
        return weakref.ref(data.payload)

    fiber = spawn(run)
    reference = fiber.result()
    del fiber
    for _ in range(3):  # PyPy takes one for each link of the chain
        gc.collect()
    assert reference() is None


def test_the_data_goes_with_the_object():
    data = local()
    data.payload = Payload()
    reference = weakref.ref(data.payload)
    del data
    gc.collect()
    assert reference() is None


# Beside context variables; for pools, see test_futures_pools.py.

name = contextvars.ContextVar('name', default='nobody')


def test_a_fiber_starts_with_the_context_but_without_the_data_of_its_creator():
    data = local()

    def look():
        return name.get(), hasattr(data, 'x')

    def start():
        name.set('the creator')
        data.x = 1
        with FiberGroup() as group:
            member = group.spawn(look)
        return spawn(look).result(), member.result()

    assert spawn(start).result() == (('the creator', False), ('the creator', False))
    assert look() == ('nobody', False)


def test_a_callback_has_the_context_and_the_data_of_the_hub():
    data, seen = local(), []
    data.x = 1

    def callback(value):
        seen.append((name.get(), hasattr(data, 'x')))
        name.set(value)

    def ask():
        name.set('who asks')
        get_hub().run_callback(callback, 'callback')
        get_hub().call_later(0, callback, 'nobody')
        sleep(0.001)
        return name.get()

    assert spawn(ask).result() == 'who asks'
    assert seen == [('nobody', False), ('callback', False)]


def test_a_thread_has_neither():
    data, seen = local(), []
    data.x = 1

    def set_and_start():
        name.set('who starts it')
        thread = threading.Thread(target=lambda: seen.append((name.get(), hasattr(data, 'x'))))
        thread.start()
        thread.join()

    spawn(set_and_start).join()
    assert seen == [('nobody', False)]
