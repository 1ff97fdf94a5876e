"""A slow, obvious DropBlock: the oracle of tests and benchmarks.

It follows Algorithm 1 of the paper line by line, with a loop over the seeds,
and shares no code with the fast paths.
"""

from __future__ import annotations

import torch
from torch import Tensor


def reference_mask(
    seeds: Tensor, block_size: int, feature_size: tuple[int, int]
) -> Tensor:
    """Expand every seed to a block of zeros (Algorithm 1, line 6).

    Args:
        seeds: BoolTensor[N, C, H - bh + 1, W - bw + 1], True at the top left
            unit of each dropped block.
        block_size: Side of the dropped square, clamped to the map.
        feature_size: H and W of the map.

    Returns:
        Tensor: Tensor[N, C, H, W] of zeros (dropped) and ones, fp64.
    """
    height, width = feature_size
    block_height, block_width = min(block_size, height), min(block_size, width)
    mask = torch.ones(*seeds.shape[:2], height, width, dtype=torch.float64)
    for n, c, i, j in seeds.nonzero().tolist():
        mask[n, c, i : i + block_height, j : j + block_width] = 0
    return mask


def reference_drop_block(x: Tensor, seeds: Tensor, block_size: int) -> Tensor:
    """Apply the mask and normalise by count (Algorithm 1, lines 7 and 8).

    Args:
        x: Tensor[N, C, H, W], finite.
        seeds: As in :func:`reference_mask`; one channel is shared by all.
        block_size: Side of the dropped square.

    Returns:
        Tensor: Tensor[N, C, H, W] in fp64. All zeros where no unit is kept.
    """
    mask = reference_mask(seeds, block_size, (x.shape[2], x.shape[3])).expand_as(x)
    return x.double() * mask * mask.numel() / max(mask.sum().item(), 1)
