import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dropblock_mm import expected_keep_rate, seed_rate
from dropblock_mm.ops.rates import (
    cover_histogram,
    covering_seeds,
    keep_rate_of_gamma,
    solve_gamma,
)

sides = st.integers(1, 24)
blocks = st.integers(1, 30)
probabilities = st.floats(0, 1)
NAMES = ('keep_prob', 'block_size', 'feature_size')


def brute_force_keep_rate(gamma, block_size, size):
    """Visit every seed position and count whom its block covers."""
    sides = block_size if isinstance(block_size, tuple) else [block_size] * len(size)
    block = [min(side, length) for side, length in zip(sides, size, strict=True)]
    covers = torch.zeros(size, dtype=torch.float64)
    places = [range(n - side + 1) for n, side in zip(size, block, strict=True)]
    for corner in itertools.product(*places):
        covers[tuple(slice(i, i + b) for i, b in zip(corner, block, strict=True))] += 1
    return ((1 - gamma) ** covers).mean().item()


@st.composite
def sides_and_blocks(draw):
    """Maps of one to three sides, with one number for a block or one for each."""
    size = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)))
    block = draw(st.integers(1, 12) | st.tuples(*[st.integers(1, 12)] * len(size)))
    return size, block


@given(probabilities, sides_and_blocks())
def test_equation_1_and_overlap_with_one_to_three_sides(keep_prob, case):
    size, block = case
    options = dict(keep_prob=keep_prob, block_size=block, feature_size=size)
    gamma = (1 - keep_prob) * math.prod(size)
    for k, length in enumerate(size):
        side = min(block[k] if isinstance(block, tuple) else block, length)
        gamma /= side * (length - side + 1)
    assert seed_rate(**options) == pytest.approx(gamma, rel=1e-12)
    kept = expected_keep_rate(**options)
    assert kept == pytest.approx(brute_force_keep_rate(gamma, block, size), abs=1e-12)
    solved = seed_rate(**options, calibrated=True)
    reached = brute_force_keep_rate(solved, block, size)
    assert reached == pytest.approx(keep_prob, abs=1e-9)


@given(probabilities, blocks, sides, sides)
def test_seed_rate_is_equation_1(keep_prob, block_size, height, width):
    bh, bw = min(block_size, height), min(block_size, width)
    expected = (1 - keep_prob) / (bh * bw)
    expected *= height * width / ((height - bh + 1) * (width - bw + 1))
    gamma = seed_rate(
        keep_prob=keep_prob, block_size=block_size, feature_size=(height, width)
    )
    assert gamma == pytest.approx(expected, rel=1e-12)
    assert 0 <= gamma <= 1


@given(probabilities, blocks, sides, sides)
def test_expected_keep_rate_counts_every_overlap(keep_prob, block_size, height, width):
    gamma = seed_rate(
        keep_prob=keep_prob, block_size=block_size, feature_size=(height, width)
    )
    expected = brute_force_keep_rate(gamma, block_size, (height, width))
    rate = expected_keep_rate(
        keep_prob=keep_prob, block_size=block_size, feature_size=(height, width)
    )
    assert rate == pytest.approx(expected, abs=1e-12)


@given(probabilities, blocks, sides, sides)
def test_calibrated_rate_is_keep_prob(keep_prob, block_size, height, width):
    gamma = seed_rate(
        keep_prob=keep_prob,
        block_size=block_size,
        feature_size=(height, width),
        calibrated=True,
    )
    reached = brute_force_keep_rate(gamma, block_size, (height, width))
    assert reached == pytest.approx(keep_prob, abs=1e-9)


@given(probabilities, st.floats(0, 1), blocks, sides)
def test_gamma_scale_scales_gamma(keep_prob, scale, block_size, side):
    size = (side, side)
    scaled = seed_rate(
        keep_prob=keep_prob, block_size=block_size, feature_size=size, gamma_scale=scale
    )
    assert scaled == pytest.approx(
        scale * seed_rate(keep_prob=keep_prob, block_size=block_size, feature_size=size)
    )


