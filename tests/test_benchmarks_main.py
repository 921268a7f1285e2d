"""``python -m benchmarks`` runs what it is told, goes on after a failure, and says so."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace

import pytest
from rich.console import Console

pytest.importorskip('matplotlib')  # the report has pictures

from benchmarks import __main__ as everything
from benchmarks.catalogue import BENCHMARKS, Benchmark
from benchmarks.process import ROOT

TINY = '--quick --servers asyncio-protocol --connections 3 --sizes 64 --rounds 1 --seconds 0.1'
MODULE = """
import sys, json
WANTED = {wanted!r}
if 'figures' in WANTED:
    open(sys.argv[-1], 'w').write(json.dumps({{'cases': {{'a': {{'gruvi': [{{'x_us': 1}}]}}}}}}))
if 'words' in WANTED:
    sys.exit('out of ideas')
"""


@pytest.fixture
def chosen(fonts, monkeypatch, tmp_path):
    """Let there be these benchmarks alone."""
    monkeypatch.setattr(everything, 'SCRATCH', tmp_path / 'scratch')

    def choose(*benchmarks):
        monkeypatch.setattr(everything, 'BENCHMARKS', benchmarks)
        monkeypatch.setattr(everything, 'names', [each.name for each in benchmarks])

    return choose


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Let benchmarks be small programs: their arguments are what they do."""

    def command(each, quick, json_file):
        return [sys.executable, '-c', MODULE.format(wanted=each.arguments), str(json_file)]

    monkeypatch.setattr(everything, 'command', command)


def entry(name, wanted):
    return Benchmark(name, name.title(), '', (1, 1), arguments=wanted)


def test_one_benchmark_leaves_figures_and_a_report(chosen, tmp_path, capsys):
    (echo,) = (each for each in BENCHMARKS if each.name == 'echo')
    chosen(replace(echo, quick=TINY), entry('other', ''))
    folder = tmp_path / 'results'
    assert everything.main(f'--quick --only echo --results {folder}'.split()) == 0
    cases = json.loads((folder / 'echo.json').read_text())['cases']
    assert len(cases['3 connections, 64 B']['asyncio-protocol']) == 1
    assert 'asyncio Protocol' in (folder / 'report' / 'report.html').read_text()
    assert 'echo: done' in capsys.readouterr().out


def test_the_others_go_on_after_one_that_fails(chosen, fake, tmp_path, capsys):
    chosen(entry('bad', 'words'), entry('half', 'figures, words'), entry('good', 'figures'))
    folder = tmp_path / 'results'
    folder.mkdir()
    (folder / 'bad.json').write_text('{"of": "the run before"}')
    assert everything.main(f'--results {folder}'.split()) == 1
    said = capsys.readouterr().out
    assert 'bad ended with code 1 and has no figures:\nout of ideas' in said
    assert 'half ended with code 1 and has figures, but not all' in said
    assert 'good: done' in said
    assert 'again: python -m benchmarks --only bad half' in said
    assert {path.name for path in folder.glob('*.json')} == {'bad.json', 'half.json', 'good.json'}
    assert 'the run before' in (folder / 'bad.json').read_text()


def test_what_does_not_end_is_ended_with_all_that_it_started(chosen, monkeypatch, tmp_path):
    monkeypatch.setattr(everything, 'SPARE', 0.5)
    program = 'import subprocess, sys; subprocess.run(["sleep", "1000"])'
    monkeypatch.setattr(everything, 'command', lambda *_: [sys.executable, '-c', program])
    everything.SCRATCH.mkdir()
    endless = Benchmark('endless', '', '', (0, 0))
    run = everything.run(endless, False, tmp_path, lambda: None)
    assert 'did not end' in run.trouble
    assert (everything.SCRATCH / 'endless.log').read_bytes() == b''


def test_a_terminal_sees_a_bar(chosen, fake):
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    good = entry('good', 'figures')
    with everything.Bar(console, [good], True) as bar:
        with bar.part(good) as tick:
            tick()
        bar.say(everything.Run('good', 0.5))
    assert 'Good' in console.file.getvalue() and '100%' in console.file.getvalue()


def test_the_list_has_all_and_says_how_long_they_take():
    done = subprocess.run(
        [sys.executable, '-m', 'benchmarks', '--list'],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for each in BENCHMARKS:
        assert f'{each.name} ' in done.stdout
    assert sum(each.seconds[0] for each in BENCHMARKS) <= 45 * 60
    assert sum(each.seconds[1] for each in BENCHMARKS) <= 120


def test_names_that_are_not_there_are_refused(capsys):
    with pytest.raises(SystemExit):
        everything.main(['--only', 'nonsense'])
    assert 'nonsense' in capsys.readouterr().err
