"""On what figures were measured, and numbers that a command line may have."""

from __future__ import annotations

import argparse
import os
import platform
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

TOP = Path(__file__).parent.parent
# Where servers are that ordinary users do not start.
_ENVIRONMENT = {**os.environ, 'PATH': f'{os.environ.get("PATH", os.defpath)}:/usr/sbin'}
PACKAGES = (
    'gruvi_cffi',
    'cffi',
    'greenlet',
    'uvloop',
    'gevent',
    'eventlet',
    'aiofiles',
    'anyio',
    'uvicorn',
    'httptools',
    'aiohttp',
    'httpx',
    'requests',
    'urllib3',
    'geventhttpclient',
    'granian',
    'gunicorn',
    'fastwsgi',
    'bjoern-binary',
)
PROGRAMS = {
    'node': ('node', '--version'),
    'nginx': ('nginx', '-v'),
    'OpenSSL': ('openssl', 'version'),
    'libuv': ('pkg-config', '--modversion', 'libuv'),
}
_NUMBER = re.compile(r'\d+(?:\.\d+)+')


def about(arguments: Sequence[str]) -> dict[str, Any]:
    """Return what has to be known beside figures: machine, versions, when, with what arguments."""
    return {
        # Where the repository lies is nobody's business.
        'arguments': [each.replace(f'{TOP}{os.sep}', '') for each in arguments],
        'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'commit': _output('git', '-C', str(TOP), 'rev-parse', 'HEAD'),
        'python': sys.version,
        'pypy': _output(str(TOP / '.venv-pypy' / 'bin' / 'python'), '--version'),
        'machine': platform.platform(),
        'cpu': _line_of('/proc/cpuinfo', 'model name'),
        'cores': os.cpu_count(),
        'memory': _line_of('/proc/meminfo', 'MemTotal'),
        'descriptors': resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        'versions': _versions(),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    for name, command in PROGRAMS.items():
        number = _NUMBER.search(_output(*command) or '')
        if number:
            found[name] = number[0]
    return found


def _line_of(path: str, key: str) -> str | None:
    """Return what stands behind *key* in a file of the kernel."""
    with suppress(OSError), open(path) as file:
        for line in file:
            if line.startswith(key):
                return line.partition(':')[2].strip()
    return None


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
            env=_ENVIRONMENT,
        )
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
