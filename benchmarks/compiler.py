"""The C programs of the benchmarks, compiled when they are first needed."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent
BUILD = SOURCES / 'build'
FLAGS = ['-std=c11', '-D_GNU_SOURCE', '-O2', '-Wall', '-Wextra']


class CompileError(Exception):
    """A C program could not be made."""


def compiled(name: str, *, libraries: tuple[str, ...] = (), links: tuple[str, ...] = ()) -> Path:
    """Return the program made from ``name.c``, which is compiled if it is not up to date.

    *libraries* are names that pkg-config knows, *links* those that only the linker does.

    :raises CompileError: there is no compiler or library, or the compiler refuses.
    """
    program = BUILD / name
    if not _up_to_date(program):
        BUILD.mkdir(exist_ok=True)
        fresh = BUILD / f'{name}.{os.getpid()}'  # another run may be compiling or running it
        compiler = shlex.split(os.environ.get('CC', 'cc'))
        options = _output('pkg-config', '--cflags', '--libs', *libraries) if libraries else ''
        source = str(SOURCES / f'{name}.c')
        _output(
            *compiler,
            *FLAGS,
            '-o',
            str(fresh),
            source,
            *shlex.split(options),
            *(f'-l{link}' for link in links),
        )
        fresh.replace(program)
    return program


def _up_to_date(program: Path) -> bool:
    sources = [*SOURCES.glob('*.c'), *SOURCES.glob('*.h')]
    newest = max(source.stat().st_mtime for source in sources)
    return program.exists() and program.stat().st_mtime >= newest


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except OSError as exc:
        raise CompileError(f'could not run {command[0]}: {exc.strerror}') from exc
    if done.returncode != 0:
        raise CompileError(f'{shlex.join(command)} failed:\n{done.stderr.strip()}')
    return done.stdout
