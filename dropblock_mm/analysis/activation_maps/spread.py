"""How far a class activation map spreads, and whether two models' maps differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from dropblock_mm.analysis.comparison.differences import bootstrap, t_interval

THRESHOLD = 0.2  # of the maximum, as Zhou et al. (2016) cut boxes out of maps


@dataclass(frozen=True)
class Spread:
    """Measures of a map, at the layer's resolution.

    Args:
        share: Of the cells that are above 20 % of the maximum.
        regions: Number of connected regions there.
        entropy: Of the map divided by its sum, as a share of the largest possible, so
            that maps of different sizes compare.
        gini: Inequality of the cells: 0 is even, near 1 is one peak.
    """

    share: float
    regions: float
    entropy: float
    gini: float


MEASURES = {
    'share': 'share of cells above 20 % of the maximum',
    'regions': 'connected regions there',
    'entropy': 'entropy, share of the largest possible',
    'gini': 'Gini index (lower: more spread)',
}


def spread_of(activation: np.ndarray) -> Spread | None:
    """Measure a map; None if it is 0 everywhere.

    Args:
        activation: FloatArray[H, W], at least 0.
    """
    flat = np.sort(activation.ravel().astype(float))
    total, number = flat.sum(), flat.size
    if total <= 0:
        return None
    above = activation > THRESHOLD * flat[-1]
    shares = flat[flat > 0] / total
    ranks = 2 * np.arange(1, number + 1) - number - 1
    return Spread(
        share=float(above.mean()),
        regions=float(ndimage.label(above)[1]),
        entropy=float(-(shares * np.log(shares)).sum() / max(np.log(number), 1e-9)),
        gini=float((ranks * flat).sum() / (number * total)),
    )


@dataclass(frozen=True)
class PairedDifference:
    """A mean difference over the same images, with its 95 % intervals.

    Args:
        number: Of images.
        mean: Of the differences.
        t_interval: By the paired t-test; None for fewer than two images.
        bootstrap: By resampling images; None for fewer than two.
    """

    number: int
    mean: float
    t_interval: tuple[float, float] | None
    bootstrap: tuple[float, float] | None


def paired_difference(
    base: Sequence[float], other: Sequence[float]
) -> PairedDifference:
    """Compare two models' measures over the same images: other minus base."""
    differences = np.subtract(other, base).astype(float)
    number = len(differences)
    mean = float(differences.mean()) if number else math.nan
    if number < 2:
        return PairedDifference(number, mean, None, None)
    if np.ptp(differences) == 0:  # scipy warns of a variance of 0
        return PairedDifference(number, mean, (mean, mean), (mean, mean))
    numbers = differences.tolist()
    # Percentiles: BCa leaves out each image in turn, of which there are thousands.
    drawn = bootstrap(numbers, method='percentile')
    return PairedDifference(number, mean, t_interval(numbers), drawn)
