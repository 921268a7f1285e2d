"""Every test must leave what it found: no handle, no fiber and no descriptor more."""

from __future__ import annotations

import gc
import importlib.util
import os
import signal
import sys

import pytest
from chopping import chop  # noqa: F401 - a fixture
from chopping import pytest_addoption as add_chop
from dbservers import mariadb_server, redis_server  # noqa: F401 - fixtures
from httppeer import serve  # noqa: F401 - a fixture
from tlsserving import client_kind, server_kind  # noqa: F401 - fixtures

from gruvi_cffi.hub import get_hub, sleep
from gruvi_cffi.resolver import set_resolver

# Who runs us in the background may have SIGINT ignored, which the servers that tests start and end
# with it would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Not every Python has it.
collect_ignore = [] if importlib.util.find_spec('matplotlib') else ['test_benchmarks_plot.py']
# CPython runs the benchmarks, also those of servers on PyPy, which lacks most of the others.
collect_ignore_glob = ['test_benchmarks*.py'] if sys.implementation.name == 'pypy' else []

_PATIENCE = 50  # turns that what was closed gets to be gone


def pytest_addoption(parser):
    add_chop(parser)
    parser.addoption('--long', action='store_true', help='run storms and soaks at full length')


@pytest.fixture
def long(request):
    """Return its second argument with --long, else its first."""
    return lambda short, full: full if request.config.getoption('--long') else short


@pytest.fixture(scope='session')
def fonts():
    """Have matplotlib open its fonts, which it keeps."""
    import matplotlib.pyplot

    matplotlib.pyplot.loglog([1, 1000], [1, 1000])  # its powers of ten are another font's
    matplotlib.pyplot.title('any', fontweight='bold')
    matplotlib.pyplot.savefig(os.devnull, format='svg')
    matplotlib.pyplot.close()


def _open_descriptors():
    return set(os.listdir('/proc/self/fd')) if os.path.isdir('/proc/self/fd') else set()


def _living():
    """Return names for what the hub of this thread has; an empty set after close()."""
    hub = get_hub()
    if not hub.is_alive():
        return set()
    handles = {f'handle {handle!r}' for handle in hub.loop.handles.values()}
    return handles | {f'fiber {fiber!r}' for fiber in hub.fibers}


def _leads_somewhere(number):
    try:
        # libuv opens this with the first stream of a loop, and keeps it to the end.
        return os.readlink(f'/proc/self/fd/{number}') != '/dev/null'
    except OSError:
        return False


def _leaked(living, descriptors):
    found = {f'descriptor {number}' for number in _open_descriptors() - descriptors}
    # Listing the directory takes a descriptor, whose number is free again.
    found = {name for name in found if _leads_somewhere(name.split()[1])}
    return found | (_living() - living)


@pytest.fixture(autouse=True)
def no_answers():
    """Tests have the socket module say this and that, which is not to be remembered."""
    set_resolver(None)


@pytest.fixture(autouse=True)
def no_leaks():
    living = _living()
    descriptors = _open_descriptors()
    yield
    if not get_hub().is_alive():
        return
    for turn in range(_PATIENCE):
        if not _leaked(living, descriptors):
            return
        if turn % 10 == 9:  # PyPy needs some for what has a finalizer
            gc.collect()
        sleep(0)
    pytest.fail(f'the test leaked: {", ".join(sorted(_leaked(living, descriptors)))}')
