"""On what figures were measured, and numbers that a command line may have."""

from __future__ import annotations

import argparse
import os
import platform
import ssl
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

TOP = Path(__file__).parent.parent
PACKAGES = (
    'gruvi_cffi', 'cffi', 'greenlet', 'uvloop', 'gevent', 'eventlet', 'aiofiles', 'anyio',
    'uvicorn', 'httptools', 'aiohttp', 'gunicorn', 'granian', 'fastwsgi', 'bjoern-binary',
)  # fmt: skip


def about(arguments: Sequence[str]) -> dict[str, Any]:
    """Return what has to be known beside figures: machine, versions, when, with what arguments."""
    return {
        'arguments': list(arguments),
        'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'commit': _output('git', '-C', str(TOP), 'rev-parse', 'HEAD'),
        'python': sys.version,
        'pypy': _output(str(TOP / '.venv-pypy' / 'bin' / 'python'), '--version'),
        'node': _output('node', '--version'),
        'openssl': ssl.OPENSSL_VERSION,
        'machine': platform.platform(),
        'cores': os.cpu_count(),
        'versions': _versions(),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return ' '.join(done.stdout.split())


def whole(text: str) -> int:
    """Return a whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'need 1 or more, not {text}')
    return number


def count(text: str) -> int:
    """Return a whole number from 0 on."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f'need 0 or more, not {text}')
    return number


def duration(text: str) -> float:
    """Return a time in seconds that is long enough to measure something in it."""
    number = float(text)
    if not 0.01 <= number < 1e6:
        raise argparse.ArgumentTypeError(f'need 0.01 seconds or more, not {text}')
    return number


def rate(text: str) -> float:
    """Return a rate per second; 0 is none."""
    number = float(text)
    if not 0 <= number < 1e9:
        raise argparse.ArgumentTypeError(f'need 0 or more, not {text}')
    return number


def target(text: str) -> Path:
    """Return a file that can be written."""
    path = Path(text)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f'cannot write to {text}')
    return path
