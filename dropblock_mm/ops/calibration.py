"""The gamma that reaches a given keep rate, found where the rate's tensor lives."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from dropblock_mm.ops.rates import BlockSize, FeatureSize, cover_histogram

# Newton's steps until fp64 stands still, for blocks up to 64 on maps up to 200 x 336
# and keep rates down to 10^-6, are 8 at most.
_STEPS = 12


def solve_gamma_on_device(
    keep_rate: Tensor, block_size: BlockSize, feature_size: FeatureSize
) -> Tensor:
    """Return gamma as :func:`~dropblock_mm.ops.rates.solve_gamma` does.

    The keep rate is the mean of ``(1 - gamma) ** n`` over the map's positions. Its
    logarithm is a convex, increasing function of ``t = log(1 - gamma)`` that is
    almost a line, so Newton's method from t = 0 falls to the root without
    overshooting. Nothing is read back to the host.

    Args:
        keep_rate: Tensor[], in [0, 1], on a device that has fp64.
        block_size: Side of the dropped square, or its sides.
        feature_size: Sides of the map.

    Returns:
        Tensor: Tensor[], with the dtype of ``keep_rate``.
    """
    seeds, log_share = _cover_tensors(block_size, feature_size, keep_rate.device)
    target = keep_rate.double().log()
    exponent = torch.zeros_like(target)
    for _ in range(_STEPS):
        terms = log_share + seeds * exponent
        slope = (torch.softmax(terms, 0) * seeds).sum()
        exponent = exponent - (torch.logsumexp(terms, 0) - target) / slope
    gamma = -torch.expm1(exponent)
    return torch.where(keep_rate > 0, gamma, 1.0).to(keep_rate.dtype)


@lru_cache(maxsize=256)
def _cover_tensors(
    block_size: BlockSize, feature_size: FeatureSize, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return numbers of covering seeds and the logarithms of their shares."""
    histogram = cover_histogram(block_size, feature_size)
    seeds = torch.tensor([n for n, _ in histogram], dtype=torch.float64)
    positions = torch.tensor([p for _, p in histogram], dtype=torch.float64)
    return seeds.to(device), (positions / positions.sum()).log().to(device)
