"""Every scale run brings figures, with tiny sizes, of every system that is installed."""

from __future__ import annotations

import argparse
import io
import json
from contextlib import closing

import pytest
from rich.console import Console

from benchmarks import (
    scale_clients,
    scale_connections,
    scale_fanout,
    scale_fibers,
    scale_timers,
    scale_waiters,
    scale_workers,
)
from benchmarks.process import BenchmarkError
from benchmarks.scale import Results, is_there
from benchmarks.scale_worker import ask_worker, run_program

FIRST = {scale_fibers: 'park', scale_timers: 'pending', scale_waiters: 'Event'}
OTHERS = [
    program.name
    for module in FIRST
    for program in module.PROGRAMS[1:]
    if {'gruvi', 'asyncio'} <= set(program.systems)
]


def run(module, path, *arguments):
    """Run it as the command does, and return its cases."""
    assert module.main([*arguments, '--json', str(path)]) == 0
    figures = json.loads(path.read_text())
    assert figures['errors'] == {}
    return figures['cases']


@pytest.mark.parametrize('module', FIRST, ids=FIRST.values())
def test_a_program_has_figures_in_every_library(module, tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'PROGRAMS', module.PROGRAMS[:1])
    cases = run(module, tmp_path / 'scale.json', '--sizes', '20')
    assert list(cases) == [f'{FIRST[module]}, n=20']
    for case in cases.values():
        assert set(case) == {name for name in module.PROGRAMS[0].systems if is_there(name)}
        for rounds in case.values():
            assert len(rounds) == 1
            assert rounds[0] and rounds[0].keys() == case['gruvi'][0].keys()


@pytest.mark.parametrize('program', OTHERS)
def test_every_other_program_has_figures_in_ours_and_in_asyncio(program):
    ours, theirs = (run_program(system, program, 20) for system in ('gruvi', 'asyncio'))
    assert ours and ours.keys() == theirs.keys()
    assert all(value > 0 for name, value in ours.items() if name.endswith('us'))


def test_connections(tmp_path):
    options = '--quick --sizes 110 120 --active 10 --milliseconds 20'.split()
    cases = run(scale_connections, tmp_path / 'scale.json', *options)
    assert list(cases) == ['idle, n=110', 'idle, n=120']
    for case in cases.values():
        assert set(case) == {name for name in scale_connections.ALL if is_there(name)}
        for [figures] in case.values():
            assert figures['accepts_per_second'] > 0 < figures['p50_us'] <= figures['p99_us']


def test_connections_over_two_processes():
    options = argparse.Namespace(active=10, milliseconds=50)
    figures = scale_connections.measure_several('gruvi-protocol', 2, 400, options)
    assert figures['processes'] == 2
    assert figures['bytes_per_connection'] > 0 < figures['p50_us']


def test_fanout(tmp_path):
    systems = ['gruvi-protocol', 'gruvi-stream', *filter(is_there, ['gevent'])]
    options = '--quick --listeners 20 --readers 5 --mebibytes 1 --milliseconds 20 --seconds 1'
    options = [*options.split(), '--systems', *systems]
    cases = run(scale_fanout, tmp_path / 'scale.json', *options)
    assert list(cases) == ['fan-out, n=20', 'churn', 'bulk', 'slow readers, n=5']
    for case in cases.values():
        assert set(case) == set(systems)
    for [figures] in cases['bulk'].values():
        assert figures['sent_mib_per_second'] > 0 < figures['received_mib_per_second']


def test_memory_that_grows_is_seen():
    figures = scale_fanout.flatness([100, 90, 120], 10)
    assert figures['reader_bytes'] == 12
    assert figures['grown_percent'] == pytest.approx(20)
    assert figures['spread_percent'] == pytest.approx(100 / 3)


def test_workers(tmp_path):
    options = '--quick --systems gruvi-http --rounds 1 --connections 30 --milliseconds 50'
    cases = run(scale_workers, tmp_path / 'scale.json', *options.split())
    assert set(cases) == {'workers, n=1', 'workers, n=2'}
    for one, two in zip(*(cases[f'workers, n={size}']['gruvi-http'] for size in (1, 2))):
        assert one['of_one'] == 1
        ratio = two['answers_per_cpu_second'] / one['answers_per_cpu_second']
        assert two['of_one'] == pytest.approx(ratio)
        assert one['busiest_connections_percent'] == 0 <= two['busiest_connections_percent']


def test_the_busiest_is_compared_with_the_average():
    assert scale_workers.above_average([30, 10]) == pytest.approx(50)
    assert scale_workers.above_average([0.2, 0.2]) == 0


@pytest.mark.parametrize('command', ['nonsense', 'connect 30000', 'ask 5 1'])
def test_what_clients_cannot_do_is_an_error(command):
    with closing(scale_clients.serve('gruvi-protocol', 'echo')) as server:
        with closing(scale_clients.Holder(server.port)) as holder:
            with pytest.raises(BenchmarkError, match=r'unknown|only'):
                holder.ask(command)
            with pytest.raises(BenchmarkError, match='ended'):
                holder.ask('connect', 1)


def test_a_program_that_takes_too_long_is_an_error_and_no_larger_one_is_tried():
    results = Results(Console(file=io.StringIO()))
    with results.measuring('park, n=20', 'gruvi'):
        ask_worker('gruvi', 'park', 20, patience=0.01)
    assert 'takes longer' in results.errors['park, n=20']['gruvi']
    assert results.gave_up('park', 'gruvi')
    assert not results.gave_up('park', 'asyncio')


def test_a_program_that_fails_says_why():
    with pytest.raises(BenchmarkError, match='KeyError'):
        ask_worker('gruvi', 'unknown', 1, patience=30)
