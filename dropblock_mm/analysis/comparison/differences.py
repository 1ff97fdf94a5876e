"""The difference of two arms, seed by seed, and how sure it is."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import optimize, stats

CONFIDENCE = 0.95
POWER = 0.8  # chance of deciding a true difference of the size that was found
MOST_SEEDS = 1000
RESAMPLES = 9999
Interval = tuple[float, float]


@dataclass(frozen=True)
class Difference:
    """Paired differences of a metric.

    Args:
        values: Arm minus baseline, by seed.
        t_interval: Of the mean, by Student's t over the pairs; None for fewer than two
            pairs, and where all are equal.
        bootstrap: The same by resampling the pairs (BCa); None where that has none.
        seeds_needed: How many seeds decide a difference of this size and spread with a
            probability of 0.8; None where that cannot be said.
    """

    values: dict[int, float]
    t_interval: Interval | None
    bootstrap: Interval | None
    seeds_needed: int | None

    @property
    def mean(self) -> float:
        """Mean of the differences; nan without any."""
        return statistics.fmean(self.values.values()) if self.values else math.nan

    @property
    def outcome(self) -> Literal['higher', 'lower', 'undecided']:
        """What both intervals say; undecided if one has zero in it, or is missing."""
        intervals = (self.t_interval, self.bootstrap)
        if all(i is not None and i[0] > 0 for i in intervals):
            return 'higher'
        if all(i is not None and i[1] < 0 for i in intervals):
            return 'lower'
        return 'undecided'


def difference(values: dict[int, float]) -> Difference:
    """Put intervals on paired differences.

    Args:
        values: Arm minus baseline, by seed.
    """
    numbers = list(values.values())
    return Difference(
        values, t_interval(numbers), bootstrap(numbers), seeds_needed(numbers)
    )


def t_interval(numbers: list[float]) -> Interval | None:
    """Return the interval of the mean by Student's t; None where it has no width."""
    if not _spread(numbers):
        return None
    error = _spread(numbers) / math.sqrt(len(numbers))
    low, high = stats.t.interval(
        CONFIDENCE, len(numbers) - 1, statistics.fmean(numbers), error
    )
    return float(low), float(high)


def bootstrap(
    numbers: list[float], method: Literal['BCa', 'percentile'] = 'BCa'
) -> Interval | None:
    """Return the interval of the mean by resampling, the same at every call."""
    if not _spread(numbers):
        return None
    found = stats.bootstrap(
        (np.array(numbers),),
        np.mean,
        confidence_level=CONFIDENCE,
        n_resamples=RESAMPLES,
        method=method,
        random_state=np.random.default_rng(0),
    ).confidence_interval
    low, high = float(found.low), float(found.high)
    return None if math.isnan(low) or math.isnan(high) else (low, high)


def seeds_needed(numbers: list[float]) -> int | None:
    """Return how many pairs would decide a difference of this size and spread.

    Returns:
        The smallest number for which a paired t test at 0.05 has a power of 0.8, at
        most ``MOST_SEEDS``; None if it takes more, or the spread is not known.
    """
    if not _spread(numbers):
        return None
    size = abs(statistics.fmean(numbers)) / _spread(numbers)
    if power(size, MOST_SEEDS) < POWER:
        return None
    low, high = 2, MOST_SEEDS
    while low < high:
        middle = (low + high) // 2
        if power(size, middle) >= POWER:
            high = middle
        else:
            low = middle + 1
    return low


def detectable(numbers: list[float]) -> float | None:
    """Return the difference that so many pairs of such a spread would have shown.

    Args:
        numbers: Paired differences.

    Returns:
        The true mean at which a paired t test at 0.05 has a power of 0.8; None where
        the spread is not known.
    """
    if not _spread(numbers):
        return None
    found = optimize.brentq(lambda size: power(size, len(numbers)) - POWER, 0, 100)
    return float(found) * _spread(numbers)


def power(size: float, pairs: int) -> float:
    """Return the power of a paired t test, two-sided.

    Args:
        size: Mean of the differences over their standard deviation.
        pairs: How many.
    """
    limit = stats.t.ppf((1 + CONFIDENCE) / 2, pairs - 1)
    shifted = size * math.sqrt(pairs)
    above = stats.nct.sf(limit, pairs - 1, shifted)
    below = stats.nct.cdf(-limit, pairs - 1, shifted)
    # The far tail underflows to nan where the shift is large.
    return float(np.nan_to_num(above, nan=1.0) + np.nan_to_num(below))


def _spread(numbers: list[float]) -> float:
    """The sample standard deviation, 0 for rounding errors and fewer than two."""
    if len(numbers) < 2:
        return 0.0
    spread = statistics.stdev(numbers)
    return spread if spread > 1e-9 * max(1.0, *map(abs, numbers)) else 0.0
