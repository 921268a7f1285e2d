"""A server that is a program of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap

import pytest


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix='g') as folder:
        yield folder


def script(folder, text):
    """Start a program with a server on ``folder/socket``."""
    program = f"""
        import sys
        from gruvi_cffi.endpoints import create_server
        from gruvi_cffi.protocols import Protocol

        class Echo(Protocol):
            def connection_made(self, transport):
                self.data_received = transport.write

        server = create_server(Echo, {folder!r} + '/socket')
        print('ready', flush=True)
    """
    return subprocess.Popen(
        [sys.executable, '-c', textwrap.dedent(program) + textwrap.dedent(text)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_run_serves_until_it_is_interrupted(folder):
    with script(folder, "server.run()\nprint('done')\nserver.close()") as process:
        assert process.stdout.readline() == 'ready\n'
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(30)
            client.connect(f'{folder}/socket')
            client.send(b'spam')
            assert client.recv(4) == b'spam'
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ('done\n', '')
    assert process.returncode == 0


def test_a_program_that_closes_nothing_ends_silently(folder):
    with script(folder, 'from gruvi_cffi.hub import sleep\nsleep(0.01)') as process:
        assert process.communicate(timeout=60) == ('ready\n', '')
    assert process.returncode == 0
    assert os.listdir(folder) == []
