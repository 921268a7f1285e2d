"""The servers of the scale runs: ``python -m benchmarks.scale_servers NAME BEHAVIOUR [PORT]``.

A name is a library, or one of ours, and how it serves. What it does with a connection:

    echo       send back what comes
    broadcast  the same, but an exclamation mark goes to all connections, as SHOUT
    stream     after the first byte, send without end, at the pace of whoever reads
    sink       take what comes, and answer its end with one byte

``gruvi-http`` answers every request with HELLO instead. All listen with SO_REUSEPORT, on a free
port or on PORT, print that port, and serve until they are killed.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, ClassVar

from .servers import BACKLOG, CHUNK, HOST, Echo, announce, end_with_parent, gruvi_echo, socket_echo

SHOUT = b'Hear me!' * 8
BLOCK = bytes(CHUNK)
HELLO = b'Hello, World!'
CONNECTIONS = 1_000_000  # more than any process has here


class Broadcast(Echo):
    """Works on asyncio, uvloop and gruvi_cffi alike, as do the others."""

    everybody: ClassVar[dict[Any, Callable[[bytes], object]]] = {}

    def connection_made(self, transport: Any) -> None:
        self.write = self.everybody[self] = transport.write

    def data_received(self, data: bytes) -> None:
        if data == b'!':
            for write in self.everybody.values():
                write(SHOUT)
        else:
            self.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del self.everybody[self]


class Streaming(asyncio.Protocol):
    paused = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.send()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self.send()

    def send(self) -> None:
        while not self.paused:
            self.transport.write(BLOCK)


class Sink(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.write = transport.write

    def eof_received(self) -> bool:
        self.write(b'x')
        return True


PROTOCOLS: dict[str, Callable[[], Any]] = {
    'echo': Echo, 'broadcast': Broadcast, 'stream': Streaming, 'sink': Sink,
}  # fmt: skip

# The same for what has a fiber, or a greenlet, for each connection.

Read = Callable[[int], bytes]
Write = Callable[[bytes], object]
_everybody: dict[Write, None] = {}  # in the order of arrival


def broadcast(read: Read, write: Write) -> None:
    _everybody[write] = None
    try:
        while True:
            data = read(CHUNK)
            if not data:
                break
            if data == b'!':
                for each in list(_everybody):
                    each(SHOUT)
            else:
                write(data)
    finally:
        del _everybody[write]


def stream(read: Read, write: Write) -> None:
    read(1)
    while True:
        write(BLOCK)


def sink(read: Read, write: Write) -> None:
    while read(CHUNK):
        pass
    write(b'x')


HANDLERS: dict[str, Callable[[Read, Write], None]] = {
    'broadcast': broadcast, 'stream': stream, 'sink': sink,
}  # fmt: skip


def _on_stream(behaviour: str) -> Callable[..., None]:
    if behaviour == 'echo':
        return gruvi_echo
    handler = HANDLERS[behaviour]

    def handle(stream: Any, transport: object, protocol: object) -> None:
        handler(stream.read1, stream.write)

    return handle


def _on_socket(behaviour: str) -> Callable[[Any, object], None]:
    if behaviour == 'echo':
        return socket_echo
    handler = HANDLERS[behaviour]

    def handle(sock: Any, address: object) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        handler(sock.recv, sock.sendall)

    return handle


# Serving. Each calls ready() once all that it needs is there.

Ready = Callable[[], None]


def gruvi_protocol(listener: socket.socket, behaviour: str, ready: Ready) -> None:
    from gruvi_cffi import create_server

    server = create_server(PROTOCOLS[behaviour], listener, backlog=BACKLOG)
    ready()
    server.run()


def gruvi_stream(listener: socket.socket, behaviour: str, ready: Ready) -> None:
    from gruvi_cffi import StreamServer

    server = StreamServer(_on_stream(behaviour))
    server.listen(listener, backlog=BACKLOG)
    ready()
    server.run()


def gruvi_http(listener: socket.socket, behaviour: str, ready: Ready) -> None:
    from gruvi_cffi.http import HttpOptions, HttpServer

    def application(environ: object, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response('200 OK', [('Content-Length', str(len(HELLO)))])
        return [HELLO]

    options = HttpOptions(connections=CONNECTIONS, keepalive_timeout=None)
    server = HttpServer(application, options=options)
    server.listen(listener, backlog=BACKLOG)
    ready()
    server.run()


async def _serve(listener: socket.socket, behaviour: str, ready: Ready) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(PROTOCOLS[behaviour], sock=listener, backlog=BACKLOG)
    ready()
    await server.serve_forever()


def asyncio_protocol(listener: socket.socket, behaviour: str, ready: Ready) -> None:
    asyncio.run(_serve(listener, behaviour, ready))


def uvloop_protocol(listener: socket.socket, behaviour: str, ready: Ready) -> None:
    import uvloop

    uvloop.run(_serve(listener, behaviour, ready))


def gevent(listener: socket.socket, behaviour: str, ready: Ready) -> None:
    from gevent.server import StreamServer
    from gevent.socket import socket as GreenSocket  # noqa: N812  # it is a class

    listener.setblocking(False)
    mine = GreenSocket(fileno=listener.detach())
    server = StreamServer(mine, _on_socket(behaviour))
    server.start()
    ready()
    server.serve_forever()


def eventlet(listener: socket.socket, behaviour: str, ready: Ready) -> None:
    import eventlet as library
    from eventlet.greenio import GreenSocket

    ready()
    library.serve(GreenSocket(listener), _on_socket(behaviour), concurrency=CONNECTIONS)


SERVERS: dict[str, Callable[[socket.socket, str, Ready], None]] = {
    'gruvi-protocol': gruvi_protocol,
    'gruvi-stream': gruvi_stream,
    'gruvi-http': gruvi_http,
    'asyncio-protocol': asyncio_protocol,
    'uvloop-protocol': uvloop_protocol,
    'gevent': gevent,
    'eventlet': eventlet,
}


def listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((HOST, port))
    listener.listen(BACKLOG)
    return listener


def main(name: str, behaviour: str, port: str = '0') -> None:
    listener = listen(int(port))
    SERVERS[name](listener, behaviour, partial(announce, listener.getsockname()[1]))


if __name__ == '__main__':
    threading.Thread(target=end_with_parent, daemon=True).start()
    main(*sys.argv[1:])
