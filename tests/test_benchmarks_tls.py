"""Every TLS server that is there does what is measured, and what is shown is what was measured."""

import asyncio
import json
import subprocess
import sys
from contextlib import closing

import pytest
from dbservers import program

from benchmarks import http, tls, tls_bulk
from benchmarks.catalogue import BENCHMARKS
from benchmarks.compiler import compiled
from benchmarks.http_servers import stdlib_context, unchecked
from benchmarks.measure import Load, bytes_per_connection, echoed, measure, run_load
from benchmarks.process import BenchmarkError, Server
from benchmarks.servers import Echo
from benchmarks.tls_servers import NODE_SERVER, SERVERS, command_of

THERE = [name for name in [*SERVERS, NODE_SERVER] if tls.can_start(name)]
SMALL = 300_001  # bytes; no multiple of anything


@pytest.fixture(scope='module')
def pem(tmp_path_factory):
    return http.certificate(tmp_path_factory.mktemp('pem'))


class Peer(Echo):
    """Sends back what comes; *transports* has those of all."""

    transports = []

    def connection_made(self, transport):
        super().connection_made(transport)
        self.transports.append(transport)


def load_on(pem, load, factory=Peer):
    """Return the load generator's figures of a server whose protocols *factory* makes."""

    async def run():
        loop = asyncio.get_running_loop()
        context = stdlib_context(pem)
        async with await loop.create_server(factory, '127.0.0.1', 0, ssl=context) as server:
            address = f'127.0.0.1:{server.sockets[0].getsockname()[1]}'
            figures = await asyncio.to_thread(run_load, address, load)
        while Peer.transports:
            Peer.transports.pop().abort()  # older versions of asyncio miss it even behind an EOF
        return figures

    return asyncio.run(run())


@pytest.mark.parametrize(('word', 'version'), [('tls1.2', 'TLSv1.2'), ('tls1.3', 'TLSv1.3')])
@pytest.mark.parametrize('resume', [False, True])
def test_each_message_has_a_connection_of_its_own(pem, word, version, resume):
    seen = []

    class Seeing(Peer):
        def connection_made(self, transport):
            super().connection_made(transport)
            connection = transport.get_extra_info('ssl_object')
            seen.append((connection.version(), connection.session_reused))

    load = Load(2, 1, 0.4, warmup=0.2, tls=word, fresh=True, resume=resume)
    figures = load_on(pem, load, Seeing)
    assert figures['errors'] == 0
    assert 0 < figures['requests'] <= len(seen)
    assert figures['refused'] == 0
    assert (figures['resumed'] > 0) == resume
    assert {name for name, _ in seen} == {version}
    again = sum(reused for _, reused in seen)
    assert again == (len(seen) - 2 if resume else 0)  # the first two knew of no session


@pytest.mark.parametrize('size', [1, 1024, SMALL])
def test_messages_are_compared_over_tls(pem, size):
    figures = load_on(pem, Load(3, size, 0.3, warmup=0, tls='tls'))
    assert figures['errors'] == 0
    assert figures['requests'] > 0

    class Wrong(Peer):
        def data_received(self, data):
            super().data_received(data[:-1] + bytes([data[-1] ^ 1]))

    figures = load_on(pem, Load(3, size, 0.3, warmup=0, tls='tls'), Wrong)
    assert figures['errors'] == 3
    assert figures['first_error'].startswith('wrong byte at ')


def test_a_server_without_tls_is_an_error(pem):
    with closing(Server('asyncio-protocol')) as server:
        with pytest.raises(BenchmarkError, match='could not shake hands: '):
            measure(server, Load(1, 1, 0.1, tls='tls'))


NO_TICKETS = """
import asyncio, ssl, sys
from benchmarks.compiler import compiled
from benchmarks.http_servers import stdlib_context, unchecked
from benchmarks.servers import Echo, announce

async def main():
    context = stdlib_context(sys.argv[1])
    context.num_tickets = 0
    server = await asyncio.get_running_loop().create_server(Echo, '127.0.0.1', 0, ssl=context)
    announce(server.sockets[0].getsockname()[1])
    await server.serve_forever()

asyncio.run(main())
"""


