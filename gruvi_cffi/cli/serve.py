"""``python -m gruvi_cffi serve``: a WSGI application, or a folder, on the network."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from ..errors import Cancelled
from ..fibers import spawn
from ..http import AccessLog, HttpOptions, HttpServer, JsonFormatter, StaticFiles
from ..poll import wait_readable
from ..signals import SignalReceiver
from . import certificates
from .binding import Shared, remove_stale
from .reloading import RELOAD, Watch, run_reloading
from .workers import run_workers

DESCRIPTION = """\
Serve a WSGI application, or the files of a folder, over HTTP/1.1.

SIGTERM and SIGINT answer what was asked, and end; a second one cuts.
"""
_LISTEN_FDS_START = 3  # of systemd's sd_listen_fds()
MEBIBYTE = 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = DESCRIPTION
    parser.add_argument('target', metavar='MODULE:APP | FOLDER')
    parser.add_argument(
        '--bind',
        action='append',
        metavar='HOST:PORT | unix:PATH | fd:N',
        help='where to listen; may be given several times (127.0.0.1:8000, or what systemd passes)',
    )
    parser.add_argument('--workers', type=int, default=1, metavar='N', help='processes (1)')
    parser.add_argument(
        '--access-log',
        choices=('common', 'combined', 'json'),
        help='log each request to stdout (off)',
    )
    parser.add_argument(
        '--log-level', default='info', choices=('debug', 'info', 'warning', 'error')
    )
    parser.add_argument(
        '--log-format',
        default='text',
        choices=('text', 'json'),
        help='of what goes to stderr (text)',
    )
    parser.add_argument(
        '--healthz', metavar='PATH', help='answer this path with 200 without the application'
    )
    parser.add_argument(
        '--reload', action='store_true', help='start again when a module changes; to develop with'
    )
    certificates.add_arguments(parser)
    _add_proxies(parser)
    _add_limits(parser)
    parser.set_defaults(run=run)


def _add_proxies(parser: argparse.ArgumentParser) -> None:
    proxies = parser.add_argument_group(
        'proxies', "addresses and networks, with commas; 'unix' for all of a Unix socket"
    )
    proxies.add_argument(
        '--proxy-headers',
        type=_list,
        default=(),
        metavar='TRUSTED',
        help='whose Forwarded and X-Forwarded-* say who asks (nobody)',
    )
    proxies.add_argument(
        '--proxy-protocol',
        type=_list,
        default=(),
        metavar='TRUSTED',
        help='who has to say it in a PROXY header, version 1 or 2 (nobody)',
    )


def _list(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(',') if each.strip())


_LIMITS = {
    'line': ('--limit-request-line', 'of the request line'),
    'head': ('--limit-head', 'of a head'),
    'fields': ('--limit-fields', 'fields of a head'),
    'body': ('--limit-body', 'of a body; 0 allows none, -1 is no limit'),
    'pipeline': ('--limit-pipeline', 'requests that wait on a connection'),
    'connections': ('--limit-connections', 'of each process'),
}
_TIMEOUTS = {
    'header_timeout': ('--timeout-header', 'for a head'),
    'body_timeout': ('--timeout-body', 'between two reads of a body'),
    'keepalive_timeout': (
        '--timeout-keepalive',
        'between two requests; 0 allows one on a connection',
    ),
}


def _add_limits(parser: argparse.ArgumentParser) -> None:
    limits = parser.add_argument_group('limits', 'in bytes, or how many')
    for name, (option, text) in _LIMITS.items():
        _add(limits, option, name, text, int)
    timeouts = parser.add_argument_group('timeouts', 'in seconds; -1 is none')
    for name, (option, text) in _TIMEOUTS.items():
        _add(timeouts, option, name, text, float)
    timeouts.add_argument(
        '--timeout-graceful',
        type=float,
        default=30.0,
        metavar='S',
        help='for the last answers; 0 cuts them (30)',
    )


def _add(group: Any, option: str, name: str, text: str, kind: type) -> None:
    value = kind(getattr(HttpOptions(body=MEBIBYTE), name))
    shown = f'{value:g}' if kind is float else value
    group.add_argument(
        option, dest=name, type=kind, default=value, metavar='N', help=f'{text} ({shown})'
    )


def run(options: argparse.Namespace) -> int:
    """Serve until told to stop; return the exit status."""
    _log_to_stderr(options.log_level, options.log_format)
    if options.access_log:
        _log_to_stdout(logging.getLogger('gruvi_cffi.access'))
    sys.path.insert(0, os.getcwd())
    try:
        _check(options)
        places = [_place_of(each) for each in options.bind or _passed_by_systemd()]
        keys = certificates.ticket_keys(options)
        if options.reload:
            return run_reloading(lambda leash: _serve(options, places, keys, leash))
        if options.workers > 1:
            with Shared(places) as shared:
                return run_workers(
                    options.workers,
                    lambda leash: _serve(options, shared.places, keys, leash),
                    shared.unlink,
                )
        return _serve(options, places, keys)
    except (ValueError, ImportError, AttributeError, OSError) as error:
        print(f'gruvi_cffi serve: {error}', file=sys.stderr)
        return 1


def _log_to_stderr(level: str, format_: str) -> None:
    handler = logging.StreamHandler()
    as_text = logging.Formatter('%(asctime)s %(levelname)s %(message)s')
    handler.setFormatter(JsonFormatter() if format_ == 'json' else as_text)
    logging.basicConfig(level=level.upper(), handlers=[handler])


def _log_to_stdout(logger: logging.Logger) -> None:
    """Write what is logged there as it is, whatever the level of the other messages."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter('%(message)s'))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _check(options: argparse.Namespace) -> None:
    if options.workers < 1:
        raise ValueError(f'--workers must be 1 or more, not {options.workers}')
    graceful = options.timeout_graceful
    if graceful != -1 and not 0 <= graceful < float('inf'):
        raise ValueError(f'--timeout-graceful must be 0 or more, or -1, not {graceful}')
    if options.reload and options.workers > 1:
        raise ValueError('--reload goes with one worker')
    _options_of(options)
    certificates.context_of(options, None)


