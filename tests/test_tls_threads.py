"""Contexts that several threads use at once, each with a hub of its own."""

import subprocess
import sys
import threading

from certificates import authority, certificate, chain_of, key_of
from tlsserving import connected, echo, serving, spoken

from gruvi_cffi.hub import get_hub
from gruvi_cffi.ssl import create_default_context

THREADS, CONNECTIONS, RELOADS = 4, 25, 50


def test_contexts_are_shared_and_reloaded(tmp_path):
    (tmp_path / 'ca.pem').write_bytes(authority('ours').cert_pem.bytes())
    (tmp_path / 'both.pem').write_bytes(key_of(certificate()) + chain_of(certificate()))
    server, other = create_default_context(True), create_default_context(True)
    for context in (server, other):
        context.load_cert_chain(tmp_path / 'both.pem')
        context.keylog_filename = tmp_path / 'keys'
    server.set_server_names({'localhost': other})
    client = create_default_context(cafile=tmp_path / 'ca.pem')
    done = []

    def run():
        with serving(echo, server) as address:
            for _ in range(CONNECTIONS):
                with connected(address, client) as stream:
                    done.append(spoken(stream)[1])
        get_hub().close()  # PyPy does not tell it that the thread has ended

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for _ in range(RELOADS):
        client.reload()
        server.reload()
    for thread in threads:
        thread.join()
    assert done == ['TLSv1.3'] * (THREADS * CONNECTIONS)


def test_the_first_engines_of_a_process_may_be_made_at_once():
    """OpenSSL is asked for what there is one of; see csrc/tls_bio.c."""
    program = """
import sys, threading
from gruvi_cffi.ssl import TlsContext
sys.setswitchinterval(1e-6)
barrier = threading.Barrier(8)
def make():
    barrier.wait()
    context = TlsContext()
    context.check_hostname = False
    context.make_engine(False, None)
threads = [threading.Thread(target=make) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
    subprocess.run([sys.executable, '-c', program], check=True, timeout=60)
