"""Measures of spread, against slow definitions; intervals that hold what they say."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropblock_mm.analysis.activation_maps.spread import paired_difference, spread_of

MAPS = st.lists(
    st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.0]), min_size=4, max_size=4),
    min_size=2,
    max_size=5,
).map(np.array)


def regions(above):
    """Count four-connected regions by flooding them one by one."""
    left, count = {tuple(p) for p in np.argwhere(above)}, 0
    while left:
        count += 1
        todo = [left.pop()]
        while todo:
            i, j = todo.pop()
            for near in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
                if near in left:
                    left.remove(near)
                    todo.append(near)
    return count


@given(MAPS)
def test_measures_are_the_slow_ones(activation):
    found = spread_of(activation)
    values = activation.ravel().tolist()
    total, number = sum(values), len(values)
    if total == 0:
        assert found is None
        return
    above = activation > 0.2 * max(values)
    assert found.share == pytest.approx(above.sum() / number)
    assert found.regions == regions(above)
    entropy = -sum(v / total * math.log(v / total) for v in values if v)
    assert found.entropy == pytest.approx(entropy / math.log(number))
    gini = sum(abs(a - b) for a in values for b in values) / (2 * number * total)
    assert found.gini == pytest.approx(gini, abs=1e-9)


def test_the_ends_of_the_measures():
    even = spread_of(np.ones((4, 4)))
    assert (even.share, even.regions) == (1, 1)
    assert (even.entropy, even.gini) == pytest.approx((1, 0))
    peak = np.zeros((4, 4))
    peak[1, 2] = 5
    found = spread_of(peak)
    assert (found.share, found.regions, found.entropy) == (1 / 16, 1, 0)
    assert found.gini == pytest.approx(15 / 16)


def test_intervals_hold_the_difference_as_often_as_they_say():
    draws = np.random.default_rng(0)
    held = 0
    for _ in range(40):
        base = draws.normal(size=30)
        other = base + draws.normal(0.5, 0.3, size=30)
        low, high = paired_difference(base, other).t_interval
        held += low <= 0.5 <= high
    # 38 of 40 are expected; 32 are four standard deviations below.
    assert held >= 32


def test_both_intervals_agree_on_many_images():
    draws = np.random.default_rng(1)
    base = draws.normal(size=400)
    found = paired_difference(base, base + draws.normal(0.2, 1, size=400))
    assert found.number == 400
    assert found.t_interval == pytest.approx(found.bootstrap, abs=0.02)


@pytest.mark.parametrize(('base', 'other'), [([], []), ([1.0], [2.0])])
def test_too_few_images_have_no_interval(base, other):
    found = paired_difference(base, other)
    assert (found.t_interval, found.bootstrap) == (None, None)


def test_equal_differences_have_an_interval_of_no_width():
    assert paired_difference([1, 2, 3], [2, 3, 4]).t_interval == (1, 1)
