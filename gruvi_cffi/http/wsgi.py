"""WSGI (PEP 3333) over our messages."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from .._native import http as engine
from ..logging import get_logger
from ..wire.http_forwarded import Forwarded
from .fields import NAME
from .filewrapper import FileWrapper
from .message import HttpMessage
from .response import Headers, Response

_log = get_logger()

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_NOT_PREFIXED = {'content-type': 'CONTENT_TYPE', 'content-length': 'CONTENT_LENGTH'}
_CACHED = 1000  # keys of the environ that are kept

_keys: dict[str, str] = {}


def _key_of(name: str) -> str:
    """Return the key of the field *name* in the environ, '' if it has none."""
    lower = name.lower()
    if '_' in name or lower in ('connection', 'keep-alive', 'transfer-encoding', 'te', 'upgrade'):
        key = ''  # X_Y would be taken for X-Y, which a proxy may have checked
    else:
        key = _NOT_PREFIXED.get(lower) or f'HTTP_{lower.upper().replace("-", "_")}'
    if len(_keys) >= _CACHED:
        _keys.clear()
    _keys[name] = key
    return key


class ErrorStream:
    """What an application writes to wsgi.errors: each line goes to the log."""

    def __init__(self, log: Any = None) -> None:
        self._log = log or _log

    def flush(self) -> None:
        """Do nothing."""

    def write(self, text: str) -> None:
        """Log *text*."""
        if text.rstrip():
            self._log.error('{}', text.rstrip())

    def writelines(self, lines: Iterable[str]) -> None:
        """Log each of *lines*."""
        for line in lines:
            self.write(line)


class WsgiAdapter:
    """Makes *application* a handler of messages. *server_name* defaults to the socket's."""

    def __init__(self, application: Application, server_name: str | None = None) -> None:
        if not callable(application):
            raise TypeError(f'need a WSGI application, not {application!r}')
        self._application = application
        self._server_name = server_name
        self._last_end: Any = (None, '')  # where the last connection came to, and its port

    def __call__(self, message: HttpMessage, transport: Any, protocol: Any) -> None:
        if protocol.data is None:
            protocol.data = self._base_environ(transport, protocol.peer)
        response = _WsgiResponse(message, protocol)
        protocol._response = response
        environ = environ_of(message, protocol.data.copy())
        if message.flags & engine.UPGRADE:
            environ['gruvi.upgrade'] = response.upgrade
        result = self._application(environ, response.start_response)
        if type(result) is list and len(result) == 1 and response.started:
            response.send_now(_checked(result[0]))  # as it mostly is; and a list has no close()
            return
        try:
            if isinstance(result, FileWrapper):
                result.send(response)
            else:
                for data in result:
                    response.write(_checked(data))
                response.end()
        finally:
            close = getattr(result, 'close', None)
            if close is not None:
                close()

    def _base_environ(self, transport: Any, peer: Any) -> Environ:
        """Return what all environs of a connection have in common."""
        here, port = self._server_end(transport)
        client = transport.get_extra_info('peername')
        if client == peer:
            client = peer  # each that is kept weighs 140 bytes
        scheme = 'http' if transport.tls is None else 'https'
        return {
            **({} if transport.tls is None else _tls_environ(transport.tls)),
            **_OF_REQUEST,
            'SCRIPT_NAME': '',
            'SERVER_NAME': self._server_name or (here[0] if port else here),
            'SERVER_PORT': port,
            'SERVER_SOFTWARE': NAME,
            'REMOTE_ADDR': peer[0] if isinstance(peer, tuple) else '',
            'REMOTE_PORT': str(peer[1]) if isinstance(peer, tuple) else '',
            'REQUEST_SCHEME': scheme,
            'wsgi.version': (1, 0),
            'wsgi.url_scheme': scheme,
            'wsgi.errors': ErrorStream(),
            'wsgi.multithread': True,
            'wsgi.multiprocess': True,
            'wsgi.run_once': False,
            'wsgi.file_wrapper': FileWrapper,
            'gruvi.sockname': here,
            'gruvi.peername': client,
        }

    def _server_end(self, transport: Any) -> Any:
        """Return its name, and the port as a string: the same objects for all that came there."""
        here = transport.get_extra_info('sockname')
        last = self._last_end
        if here != last[0]:
            last = self._last_end = here, str(here[1]) if isinstance(here, tuple) else ''
        return last


