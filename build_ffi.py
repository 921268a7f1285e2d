"""Build gruvi_cffi._gv.

    csrc/*.h --- what stands between the cdef marks ---> cdef ---+
    csrc/*.c ----------------------------------------------------+--> gruvi_cffi/_gv*.so
    the system's libuv, http-parser and OpenSSL -----------------+

setup.py takes `ffibuilder` from here. Run as a script, this builds in place.
"""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Callable, NamedTuple

if TYPE_CHECKING:
    from cffi import FFI

HEADERS = [
    'ring',
    'fds',
    'deadline',
    'handle',
    'loop',
    'address',
    'stream',
    'tcp',
    'pipe',
    'tty',
    'passing',
    'poll',
    'process',
    'udp',
    'fs',
    'fs_event',
    'http',
    'tls_ctx',
    'tls',
    'tls_facts',
    'tls_stream',
    'version',
]

# Of the libraries' own, and of our headers' unmarked parts, what Python needs to know.
CONSTANTS = [
    'GV_SLOT_BITS',
    'GV_TRY_SIZE',
    'OPENSSL_VERSION_STRING',
    'UV_EAGAIN',
    'UV_EALREADY',
    'UV_EBADF',
    'UV_ENOTSUP',
]

CFLAGS = ['-std=c11', '-D_GNU_SOURCE']

TOP = Path(__file__).resolve().parent

_VISIBLE = re.compile(r'/\* cdef: begin \*/(.*?)/\* cdef: end \*/', re.DOTALL)

HTTP_PARSER_PROBE = """
#include <http_parser.h>
#if HTTP_PARSER_VERSION_MAJOR * 1000 + HTTP_PARSER_VERSION_MINOR < 2009
#error "too old"
#endif
int main(void) { return http_parser_version() == 0; }
"""


class Need(NamedTuple):
    """What the build needs of the system, and the packages that have it."""

    name: str
    found: Callable[[], bool]
    debian: str
    fedora: str
    alpine: str
    macos: str

    def __str__(self) -> str:
        return (
            f'  {self.name}\n'
            f'      Debian: apt-get install {self.debian}\n'
            f'      Fedora: dnf install {self.fedora}\n'
            f'      Alpine: apk add {self.alpine}\n'
            f'      macOS:  {self.macos}\n'
        )


def has_compiler() -> bool:
    """Return whether the compiler makes programs."""
    return _compiles('#include <stdio.h>\nint main(void) { return puts("") < 0; }\n')


def has_headers() -> bool:
    """Return whether the headers of the Python that runs this are there."""
    return Path(sysconfig.get_paths()['include'], 'Python.h').exists()


def has_http_parser() -> bool:
    """Return whether http-parser is there. It has no .pc file, so only the compiler knows."""
    return _compiles(HTTP_PARSER_PROBE, '-lhttp_parser')


def _pkg_config(*arguments: str) -> bool:
    return _succeeds('pkg-config', *arguments)


def _compiles(source: str, *libraries: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder, 'probe.c')
        probe.write_text(source)
        command = [
            *shlex.split(os.environ.get('CC') or sysconfig.get_config_var('CC') or 'cc'),
            *shlex.split(os.environ.get('CPPFLAGS', '')),
            *shlex.split(os.environ.get('CFLAGS', '')),
            str(probe),
            *('-o', str(Path(folder, 'probe'))),
            *shlex.split(os.environ.get('LDFLAGS', '')),
            *libraries,
        ]
        return _succeeds(*command)


def _succeeds(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


PYTHON = 'pypy3' if sys.implementation.name == 'pypy' else 'python3'

NEEDS = [
    Need(
        'a C compiler',
        has_compiler,
        debian='gcc libc6-dev',
        fedora='gcc',
        alpine='build-base',
        macos='xcode-select --install',
    ),
    Need(
        'the headers of Python',
        has_headers,
        debian=f'{PYTHON}-dev',
        fedora=f'{PYTHON}-devel',
        alpine=f'{PYTHON}-dev',
        macos='brew install python',
    ),
    Need(
        'pkg-config',
        partial(_pkg_config, '--version'),
        debian='pkg-config',
        fedora='pkgconf-pkg-config',
        alpine='pkgconf',
        macos='brew install pkg-config',
    ),
    Need(
        'libuv 1.44 or newer',
        partial(_pkg_config, '--exists', 'libuv >= 1.44'),
        debian='libuv1-dev',
        fedora='libuv-devel',
        alpine='libuv-dev',
        macos='brew install libuv',
    ),
    Need(
        'http-parser 2.9 or newer',
        has_http_parser,
        debian='libhttp-parser-dev',
        fedora='http-parser-devel',
        alpine='http-parser-dev',
        macos='brew install http-parser, and set CPPFLAGS and LDFLAGS to where it is',
    ),
    Need(
        'OpenSSL 3.0 or newer',
        partial(_pkg_config, '--exists', 'openssl >= 3.0'),
        debian='libssl-dev',
        fedora='openssl-devel',
        alpine='openssl-dev',
        macos='brew install openssl@3, and set PKG_CONFIG_PATH to its lib/pkgconfig',
    ),
]


def missing() -> list[Need]:
    """Return what the build needs and does not find; without pkg-config, all that it knows."""
    return [need for need in NEEDS if not need.found()]


def demand() -> None:
    """Do nothing if the build can begin.

    :raises SystemExit: something is missing or too old; the message names all of it.
    """
    lacking = missing()
    if lacking:
        needs = '\n'.join(map(str, lacking))
        raise SystemExit(f'gruvi_cffi cannot be built here. Missing or too old:\n\n{needs}')


def visible(header: str) -> str:
    """Return the marked parts of csrc/*header*.h."""
    return ''.join(_VISIBLE.findall(Path(TOP, 'csrc', f'{header}.h').read_text()))


def ffibuilder() -> FFI:
    """Return the builder of gruvi_cffi._gv.

    :raises SystemExit: see demand().
    """
    demand()

    # Not above: .ci/setup.sh asks what is missing before cffi is installed.
    from cffi import FFI
    from cffi.pkgconfig import flags_from_pkgconfig

    ffi = FFI()
    for header in HEADERS:
        ffi.cdef(visible(header))
    ffi.cdef('void gv_gil_init(void);')
    ffi.cdef(''.join(f'#define {name} ...\n' for name in CONSTANTS))
    flags = flags_from_pkgconfig(['libuv', 'openssl'])
    ffi.set_source(
        'gruvi_cffi._gv',
        ''.join(f'#include "csrc/{header}.h"\n' for header in ['gil', *HEADERS]),
        sources=_relative('csrc/*.c'),
        depends=_relative('csrc/*.h'),
        include_dirs=['.', *flags.pop('include_dirs')],
        libraries=['http_parser', *flags.pop('libraries')],
        extra_compile_args=[*CFLAGS, *flags.pop('extra_compile_args')],
        **flags,
    )
    return ffi


def _relative(pattern: str) -> list[str]:
    return sorted(str(path.relative_to(TOP)) for path in TOP.glob(pattern))


def main() -> None:
    os.chdir(TOP)
    sys.argv = ['setup.py', '--quiet', 'build_ext', '--inplace']
    runpy.run_path('setup.py', run_name='__main__')


if __name__ == '__main__':
    main()
