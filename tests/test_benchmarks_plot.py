"""The picture of what was measured. Only where there is matplotlib, which PyPy has none of."""

from __future__ import annotations

import pytest
from matplotlib.axes import Axes

from benchmarks.figures import Case, Figures
from benchmarks.plot import draw

ROUND = {'requests_per_second': 90_000, 'cpu_us': 7.25, 'p50_us': 1, 'p99_us': 2, 'peak_bytes': 3}


def figures(**rates):
    rounds = {
        name: [{**ROUND, 'requests_per_second': rate} for rate in each]
        for name, each in rates.items()
    }
    return Figures([Case(100, 1024, 0, rounds)], {})


@pytest.fixture(scope='module')
def fonts(tmp_path_factory):
    """Have matplotlib open its fonts, which it keeps."""
    draw(figures(libuv=[1]), tmp_path_factory.mktemp('fonts') / 'picture.png')


def test_the_picture_has_a_bar_as_high_as_each_figure(fonts, tmp_path, monkeypatch):
    heights = {}
    plain = Axes.bar

    def bar(self, places, values, *args, label, **kwargs):
        heights.setdefault(label, []).append(list(values))
        return plain(self, places, values, *args, label=label, **kwargs)

    monkeypatch.setattr(Axes, 'bar', bar)
    measured = {'libuv': [100_000, 200_000, 80_000], 'gruvi-protocol': [90_000]}
    draw(figures(**measured), tmp_path / 'picture.png')
    assert heights['gruvi-protocol'] == [[90_000], [7.25]]
    assert heights['libuv'] == [[100_000], [7.25]]
    assert (tmp_path / 'picture.png').read_bytes().startswith(b'\x89PNG')