# They are there from the beginning, so that the copy for each request has the room for its fields.
_OF_REQUEST = dict.fromkeys(
    ('REQUEST_METHOD', 'REQUEST_URI', 'SERVER_PROTOCOL', 'PATH_INFO', 'QUERY_STRING', 'wsgi.input')
)


def _tls_environ(tls: Any) -> Environ:
    """Return what Apache's mod_ssl calls so, which applications look for."""
    name, _, bits = tls.cipher()
    return {
        'HTTPS': 'on',
        'SSL_PROTOCOL': tls.version(),
        'SSL_CIPHER': name,
        'SSL_CIPHER_USEKEYSIZE': str(bits),
        'gruvi.tls': tls,
    }


def environ_of(message: HttpMessage, environ: Environ) -> Environ:
    """Add to *environ* what is known about *message*, and return it."""
    parts = iter(message.parts)
    environ['REQUEST_METHOD'] = next(parts)
    environ['REQUEST_URI'] = target = next(parts)
    environ['SERVER_PROTOCOL'] = 'HTTP/1.1' if message.flags & engine.MINOR else 'HTTP/1.0'
    path, _, query = target.partition('?')
    if path[:1] not in '/*':
        path = '/' + path.partition('://')[2].partition('/')[2]
    if '%' in path:
        path = unquote_to_bytes(path).decode('latin-1')
    environ['PATH_INFO'] = path
    environ['QUERY_STRING'] = query
    for name, value in zip(parts, parts):
        try:
            key = _keys[name]
        except KeyError:
            key = _key_of(name)
        if key in environ:
            value = f'{environ[key]}{"; " if key == "HTTP_COOKIE" else ","}{value}'
        if key:
            environ[key] = value
    if message.forwarded is not None:
        _tell_origin(environ, message.forwarded)
    whole = message.buffer is None
    environ['wsgi.input'] = io.BytesIO(message.whole) if whole else message.body
    return environ


def _tell_origin(environ: Environ, said: Forwarded) -> None:
    if said.address:
        environ['REMOTE_ADDR'] = said.address
        environ['REMOTE_PORT'] = said.port
    if said.scheme is not None:
        environ['wsgi.url_scheme'] = environ['REQUEST_SCHEME'] = said.scheme
        environ['HTTPS'] = 'on' if said.scheme == 'https' else 'off'
    if said.host is not None:
        environ['HTTP_HOST'] = said.host


def _checked(data: Any) -> bytes:
    if type(data) is not bytes:
        raise TypeError(f'a WSGI application has to return bytes, not {type(data).__name__}')
    return data


class _WsgiResponse(Response):
    """A response with what PEP 3333 says of start_response()."""

    __slots__ = ()

    def start_response(
        self, status: str, headers: Headers, exc_info: Any = None
    ) -> Callable[[bytes], None]:
        """Say what the head will be, and return what writes.

        :raises RuntimeError: called twice without *exc_info*.
        :raises ValueError: something cannot be sent.
        """
        if exc_info:
            try:
                if self.sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # it refers to this frame
        elif self.started:
            raise RuntimeError('start_response() was called twice')
        try:
            self.start(status, headers)
        except ValueError:
            if not isinstance(headers, list):
                raise
            # Blanks around a value are no part of it (RFC 9110, 5.5), but Django has some.
            headers[:] = [(name, value.strip(' \t')) for name, value in headers]
            self.start(status, headers)
        return self._write_checked

    def _write_checked(self, data: bytes) -> None:
        self.write(_checked(data))
