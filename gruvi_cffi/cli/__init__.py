"""The command line: python -m gruvi_cffi."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Sequence
from typing import Optional

import cffi
import greenlet

from .._native import version
from .._version import __version__
from . import get, serve


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Do what *argv* asks for, by default the command line, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog='python -m gruvi_cffi',
        description='Green threads on libuv, with PEP 3156 transports and protocols.',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--version', action='version', version=versions(), help='show our version and the libraries'
    )
    commands = parser.add_subparsers(title='commands', metavar='COMMAND')
    serve.add_arguments(
        commands.add_parser('serve', help='a WSGI application, or a folder, over HTTP')
    )
    get.add_arguments(commands.add_parser('get', help='a URL, as curl does it'))
    options = parser.parse_args(argv)
    if not hasattr(options, 'run'):
        parser.print_help()
        return 0
    status: int = options.run(options)
    return status


def versions() -> str:
    """Return our version and those of what we run on, one a line."""
    table = {
        'gruvi_cffi': __version__,
        'libuv': version.libuv(),
        'http-parser': version.http_parser(),
        'OpenSSL': version.openssl(),
        'greenlet': greenlet.__version__,
        'cffi': cffi.__version__,
        'Python': f'{platform.python_version()} ({platform.python_implementation()})',
    }
    return '\n'.join(f'{name} {text}' for name, text in table.items())
