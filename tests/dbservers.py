"""Servers of others that tests talk to: each is started once, the first time a test wants it."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

PATIENCE = 60  # seconds for a server to listen, however slow the machine is
SYSTEM_TABLES = Path('/usr/share/mysql')


class DbServer(NamedTuple):
    """Where it listens: on 127.0.0.1, and at a Unix socket."""

    port: int
    path: str


def program(package, *names):
    """Return the path of the first of *names* there is, or skip or fail the test."""
    path = os.pathsep.join([os.environ.get('PATH', os.defpath), '/usr/sbin', '/usr/local/sbin'])
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return found
    text = f'there is no {names[0]} (Debian: apt-get install {package})'
    if os.environ.get('GRUVI_TEST_SERVERS') == 'required':
        pytest.fail(text)
    pytest.skip(text)


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as probe:
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(command, executable, folder, path):
    """Run a server until the end of the block, which begins once it accepts connections."""
    log = folder / 'log'
    with open(log, 'wb') as output:
        process = subprocess.Popen(
            command,
            executable=executable,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
    try:
        for _ in range(PATIENCE * 50):
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(path) == 0:
                    break
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.02)
                pytest.fail(f'{command[0]} ended: {log.read_text()[-2000:]}')
        else:
            pytest.fail(f'{command[0]} does not listen: {log.read_text()[-2000:]}')
        yield
    finally:
        process.kill()  # what it has is in a temporary folder
        process.wait()


@pytest.fixture(scope='session')
def redis_server(tmp_path_factory):
    # The program goes by the name it is called by; that of the server is in another package, which
    # would also start one for the whole machine.
    executable = program('redis-tools', 'redis-server', 'redis-check-rdb')
    folder = tmp_path_factory.mktemp('redis')
    server = DbServer(free_port(), str(folder / 'socket'))
    command = ['redis-server', '--bind', '127.0.0.1', '--port', str(server.port)]
    command += ['--unixsocket', server.path, '--save', '', '--dir', str(folder)]
    with running(command, executable, folder, server.path):
        yield server


@pytest.fixture(scope='session')
def mariadb_server(tmp_path_factory):
    executable = program('mariadb-server-core', 'mariadbd')
    folder = tmp_path_factory.mktemp('mariadb')
    data = folder / 'data'
    data.mkdir()
    server = DbServer(free_port(), str(folder / 'socket'))
    command = ['mariadbd', '--no-defaults', f'--datadir={data}', f'--user={getpass.getuser()}']
    command += ['--innodb-log-file-size=4M', '--innodb-data-file-path=ibdata1:4M:autoextend']
    command += ['--innodb-buffer-pool-size=8M', '--innodb-temp-data-file-path=ibtmp1:1M:autoextend']
    made = subprocess.run(
        [*command, '--bootstrap'],
        executable=executable,
        input=system_tables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=PATIENCE,
        check=False,
    )
    assert made.returncode == 0, made.stdout[-2000:]
    command += [f'--socket={server.path}', f'--port={server.port}', '--bind-address=127.0.0.1']
    with running(command, executable, folder, server.path):
        yield server


def system_tables():
    """Return what mariadb-install-db gives to the server, without what that needs itself.

    There are the users root and, with the password 'eggs', spam.
    """
    tables = (SYSTEM_TABLES / 'mysql_system_tables.sql').read_bytes()
    rows = (SYSTEM_TABLES / 'mysql_system_tables_data.sql').read_bytes()
    settings = b'set @auth_root_socket=null;\nset @current_hostname="localhost";\n'
    settings += b'set @skip_auth_anonymous=1;\n'
    ours = b'flush privileges;\ncreate database spam;\n'
    ours += b'create user spam@"%" identified by "eggs";\ngrant all on spam.* to spam@"%";\n'
    return b'create database mysql;\nuse mysql;\n' + tables + settings + rows + ours
