"""The loops over seeds as tensor operations: for installations without a compiler.

It uses few of them: on a small map the start of each costs as much as its work.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dropblock_mm.ops.plan import BlockGeometry, apply_steps

# A mask of bytes is counted 8 bytes at a time. Each of the 8 lanes of a 64-bit
# sum may reach 255 before it carries into its neighbour.
_LANES = 8
_WORDS_PER_SUM = 255


def place_seeds(uniform: Tensor, mean_gap: float, geometry: BlockGeometry) -> Tensor:
    """Turn random numbers into the blocks of a Poisson process of seeds.

    Args:
        uniform: DoubleTensor[D], uniform in [0, 1).
        mean_gap: Mean distance from a seed to the next one, in positions.
        geometry: The map and the blocks.

    Returns:
        Tensor: LongTensor[S], each block's top left unit as an index into the
        flattened mask, increasing; one may come twice. S is D if the numbers end
        before the positions do.
    """
    # fp64 has 53 random bits and tells 2^53 places apart. -log(u) is exponential.
    points = uniform.log().cumsum_(0).mul_(-mean_gap)
    inside = int(torch.searchsorted(points, geometry.num_positions))
    return apply_steps(points[:inside].long(), geometry.corner_steps)


def count_dropped(corners: Tensor, geometry: BlockGeometry) -> int:
    """Count the units of the mask that blocks cover.

    Args:
        corners: LongTensor[S], increasing; see :func:`place_seeds`.
        geometry: The map and the blocks.
    """
    sums = -(-geometry.num_units // (_LANES * _WORDS_PER_SUM))
    words = torch.zeros(sums, _WORDS_PER_SUM, dtype=torch.int64, device='cpu')
    _fill(words.view(torch.uint8), corners, geometry, geometry.mask_strides, 1, 1)
    return int(words.sum(1).view(torch.uint8).sum())


def fill_blocks(
    out: Tensor, corners: Tensor, geometry: BlockGeometry, byte: int
) -> None:
    """Write a value into the blocks of a tensor.

    Args:
        out: Tensor[N, C, *size] that owns its memory, with any strides.
        corners: LongTensor[S], increasing; see :func:`place_seeds`.
        geometry: The map and the blocks.
        byte: What every byte becomes: 0, or 1 for a mask.
    """
    _fill(out, corners, geometry, out.stride(), geometry.shared_over, byte)


def _fill(
    out: Tensor,
    corners: Tensor,
    geometry: BlockGeometry,
    strides: tuple[int, ...],
    channels: int,
    value: int,
) -> None:
    """Write to memory that is laid out by ``strides``.

    All windows of a block's size are one strided view of ``out``, so no index is
    computed per unit. The view overlaps itself; all writes are equal.
    """
    window = (channels, *geometry.block)
    reach = sum((n - 1) * step for n, step in zip(window, strides[1:], strict=True))
    windows = out.as_strided((out.numel() - reach, *window), (1, *strides[1:]))
    places = apply_steps(corners, geometry.steps(strides))
    windows.index_fill_(0, places, value)
