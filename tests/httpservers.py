"""Servers for HTTP of others: nginx, haproxy, node and that of the standard library."""

import contextlib
import http.server
import subprocess
import threading

import pytest
from dbservers import free_port, program, running

NGINX = """\
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port};
        listen unix:{folder}/socket;
        root {folder}/root;
        location /gzip {{ gzip on; gzip_types *; gzip_min_length 1; alias {folder}/root; }}
        location /moved {{ return 301 /hello; }}
        location /away {{ return 307 http://127.0.0.1:{port}/hello; }}
        location /once {{ keepalive_timeout 0; alias {folder}/root; }}
        location /slow {{ limit_rate 300k; alias {folder}/root; }}
        {more}
    }}
    {http}
}}
"""

HAPROXY = """\
defaults
    mode http
    timeout connect 10s
    timeout client 10s
    timeout server 10s
    option forwardfor
frontend all
    bind 127.0.0.1:{port}
    bind unix@{folder}/socket
    default_backend ours
backend ours
    http-reuse always
    server one 127.0.0.1:{backend}
"""

NODE = """\
const http = require('http');
const server = http.createServer((request, response) => {
  if (request.url === '/empty') { response.writeHead(204); response.end(); return; }
  if (request.url === '/hints') { response.writeEarlyHints({link: '</a.css>; rel=preload'}); }
  if (request.url === '/trailers') {
    response.writeHead(200, {Trailer: 'X-Sum'});
    response.write('body');
    response.addTrailers({'X-Sum': '42'});
    response.end();
    return;
  }
  const parts = [];
  request.on('data', part => parts.push(part));
  request.on('end', () => {
    response.write(request.method + ' ' + request.url + ' ');
    response.end(Buffer.concat(parts));
  });
});
server.keepAliveTimeout = 20000;
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
"""


@contextlib.contextmanager
def nginx(folder, more='', http=''):
    """Run nginx, and give its port. *more* is for its server there, *http* is beside that."""
    executable = program('nginx-light', 'nginx')
    (folder / 'root').mkdir(exist_ok=True)
    port = free_port()
    config = folder / 'nginx.conf'
    config.write_text(NGINX.format(folder=folder, port=port, more=more, http=http))
    command = ['nginx', '-e', 'stderr', '-p', str(folder), '-c', str(config)]
    with running(command, executable, folder, str(folder / 'socket')):
        yield port


@contextlib.contextmanager
def haproxy(folder, backend=0, config=''):
    """Run haproxy in front of the port *backend*, and give its own; or with *config*."""
    executable = program('haproxy', 'haproxy')
    port = free_port()
    path = folder / 'haproxy.cfg'
    path.write_text(config or HAPROXY.format(folder=folder, port=port, backend=backend))
    with running(['haproxy', '-f', str(path)], executable, folder, str(folder / 'socket')):
        yield port


@contextlib.contextmanager
def node():
    """Run a server of node's, and give its port."""
    command = [program('nodejs', 'node', 'nodejs'), '-e', NODE]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        line = process.stdout.readline()
        if not line:
            pytest.fail('node ended')
        yield int(line)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class _Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@contextlib.contextmanager
def standard(folder):
    """Run the server of the standard library in a thread, and give its port."""
    with http.server.ThreadingHTTPServer(
        ('127.0.0.1', 0), lambda *args: _Files(*args, directory=str(folder))
    ) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
