"""Files of a folder over HTTP: parts of them, and only what has changed (RFC 9110, 13 and 14)."""

from __future__ import annotations

import mimetypes
import os
import re
from typing import Any, Optional
from urllib.parse import quote_from_bytes, unquote_to_bytes

from .. import fs
from ..hub import switchpoint
from ..wire.http_fields import rfc1123_date
from .conditions import Conditions
from .message import HttpMessage
from .response import Response

_RANGE = re.compile(r'bytes=([0-9]{0,18})-([0-9]{0,18})', re.IGNORECASE)  # any file is smaller
# What is compressed goes as it is: a Content-Encoding would have clients store something else.
_COMPRESSED = {
    'gzip': 'application/gzip',
    'bzip2': 'application/x-bzip2',
    'xz': 'application/x-xz',
    'br': 'application/x-brotli',
    'compress': 'application/x-compress',
}
_PIECE = 64 * 1024  # bytes that are read at once


class StaticFiles:
    """A handler of messages that answers with the files below *folder*.

    A folder's own file is index.html. What leads out of *folder*, by ``..`` or by a symbolic link,
    is not found, and neither is what is no regular file, nor, unless *hidden*, what has a part that
    begins with a dot (but /.well-known, RFC 8615).

    :raises NotADirectoryError: *folder* is none.
    """

    def __init__(self, folder: str | os.PathLike[str], hidden: bool = False) -> None:
        self._hidden = hidden
        self._root = os.path.realpath(folder)
        if not os.path.isdir(self._root):
            raise NotADirectoryError(f'{os.fspath(folder)} is no folder')

    def __call__(self, message: HttpMessage, transport: Any, protocol: Any) -> None:
        response = protocol.respond(message)
        if message.method not in ('GET', 'HEAD'):
            _say(response, '405 Method Not Allowed', [('Allow', 'GET, HEAD')])
            return
        path = _path_of(message.url or '')
        found = None if path is None or self._is_hidden(path) else self._find(path)
        if found is None:
            _say(response, '404 Not Found')
        elif isinstance(found, str):
            query = (message.url or '').partition('?')[2]
            where = f'{found}?{query}' if query else found
            _say(response, '301 Moved Permanently', [('Location', where)])
        else:
            with found:
                send_file(message, response, found)

    def _is_hidden(self, path: str) -> bool:
        parts = path.split('/')
        if parts[1] == '.well-known':
            parts = parts[2:]
        return not self._hidden and any(part.startswith('.') for part in parts)

    def _find(self, path: str) -> Any:
        """Return the open file, or where to look instead, or None."""
        name = os.path.join(self._root, *filter(None, path.split('/')))
        try:
            name = fs.realpath(name)
            if fs.isdir(name):
                if not path.endswith('/'):
                    return '/' + quote_from_bytes(os.fsencode(path.lstrip('/'))) + '/'
                name = fs.realpath(os.path.join(name, 'index.html'))
            elif path.endswith('/'):
                return None
            if not name.startswith(self._root.rstrip('/') + '/'):
                return None
            # A pipe or a device could keep who opens it waiting.
            return fs.open(name, 'rb') if fs.isfile(name) else None
        except (OSError, ValueError):
            return None


def _path_of(url: str) -> Optional[str]:
    """Return the path that is asked for, decoded, or None if there can be no such file."""
    path = url.partition('?')[0]
    if not path.startswith('/'):
        path = '/' + path.partition('://')[2].partition('/')[2]
    decoded = os.fsdecode(unquote_to_bytes(path))
    parts = decoded.split('/')
    return (
        None
        if '\0' in decoded or '..' in parts or (os.sep != '/' and os.sep in decoded)
        else decoded
    )


def _say(response: Response, status: str, headers: list[tuple[str, str]] | None = None) -> None:
    response.start(status, [('Content-Type', 'text/plain'), *(headers or [])])
    response.send(f'{status[4:]}\n'.encode())


@switchpoint
def send_file(message: HttpMessage, response: Response, file: Any) -> None:
    """Answer *message* with an open *file* of ``fs``, or the part of it that was asked for.

    :raises OSError: it cannot be read.
    :raises TransportError: the connection is lost.
    """
    known = file.stat()
    tag = f'"{known.st_mtime_ns:x}-{known.st_size:x}"'
    changed = rfc1123_date(int(known.st_mtime))
    headers = [('ETag', tag), ('Last-Modified', changed), ('Accept-Ranges', 'bytes')]
    conditions = Conditions(message, tag, int(known.st_mtime))
    if conditions.status() == 304:
        response.start('304 Not Modified', headers)
        response.end()
        return
    if conditions.status() == 412:
        _say(response, '412 Precondition Failed', headers)
        return
    kind, encoding = mimetypes.guess_type(file.name)
    kind = kind if encoding is None else _COMPRESSED.get(encoding)
    headers.append(('Content-Type', kind or 'application/octet-stream'))
    first, size, said = 0, known.st_size, '200 OK'
    if message.method == 'GET' and conditions.wants_part():  # only GET has parts: RFC 9110, 14.2
        part = _part_of(message, known.st_size)
        if part == (0, 0):
            unsatisfied = [('Content-Range', f'bytes */{known.st_size}')]
            _say(response, '416 Range Not Satisfiable', unsatisfied)
            return
        if part is not None:
            (first, size), said = part, '206 Partial Content'
            where = f'bytes {first}-{first + size - 1}/{known.st_size}'
            headers.append(('Content-Range', where))
    response.start(said, [*headers, ('Content-Length', str(size))])
    if message.method != 'HEAD' and not response.sendfile(file, first, size):
        _send(response, file, first, size)
    response.end()


def _send(response: Response, file: Any, first: int, size: int) -> None:
    file.seek(first)
    while size > 0:
        data = file.read(min(size, _PIECE))
        if not data:
            return  # it has become shorter, which end() says
        response.write(data)
        size -= len(data)


def _part_of(message: HttpMessage, size: int) -> Optional[tuple[int, int]]:
    """Return where to begin and how much to send; (0, 0) if there is no such part, or None.

    None is for all: of several ranges, of malformed ones, and of an empty file.
    """
    found = _RANGE.fullmatch(message.get_header('range', ''))
    if found is None or found[0].endswith('=-') or not size:
        return None
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        return (size - length, length) if length else (0, 0)
    begin, end = int(first), min(int(last), size - 1) if last else size - 1
    if last and int(last) < begin:
        return None
    return (begin, end - begin + 1) if begin < size else (0, 0)
