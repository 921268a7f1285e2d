import os
import socket
import threading

import pytest

from gruvi_cffi import StreamClient, Timeout, fs, get_io_pool, sleep, spawn
from gruvi_cffi.socket import Socket


@pytest.fixture(params=['tcp', 'unix'])
def pair(request):
    """Return a client, and the plain socket at its other end."""
    if request.param == 'unix':
        ours, theirs = socket.socketpair()
    else:
        with socket.create_server(('127.0.0.1', 0)) as listener:
            ours = socket.create_connection(listener.getsockname())
            theirs = listener.accept()[0]
    client = StreamClient(timeout=20)
    client.connect(ours)
    peer = Socket(theirs.family, theirs.type, theirs.proto, theirs.detach())
    peer.settimeout(20)
    yield client, peer
    client.close()
    peer.close()


def receive(peer, size):
    got = bytearray()
    while len(got) < size:
        got += peer.recv(1 << 16)
    return bytes(got)


@pytest.fixture
def path(tmp_path):
    made = tmp_path / 'file'
    made.write_bytes(os.urandom(5_000_000))
    return made


def test_a_file_goes_behind_what_was_written(pair, path):
    client, peer = pair
    data = path.read_bytes()
    with open(path, 'rb') as file:
        receiving = spawn(receive, peer, 1_000_004 + len(data))
        client.write(bytes(1_000_000))
        assert fs.sendfile(client.stream, file) == len(data)
        client.write(b'done')
        assert receiving.result(20) == bytes(1_000_000) + data + b'done'
        assert file.tell() == 0


def test_a_part_of_it(pair, path):
    client, peer = pair
    with fs.open(path, 'rb') as file:
        assert fs.sendfile(client.transport, file, 100, 1000) == 1000
        assert fs.sendfile(client.transport, file.fileno(), 4_999_990, 1000) == 10
        assert fs.sendfile(client.transport, file, 5_000_000) == 0
    data = path.read_bytes()
    assert receive(peer, 1010) == data[100:1100] + data[-10:]


def test_a_peer_that_reads_nothing(pair, path):
    client, _ = pair
    with open(path, 'rb') as file, pytest.raises(Timeout):
        while True:
            fs.sendfile(client.stream, file, timeout=0.05)


def test_who_gives_up_while_all_threads_are_busy_leaves_no_descriptor(pair, path):
    client, _ = pair
    pool, go = get_io_pool(), threading.Event()
    busy = [pool.submit(go.wait, 20) for _ in range(pool.maxsize)]
    try:
        with open(path, 'rb') as file, pytest.raises(Timeout):
            fs.sendfile(client.stream, file, timeout=0.05)
    finally:
        go.set()
    assert all(future.result(20) for future in busy)


def test_a_peer_that_is_gone(pair, path):
    client, peer = pair
    peer.close()
    with open(path, 'rb') as file, pytest.raises(OSError):
        while True:
            fs.sendfile(client.stream, file)
            sleep(0)


def test_what_makes_no_sense(path):
    with open(path, 'rb') as file, pytest.raises(TypeError, match='transport or a stream'):
        fs.sendfile(file, file)
