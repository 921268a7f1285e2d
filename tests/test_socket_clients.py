"""Clients of others that take a socket, over ours, against real servers: nothing is patched."""

from __future__ import annotations

import http.client
import subprocess
import sys
from pathlib import Path

import pymysql
import pymysql.connections
import pytest

from gruvi_cffi import Cancelled, Semaphore, sleep, spawn, timeout
from gruvi_cffi.socket import Socket, create_connection

TIMEOUT = 20
TOP = Path(__file__).parent.parent


# PyMySQL and MariaDB.


class Connection(pymysql.connections.Connection):
    """As the how-to has it: a lost connection is made again over a socket of ours, too."""

    def connect(self, sock=None):
        super().connect(sock or create_connection((self.host, self.port), self.connect_timeout))


@pytest.fixture
def connect(mariadb_server):
    connections = []

    def make(**options):
        where = {'host': '127.0.0.1', 'port': mariadb_server.port, 'database': 'spam'}
        made = Connection(**{'user': 'spam', 'password': 'eggs', **where, **options})
        connections.append(made)
        return made

    yield make
    for connection in connections:
        if connection.open:
            connection.close()


def test_a_database_over_our_socket(connect):
    connection = connect()
    assert isinstance(connection._sock, Socket)
    with connection.cursor() as cursor:
        cursor.execute('create temporary table eggs (number int, words varchar(50))')
        rows = [(number, f'später {number}') for number in range(1000)]
        cursor.executemany('insert into eggs values (%s, %s)', rows)
        cursor.execute('select * from eggs order by number')
        assert list(cursor.fetchall()) == rows
    connection.rollback()


def test_a_socket_that_was_connected_before(mariadb_server):
    settings = {'user': 'spam', 'password': 'eggs', 'defer_connect': True}
    connection = pymysql.connect(**settings)
    connection.connect(create_connection(('127.0.0.1', mariadb_server.port), TIMEOUT))
    with connection, connection.cursor() as cursor:
        cursor.execute('select current_user()')
        assert cursor.fetchone() == ('spam@%',)


def test_queries_of_many_fibers_wait_side_by_side(connect):
    fibers = 20
    together = Semaphore(0)

    def query(number):
        with connect() as connection, connection.cursor() as cursor:
            together.release()
            cursor.execute('select get_lock("gate", 20), release_lock("gate"), %s', [number])
            return cursor.fetchone()[2]

    # All of them wait in the server, so they would wait for ever if one could not wait beside
    # the others, and beside the one that has the lock.
    with connect() as owner, owner.cursor() as cursor:
        cursor.execute('select get_lock("gate", 20)')
        waiting = [spawn(query, number) for number in range(fibers)]
        for _ in range(fibers):
            assert together.acquire(timeout=TIMEOUT)
        sleep(0.001)
        assert all(fiber.alive for fiber in waiting)
        cursor.execute('select release_lock("gate")')
    assert [fiber.result(TIMEOUT) for fiber in waiting] == list(range(fibers))


def test_large_results_in_both_directions(connect):
    with connect(max_allowed_packet=1 << 24) as connection, connection.cursor() as cursor:
        large = bytes(range(256)) * 8192
        cursor.execute('select %s, length(%s)', [large, large])
        assert cursor.fetchone() == (large, len(large))


def test_rows_as_they_come(connect):
    with connect(cursorclass=pymysql.cursors.SSCursor) as connection:
        with connection.cursor() as cursor:
            cursor.execute('select seq from seq_1_to_20000')
            assert [number for (number,) in cursor] == list(range(1, 20_001))


def test_a_query_takes_too_long(connect):
    connection = connect(read_timeout=0.01)
    with connection.cursor() as cursor:
        with pytest.raises(pymysql.OperationalError, match='timed out'):
            cursor.execute('select sleep(20)')
    assert not connection.open
    connection.connect()
    assert isinstance(connection._sock, Socket)


def test_a_query_is_cancelled(connect):
    connection = connect()
    cursor = connection.cursor()
    fiber = spawn(cursor.execute, 'select sleep(20)')
    sleep(0.001)
    fiber.cancel()
    with pytest.raises(Cancelled):
        fiber.result(TIMEOUT)
    with pytest.raises(TimeoutError), timeout(0.01):
        connect().cursor().execute('select sleep(20)')


def test_errors_of_the_server(connect):
    with pytest.raises(pymysql.OperationalError, match='Access denied'):
        connect(password='ham')
    with connect() as connection, pytest.raises(pymysql.ProgrammingError, match='syntax'):
        connection.cursor().execute('spam')


# http.client and http.server.


@pytest.fixture
def http_port():
    serve = [sys.executable, '-u', '-m', 'http.server', '0', '--bind', '127.0.0.1', '-d', str(TOP)]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            yield int(process.stdout.readline().split(b' port ')[1].split()[0])
        finally:
            process.kill()


def test_an_http_client_of_the_standard_library(http_port):
    def ask():
        connection = http.client.HTTPConnection('127.0.0.1', http_port)
        connection.sock = create_connection(('127.0.0.1', http_port), TIMEOUT)
        connection.request('GET', '/pyproject.toml')
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, body

    fibers = [spawn(ask) for _ in range(10)]
    results = [fiber.result(TIMEOUT) for fiber in fibers]
    assert {status for status, _ in results} == {200}
    assert len({body for _, body in results}) == 1
    assert b'gruvi_cffi' in results[0][1]
