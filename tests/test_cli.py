import platform
import re
import subprocess
import sys

import cffi
import greenlet
import pytest

import gruvi_cffi
from gruvi_cffi import cli


def test_version_names_us_and_what_we_run_on():
    command = [sys.executable, '-m', 'gruvi_cffi', '--version']
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    table = dict(line.split(' ', 1) for line in output.splitlines())
    assert list(table) == 'gruvi_cffi libuv http-parser OpenSSL greenlet cffi Python'.split()
    assert table['gruvi_cffi'] == gruvi_cffi.__version__
    assert table['greenlet'] == greenlet.__version__
    assert table['cffi'] == cffi.__version__
    assert table['Python'] == f'{platform.python_version()} ({platform.python_implementation()})'
    for name, least in {'libuv': (1, 44), 'http-parser': (2, 9), 'OpenSSL': (3, 0)}.items():
        assert re.fullmatch(r'\d+\.\d+\.\d+', table[name])
        assert tuple(map(int, table[name].split('.'))) >= least


def test_without_arguments_it_says_what_it_can_do(capsys):
    assert cli.main([]) == 0
    assert '--version' in capsys.readouterr().out


def test_an_unknown_argument_is_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(['--spam'])
    assert caught.value.code == 2
    assert '--spam' in capsys.readouterr().err