def _options_of(options: argparse.Namespace) -> HttpOptions:
    given: dict[str, Any] = {
        name: getattr(options, name) for name in vars(HttpOptions()) if hasattr(options, name)
    }
    for name, value in given.items():
        if value == -1 and (name == 'body' or name.endswith('_timeout')):
            given[name] = None
    for name, (option, _) in {**_LIMITS, **_TIMEOUTS}.items():
        try:
            HttpOptions(**{name: given[name]})
        except ValueError as error:
            raise ValueError(f'{option}: {error}') from None
    return HttpOptions(**given)


def _passed_by_systemd() -> list[str]:
    """Return what the process was started with (sd_listen_fds(3)), or the default."""
    if os.environ.get('LISTEN_PID') != str(os.getpid()):
        return ['127.0.0.1:8000']
    count = int(os.environ.get('LISTEN_FDS', '0'))
    return [f'fd:{_LISTEN_FDS_START + number}' for number in range(count)]


def _place_of(text: str) -> Any:
    """Return what a server can listen on.

    :raises ValueError: *text* is none.
    """
    kind, _, rest = text.partition(':')
    if kind == 'unix' and rest:
        return rest
    if kind == 'fd' and rest.isdigit():
        return int(rest)
    host, _, port = text.rpartition(':')
    if not port.isdigit() or int(port) > 65535:
        raise ValueError(f'--bind takes HOST:PORT, unix:PATH or fd:N, not {text!r}')
    return host.strip('[]') or '0.0.0.0', int(port)


