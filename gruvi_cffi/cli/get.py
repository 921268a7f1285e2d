"""python -m gruvi_cffi get: a small curl."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import ssl
import sys
from collections.abc import Iterator
from time import monotonic
from typing import Any, BinaryIO, Optional
from urllib.parse import unquote, urlsplit

from .. import limits
from ..errors import Error
from ..http import HttpResponse, HttpSession, HttpTimeouts, StatusError
from ..ssl import create_default_context

_WIDTH = 40  # of the bar
_LONGEST_NAME = 40  # characters, each of up to four bytes; systems allow 255
_EVERY = 0.1  # seconds between two pictures of it
_HTTP_FAILED = 22  # the exit status; curl's

EPILOG = """\
exit status: 0, whatever the server says; 1 if there is no whole response; 2 if the arguments are
wrong; 22 with --fail, if the server says that it failed (4xx, 5xx)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what ``get`` can be told."""
    parser.description = (
        'Send a request, and write the body of its response to the standard output.'
    )
    parser.epilog = EPILOG
    parser.set_defaults(run=run)
    add = parser.add_argument
    add('url', metavar='URL')
    add('-o', '--output', metavar='FILE', help='write to this file, once all of it is there')
    add('-O', '--remote-name', action='store_true', help='write to a file named as in the URL')
    add('-X', '--method', metavar='METHOD', help='by default GET, or POST if there is a body')
    add('-H', '--header', metavar='NAME: VALUE', action='append', default=[], type=_header)
    add('-d', '--data', metavar='TEXT', help='send this, or what a file has: @FILE')
    add('-F', '--form', metavar='NAME=VALUE', action='append', default=[], type=_field,
        help='send a form, of which fields may be files: NAME=@FILE')  # fmt: skip
    add('--json', metavar='JSON', help='send this as JSON')
    add('-u', '--user', metavar='NAME:PASSWORD')
    add('-i', '--include', action='store_true', help='write the head, too')
    add('-f', '--fail', action='store_true',
        help='with a status of 4xx or 5xx, write nothing and exit with 22')  # fmt: skip
    add('-s', '--silent', action='store_true', help='show no progress')
    add('--no-redirects', action='store_true', help='do not go where the server points to')
    add('--proxy', metavar='URL', help="by default, what the environment says; '' is none")
    add('--unix-socket', metavar='NAME')
    add('-k', '--insecure', action='store_true', help='believe any certificate')
    add('--cacert', metavar='FILE', help='trust these, instead of whom the system trusts')
    add('--cert', metavar='FILE', help='our own certificate, with its key unless --key has that')
    add('--key', metavar='FILE')
    add('--timeout', metavar='SECONDS', type=float, help='for all of it')
    add('--connect-timeout', metavar='SECONDS', type=float, default=limits.HTTP_CONNECT_TIMEOUT)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(':')
    if not colon:
        raise argparse.ArgumentTypeError(f'{text!r} has no colon')
    return name, value.strip()


def _field(text: str) -> tuple[str, str]:
    name, equals, value = text.partition('=')
    if not equals:
        raise argparse.ArgumentTypeError(f'{text!r} is not NAME=VALUE')
    return name, value


def run(options: argparse.Namespace) -> int:
    """Send what *options* ask for, and return the exit status."""
    path = _name_of(options.url) if options.remote_name else options.output
    try:
        with contextlib.ExitStack() as stack:
            arguments = _body_of(options, stack)
            session = stack.enter_context(_session_of(options))
            method = options.method or ('POST' if arguments else 'GET')
            bar = _bar(options, path)
            if bar is not None:
                stack.callback(bar.end)
                arguments['on_download'] = bar
            response = session.request(method, options.url, stream=True, **arguments)
            stack.enter_context(response)
            if options.fail:
                response.raise_for_status()
            _write(response, options, path)
            return 0
    except (Error, OSError, ValueError) as error:
        left = '' if path in (None, '-') else f'; {path} was left as it was'
        print(f'{options.url}: {error}{left}', file=sys.stderr)
        return _HTTP_FAILED if isinstance(error, StatusError) else 1
    except KeyboardInterrupt:
        return 130


def _name_of(url: str) -> str:
    name = os.path.basename(unquote(urlsplit(url).path))
    return name or 'index.html'


def _session_of(options: argparse.Namespace) -> HttpSession:
    more: dict[str, Any] = {}
    if options.proxy is not None:
        more['proxy'] = options.proxy or None
    if options.user is not None:
        name, _, password = options.user.partition(':')
        more['auth'] = name, password
    return HttpSession(
        ssl=_context_of(options),
        headers=options.header,
        timeout=HttpTimeouts(connect=options.connect_timeout, total=options.timeout),
        unix=options.unix_socket,
        follow_redirects=not options.no_redirects,
        keepalive=0,
        **more,
    )


def _context_of(options: argparse.Namespace) -> Any:
    if not (options.insecure or options.cacert or options.cert):
        return True
    context = create_default_context(cafile=options.cacert)
    context.set_alpn_protocols(['http/1.1'])
    if options.cert:
        context.load_cert_chain(options.cert, options.key)
    if options.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _body_of(options: argparse.Namespace, stack: contextlib.ExitStack) -> dict[str, Any]:
    """Return what the body needs as arguments; *stack* closes the files."""
    given = [name for name in ('data', 'form', 'json') if getattr(options, name)]
    if len(given) > 1:
        raise ValueError(f'one body is enough: --{" and --".join(given)}')

    def open_(path: str) -> BinaryIO:
        return stack.enter_context(open(path, 'rb'))

    if options.json is not None:
        return {'data': options.json.encode(), 'headers': {'Content-Type': 'application/json'}}
    if options.data is not None:
        text = options.data
        return {'data': open_(text[1:]) if text.startswith('@') else text.encode()}
    if options.form:
        fields = [pair for pair in options.form if not pair[1].startswith('@')]
        files = [(name, open_(value[1:])) for name, value in options.form if value[:1] == '@']
        return {'data': fields, 'files': files} if files else {'data': fields}
    return {}


def _bar(options: argparse.Namespace, path: Optional[str]) -> Optional[Bar]:
    return None if options.silent or path is None or not sys.stderr.isatty() else Bar()


def _write(response: HttpResponse, options: argparse.Namespace, path: Optional[str]) -> None:
    with _output(path) as file:
        if options.include:
            lines = [f'HTTP/{response.version} {response.status_code} {response.reason}']
            lines += [f'{name}: {value}' for name, value in response.headers.pairs]
            file.write(''.join(f'{line}\n' for line in [*lines, '']).encode('latin-1'))
        for piece in response.iter_bytes():
            file.write(piece)
        file.flush()


@contextlib.contextmanager
def _output(path: Optional[str]) -> Iterator[BinaryIO]:
    """Give what to write to. A file gets its name once all is in it: there is no half a file."""
    if path is None or path == '-':
        yield sys.stdout.buffer
        return
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):  # /dev/null, or a pipe
        with open(path, 'wb') as file:
            yield file
        return
    folder, name = os.path.split(path)
    beside = os.path.join(folder, f'.{name[:_LONGEST_NAME]}.{os.getpid()}')
    try:
        with open(beside, 'xb') as file:
            yield file
        if os.path.exists(path):
            shutil.copymode(path, beside)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise


class Bar:
    """A progress bar on the standard error."""

    def __init__(self) -> None:
        self._began = monotonic()
        self._shown = 0.0
        self._last = ''

    def __call__(self, done: int, total: Optional[int]) -> None:
        """Show that *done* bytes of *total* have come."""
        seconds = monotonic() - self._began
        rate = f'{_size(done / seconds if seconds else 0)}/s'
        if total:
            part = min(done / total, 1)
            filled = round(part * _WIDTH)
            bar = '#' * filled + '.' * (_WIDTH - filled)
            self._last = f'{part:4.0%} [{bar}] {_size(done)} of {_size(total)} {rate}'
        else:
            self._last = f'{_size(done)} {rate}'
        if seconds - self._shown >= _EVERY:
            self._shown = seconds
            self._show('')

    def end(self) -> None:
        """Show the last of it."""
        if self._last:
            self._show('\n')

    def _show(self, end: str) -> None:
        print(f'\r{self._last}\x1b[K', end=end, file=sys.stderr, flush=True)


def _size(count: float) -> str:
    for unit in ('B', 'KiB', 'MiB', 'GiB'):
        if count < 1024 or unit == 'GiB':
            break
        count /= 1024
    return f'{count:.0f} {unit}' if unit == 'B' else f'{count:.1f} {unit}'
