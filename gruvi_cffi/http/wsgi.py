"""WSGI (PEP 3333) over our messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from .._native import http as engine
from ..logging import get_logger
from ..wire.http_forwarded import Forwarded
from .environ import Environ, add_fields, add_line
from .fields import NAME
from .filewrapper import FileWrapper
from .message import HttpMessage
from .response import UNSAID, Headers, Response

_log = get_logger()

Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

_UPGRADE = engine.UPGRADE
_CACHED = 1000  # addresses of our own whose environ is kept


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
        self._bases: dict[Any, Environ] = {}  # by our own address

    def __call__(self, message: HttpMessage, transport: Any, protocol: Any) -> None:
        data = protocol.data
        if data is None or data[0] is not self:  # a handler may have several applications
            peer = _peer_of(transport, protocol.peer)
            protocol.data = data = self, self._base_of(transport), peer
        _, base, peer = data
        protocol._response = response = _WsgiResponse(message, protocol)
        if message.known is None:
            parts = iter(message.parts)
            environ = add_line({**base, **peer}, next(parts), next(parts), message.version)
            add_fields(environ, parts)
            whole = message.buffer is None
            environ['wsgi.input'] = BytesIO(message.whole) if whole else message.body
            if message.flags & _UPGRADE:
                environ['gruvi.upgrade'] = response.upgrade
        else:  # there is no body
            _, line, fields, template = message.known
            if template is None:
                environ = {**base, **peer, **line.environ, **fields.environ}
            else:
                made_of, made = template.made  # at once: it may be another thread's, too
                if made_of is not base:
                    made = {**base, **line.environ, **fields.environ}
                    template.made = base, made
                environ = {**made, **peer}
            environ['wsgi.input'] = BytesIO()
        if message.forwarded is not None:
            _tell_origin(environ, message.forwarded)
        result = self._application(environ, response.start_response)
        if type(result) is list and len(result) == 1:
            (data,) = result  # as it mostly is; and a list has no close()
            response.send_now(data if type(data) is bytes else _checked(data))
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

    def _base_of(self, transport: Any) -> Environ:
        """Return what all environs of a connection have in common.

        It is one for all that came to the same address, since an idle connection is to be small.
        """
        here = transport.get_extra_info('sockname')
        tls = transport.tls
        of_tls = None if tls is None else (tls.version(), *tls.cipher())
        base = self._bases.get((here, of_tls))
        if base is None:
            if len(self._bases) >= _CACHED:
                self._bases.clear()
            base = self._base_environ(here, 'http' if of_tls is None else 'https')
            if of_tls is not None:
                base.update(_tls_environ(*of_tls))
            self._bases[here, of_tls] = base
        return base

    def _base_environ(self, here: Any, scheme: str) -> Environ:
        has_port = isinstance(here, tuple)
        return {
            **_OF_REQUEST,
            'SCRIPT_NAME': '',
            'SERVER_NAME': self._server_name or (here[0] if has_port else here),
            'SERVER_PORT': str(here[1]) if has_port else '',
            'SERVER_SOFTWARE': NAME,
            'REQUEST_SCHEME': scheme,
            'wsgi.version': (1, 0),
            'wsgi.url_scheme': scheme,
            'wsgi.errors': ErrorStream(),
            'wsgi.multithread': True,
            'wsgi.multiprocess': True,
            'wsgi.run_once': False,
            'wsgi.file_wrapper': FileWrapper,
            'gruvi.sockname': here,
        }


# They are there from the beginning, so that the copy for each request has the room for its fields.
_OF_REQUEST = dict.fromkeys((
    'REQUEST_METHOD', 'REQUEST_URI', 'SERVER_PROTOCOL', 'PATH_INFO', 'QUERY_STRING', 'wsgi.input',
    'REMOTE_ADDR', 'REMOTE_PORT', 'gruvi.peername',
))  # fmt: skip


def _peer_of(transport: Any, peer: Any) -> Environ:
    """Return the name of who is connected, and the address and the port of who asks."""
    address, port = (peer[0], str(peer[1])) if isinstance(peer, tuple) else ('', '')
    environ = {
        'gruvi.peername': transport.get_extra_info('peername'),
        'REMOTE_ADDR': address,
        'REMOTE_PORT': port,
    }
    if transport.tls is not None:
        environ['gruvi.tls'] = transport.tls
    return environ


def _tls_environ(version: str, cipher: str, _: str, bits: int) -> Environ:
    """Return what Apache's mod_ssl calls so, which applications look for."""
    return {
        'HTTPS': 'on',
        'SSL_PROTOCOL': version,
        'SSL_CIPHER': cipher,
        'SSL_CIPHER_USEKEYSIZE': str(bits),
        'gruvi.tls': None,
    }


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
        elif self._head is not UNSAID:
            raise RuntimeError('start_response() was called twice')
        try:
            self.start(status, headers)
            return self._write_checked
        except ValueError:
            if not isinstance(headers, list):
                raise
        # Blanks around a value are no part of it (RFC 9110, 5.5), but Django has some.
        headers[:] = [(name, value.strip(' \t')) for name, value in headers]
        self.start(status, headers)
        return self._write_checked

    def _write_checked(self, data: bytes) -> None:
        self.write(_checked(data))