def load(target: str) -> tuple[Any, Callable[[Any], Any] | None]:
    """Return the application and its adapter, None for WSGI.

    :raises ValueError: *target* is neither MODULE:APP nor a folder.
    :raises ImportError: there is no such module.
    :raises AttributeError: it has no such application.
    """
    if os.path.isdir(target):
        return StaticFiles(target), lambda handler: handler
    module, _, name = target.partition(':')
    if not module or not name:
        raise ValueError(f'{target!r} is no folder, and not MODULE:APP')
    found: Any = importlib.import_module(module)
    for part in name.split('.'):
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f'{target} is no WSGI application, but {found!r}')
    return found, None


def _serve(
    options: argparse.Namespace, places: list[Any], keys: bytes | None, leash: int | None = None
) -> int:
    watch = Watch() if options.reload else None
    try:
        application, adapter = load(options.target)
    except Exception:
        if watch is None:
            raise
        logging.getLogger('gruvi_cffi').exception('cannot load %s; waiting', options.target)
        watch.wait()
        return RELOAD
    access_log = AccessLog(options.access_log) if options.access_log else None
    server = HttpServer(
        application, adapter=adapter, options=_options_of(options), access_log=access_log
    )
    if options.healthz:
        server.handler = _with_health(server.handler, options.healthz)
    context = certificates.context_of(options, keys)
    # On a leash SIGTERM is the only signal, however often it comes; so is the end of the parent.
    numbers = [signal.SIGTERM] if leash is not None else [signal.SIGTERM, signal.SIGINT]
    # Whoever can connect will be answered, so that nothing kills us between the two.
    with SignalReceiver(*numbers) as signals, certificates.reloading(context):
        for place in places:
            _listen(server, place, context, options.workers > 1)
        for address in server.addresses:
            where = _name(address, 'https' if context else 'http')
            logging.getLogger('gruvi_cffi').info('serving %s on %s', options.target, where)
        if watch is not None:
            watch.spawn()
        _run(server, signals, options.timeout_graceful, leash)
    return RELOAD if watch is not None and watch.changed else 0


def _listen(server: HttpServer, place: Any, context: Any, shares: bool) -> None:
    if isinstance(place, int):
        # No socket.socket, which PyPy makes a blocking one, for the other processes too.
        server.listen(os.dup(place), ssl=context)
        return
    if isinstance(place, str):
        remove_stale(place)
    server.listen(place, ssl=context, reuse_port=shares and isinstance(place, tuple))


def _name(address: Any, scheme: str) -> str:
    if isinstance(address, tuple):
        host = f'[{address[0]}]' if ':' in address[0] else address[0]
        return f'{scheme}://{host}:{address[1]}'
    return f'unix:{address}'


def _run(server: HttpServer, signals: SignalReceiver, graceful: float, leash: int | None) -> None:
    """Serve until a signal comes, and close; a second one cuts, but not on a leash."""
    watching = None if leash is None else spawn(_end_with_parent, leash)
    signals.receive()
    if watching is not None:
        watching.cancel()
    closing = spawn(server.close, None if graceful == -1 else graceful)

    def cut() -> None:
        signals.receive()
        while leash is not None:
            signals.receive()
        for transport, _ in list(server.connections):
            transport.abort()
        closing.cancel()

    cutting = spawn(cut)
    try:
        with contextlib.suppress(Cancelled):  # it was cut
            closing.result()
    finally:
        cutting.cancel()


def _end_with_parent(leash: int) -> None:
    wait_readable(leash)
    logging.getLogger('gruvi_cffi').warning('the parent is gone; ending')
    os.kill(os.getpid(), signal.SIGTERM)


def _with_health(handler: Any, path: str) -> Any:
    def handle(message: Any, transport: Any, protocol: Any) -> None:
        if message.url == path and message.method in ('GET', 'HEAD'):
            response = protocol.respond(message)
            response.start('200 OK', [('Content-Type', 'text/plain')])
            response.send(b'ok\n')
        else:
            handler(message, transport, protocol)

    return handle
