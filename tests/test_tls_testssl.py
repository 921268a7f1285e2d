"""testssl.sh looks for weaknesses of ``serve``: a minute for each type of key, so only --long."""

import json
import signal
import subprocess
import sys

import pytest
import trustme
from certificates import certificate, chain_of, key_of
from dbservers import program

# What is ours to answer for. Certificates, headers and names are those of whoever serves.
JUDGED = ['protocols', 'ciphers', 'pfs', 'vulnerabilities']
LISTED = ['serverPreferences', 'serverDefaults']
BAD = ['MEDIUM', 'HIGH', 'CRITICAL', 'FATAL']
LEAST = 30  # findings, or it has not looked


@pytest.fixture(params=trustme.KeyType, ids=lambda key_type: key_type.name)
def address(request, tmp_path):
    """Serve the files of a folder over HTTPS."""
    issued = certificate(key_type=request.param)
    pem = tmp_path / 'server.pem'
    pem.write_bytes(key_of(issued) + chain_of(issued))
    (tmp_path / 'index.html').write_text('hello')
    command = [sys.executable, '-m', 'gruvi_cffi', 'serve', str(tmp_path), '--certfile', str(pem)]
    with subprocess.Popen(
        [*command, '--bind', '127.0.0.1:0'], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            while 'https://127.0.0.1:' not in (line := process.stderr.readline()):
                assert line, process.wait()
            yield line.split('https://')[1].strip()
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=20)
            assert 'Traceback' not in log
        finally:
            process.kill()  # if it has not ended


@pytest.mark.timeout(900)
def test_testssl_finds_nothing_that_is_ours(address, tmp_path, request):
    if not request.config.getoption('--long'):
        pytest.skip('it takes a minute: --long')
    report = tmp_path / 'report.json'
    subprocess.run(
        [program('testssl.sh', 'testssl', 'testssl.sh'),
         '--quiet', '--color', '0', '--warnings', 'batch',
         '--protocols', '--std', '--pfs', '--vulnerable',
         '--server-preference', '--server-defaults',
         '--jsonfile-pretty', str(report), f'https://{address}/'],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=800, check=False,
    )  # fmt: skip
    (result,) = json.loads(report.read_text())['scanResult']
    findings = [finding for section in JUDGED for finding in result[section]]
    assert len(findings) >= LEAST
    assert all(result[section] for section in JUDGED)
    for section in LISTED:
        for finding in result[section]:
            print(section, finding['severity'], finding['id'], finding['finding'])
    assert [finding for finding in findings if finding['severity'] in BAD] == []
