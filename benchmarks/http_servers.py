"""The HTTP servers that are compared: ``python -m benchmarks.http_servers NAME [PEM]``.

Each answers every request with 13 bytes, or ``/10k`` with 10 KiB, and a POST with what was posted.
It listens on a free port of 127.0.0.1, prints that port, and serves until it is killed, without an
access log and in one process, or a single worker's; over TLS if there is a PEM file, with a key and
its certificate.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType
from typing import Any

TOP = Path(__file__).parent.parent
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


def announce_once_open(port: int, context: ssl.SSLContext | None) -> None:
    """Print the port of a server that does not tell when it answers, as soon as it does."""
    while True:
        try:
            sock = socket.create_connection((HOST, port))
        except ConnectionRefusedError:
            time.sleep(0.01)
            continue
        with sock if context is None else context.wrap_socket(sock) as sock:
            sock.sendall(b'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
            sock.recv(1)
        print(port, flush=True)
        return


def unchecked() -> ssl.SSLContext:
    """Return the context of a client that trusts whoever answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


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

        def finalize_headers(self) -> None:
            super().finalize_headers()
            if self.close_connection:  # or wrk would send another request
                self.response_headers.append((b'Connection', b'close'))

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


def gunicorn(pem: str | None = None) -> None:
    from gunicorn.app.base import BaseApplication

    def announce(worker: Any) -> None:
        print(worker.sockets[0].getsockname()[1], flush=True)

    class Application(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            settings = {
                'bind': f'{HOST}:0',
                'backlog': BACKLOG,
                'worker_class': 'gthread',
                'threads': 4,
                'worker_connections': 2 * BACKLOG,
                'keepalive': 75,
                'timeout': 0,  # while others are measured it does not run
                'loglevel': 'critical',
                'post_worker_init': announce,
                'certfile': pem,
                'keyfile': pem,
            }
            for name, value in settings.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return application

    Application().run()


def granian(pem: str | None = None) -> None:
    from granian import Granian
    from granian.constants import Interfaces

    port, file = free_port(), Path(pem) if pem else None
    client = unchecked() if pem else None
    threading.Thread(target=announce_once_open, args=(port, client), daemon=True).start()
    Granian(
        'benchmarks.http_servers:application',
        HOST,
        port,
        interface=Interfaces.WSGI,
        backlog=BACKLOG,
        log_enabled=False,
        ssl_cert=file,
        ssl_key=file,
    ).serve()


def fastwsgi() -> None:
    import_fastwsgi()
    from fastwsgi import server

    server.tcp_nodelay = 1
    server.init(application, HOST, free_port(), loglevel=0)  # listens
    print(server.port, flush=True)
    server.run()


def import_fastwsgi() -> None:
    """Import it where there is no pkg_resources, which new versions of setuptools lack.

    It asks that for its own version.
    """
    module: Any = ModuleType('pkg_resources')
    module.get_distribution = distribution
    sys.modules.setdefault('pkg_resources', module)
    import_module('fastwsgi')


def bjoern() -> None:
    import bjoern as theirs

    theirs.listen(application, HOST, 0, listen_backlog=BACKLOG)
    print(theirs._default_instance[0].getsockname()[1], flush=True)
    theirs.run()


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
    'gunicorn': gunicorn,
    'granian': granian,
    'fastwsgi': fastwsgi,
    'bjoern': bjoern,
}
PLAIN = ('fastwsgi', 'bjoern')  # these have no TLS


def command_of(name: str, pem: str | None = None) -> list[str]:
    """Return what starts the server *name*."""
    if name == 'node':
        return node(pem)
    return [sys.executable, '-m', 'benchmarks.http_servers', name, *filter(None, [pem])]


NEEDS = {
    'gruvi': 'gruvi_cffi',
    'gruvi-stdlib': 'gruvi_cffi',
    'uvicorn': 'uvicorn, httptools, uvloop',
}


def is_there(name: str) -> bool:
    """Return whether the server *name* can be started here."""
    if name == 'node':
        check = ['node', '--version']
    elif name == 'fastwsgi':
        code = 'from benchmarks.http_servers import import_fastwsgi; import_fastwsgi()'
        check = [sys.executable, '-c', code]
    else:
        check = [sys.executable, '-c', f'import {NEEDS.get(name, name)}']
    try:
        return subprocess.run(check, capture_output=True, check=False, cwd=TOP).returncode == 0
    except FileNotFoundError:
        return False


if __name__ == '__main__':
    SERVERS[sys.argv[1]](*sys.argv[2:])
