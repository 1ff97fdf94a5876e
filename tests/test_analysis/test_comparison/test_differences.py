"""What paired differences show, and what they do not."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dropblock_mm.analysis.comparison import differences
from dropblock_mm.analysis.comparison.differences import difference


def by_seed(*values):
    return dict(enumerate(values))


@given(st.lists(st.floats(-50, 50).map(lambda x: round(x, 2)), min_size=2, max_size=9))
@settings(max_examples=60, deadline=None)
def test_the_interval_is_that_of_a_paired_t_test(values):
    found = differences.t_interval(values)
    if len(set(values)) == 1:
        assert found is None
        return
    test = stats.ttest_1samp(values, 0)
    low, high = test.confidence_interval(0.95)
    assert found == pytest.approx((low, high))
    assert (low > 0 or high < 0) == (test.pvalue < 0.05)


def test_what_is_clear_is_called_so():
    assert difference(by_seed(1.0, 1.2, 0.9, 1.1, 1.0)).outcome == 'higher'
    assert difference(by_seed(-1.0, -1.2, -0.9, -1.1, -1.0)).outcome == 'lower'


@pytest.mark.parametrize('values', [(), (3.0,), (1.0, 1.0, 1.0), (0.0, 0.0)])
def test_what_has_no_interval_is_undecided(values):
    found = difference(by_seed(*values))
    assert found.t_interval is None
    assert found.bootstrap is None
    assert found.seeds_needed is None
    assert found.outcome == 'undecided'
    assert math.isnan(found.mean) == (not values)


def test_equal_differences_are_equal_in_spite_of_rounding():
    assert difference(by_seed(0.1 + 0.2, 0.3, 0.3)).t_interval is None


def test_one_interval_with_zero_in_it_leaves_it_undecided():
    found = difference(by_seed(0.1, 2.0, 2.2))
    assert found.bootstrap[0] > 0 > found.t_interval[0], 'three resample too narrowly'
    assert found.outcome == 'undecided'


def test_the_bootstrap_is_the_same_at_every_call():
    values = [0.3, -0.1, 0.8, 0.4]
    assert differences.bootstrap(values) == differences.bootstrap(values)


@pytest.mark.parametrize('size', [0.3, 0.8, 2.0, 40.0])
def test_the_seeds_needed_have_the_power_and_one_less_has_not(size):
    spread = np.array([-1.0, 1.0, -1.0, 1.0])
    values = list(size + spread / np.std(spread, ddof=1))
    needed = differences.seeds_needed(values)
    assert differences.power(size, needed) >= differences.POWER
    assert needed == 2 or differences.power(size, needed - 1) < differences.POWER


def test_the_power_is_that_of_trials():
    generator = np.random.default_rng(0)
    draws = generator.normal(0.9, 1, size=(4000, 8))
    decided = stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05
    # Five standard errors of a share of 4,000.
    assert differences.power(0.9, 8) == pytest.approx(decided.mean(), abs=0.04)


def test_a_difference_of_nothing_takes_more_seeds_than_anyone_has():
    assert differences.seeds_needed([-1.0, 1.0]) is None


def test_what_could_have_been_seen_has_the_power_that_is_asked_for():
    rng = np.random.default_rng(0)
    numbers = [0.3, -0.2, 0.5, 0.1, 0.9, -0.4]
    size = differences.detectable(numbers)
    spread = statistics.stdev(numbers)
    drawn = rng.normal(size, spread, (20_000, len(numbers)))
    found = stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.015)
    assert differences.detectable([0.1]) is None
    assert differences.detectable([0.2, 0.2]) is None
