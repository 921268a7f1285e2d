"""A server that says exactly what a test wants, whatever it is asked."""

import socket
import threading

TIMEOUT = 10


class RawServer:
    """Takes a connection for each of *scripts*, one after the other.

    A script is a list: bytes are sent when something has come, a callable is called with the
    connection, and at its end the connection is closed. ``seen`` is what came, for each connection.
    """

    def __init__(self, *scripts):
        self.seen = [b''] * len(scripts)
        self._scripts = scripts
        self._listener = socket.create_server(('127.0.0.1', 0))
        self._listener.settimeout(TIMEOUT)
        self.address = self._listener.getsockname()
        self.url = f'http://127.0.0.1:{self.address[1]}'
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._listener.close() if exc[0] else None
        self._thread.join()
        self._listener.close()

    def _run(self):
        for number, script in enumerate(self._scripts):
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(TIMEOUT)
            with connection:
                try:
                    self._play(connection, script, number)
                except OSError:
                    pass  # the client has had enough

    def _play(self, connection, script, number):
        for step in script:
            if callable(step):
                step(connection)
            else:
                self.seen[number] += connection.recv(65536)
                connection.sendall(step)


def until_closed(connection):
    """A step: wait until the client closes."""
    while connection.recv(65536):
        pass


def reset(connection):
    """A step: the connection breaks."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
    connection.close()


def response(body=b'', status='200 OK', **fields):
    """Return a response as bytes; underscores in names are hyphens."""
    lines = [f'{name.replace("_", "-")}: {value}\r\n' for name, value in fields.items()]
    head = f'HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{"".join(lines)}\r\n'
    return head.encode() + body
