"""Every small program runs in every library that is installed, and every figure is shown."""

from __future__ import annotations

import io
import json
from contextlib import closing
from dataclasses import replace

import pytest
from rich.console import Console

from benchmarks import micro
from benchmarks.micro_rounds import (
    LIBRARIES,
    ONLY_OURS,
    OURS,
    PROGRAMS,
    SERVERS,
    Cost,
    Results,
    Worker,
    interleave,
    ratio,
    time_program,
)
from benchmarks.micro_worker import STEP, Bench, Clock
from benchmarks.process import BenchmarkError
from benchmarks.servers import missing_library

TINY = micro.Plan(rounds=2, seconds=0.01, fibers=200, connections=100, weighings=1)
INSTALLED = [name for name in LIBRARIES if not missing_library(name)]


def console():
    return Console(file=io.StringIO(), width=80)


@pytest.fixture(scope='module')
def tiny():
    return micro.run(console(), TINY)


@pytest.mark.parametrize('program', PROGRAMS)
def test_a_program_has_a_cost_in_every_library(tiny, program):
    assert tiny.errors == {}
    costs = tiny.costs[program]
    assert set(costs) == ({OURS} if program in ONLY_OURS else set(INSTALLED))
    for rounds in costs.values():
        assert len(rounds) == TINY.rounds
        # What a switch point adds to a call is a small difference of two noisy times.
        assert program in ONLY_OURS or all(cost.wall > 0 < cost.cpu for cost in rounds)


def test_every_kind_of_fiber_and_connection_has_a_weight(tiny):
    assert set(tiny.fibers) == set(INSTALLED)
    assert set(tiny.connections) == {name for name in SERVERS if not missing_library(name)}
    assert all(weight > 0 for weights in tiny.fibers.values() for weight in weights)


def test_every_figure_is_shown_in_80_columns(tiny):
    shown = console()
    # What was measured, but not how much: beside other programs that may be 1,000 times as much.
    costs = {
        program: {name: [Cost(wall=98765.4, cpu=12345.6)] * TINY.rounds for name in measured}
        for program, measured in tiny.costs.items()
    }
    micro.show(replace(tiny, costs=costs), TINY, shown)
    output = shown.file.getvalue()
    assert '…' not in output
    for library in INSTALLED:
        assert micro.FIBERS[library] in output
    for program, title in PROGRAMS.items():
        figures = 2 if program in ONLY_OURS else 3 * len(INSTALLED) - 1
        row = next(line for line in output.splitlines() if line.startswith(f' {title} '))
        cells = row.replace(title, '', 1).split()
        assert len([cell for cell in cells if cell != '-']) == figures, row
    for name in SERVERS:
        assert missing_library(name) or f'idle connections: {name}' in output


def test_a_library_that_is_missing_is_named(monkeypatch):
    def without_gevent(name):
        return 'gevent' if name.startswith('gevent') else missing_library(name)

    monkeypatch.setattr(micro, 'missing_library', without_gevent)
    plan = micro.Plan(['timer'], rounds=1, seconds=0.01, fibers=10, connections=0, weighings=1)
    shown = console()
    results = micro.run(shown, plan)
    micro.show(results, plan, shown)
    assert set(results.costs['timer']) == {OURS, 'asyncio'} == set(results.fibers)
    assert 'gevent is left out: this Python has none' in shown.file.getvalue()


def test_the_command_writes_every_round_as_json(tmp_path):
    path = tmp_path / 'micro.json'
    arguments = '--quick --programs spawn switchpoint --rounds 2 --seconds 0.01'
    arguments += f' --fibers 0 --connections 0 --json {path}'
    assert micro.main(arguments.split()) == 0
    cases = json.loads(path.read_text())['cases']
    spawn, switchpoint = (cases[PROGRAMS[name]] for name in ('spawn', 'switchpoint'))
    assert {name: len(rounds) for name, rounds in spawn.items()} == dict.fromkeys(INSTALLED, 2)
    assert set(switchpoint[OURS][0]) == {'wall_ns', 'cpu_ns'}


def test_a_library_that_fails_has_no_figure_and_is_named_with_its_last_words():
    results = Results()
    with closing(Worker('asyncio')) as worker:
        time_program('nonsense', {'asyncio': worker}, 2, 0.01, results)
        with pytest.raises(BenchmarkError, match='did not answer'):
            worker.time('spawn', 0.01)  # it has ended
    assert results.costs == {'nonsense': {}}
    assert "no attribute 'nonsense'" in results.errors['asyncio']


def test_a_connection_that_cannot_be_weighed_fails_the_command(monkeypatch, capsys):
    monkeypatch.setattr('benchmarks.micro.SERVERS', ('gruvi-nonsense',))
    assert micro.main('--rounds 0 --fibers 0 --connections 1 --weighings 1'.split()) == 1
    assert 'gruvi-nonsense did not start' in capsys.readouterr().out


def test_who_is_first_rotates():
    order = []
    interleave('abc', 3, order.append)
    assert ''.join(order) == 'abcbcacab'


def test_a_ratio_is_the_median_of_neighbours():
    assert ratio([2, 30, 8], [1, 10, 2]) == 3
    assert ratio([2], []) is None
    assert ratio([2], [0.0]) is None


@pytest.mark.parametrize(
    ('wall', 'shown'),
    [
        (12, '0.012'),
        (345, '0.345'),
        (1234, '1.23'),
        (12345, '12.3'),
        (123456, '123'),
        (1234567, '1235'),
        (0, '0.00'),
    ],
)
def test_costs_have_three_digits_and_no_more_than_three_behind_the_point(wall, shown):
    results = Results(costs={'spawn': {OURS: [Cost(wall, wall)]}})
    table = console()
    table.print(micro.costs_table(results, TINY))
    assert shown in table.file.getvalue().split()


def test_a_clock_adds_and_subtracts():
    clock = Clock()
    with clock.running():
        sum(range(100_000))
    assert clock.wall > 0 < clock.cpu
    once = clock.wall
    with clock.running(-1):
        sum(range(1_000_000))
    assert clock.wall < once


def test_a_bench_makes_as_many_operations_as_the_time_allows():
    counts = []

    def run(name, count, clock):
        counts.append(count)
        with clock.running():
            sum(range(count * 10))

    count, wall, cpu = Bench(run).time('sum', 0.1)
    assert counts[0] == STEP
    assert counts[-1] == count > STEP
    assert count % STEP == 0
    assert 0 < wall < 1
    assert cpu > 0
