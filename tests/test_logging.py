import logging
import logging.handlers
import queue
import re
import threading

import pytest

from gruvi_cffi.fibers import spawn
from gruvi_cffi.hub import get_hub, sleep
from gruvi_cffi.logging import TRACE, ContextFilter, ContextLogger, get_logger


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


def formatted(record):
    return logging.Formatter('%(message)s').format(record)


@pytest.mark.parametrize('given', [True, 'error', 'tuple'])
def test_exc_info_is_what_the_standard_library_takes(given, records):
    try:
        1 // 0
    except ZeroDivisionError as error:
        info = {'error': error, 'tuple': (type(error), error, error.__traceback__)}
        get_logger().error('failed', exc_info=info.get(given, given))
    assert formatted(records[-1]).endswith('ZeroDivisionError: integer division or modulo by zero')


@pytest.mark.parametrize('level', [TRACE, logging.INFO])
def test_stack_info_adds_the_stack(records, level):
    logging.getLogger('gruvi_cffi').setLevel(level)
    get_logger().info('here', stack_info=True)
    assert 'test_stack_info_adds_the_stack' in formatted(records[-1])


def test_stacklevel_goes_further_up(records):
    def helper():
        get_logger().info('here', stacklevel=2)

    helper()
    assert records[-1].funcName == 'test_stacklevel_goes_further_up'


def test_a_message_that_cannot_be_formatted_is_written(records):
    get_logger().info('{} and {name}', 1)
    assert "{} and {name} (not formatted with (1,) and {}: KeyError('name'))" in formatted(
        records[-1]
    )


def test_the_standard_library_finds_its_callers(caplog):
    # Gruvi switched that off for everybody.
    caplog.set_level(logging.INFO)
    logging.getLogger('elsewhere').info('text')
    assert caplog.records[-1].filename == 'test_logging.py'


# The filter, with a logger that knows nothing of us.


@pytest.fixture
def lines():
    """What a plain logger says, with hub and fiber."""
    lines = queue.SimpleQueue()
    logger = logging.getLogger('plain')
    handler = logging.handlers.QueueHandler(lines)
    handler.setFormatter(logging.Formatter('[%(hub)s/%(fiber)s] %(message)s'))
    handler.addFilter(ContextFilter())
    logger.addHandler(handler)
    yield lambda: lines.get(timeout=10).getMessage()
    logger.removeHandler(handler)


def test_a_filter_tells_hub_and_fiber(lines):
    log = logging.getLogger('plain')
    log.error('in the root')
    spawn(log.error, 'in a fiber', name='worker').join()
    get_hub().run_callback(log.error, 'in the hub')
    sleep(0)
    assert lines() == '[Main/Root] in the root'
    assert lines() == '[Main/worker] in a fiber'
    assert lines() == '[Main/Hub] in the hub'


def test_a_filter_tells_the_thread(lines):
    log = logging.getLogger('plain')
    thread = threading.Thread(target=log.error, args=('text',), name='other')
    thread.start()
    thread.join()
    assert lines() == '[other/Root] text'
