"""The pictures of what was measured. Only where there is matplotlib, which PyPy has none of."""

from __future__ import annotations

import pytest
from matplotlib.axes import Axes

from benchmarks.catalogue import Benchmark
from benchmarks.figures import Case, Figures
from benchmarks.plot import draw

LATENCY = {'p50_us': 1000, 'p90_us': 2000, 'p99_us': 4000, 'p999_us': 8000}


@pytest.fixture
def drawn(fonts, tmp_path, monkeypatch):
    """Return a function that draws, and what it drew: label, points across, points up."""
    lines = []
    plain = Axes.plot

    def plot(self, across, up, *args, label, **kwargs):
        lines.append((label, list(across), list(up)))
        return plain(self, across, up, *args, label=label, **kwargs)

    monkeypatch.setattr(Axes, 'plot', plot)

    def make(cases, **more):
        benchmark = Benchmark('x', 'X', '', (1, 1), **more)
        figures = Figures([Case(title, rounds) for title, rounds in cases.items()], {})
        return draw(benchmark, figures, tmp_path), lines

    return make


def test_a_line_goes_through_the_medians_by_connections(drawn, tmp_path):
    cases = {
        f'hello, {number} connections': {
            'gruvi': [{'cpu_us': number * each} for each in (1, 9, 2)],
            'node': [{'cpu_us': 7.0}],
        }
        for number in (64, 8)
    }
    (picture,), lines = drawn(cases, figures=('cpu_us',), compared_by=('cpu_us',))
    assert lines == [('gruvi_cffi', [8, 64], [16, 128]), ('node.js', [8, 64], [7.0, 7.0])]
    assert picture.title == 'X: CPU µs each, hello'
    text = (tmp_path / picture.file).read_text()
    assert '<svg' in text
    assert 'connections' in text and 'less is better' in text and 'node.js' in text


def test_growth_has_its_slope_on_it(drawn):
    cases = {f'park, n={n}': {'gruvi': [{'wake_us': n / 10}]} for n in (10, 100, 1000)}
    _, lines = drawn(cases, figures=('wake_us',), compared_by=('wake_us',))
    assert lines == [('gruvi_cffi (slope 1.00)', [10, 100, 1000], [1.0, 10.0, 100.0])]


def test_latency_is_drawn_by_its_parts(drawn):
    _, lines = drawn(
        {'hello': {'gruvi': [LATENCY]}}, figures=tuple(LATENCY), compared_by=(), main=('hello',)
    )
    assert lines == [('gruvi_cffi', [0, 1, 2, 3], [1, 2, 4, 8])]


def test_every_round_of_a_ratio_is_a_dot(drawn, monkeypatch):
    dots = []
    plain = Axes.scatter

    def scatter(self, across, up, **kwargs):
        dots.append(list(across))
        return plain(self, across, up, **kwargs)

    monkeypatch.setattr(Axes, 'scatter', scatter)
    rounds = {
        'gruvi': [{'cpu_us': each} for each in (1, 2, 4)],
        'node': [{'cpu_us': each} for each in (2, 2, 2)],
    }
    pictures, _ = drawn(
        {'hello': rounds}, figures=('cpu_us',), compared_by=('cpu_us',), main=('hello',)
    )
    assert dots == [[2.0, 1.0, 0.5]]
    assert len(pictures) == 1


def test_the_same_figures_give_the_same_picture(drawn, tmp_path):
    cases = {'hello': {'gruvi': [LATENCY]}}
    texts = set()
    for _ in range(2):
        (picture,), _ = drawn(cases, figures=tuple(LATENCY), compared_by=(), main=('hello',))
        texts.add((tmp_path / picture.file).read_text())
    assert len(texts) == 1
