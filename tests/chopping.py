"""For --chop: what comes to either side of HTTP is cut into pieces at random, as networks may."""

import random

import pytest

from gruvi_cffi.http import HttpClientProtocol, HttpServerProtocol


def pytest_addoption(parser):
    parser.addoption('--chop', type=int, metavar='SEED', help='cut what comes by HTTP into pieces')


def chopping(data_received, chance):
    def chopped(self, data):
        at, transport = 0, self.transport
        while at < len(data):
            # Mostly a few bytes, but not for all of a large body.
            end = at + chance.choice((1, 2, 3, 10, 1000, 30_000))
            data_received(self, data[at:end])
            at = end
            if transport.is_closing():
                return
            if not transport.is_reading() and data[at:]:
                # As it keeps what comes when it was paused, but before the rest of that.
                transport._hold(b'')
                transport._held.pop()
                transport._held.appendleft(data[at:])
                return

    return chopped


@pytest.fixture(autouse=True, scope='session')
def chop(request):
    seed = request.config.getoption('--chop')
    with pytest.MonkeyPatch.context() as patch:
        if seed is not None:
            for protocol in (HttpServerProtocol, HttpClientProtocol):
                method = chopping(protocol.data_received, random.Random(seed))
                patch.setattr(protocol, 'data_received', method)
        yield
