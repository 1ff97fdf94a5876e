"""Gamma, the exact expected keep rate, and the gamma that reaches a given rate.

Everything here is a pure function of Python numbers. Source: section 3 and
equation 1 of the paper; the exact rate is our own count of overlapping blocks.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from dropblock_mm.ops.arguments import (
    BlockSize,
    check_block_size,
    check_feature_size,
    check_flag,
    check_gamma_scale,
    check_keep_prob,
    names_unknown_arguments,
)

_LAST_DIGITS = 4e-16

FeatureSize = tuple[int, ...]  # length; height, width; or depth, height, width


def clamp_block(block_size: BlockSize, feature_size: FeatureSize) -> tuple[int, ...]:
    """Return the block's sides, each at most that of the map.

    The paper does not say what a block larger than the map does; the authors'
    code clamps it, which makes the layer SpatialDropout.
    """
    if isinstance(block_size, int):
        return tuple(min(block_size, length) for length in feature_size)
    return tuple(map(min, block_size, feature_size))


def seed_grid(block_size: BlockSize, feature_size: FeatureSize) -> tuple[int, ...]:
    """Return the sides of the region where a whole block fits."""
    block = clamp_block(block_size, feature_size)
    return tuple(
        length - side + 1 for length, side in zip(feature_size, block, strict=True)
    )


@names_unknown_arguments
def seed_rate(
    *,
    keep_prob: float,
    block_size: int | Sequence[int],
    feature_size: Sequence[int],
    gamma_scale: float = 1.0,
    calibrated: bool = False,
) -> float:
    """Return gamma, the probability that a valid position seeds a dropped block.

    By default this is equation 1 of the paper, for maps of any shape::

        gamma = (1 - keep_prob) / (bh * bw) * (H * W) / ((H - bh + 1) * (W - bw + 1))

    with ``bh = min(block_size, H)`` and ``bw = min(block_size, W)``. Lines have one
    such factor, and volumes three. Equation 1
    ignores that blocks overlap, so more units are kept than keep_prob says;
    ``calibrated=True`` solves for the gamma whose exact expected keep rate is
    keep_prob instead.

    Args:
        keep_prob: Probability of keeping a unit, in [0, 1].
        block_size: Side of the dropped square, in units of the map, or one number
            for each side.
        feature_size: Sides of the map, in units: (L,), (H, W) or (D, H, W).
        gamma_scale: Factor on the drop rate ``1 - keep_prob``, hence on gamma
            (0.25 for the paper's group 3). The result is at most 1.
        calibrated: Depart from equation 1, see above.

    Returns:
        float: Gamma, in [0, 1].

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is outside its range.

    Examples:
        >>> paper = dict(keep_prob=0.9, block_size=7, feature_size=(40, 40))
        >>> round(seed_rate(**paper), 6)
        0.002825
        >>> round(seed_rate(**paper, calibrated=True), 6)
        0.003005
    """
    drop_rate = check_gamma_scale(gamma_scale) * (1.0 - check_keep_prob(keep_prob))
    block, size = _checked_sides(block_size, feature_size)
    if check_flag(calibrated, 'calibrated'):
        return solve_gamma(max(1.0 - drop_rate, 0.0), block, size)
    return min(drop_rate * gamma_per_drop_rate(block, size), 1.0)


@names_unknown_arguments
def expected_keep_rate(
    *,
    keep_prob: float,
    block_size: int | Sequence[int],
    feature_size: Sequence[int],
    gamma_scale: float = 1.0,
    calibrated: bool = False,
) -> float:
    """Return the exact expected share of units that DropBlock keeps.

    A unit survives if none of the ``n`` valid seeds whose block covers it is
    drawn, so the rate is the mean of ``(1 - gamma) ** n`` over the map.

    Args:
        keep_prob: See :func:`seed_rate`, as for the other arguments.
        block_size: Side of the dropped square, or one number for each side.
        feature_size: Sides of the map.
        gamma_scale: Factor on the drop rate.
        calibrated: Whether gamma is solved for instead of equation 1.

    Returns:
        float: A rate in [0, 1].

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is outside its range.

    Examples:
        >>> detection = dict(keep_prob=0.9, block_size=7, feature_size=(40, 40))
        >>> round(expected_keep_rate(**detection), 4)
        0.9056
        >>> segmentation = dict(keep_prob=0.2, block_size=16, feature_size=(65, 65))
        >>> round(expected_keep_rate(**segmentation), 4)
        0.5016
        >>> round(expected_keep_rate(**segmentation, calibrated=True), 4)
        0.2
    """
    gamma = seed_rate(
        keep_prob=keep_prob,
        block_size=block_size,
        feature_size=feature_size,
        gamma_scale=gamma_scale,
        calibrated=calibrated,
    )
    return keep_rate_of_gamma(gamma, *_checked_sides(block_size, feature_size))


def gamma_per_drop_rate(block_size: BlockSize, feature_size: FeatureSize) -> float:
    """Return equation 1's gamma for a drop rate of 1; gamma is linear in it."""
    places = math.prod(seed_grid(block_size, feature_size))
    units_of_block = math.prod(clamp_block(block_size, feature_size))
    return math.prod(feature_size) / (units_of_block * places)


@lru_cache(maxsize=4096)
def keep_rate_of_gamma(
    gamma: float, block_size: BlockSize, feature_size: FeatureSize
) -> float:
    """Return the mean of ``(1 - gamma) ** n`` over the map's positions."""
    if gamma >= 1.0:
        return 0.0
    return math.exp(_log_keep_rate(math.log1p(-gamma), block_size, feature_size))


@lru_cache(maxsize=4096)
def solve_gamma(
    keep_rate: float, block_size: BlockSize, feature_size: FeatureSize
) -> float:
    """Return the gamma whose exact expected keep rate is ``keep_rate``.

    By the secant method in ``t = log(1 - gamma)``: the logarithm of the keep rate is
    a convex, increasing function of it and almost a line, so secants fall from 0 to
    the root without overshooting.
    """
    if keep_rate <= 0.0 or keep_rate >= 1.0:
        return float(keep_rate <= 0.0)
    target = math.log(keep_rate)
    above, at_above = 0.0, -target
    covers = [
        sum(covering_seeds(*side)) / side[0]
        for side in _sides(block_size, feature_size)
    ]
    point = target / math.prod(covers)  # the tangent at 0
    while True:
        at_point = _log_keep_rate(point, block_size, feature_size) - target
        if at_point <= 0.0 or at_point >= at_above:
            return -math.expm1(point)  # rounding: nothing is left to gain
        following = point - at_point * (above - point) / (at_above - at_point)
        if point - following < -_LAST_DIGITS * point:
            return -math.expm1(following)
        above, at_above, point = point, at_point, following


def _log_keep_rate(t: float, block_size: BlockSize, feature_size: FeatureSize) -> float:
    """Return the logarithm of the mean of ``exp(t n)`` over the map, for t <= 0.

    As a difference from 1 where that is small, so that neither end loses digits.
    """
    *outer, (length, most) = sorted(
        (
            (length, min(block, length - block + 1))
            for length, block in _sides(block_size, feature_size)
        ),
        key=operator.itemgetter(1),
    )
    lines = list(_lines(outer))  # how many have the longest side's covers so many times
    between, units = length - 2 * (most - 1), math.prod(feature_size)
    kept = sum(times * _kept(most, between, covers * t) for covers, times in lines)
    if kept < 0.5 * units:
        return math.log(kept / units)
    lost = sum(
        times * (2.0 * _lost(most - 1, s) - between * math.expm1(most * s))
        for s, times in ((covers * t, times) for covers, times in lines)
    )
    return math.log1p(-lost / units)


def _lines(sides: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield numbers of covering seeds, and how many positions have so many.

    A unit is covered by 1, 2 ... most seeds from either end, and by most between.

    Args:
        sides: Pairs of a length and of the most seeds that cover a unit of it.
    """
    for covers in itertools.product(*(range(1, most + 1) for _, most in sides)):
        times = 1
        for cover, (length, most) in zip(covers, sides, strict=True):
            times *= 2 if cover < most else length - 2 * (most - 1)
        yield math.prod(covers), times


def _kept(most: int, between: int, s: float) -> float:
    """Return the sum of ``exp(k s)`` over the covers k of a line, for s <= 0."""
    if s == 0.0:
        return 2.0 * (most - 1) + between
    ends = math.exp(s) * math.expm1((most - 1) * s) / math.expm1(s)
    return 2.0 * ends + between * math.exp(most * s)


def _lost(number: int, s: float) -> float:
    """Return the sum of ``1 - exp(k s)`` over k from 1 to ``number``, s <= 0.

    With ``q = 1 - exp(s)`` it is ``(number * q - p) / q + p`` where p is the last of
    these; the difference begins with q squared, and cancels where it is small.
    """
    if s == 0.0:
        return 0.0
    q, last = -math.expm1(s), -math.expm1(number * s)
    if number * q > 0.01:
        return (number * q - last) / q + last
    term, total = float(number), 0.0
    for k in range(2, 10):  # the binomial series
        term *= -q * (number - k + 1) / k
        total -= term
    return total + last


def _sides(block_size: BlockSize, feature_size: FeatureSize) -> list[tuple[int, int]]:
    """Return pairs of a side of the map and that of a block."""
    block = clamp_block(block_size, feature_size)
    return list(zip(feature_size, block, strict=True))


def covering_seeds(length: int, block: int) -> list[int]:
    """Return, for each position on a line, how many whole blocks cover it."""
    return [
        min(position, length - block) - max(0, position - block + 1) + 1
        for position in range(length)
    ]


@lru_cache(maxsize=256)
def cover_histogram(
    block_size: BlockSize, feature_size: FeatureSize
) -> tuple[tuple[int, int], ...]:
    """Return pairs (number of covering seeds, number of positions with so many)."""
    sides = [
        Counter(covering_seeds(length, block))
        for length, block in zip(
            feature_size, clamp_block(block_size, feature_size), strict=True
        )
    ]
    histogram: Counter[int] = Counter()
    for seeds_and_positions in itertools.product(*(side.items() for side in sides)):
        seeds, positions = zip(*seeds_and_positions, strict=True)
        histogram[math.prod(seeds)] += math.prod(positions)
    return tuple(histogram.items())


def _checked_sides(
    block_size: Any, feature_size: Any
) -> tuple[tuple[int, ...], FeatureSize]:
    size = check_feature_size(feature_size)
    return clamp_block(check_block_size(block_size, dims=len(size)), size), size
