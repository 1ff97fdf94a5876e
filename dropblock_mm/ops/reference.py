"""A slow, obvious DropBlock: the oracle of tests and benchmarks.

It follows Algorithm 1 of the paper line by line, with a loop over the seeds,
and shares no code with the fast paths.
"""

from __future__ import annotations

import torch
from torch import Tensor


def reference_mask(
    seeds: Tensor, block_size: int | tuple[int, ...], feature_size: tuple[int, ...]
) -> Tensor:
    """Expand every seed to a block of zeros (Algorithm 1, line 6).

    Args:
        seeds: BoolTensor[N, C, H - bh + 1, W - bw + 1], or with one or three sides,
            True at the first (top left) unit of each dropped block.
        block_size: Side of the dropped square, clamped to the map, or all its sides.
        feature_size: H and W of the map, or its one or three sides.

    Returns:
        Tensor: Tensor[N, C, H, W] of zeros (dropped) and ones, fp64.
    """
    sides = block_size if isinstance(block_size, tuple) else (block_size,) * 3
    mask = torch.ones(*seeds.shape[:2], *feature_size, dtype=torch.float64)
    for n, c, *corner in seeds.nonzero().tolist():
        # What reaches beyond the map is cut off: only a block larger than it does.
        block = [slice(i, i + b) for i, b in zip(corner, sides, strict=False)]
        mask[(n, c, *block)] = 0
    return mask


def reference_drop_block(
    x: Tensor, seeds: Tensor, block_size: int | tuple[int, ...]
) -> Tensor:
    """Apply the mask and normalise by count (Algorithm 1, lines 7 and 8).

    Args:
        x: Tensor[N, C, H, W], or with one or three sides; finite.
        seeds: As in :func:`reference_mask`; one channel is shared by all.
        block_size: Side of the dropped square, or all its sides.

    Returns:
        Tensor: Like ``x``, in fp64. All zeros where no unit is kept.
    """
    mask = reference_mask(seeds, block_size, tuple(x.shape[2:])).expand_as(x)
    return x.double() * mask * mask.numel() / max(mask.sum().item(), 1)