@pytest.mark.parametrize(
    ('keep_prob', 'block_size', 'size', 'kept'),
    [
        (0.9, 7, (40, 40), 0.906),  # nominal drop rate .10, really .094
        (0.2, 16, (65, 65), 0.50),  # nominal .80, really .50
        (0.9, 7, (7, 7), 0.9),  # one block covers the map: SpatialDropout
        (0.9, 1, (40, 40), 0.9),  # no overlap: dropout
    ],
)
def test_rates_the_documentation_quotes(keep_prob, block_size, size, kept):
    assert expected_keep_rate(
        keep_prob=keep_prob, block_size=block_size, feature_size=size
    ) == pytest.approx(kept, abs=2e-3)


def test_gamma_never_exceeds_one():
    assert (
        seed_rate(keep_prob=0.5, block_size=1, feature_size=(4, 4), gamma_scale=100)
        == 1.0
    )
    assert (
        seed_rate(
            keep_prob=0.5,
            block_size=1,
            feature_size=(4, 4),
            gamma_scale=100,
            calibrated=True,
        )
        == 1.0
    )


@pytest.mark.parametrize('calibrated', [False, True])
def test_ends_of_the_range(calibrated):
    assert (
        seed_rate(
            keep_prob=1, block_size=7, feature_size=(20, 30), calibrated=calibrated
        )
        == 0.0
    )
    drop_all = expected_keep_rate(
        keep_prob=0, block_size=7, feature_size=(7, 7), calibrated=calibrated
    )
    assert drop_all == 0.0


@given(
    st.floats(1e-9, 1.0, exclude_max=True),
    st.integers(1, 120),
    st.tuples(st.integers(1, 120), st.integers(1, 120)),
)
def test_the_sums_are_those_over_all_positions(gamma, block_size, size):
    """Also of large blocks and tiny rates, where differences cancel."""
    histogram = cover_histogram(block_size, size)
    lost = math.fsum(
        -positions * math.expm1(seeds * math.log1p(-gamma))
        for seeds, positions in histogram
    )
    kept = math.fsum(positions * (1 - gamma) ** seeds for seeds, positions in histogram)
    rate, units = keep_rate_of_gamma(gamma, block_size, size), math.prod(size)
    assert rate == pytest.approx(kept / units, rel=1e-10, abs=1e-300)
    assert 1 - rate == pytest.approx(lost / units, rel=1e-10, abs=1e-15)
    if 1e-200 < rate < 1 - 1e-6:
        assert solve_gamma(rate, block_size, size) == pytest.approx(gamma, rel=1e-8)


def test_rates_are_remembered():
    """A report asks for those of every site, again and again."""
    options = dict(keep_prob=0.77, block_size=9, feature_size=(33, 31))
    for function, kept in (
        (expected_keep_rate, keep_rate_of_gamma),
        (seed_rate, solve_gamma),
    ):
        function(**options, calibrated=True)
        before = kept.cache_info().misses
        function(**options, calibrated=True)
        assert kept.cache_info().misses == before


def test_covering_seeds_on_a_line():
    assert covering_seeds(6, 3) == [1, 2, 3, 3, 2, 1]
    assert covering_seeds(4, 4) == [1, 1, 1, 1]


@pytest.mark.parametrize(
    ('arguments', 'error', 'text'),
    [
        ((1.5, 7, (8, 8)), ValueError, 'keep_prob=1.5'),
        ((-0.1, 7, (8, 8)), ValueError, r'keep_prob=-0\.1'),
        ((math.nan, 7, (8, 8)), ValueError, 'keep_prob=nan'),
        (('0.9', 7, (8, 8)), TypeError, "keep_prob='0.9'"),
        ((True, 7, (8, 8)), TypeError, 'keep_prob=True'),
        ((0.9, 0, (8, 8)), ValueError, 'block_size=0'),
        ((0.9, -3, (8, 8)), ValueError, 'block_size=-3'),
        ((0.9, 2.5, (8, 8)), TypeError, r'block_size=2\.5'),
        ((0.9, 7, (0, 8)), ValueError, r'feature_size=\(0, 8\)'),
    ],
)
def test_bad_arguments_are_named(arguments, error, text):
    for function in (seed_rate, expected_keep_rate):
        with pytest.raises(error, match=text):
            function(**dict(zip(NAMES, arguments, strict=True)))


@pytest.mark.parametrize('scale', [-1, math.inf, math.nan])
def test_bad_gamma_scale_is_named(scale):
    with pytest.raises(ValueError, match='gamma_scale='):
        seed_rate(keep_prob=0.9, block_size=7, feature_size=(8, 8), gamma_scale=scale)
