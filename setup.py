"""Nothing but what pyproject.toml cannot say: there is an extension module."""

from setuptools import setup

setup(cffi_modules=['build_ffi.py:ffibuilder'])
