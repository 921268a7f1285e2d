"""The versions of the C libraries that this process runs with."""

from __future__ import annotations

from .._gv import ffi, lib


def libuv() -> str:
    """Return libuv's version (uv_version_string())."""
    return _text(lib.uv_version_string())


def http_parser() -> str:
    """Return http-parser's version (http_parser_version())."""
    version = int(lib.http_parser_version())
    return f'{version >> 16}.{version >> 8 & 255}.{version & 255}'


def openssl() -> str:
    """Return OpenSSL's version (OpenSSL_version())."""
    return _text(lib.OpenSSL_version(lib.OPENSSL_VERSION_STRING))


def _text(c_string: ffi.CData) -> str:
    raw: bytes = ffi.string(c_string)
    return raw.decode()