def test_a_server_that_resumes_nothing_has_no_figures_for_it(pem):
    load = Load(2, 1, 0.4, tls='tls1.3', fresh=True, resume=True)
    error = pytest.raises(BenchmarkError, match=r'forgetful: 0 of [0-9]+ sessions were resumed')
    with closing(Server('forgetful', [sys.executable, '-c', NO_TICKETS, pem])) as server, error:
        measure(server, load)


@pytest.mark.parametrize(
    ('words', 'error'),
    [
        (['5', 'fresh'], 'has no RATE'),
        (['0', 'resume'], 'only TLS has sessions'),
        (['0', 'ssl'], 'what follows RATE are tls'),
    ],
)
def test_words_that_make_no_sense_are_refused(words, error):
    program = compiled('load', libraries=('openssl',))
    command = [str(program), '127.0.0.1:1', *'1 1 1 0 1'.split(), *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert error in done.stderr


@pytest.mark.parametrize('name', THERE)
def test_a_server_does_all_that_is_measured(name, pem):
    with closing(Server(name, command_of(name, pem))) as server:
        assert measure(server, Load(2, 1024, 0.2, warmup=0, tls='tls')).cpu_us >= 0
        fresh = Load(2, 1, 0.5, warmup=0.2, tls='tls', fresh=True, resume=True)
        assert measure(server, fresh).requests_per_second > 0
        assert bytes_per_connection(server, 100, echoed(1, unchecked())) > 0
    for what in tls_bulk.HOW:
        with closing(Server(name, command_of(name, pem, what, SMALL))) as server:
            for _ in range(2):
                assert tls_bulk.measure(server, what, SMALL).bytes_per_second > 0


def test_bulk_that_is_cut_off_is_an_error(pem):
    with closing(Server('source', command_of('asyncio-protocol', pem, 'source', SMALL))) as server:
        with pytest.raises(BenchmarkError, match=r'bulk failed: .*more came than was asked for'):
            tls_bulk.measure(server, 'source', SMALL - 1)


@pytest.mark.parametrize('name', tls_bulk.PAIRS)
def test_both_ends_move_the_bytes(name, pem):
    program('openssl', 'openssl')
    round_ = tls_bulk.pair(name, 200 << 20, pem)
    assert round_.bytes_per_second > 0
    assert round_.cpu_seconds_per_gib > 0


def test_the_command_writes_every_round(tmp_path, capsys):
    (benchmark,) = (each for each in BENCHMARKS if each.name == 'tls')
    program('wrk', 'wrk')
    path = tmp_path / 'tls.json'
    arguments = '--quick --servers gruvi-protocol --https gruvi --rounds 1 --seconds 0.3'
    assert (
        tls.main([*arguments.split(), '--bulk', str(1 << 28), '--idle', '50', '--json', str(path)])
        == 0
    )
    assert json.loads(path.read_text())['arguments'][0] == '--quick'
    known = json.loads(path.read_text())
    assert known['errors'] == {}
    assert len(known['cases']) == 11
    for title, systems in known['cases'].items():
        for rounds in systems.values():
            assert len(rounds) == 1, title
            assert set(rounds[0]) <= set(benchmark.figures)
    assert capsys.readouterr().out.count('gruvi') >= 11
    assert set(benchmark.main) <= set(known['cases'])


def test_a_server_that_fails_has_no_figures_and_is_named(tmp_path, monkeypatch):
    refusing = [sys.executable, '-c', 'print(1, flush=True); import time; time.sleep(100)']
    monkeypatch.setattr(tls, 'command_of', lambda *arguments: refusing)
    path = tmp_path / 'tls.json'
    arguments = '--quick --parts echo --servers gruvi-protocol --rounds 1 --seconds 0.3'
    assert tls.main([*arguments.split(), '--json', str(path)]) == 1
    known = json.loads(path.read_text())
    title = 'echo, 100 connections, 1 KiB'
    assert known['cases'] == {title: {}}
    assert 'Connection refused' in known['errors'][title]['gruvi-protocol']
