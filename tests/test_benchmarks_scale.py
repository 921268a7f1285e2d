"""Every scale run brings figures, with tiny sizes, of every system that is installed."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from benchmarks import scale_fibers, scale_timers, scale_waiters
from benchmarks.process import BenchmarkError
from benchmarks.scale import Results, is_there
from benchmarks.scale_table import curves, show, slope, split
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


def test_a_program_that_takes_too_long_is_an_error_and_no_larger_one_is_tried():
    results = Results(Console(file=io.StringIO()))
    with results.measuring('park, n=20', 'gruvi'):
        ask_worker('gruvi', 'park', 20, patience=0.01)
    assert 'takes longer' in results.errors['park, n=20']['gruvi']
    assert results.gave_up('park', 'gruvi')
    assert not results.gave_up('park', 'asyncio')


def test_a_program_that_fails_says_why():
    with pytest.raises(BenchmarkError, match='KeyError'):
        ask_worker('gruvi', 'unknown', 1)


def test_a_slope_is_the_power_of_the_size():
    assert slope({10: 5.0, 100: 5.0, 1000: 5.0}) == pytest.approx(0)
    assert slope({10: 3.0, 100: 30.0, 1000: 300.0}) == pytest.approx(1)
    assert slope({10: 1.0}) is None
    assert slope({10: 1.0, 20: 0.0}) is None


def test_cases_become_curves_of_medians():
    cases = {
        'park, n=10': {'ours': [{'us': 1.0}, {'us': 3.0}, {'us': 2.0}]},
        'park, n=1000': {'ours': [{'us': 4.0}], 'theirs': [{'us': 123456.0}]},
    }
    assert split('park, n=10') == ('park', 10)
    assert split('bulk') == ('bulk', 0)
    assert curves(cases) == {
        'us': {('park', 'ours'): {10: 2.0, 1000: 4.0}, ('park', 'theirs'): {1000: 123456.0}}
    }
    console = Console(file=io.StringIO(), width=80)
    show(cases, console)
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert ['park', 'ours', '2', '4', '0.15'] in lines
    assert ['park', 'theirs', '-', '123,456', '-'] in lines
