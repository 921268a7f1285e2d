"""The echo servers that are compared: ``python -m benchmarks.servers NAME [--busy]``.

Each listens on a free port of 127.0.0.1, prints that port, and serves until it is killed. All set
TCP_NODELAY and read at most 64 KiB at once where they can say so. A library is imported only by
the servers that need it, so that none pays for another's memory. With --busy, a thread beside the
server computes for ever: then it counts how often the server gives up the GIL.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gruvi_cffi import Stream

HOST = '127.0.0.1'
ON_PYPY = '@pypy'  # at the end of a name: that server on PyPy
PYPY = Path(__file__).parent.parent / '.venv-pypy' / 'bin' / 'python'
BACKLOG = 1024
CHUNK = 65536  # bytes


def announce(port: int) -> None:
    print(port, flush=True)


class Echo(asyncio.Protocol):
    """Works on asyncio, uvloop and gruvi_cffi alike."""

    def connection_made(self, transport: Any) -> None:
        self.write = transport.write

    def data_received(self, data: bytes) -> None:
        self.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    """The same with the buffer that the loop reads into."""

    def connection_made(self, transport: Any) -> None:
        self.write = transport.write
        self.buffer = memoryview(bytearray(CHUNK))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.write(self.buffer[:nbytes])


def gruvi_protocol() -> None:
    _gruvi_serve(Echo)


def gruvi_buffered() -> None:
    _gruvi_serve(BufferedEcho)


def _gruvi_serve(factory: Callable[[], Any]) -> None:
    from gruvi_cffi import create_server

    server = create_server(factory, (HOST, 0), backlog=BACKLOG)
    announce(server.addresses[0][1])
    server.run()


def gruvi_stream() -> None:
    from gruvi_cffi import StreamServer

    server = StreamServer(gruvi_echo)
    server.listen((HOST, 0), backlog=BACKLOG)
    announce(server.addresses[0][1])
    server.run()


def gruvi_echo(stream: Stream, transport: object, protocol: object) -> None:
    while True:
        data = stream.read1(CHUNK)
        if not data:
            break
        stream.write(data)


async def _serve_protocol() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, HOST, 0, backlog=BACKLOG)
    announce(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _serve_streams() -> None:
    server = await asyncio.start_server(_stream_echo, HOST, 0, backlog=BACKLOG, limit=CHUNK)
    announce(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _stream_echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        data = await reader.read(CHUNK)
        if not data:
            break
        writer.write(data)
        await writer.drain()
    writer.close()


def asyncio_protocol() -> None:
    asyncio.run(_serve_protocol())


def asyncio_streams() -> None:
    asyncio.run(_serve_streams())


def uvloop_protocol() -> None:
    import uvloop

    uvloop.run(_serve_protocol())


def uvloop_streams() -> None:
    import uvloop

    uvloop.run(_serve_streams())


def gevent_stream() -> None:
    from gevent.server import StreamServer

    server = StreamServer((HOST, 0), socket_echo, backlog=BACKLOG)
    server.start()
    announce(server.server_port)
    server.serve_forever()


def socket_echo(sock: socket.socket, address: object) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        data = sock.recv(CHUNK)
        if not data:
            break
        sock.sendall(data)


SERVERS: dict[str, Callable[[], None]] = {
    'gruvi-protocol': gruvi_protocol,
    'gruvi-buffered': gruvi_buffered,
    'gruvi-stream': gruvi_stream,
    'uvloop-protocol': uvloop_protocol,
    'uvloop-streams': uvloop_streams,
    'asyncio-protocol': asyncio_protocol,
    'asyncio-streams': asyncio_streams,
    'gevent-stream': gevent_stream,
}


def missing_library(name: str) -> str | None:
    """Return what the server *name* needs and is not there, or None."""
    if name.endswith(ON_PYPY):
        return None if PYPY.exists() else 'PyPy that `make test-pypy` has set up'
    library = name.partition('-')[0]
    if library not in ('uvloop', 'gevent') or find_spec(library):
        return None
    return library


def compute() -> None:
    number = 0
    while True:
        number += 1


def end_with_parent() -> None:
    """Wait for the end of stdin, which whoever has started this process holds, and exit."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


if __name__ == '__main__':
    threading.Thread(target=end_with_parent, daemon=True).start()
    if '--busy' in sys.argv[2:]:
        threading.Thread(target=compute, daemon=True).start()
    SERVERS[sys.argv[1]]()
