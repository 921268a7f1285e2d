"""Every block of code in README.md and docs/ does what the text around it says.

- A python block is a whole program. It runs in a process of its own, where warnings are errors;
  it has  to end with status 0 and to write nothing to stderr. It can import what is in examples/.
- If the next block is a text block, that is what the program prints; ``...`` stands for anything.
- A python block that ends with ``server.run()`` is a server. It prints a line once it listens,
  serves  the next program of its page, gets SIGINT, and has to end like any other.
- Port 7007 stands for a free port, 6379 for that of a redis-server, 3306 for that of a MariaDB.
- Of a console block, each command has to be one that there is; our own quick ones are run.
- A block in none is a picture.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

import build_ffi
import gruvi_cffi

TOP = Path(__file__).resolve().parents[1]
PAGES = [TOP / 'README.md', *sorted((TOP / 'docs').rglob('*.rst'))]
PORT = '7007'
DATABASES = {'6379': 'redis_server', '3306': 'mariadb_server'}
PATIENCE = 30  # seconds for a program, however slow the machine is

FENCED = re.compile(r'^```(\w+)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
DIRECTIVE = re.compile(
    r'^\.\. code-block:: *(\w+)\n(?: +:\w+:.*\n)*\n((?:(?: +.*)?\n)+)', re.MULTILINE
)

pytestmark = pytest.mark.timeout(3 * PATIENCE)


class Block(NamedTuple):
    where: str
    language: str
    text: str


class Case(NamedTuple):
    where: str
    program: str
    server: str | None
    printed: str | None


def blocks(page):
    pattern = FENCED if page.suffix == '.md' else DIRECTIVE
    text = page.read_text()
    for match in pattern.finditer(text):
        line = text.count('\n', 0, match.start()) + 1
        where = f'{page.relative_to(TOP)}:{line}'
        yield Block(where, match[1], textwrap.dedent(match[2]).strip('\n') + '\n')


def cases(page):
    server = None
    found = [*blocks(page), Block('the end', 'none', '')]
    for block, following in zip(found, found[1:]):
        if block.language != 'python':
            continue
        if block.text.endswith('server.run()\n'):
            assert server is None, f'nobody talks to the server before {block.where}'
            server = block.text
            continue
        printed = following.text if following.language == 'text' else None
        yield Case(block.where, block.text, server, printed)
        server = None
    assert server is None, f'nobody talks to the last server of {page}'


def free_port():
    with socket.create_server(('localhost', 0)) as probe:
        return str(probe.getsockname()[1])


def environment():
    path = [str(TOP / 'examples'), *filter(None, [os.environ.get('PYTHONPATH')])]
    return {**os.environ, 'PYTHONUNBUFFERED': '1', 'PYTHONPATH': os.pathsep.join(path)}


def command(program, folder, name):
    path = folder / name
    path.write_text(program)
    return [sys.executable, '-W', 'error', str(path)]


@contextlib.contextmanager
def serving(program, folder):
    """Run a server in the block, and check how it ends behind it."""
    process = subprocess.Popen(
        command(program, folder, 'server.py'),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert process.stdout.readline(), process.communicate(timeout=PATIENCE)[1]
        yield
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE)
        assert (process.returncode, errors) == (0, '')
    finally:
        process.kill()
        process.communicate()


def outcome(arguments):
    done = subprocess.run(
        arguments,
        cwd=TOP,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ''), done.stderr
    return done.stdout


CASES = [case for page in PAGES for case in cases(page)]


@pytest.mark.parametrize('case', CASES, ids=lambda case: case.where)
def test_a_program_of_the_documentation_runs_as_printed(case, tmp_path, request):
    port = free_port()
    program = case.program.replace(PORT, port)
    for well_known, fixture in DATABASES.items():
        if well_known in program:
            server = request.getfixturevalue(fixture)
            program = program.replace(well_known, str(server.port))
    with contextlib.ExitStack() as stack:
        if case.server is not None:
            stack.enter_context(serving(case.server.replace(PORT, port), tmp_path))
        got = outcome(command(program, tmp_path, 'program.py'))
    if case.printed is not None:
        wanted = case.printed.replace(PORT, port)
        assert doctest.OutputChecker().check_output(wanted, got, doctest.ELLIPSIS), got


def commands():
    for page in PAGES:
        for block in blocks(page):
            if block.language == 'console':
                for line in block.text.splitlines():
                    if line.startswith('$ '):
                        yield pytest.param(line[2:].partition(' #')[0].strip(), id=block.where)


@pytest.mark.parametrize('line', list(commands()))
def test_a_command_of_the_documentation_can_be_given(line):
    words = shlex.split(line)
    for start, check in CHECKS.items():
        if line.startswith(start):
            return check(words[len(start.split()) :])
    pytest.fail(f'nothing checks {line!r}')


def is_target(words):
    targets = re.findall(r'^\.PHONY: (.*)$', (TOP / 'Makefile').read_text(), re.MULTILINE)
    assert words[0] in ' '.join(targets).split()


def options_of(module, *command):
    """Return a check that *module* knows the options."""

    def check(words):
        options = outcome([sys.executable, '-m', module, *command, '--help'])
        assert all(word in options for word in words if word.startswith('-'))

    return check


def runs_ours(words):
    assert outcome([sys.executable, '-m', 'gruvi_cffi', *words])


def is_example(words):
    assert (TOP / 'examples' / words[0]).is_file()


def packages_of(system):
    """Return a check that the packages are those that the build names for *system*."""

    def check(words):
        needed = [getattr(need, system) for need in build_ffi.NEEDS]
        # The page speaks of CPython.
        assert set(words) == set(' '.join(needed).replace('pypy3', 'python3').split())

    return check


def is_of_homebrew(words):
    texts = [need.macos for need in build_ffi.NEEDS]
    needed = re.findall(r'brew install ([\w@-]+)', ' '.join(texts))
    assert set(words) == set(needed)


CHECKS = {
    'apk add': packages_of('alpine'),
    'apt-get install': packages_of('debian'),
    'brew install': is_of_homebrew,
    'dnf install': packages_of('fedora'),
    'make': is_target,
    'pip install .': lambda words: None,
    'python -m benchmarks.report': options_of('benchmarks.report'),
    'python -m benchmarks.echo': options_of('benchmarks.echo'),
    'python -m benchmarks.micro': options_of('benchmarks.micro'),
    'python -m benchmarks.core': options_of('benchmarks.core'),
    'python -m benchmarks.http_clients': options_of('benchmarks.http_clients'),
    'python -m benchmarks.http': options_of('benchmarks.http'),
    'python -m benchmarks ': options_of('benchmarks'),
    'python -m gruvi_cffi serve': options_of('gruvi_cffi', 'serve'),
    'python -m gruvi_cffi get': options_of('gruvi_cffi', 'get'),
    'python -m benchmarks.instructions': options_of('benchmarks.instructions'),
    'python -m gruvi_cffi': runs_ours,
    'python examples/': is_example,
}


def test_every_block_is_checked():
    languages = {block.language for page in PAGES for block in blocks(page)}
    assert languages <= {'console', 'none', 'python', 'text'}
    marks = sum(len(re.findall(r'^```\w|code-block::', page.read_text(), re.M)) for page in PAGES)
    assert marks == sum(len(list(blocks(page))) for page in PAGES)


def names_of(module):
    own = (name for name, value in vars(module).items() if value_is_of(value, module))
    return set(getattr(module, '__all__', own))


def value_is_of(value, module):
    return getattr(value, '__module__', None) == module.__name__


def test_every_public_name_is_in_the_reference():
    described = set()
    for page in (TOP / 'docs' / 'reference').glob('*.rst'):
        for name in re.findall(r'automodule:: (\S+)', page.read_text()):
            described |= names_of(importlib.import_module(name))
    public = {
        name
        for name, value in vars(gruvi_cffi).items()
        if getattr(value, '__module__', '').startswith('gruvi_cffi.')
    }
    assert len(public) > 50
    assert public <= described
