"""What the build says of the libraries, by the ways it asks for them."""

import subprocess

import pytest

import build_ffi


def names(needs):
    return [need.name for need in needs]


def test_nothing_is_missing_where_we_were_built():
    assert build_ffi.missing() == []
    build_ffi.demand()


@pytest.mark.parametrize(
    ('library', 'name'), [('libuv', 'libuv 1.44 or newer'), ('openssl', 'OpenSSL 3.0 or newer')]
)
def test_a_library_that_is_too_old_is_missing(library, name, monkeypatch, tmp_path):
    (tmp_path / f'{library}.pc').write_text(f'Name: {library}\nDescription: old\nVersion: 1.1\n')
    monkeypatch.setenv('PKG_CONFIG_PATH', str(tmp_path))
    assert names(build_ffi.missing()) == [name]


@pytest.mark.parametrize(('minor', 'missing'), [(8, ['http-parser 2.9 or newer']), (9, [])])
def test_http_parser_is_judged_by_its_header(minor, missing, monkeypatch, tmp_path):
    (tmp_path / 'http_parser.h').write_text(
        '#define HTTP_PARSER_VERSION_MAJOR 2\n'
        f'#define HTTP_PARSER_VERSION_MINOR {minor}\n'
        'unsigned long http_parser_version(void);\n'
    )
    monkeypatch.setenv('CPPFLAGS', f'-I{tmp_path}')
    assert names(build_ffi.missing()) == missing


def test_one_message_names_all_that_is_missing_and_its_packages(monkeypatch):
    monkeypatch.setenv('PKG_CONFIG_LIBDIR', '/nonexistent')
    monkeypatch.setenv('CC', '/nonexistent/cc')
    with pytest.raises(SystemExit) as caught:
        build_ffi.ffibuilder()
    message = str(caught.value)
    for package in 'libuv1-dev libuv-devel libhttp-parser-dev openssl@3 build-base'.split():
        assert package in message
    assert 'the headers of Python' not in message


def test_the_compiler_is_asked_with_its_own_flags(monkeypatch):
    assert build_ffi.has_compiler()
    monkeypatch.setenv('CFLAGS', '-no-such-flag')
    assert not build_ffi.has_compiler()


def test_only_what_is_marked_is_visible(monkeypatch, tmp_path):
    (tmp_path / 'csrc').mkdir()
    (tmp_path / 'csrc' / 'spam.h').write_text(
        'int hidden;\n/* cdef: begin */int first;/* cdef: end */\n'
        'int between;\n/* cdef: begin */int second;/* cdef: end */\n'
    )
    monkeypatch.setattr(build_ffi, 'TOP', tmp_path)
    assert build_ffi.visible('spam') == 'int first;int second;'


def test_every_header_compiles_alone(tmp_path):
    for header in build_ffi.HEADERS:
        source = tmp_path / f'{header}.c'
        source.write_text(f'#include "csrc/{header}.h"\n')
        compiler = ['cc', *build_ffi.CFLAGS, f'-I{build_ffi.TOP}', '-fsyntax-only', str(source)]
        subprocess.run(compiler, check=True)
