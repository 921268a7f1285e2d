"""Every program of every library that is there runs, and its figures are shown."""

import io
import json
import socket
import sys
import threading

import pytest
from rich.console import Console

from benchmarks import core, core_peer
from benchmarks.process import BenchmarkError

THERE = [
    (program, library)
    for program, (_, libraries) in core.PROGRAMS.items()
    for library in libraries
    if core.find_spec(library) and (sys.version_info >= (3, 11) or library == core.OURS)
]


@pytest.mark.parametrize(('program', 'library'), THERE)
def test_a_program_has_a_cost(program, library):
    cost = core.time_program(program, library, 0.02)
    assert cost['wall_ns'] > 0
    assert 0 < cost['cpu_ns'] < 1e9


def test_a_program_that_fails_is_named():
    with pytest.raises(BenchmarkError, match='nonsense of gruvi_cffi failed'):
        core.time_program('nonsense', core.OURS, 0.01)


def rounds(*walls, cpu=1000.0):
    return [{'wall_ns': wall, 'cpu_ns': cpu} for wall in walls]


COSTS = {'blocking': {core.OURS: rounds(2000, 30000, 4000), 'asyncio': rounds(4000, 30000, 2000)}}


def test_rows_have_medians_and_medians_of_ratios():
    title = core.PROGRAMS['blocking'][0]
    assert core.rows(COSTS) == [
        [title, core.OURS, '4.0', '1.00', '1.0'],
        ['', 'asyncio', '4.0', '1.00', '1.0'],
    ]
    shown = Console(file=io.StringIO(), width=80)
    core.show(COSTS, shown)
    assert 'asyncio' in shown.file.getvalue()


def test_the_command_writes_every_round(tmp_path):
    path = tmp_path / 'core.json'
    arguments = f'--programs blocking --rounds 2 --seconds 0.01 --json {path}'
    assert core.main(arguments.split()) == 0
    cases = json.loads(path.read_text())['cases']
    assert len(cases[core.PROGRAMS['blocking'][0]][core.OURS]) == 2


def test_a_peer_counts_what_has_come_back_and_misses_what_has_not():
    """One in three is lost."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(('127.0.0.1', 0))
        echoed = []

        def echo():
            for number in range(1, 10**9):
                data, address = server.recvfrom(1000)
                if not data:
                    return
                if number % 3:
                    server.sendto(data, address)
                    echoed.append(len(data))

        thread = threading.Thread(target=echo)
        thread.start()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.connect(server.getsockname())
            peer.settimeout(0.02)
            came = core_peer.exchange(peer, core_peer.monotonic() + 0.3)
            peer.send(b'')
        thread.join()
    assert 2 * core_peer.UNDER_WAY < came <= len(echoed)
    assert set(echoed) == {core_peer.SIZE}
