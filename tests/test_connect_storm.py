"""Very many clients at once: each is accepted and served."""

import resource
import subprocess
import sys

import pytest

from gruvi_cffi import StreamServer, get_hub, sleep

CLIENTS = 5000

# Connects all sockets before it waits for any, then wants an answer on each.
CLIENT = """
import resource, selectors, socket, sys
count, address = int(sys.argv[1]), (sys.argv[2], int(sys.argv[3]))
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (min(count + 100, hard), hard))
sockets = [socket.socket() for _ in range(count)]
selector = selectors.DefaultSelector()
for one in sockets:
    one.setblocking(False)
    one.connect_ex(address)
    selector.register(one, selectors.EVENT_READ)
answers = 0
while answers < count:
    ready = selector.select(30)
    if not ready:
        break
    for key, _ in ready:
        answers += key.fileobj.recv(10) == b'hello'
        selector.unregister(key.fileobj)
print(answers)
"""


@pytest.fixture
def many_descriptors():
    """Raise the limit, as far as the system allows, and put it back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = CLIENTS + 500 if hard == resource.RLIM_INFINITY else min(hard, CLIENTS + 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, limit), hard))
    yield min(CLIENTS, limit - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_thousands_of_clients_at_once_are_all_served(many_descriptors):
    served = []

    def handler(stream, transport, protocol):
        stream.write(b'hello')
        served.append(transport.get_extra_info('peername'))
        stream.read()

    server = StreamServer(handler)
    server.listen(('127.0.0.1', 0))
    host, port = server.addresses[0]
    program = [sys.executable, '-c', CLIENT, str(many_descriptors), host, str(port)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as client:
        while client.poll() is None:
            sleep(0.05)
        assert client.stdout.read().strip() == str(many_descriptors)
    server.close(timeout=30)
    assert len(set(served)) == many_descriptors
    assert not get_hub().fibers
