import gc
import threading
import weakref

import pytest

from gruvi_cffi.fibers import spawn
from gruvi_cffi.hub import sleep
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
