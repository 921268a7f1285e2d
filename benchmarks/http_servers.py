"""The HTTP servers that are compared: ``python -m benchmarks.http_servers NAME [PEM]``.

Each answers every request with 13 bytes, or ``/10k`` with 10 KiB, and a POST with what was posted.
It listens on a free port of 127.0.0.1, prints that port, and serves until it is killed, in one
process and without an access log; over TLS if there is a PEM file, with a key and its certificate.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

HOST = '127.0.0.1'
BACKLOG = 1024
BODY = b'Hello, World!'
LARGE = bytes(10 * 1024)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """For all WSGI servers."""
    if environ['REQUEST_METHOD'] == 'POST':
        body = environ['wsgi.input'].read(int(environ['CONTENT_LENGTH']))
    else:
        body = LARGE if environ['PATH_INFO'] == '/10k' else BODY
    headers = [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))]
    start_response('200 OK', headers)
    return [body]


def free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


def announce_once_open(port: int) -> None:
    """Print the port of a server that does not tell when it listens."""
    while True:
        try:
            socket.create_connection((HOST, port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            print(port, flush=True)
            return


def stdlib_context(pem: str | None) -> ssl.SSLContext | None:
    if pem is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def gruvi(pem: str | None = None) -> None:
    from gruvi_cffi.ssl import create_default_context

    context = None
    if pem is not None:
        context = create_default_context(True)
        context.load_cert_chain(pem)
    serve_gruvi(context)


def gruvi_stdlib(pem: str | None = None) -> None:
    serve_gruvi(stdlib_context(pem))


def serve_gruvi(context: Any) -> None:
    from gruvi_cffi.http import HttpServer

    server = HttpServer(application)
    server.listen((HOST, 0), ssl=context)
    print(server.addresses[0][1], flush=True)
    server.run()


def gevent(pem: str | None = None) -> None:
    from gevent.pywsgi import WSGIHandler, WSGIServer

    class Handler(WSGIHandler):  # type: ignore[misc]
        def __init__(self, sock: Any, *args: Any) -> None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            super().__init__(sock, *args)

    tls = {} if pem is None else {'certfile': pem, 'keyfile': pem}
    server = WSGIServer((HOST, 0), application, log=None, handler_class=Handler, **tls)
    server.start()
    print(server.server_port, flush=True)
    server.serve_forever()


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """For uvicorn."""
    if scope['type'] != 'http':
        return
    body = LARGE if scope['path'] == '/10k' else BODY
    if scope['method'] == 'POST':
        body, more = b'', True
        while more:
            event = await receive()
            body += event.get('body', b'')
            more = event.get('more_body', False)
    length = str(len(body)).encode()
    headers = [(b'content-type', b'text/plain'), (b'content-length', length)]
    await send({'type': 'http.response.start', 'status': 200, 'headers': headers})
    await send({'type': 'http.response.body', 'body': body})


def uvicorn(pem: str | None = None) -> None:
    import uvicorn as theirs

    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen(BACKLOG)
        print(listener.getsockname()[1], flush=True)
        config = theirs.Config(
            asgi,
            loop='uvloop',
            http='httptools',
            access_log=False,
            log_level='error',
            lifespan='off',
            ssl_certfile=pem,
        )
        theirs.Server(config).run([listener])


def aiohttp(pem: str | None = None) -> None:
    from aiohttp import web

    async def answer(request: Any) -> Any:
        if request.method == 'POST':
            return web.Response(body=await request.read(), content_type='text/plain')
        body = LARGE if request.path == '/10k' else BODY
        return web.Response(body=body, content_type='text/plain')

    app = web.Application()
    app.router.add_route('*', '/{path:.*}', answer)
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen(BACKLOG)
        print(listener.getsockname()[1], flush=True)
        context = stdlib_context(pem)
        web.run_app(app, sock=listener, access_log=None, print=None, ssl_context=context)


def fastwsgi(pem: str | None = None) -> None:
    import fastwsgi as theirs

    port = free_port()
    threading.Thread(target=announce_once_open, args=(port,), daemon=True).start()
    theirs.run(wsgi_app=application, host=HOST, port=port, loglevel=0)


NODE = """
const large = Buffer.alloc(10240);
const pem = process.argv[1] && require('fs').readFileSync(process.argv[1]);
const kind = require(pem ? 'https' : 'http');
const server = kind.createServer(pem ? {cert: pem, key: pem} : {}, (request, response) => {
  const answer = body => {
    response.writeHead(200, {'Content-Type': 'text/plain', 'Content-Length': body.length});
    response.end(body);
  };
  if (request.method === 'POST') {
    const pieces = [];
    request.on('data', piece => pieces.push(piece)).on('end', () => answer(Buffer.concat(pieces)));
  } else answer(request.url === '/10k' ? large : 'Hello, World!');
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"""


def node(pem: str | None = None) -> list[str]:
    return ['node', '-e', NODE, *filter(None, [pem])]


SERVERS: dict[str, Callable[[], Any]] = {
    'gruvi': gruvi,
    'gruvi-stdlib': gruvi_stdlib,
    'uvicorn': uvicorn,
    'node': node,
    'aiohttp': aiohttp,
    'gevent': gevent,
    'fastwsgi': fastwsgi,
}


def command_of(name: str, pem: str | None = None) -> list[str]:
    """Return what starts the server *name*."""
    if name == 'node':
        return node(pem)
    return [sys.executable, '-m', 'benchmarks.http_servers', name, *filter(None, [pem])]


def is_there(name: str) -> bool:
    """Return whether the server *name* can be started here."""
    needs = name
    if name.startswith('gruvi'):
        needs = 'gruvi_cffi'
    elif name == 'uvicorn':
        needs = 'uvicorn, httptools, uvloop'
    if name == 'node':
        check = ['node', '--version']
    else:
        check = [sys.executable, '-c', f'import {needs}']
    try:
        return subprocess.run(check, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


if __name__ == '__main__':
    SERVERS[sys.argv[1]](*sys.argv[2:])
