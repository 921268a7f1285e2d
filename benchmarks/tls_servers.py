"""The TLS servers that are compared: ``python -m benchmarks.tls_servers NAME PEM WHAT``.

They are those of servers.py, with the certificate and the key in PEM, and node. WHAT is one of

    echo    sends back what comes
    sink    takes BULK bytes of each connection, and answers with one
    source  waits for a byte, and answers with BULK

In ``gruvi-stdlib`` our transports have a context of the standard library, as all others have.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import threading
from collections.abc import Callable
from typing import Any

from .http_servers import stdlib_context
from .servers import BACKLOG, CHUNK, HOST, Echo, announce, end_with_parent

BULK = 1 << 30  # bytes, unless it is said otherwise
PIECE = bytes(CHUNK)


class Sink(asyncio.Protocol):
    """Counts what comes."""

    def __init__(self, size: int) -> None:
        self.missing = size

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.missing -= len(data)
        if not self.missing:
            self.transport.write(b'.')


class Source(asyncio.Protocol):
    """Sends as fast as the other side takes it."""

    def __init__(self, size: int) -> None:
        self.missing = size
        self.paused = False

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
        while self.missing and not self.paused:
            piece = PIECE[: self.missing]
            self.missing -= len(piece)
            self.transport.write(piece)


def protocol_of(what: str, size: int) -> Callable[[], asyncio.Protocol]:
    return {'echo': Echo, 'sink': lambda: Sink(size), 'source': lambda: Source(size)}[what]


def gruvi_context(pem: str) -> Any:
    from gruvi_cffi.ssl import create_default_context

    context = create_default_context(True)
    context.load_cert_chain(pem)
    return context


def gruvi_protocol(pem: str, what: str, size: int) -> None:
    _gruvi_serve(gruvi_context(pem), what, size)


def gruvi_stdlib(pem: str, what: str, size: int) -> None:
    _gruvi_serve(stdlib_context(pem), what, size)


def _gruvi_serve(context: Any, what: str, size: int) -> None:
    from gruvi_cffi import create_server

    server = create_server(protocol_of(what, size), (HOST, 0), ssl=context, backlog=BACKLOG)
    announce(server.addresses[0][1])
    server.run()


def gruvi_stream(pem: str, what: str, size: int) -> None:
    from gruvi_cffi import StreamServer

    def handle(stream: Any, transport: object, protocol: object) -> None:
        BLOCKING[what](lambda: stream.read1(CHUNK), stream.write, size)

    server = StreamServer(handle)
    server.listen((HOST, 0), ssl=gruvi_context(pem), backlog=BACKLOG)
    announce(server.addresses[0][1])
    server.run()


# What a fiber or a greenlet does, with what it reads and writes by.


def echo(read: Callable[[], bytes], write: Callable[[bytes], object], size: int) -> None:
    while True:
        data = read()
        if not data:
            break
        write(data)


def sink(read: Callable[[], bytes], write: Callable[[bytes], object], size: int) -> None:
    while size > 0:
        data = read()
        if not data:
            return
        size -= len(data)
    write(b'.')
    read()  # the end


def source(read: Callable[[], bytes], write: Callable[[bytes], object], size: int) -> None:
    if not read():
        return
    while size > 0:
        write(PIECE[:size])
        size -= len(PIECE)
    read()  # the end


BLOCKING = {'echo': echo, 'sink': sink, 'source': source}


async def _serve_protocol(pem: str, what: str, size: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        protocol_of(what, size), HOST, 0, ssl=stdlib_context(pem), backlog=BACKLOG
    )
    announce(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _serve_streams(pem: str, what: str, size: int) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _ASYNC[what](reader, writer, size)
        except ConnectionError:
            pass
        writer.close()

    server = await asyncio.start_server(
        handle, HOST, 0, ssl=stdlib_context(pem), backlog=BACKLOG, limit=CHUNK
    )
    announce(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int) -> None:
    while True:
        data = await reader.read(CHUNK)
        if not data:
            break
        writer.write(data)
        await writer.drain()


async def _sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int) -> None:
    while size > 0:
        data = await reader.read(CHUNK)
        if not data:
            return
        size -= len(data)
    writer.write(b'.')
    await reader.read(1)  # the end


async def _source(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int) -> None:
    if not await reader.read(1):
        return
    while size > 0:
        writer.write(PIECE[:size])
        size -= len(PIECE)
        await writer.drain()
    await reader.read(1)  # the end


_ASYNC = {'echo': _echo, 'sink': _sink, 'source': _source}


def asyncio_protocol(pem: str, what: str, size: int) -> None:
    asyncio.run(_serve_protocol(pem, what, size))


def uvloop_protocol(pem: str, what: str, size: int) -> None:
    import uvloop

    uvloop.run(_serve_protocol(pem, what, size))


def uvloop_streams(pem: str, what: str, size: int) -> None:
    import uvloop

    uvloop.run(_serve_streams(pem, what, size))


def gevent_stream(pem: str, what: str, size: int) -> None:
    from gevent.server import StreamServer
    from gevent.ssl import SSLContext

    def handle(sock: Any, address: object) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            BLOCKING[what](lambda: sock.recv(CHUNK), sock.sendall, size)
        except OSError:
            pass

    context = SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = StreamServer((HOST, 0), handle, backlog=BACKLOG, ssl_context=context)
    server.start()
    announce(server.server_port)
    server.serve_forever()


NODE = """
const [file, what, size] = process.argv.slice(1);
const pem = require('fs').readFileSync(file);
const piece = Buffer.alloc(65536);
const kinds = {
  echo: socket => socket.on('data', data => socket.write(data)),
  sink: socket => {
    let missing = Number(size);
    socket.on('data', data => { missing -= data.length; if (missing === 0) socket.write('.'); });
  },
  source: socket => {
    let missing = Number(size);
    const send = () => {
      while (missing > 0) {
        const next = missing < piece.length ? piece.subarray(0, missing) : piece;
        missing -= next.length;
        if (!socket.write(next)) break;
      }
    };
    socket.once('data', send).on('drain', send);
  },
};
const server = require('tls').createServer({cert: pem, key: pem}, socket => {
  socket.setNoDelay(true).on('error', () => {});
  kinds[what](socket);
});
server.listen(0, '127.0.0.1', 1024, () => console.log(server.address().port));
process.stdin.resume().on('end', () => process.exit());
"""

SERVERS: dict[str, Callable[[str, str, int], None]] = {
    'gruvi-protocol': gruvi_protocol,
    'gruvi-stream': gruvi_stream,
    'gruvi-stdlib': gruvi_stdlib,
    'uvloop-protocol': uvloop_protocol,
    'uvloop-streams': uvloop_streams,
    'asyncio-protocol': asyncio_protocol,
    'gevent-stream': gevent_stream,
}
NODE_SERVER = 'node'


def command_of(name: str, pem: str, what: str = 'echo', size: int = BULK) -> list[str]:
    """Return what starts the server *name*."""
    arguments = [pem, what, str(size)]
    if name == NODE_SERVER:
        return ['node', '-e', NODE, *arguments]
    return [sys.executable, '-m', 'benchmarks.tls_servers', name, *arguments]


if __name__ == '__main__':
    threading.Thread(target=end_with_parent, daemon=True).start()
    SERVERS[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4]))
