import logging
import re

import pytest

from gruvi_cffi.fibers import spawn
from gruvi_cffi.logging import TRACE, ContextLogger, get_logger


class Keeper(logging.Handler):
    """Keeps the records it gets."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def records():
    """What is logged, at every level."""
    logger = logging.getLogger('gruvi_cffi')
    keeper = Keeper()
    level = logger.level
    logger.addHandler(keeper)
    logger.setLevel(TRACE)
    yield keeper.records
    logger.setLevel(level)
    logger.removeHandler(keeper)


def test_without_context_it_is_the_same_object():
    assert get_logger() is get_logger()
    assert get_logger(name='other') is get_logger(name='other')
    assert get_logger(name='other') is not get_logger()


def test_with_context_it_is_a_new_one():
    assert get_logger('x') is not get_logger('x')
    assert get_logger('x').context == 'x'


def test_an_object_becomes_its_class_and_a_number():
    class Subject:
        pass

    assert [get_logger(Subject()).context for _ in range(2)] == ['Subject-1', 'Subject-2']


def test_the_layout_in_the_root_fiber(records):
    get_logger().info('text')
    assert re.match(r'\[Main/Root\|-\|test_logging\.py:\d+\] text$', records[-1].getMessage())


def test_the_layout_in_a_fiber_with_a_context(records):
    spawn(get_logger('conn').info, 'text', name='worker').join()
    assert re.match(r'\[Main/worker\|conn\|[\w.]+:\d+\] text$', records[-1].getMessage())


def test_the_place_is_that_of_the_caller(records):
    line = test_the_place_is_that_of_the_caller.__code__.co_firstlineno + 2
    get_logger().info('here')
    assert (records[-1].lineno, records[-1].filename) == (line, 'test_logging.py')


def test_the_place_is_left_out_above_debug(caplog):
    caplog.set_level(logging.INFO, logger='gruvi_cffi')
    get_logger().info('text')
    assert caplog.records[-1].getMessage() == '[Main/Root|-|] text'


@pytest.mark.parametrize(
    ('method', 'level'),
    [('trace', 5), ('debug', 10), ('info', 20), ('warning', 30), ('error', 40), ('critical', 50)],
)
def test_every_level_has_a_method(method, level, records):
    getattr(get_logger(), method)('text')
    assert records[-1].levelno == level
    get_logger().log(level, 'again')
    assert records[-1].levelno == level
    assert records[-1].filename == 'test_logging.py'


def test_trace_has_a_name():
    assert logging.getLevelName(TRACE) == 'TRACE'


def test_arguments_are_formatted_with_braces(records):
    log = get_logger()
    log.info('{} and {name!r}', 1, name='x')  # noqa: PLE1205 - not the standard library
    assert records[-1].getMessage().endswith("1 and 'x'")


def test_without_arguments_nothing_is_formatted(records):
    get_logger().info('a {} b %s')
    assert records[-1].getMessage().endswith('a {} b %s')


def test_exception_adds_the_traceback(records):
    try:
        1 // 0
    except ZeroDivisionError as error:
        get_logger().exception('failed')
        assert records[-1].exc_info[1] is error
    assert records[-1].levelno == logging.ERROR


def test_a_level_that_is_off_costs_no_formatting(caplog):
    class Unprintable:
        def __format__(self, spec):
            raise AssertionError('formatted')

    caplog.set_level(logging.ERROR, logger='gruvi_cffi')
    get_logger().info('{}', Unprintable())
    assert caplog.records == []


def test_extra_reaches_the_record(records):
    get_logger().info('text', extra={'mine': 1})
    assert records[-1].mine == 1


def test_another_logger_of_the_standard_library(caplog):
    get_logger(name='elsewhere').error('text')
    assert caplog.records[-1].name == 'elsewhere'
    assert isinstance(get_logger(name='elsewhere'), ContextLogger)
