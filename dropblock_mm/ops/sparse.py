"""DropBlock on the CPU: sample only the seeds that fall, write only their blocks.

The usual algorithm draws a random number for every unit and max-pools a mask as
large as the input. Seeds are rare (gamma is .0028 at keep_prob .9 and block 7),
so this one draws where they fall and keeps nothing but their blocks' corners. It
uses few tensor operations: on a small map the start of each costs as much as its
work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dropblock_mm.ops.geometry import BlockGeometry, MemoryLayout, apply_steps

# A mask of bytes is counted 8 bytes at a time. Each of the 8 lanes of a 64-bit
# sum may reach 255 before it carries into its neighbour.
_LANES = 8
_WORDS_PER_SUM = 255

# Above this gamma a random number per position is cheaper than points.
_MANY_SEEDS = 0.5

# Corners expected to take more than this share of the input's bytes are drawn
# again for backward instead of being kept.
_KEPT_SHARE = 0.01
_BYTES_PER_CORNER = 8


@dataclass(frozen=True)
class SeedDraw:
    """A draw of seeds that backward can repeat.

    Args:
        geometry: The map and the blocks.
        gamma: Probability of a seed, in [0, 1].
        key: Seed of the random numbers.
    """

    geometry: BlockGeometry
    gamma: float
    key: int

    def corners(self) -> Tensor:
        """Return the blocks' corners, the same at every call."""
        generator = torch.Generator().manual_seed(self.key)
        return sample_corners(self.geometry, self.gamma, generator)


def sample_corners(
    geometry: BlockGeometry, gamma: float, generator: torch.Generator | None = None
) -> Tensor:
    """Sample seeds; see :func:`sample_positions` and :func:`corners_at`."""
    positions = sample_positions(geometry.num_positions, gamma, generator)
    return corners_at(positions, geometry)


def sample_positions(
    num_positions: int, gamma: float, generator: torch.Generator | None = None
) -> Tensor:
    """Let a seed fall on each of ``num_positions`` places with probability gamma.

    The points of a Poisson process hit every place independently, at least once
    with probability ``1 - exp(-mean points per place)``: an exact Bernoulli(gamma)
    process for about ``gamma * num_positions`` random numbers, the gaps.

    Args:
        num_positions: Number of places.
        gamma: Probability of a seed, in [0, 1].
        generator: Source of randomness; torch's default one if None.

    Returns:
        Tensor: LongTensor[S], the seeds' places, increasing; one may come twice.
    """
    if gamma > _MANY_SEEDS:
        uniform = torch.rand(num_positions, dtype=torch.float64, generator=generator)
        return (uniform < gamma).nonzero().flatten()
    if gamma == 0.0:
        return torch.empty(0, dtype=torch.int64)
    mean_gap = -1.0 / math.log1p(-gamma)  # in places
    mean = num_positions / mean_gap
    # Six standard deviations: a second draw happens once in 10^9 calls.
    draws = int(mean + 6.0 * math.sqrt(mean)) + 16
    # fp64 has 53 random bits and tells 2^53 places apart. -log(u) is exponential.
    gaps = torch.rand(draws, dtype=torch.float64, generator=generator).log_()
    points = gaps.cumsum_(0).mul_(-mean_gap)
    inside = int(torch.searchsorted(points, num_positions))
    places = points[:inside].long()
    if inside < draws:
        return places
    # A Poisson process has no memory: go on from the last point, as if anew.
    start = int(places[-1])
    more = sample_positions(num_positions - start, gamma, generator)
    return torch.cat([places, more.add_(start)])


def corners_at(positions: Tensor, geometry: BlockGeometry) -> Tensor:
    """Return the blocks' corners.

    Args:
        positions: LongTensor[S], places of seeds, counted in the order (image,
            channel, row, column) of the planes' seed grids.
        geometry: The map and the blocks.

    Returns:
        Tensor: LongTensor[S], each block's top left unit as an index into the
        flattened mask.
    """
    return apply_steps(positions, geometry.corner_steps)


def keeps_corners(gamma: float, bytes_per_unit: int, geometry: BlockGeometry) -> bool:
    """Tell whether the corners are small enough beside the input to be kept."""
    corners_per_unit = gamma * geometry.positions_per_unit
    return corners_per_unit * _BYTES_PER_CORNER <= _KEPT_SHARE * bytes_per_unit


def drop_blocks(
    x: Tensor, seeds: Tensor | SeedDraw, geometry: BlockGeometry
) -> tuple[Tensor, int]:
    """Zero the blocks of ``seeds`` in ``x`` and normalise by count.

    Args:
        x: Tensor[N, C, H, W].
        seeds: LongTensor[S], the blocks' corners (:func:`corners_at`), which are
            kept for backward, or a draw, which backward repeats.
        geometry: The map and the blocks.

    Returns:
        tuple[Tensor, int]: Tensor[N, C, H, W], a fresh one, and the number of
        units kept.
    """
    corners = seeds.corners() if isinstance(seeds, SeedDraw) else seeds
    _, mask_kept = _paint(corners, geometry)
    kept = mask_kept * geometry.shared_over
    scale = x.numel() / max(kept, 1)
    return _ScaleAndDrop.apply(x, corners, seeds, geometry, scale), kept


def drop_mask(draw: SeedDraw) -> tuple[Tensor, int]:
    """Return the mask of a draw, and the number of units it keeps.

    Returns:
        tuple[Tensor, int]: BoolTensor[N, C, H, W], True where a unit is dropped,
        and a count of the mask's units.
    """
    mask, kept = _paint(draw.corners(), draw.geometry)
    units = mask.view(-1)[: draw.geometry.num_units]
    return units.view(torch.bool).view(draw.geometry.shape), kept


class _ScaleAndDrop(torch.autograd.Function):
    """``x * scale`` with zeroed blocks; linear, so backward is itself.

    Saved for backward: the blocks' corners or how to draw them, and no mask.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        corners: Tensor,
        seeds: Tensor | SeedDraw,
        geometry: BlockGeometry,
        scale: float,
    ) -> Tensor:
        ctx.draw = seeds if isinstance(seeds, SeedDraw) else None
        if ctx.draw is None:
            ctx.save_for_backward(corners)
        ctx.geometry, ctx.scale = geometry, scale
        return _scale_and_drop(x, corners, geometry, scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        seeds = ctx.draw or ctx.saved_tensors[0]
        corners = ctx.draw.corners() if ctx.draw else seeds
        if torch.is_grad_enabled():  # double backward
            grad = _ScaleAndDrop.apply(grad, corners, seeds, ctx.geometry, ctx.scale)
        else:
            grad = _scale_and_drop(grad, corners, ctx.geometry, ctx.scale)
        return grad, None, None, None, None


def _scale_and_drop(
    x: Tensor, corners: Tensor, geometry: BlockGeometry, scale: float
) -> Tensor:
    out = x * scale  # keeps x's memory format
    _fill_blocks(out, corners, geometry.layout(out.stride()), 0)
    return out


def _fill_blocks(
    out: Tensor, corners: Tensor, layout: MemoryLayout, value: int
) -> None:
    """Write a value into the blocks of ``out``, which owns its memory.

    All windows of a block's size are one strided view of ``out``, so no index is
    computed per unit. The view overlaps itself; all writes are equal.
    """
    windows = out.as_strided(
        (out.numel() - layout.reach, *layout.window), (1, *layout.strides[1:])
    )
    windows.index_fill_(0, apply_steps(corners, layout.steps), value)


def _paint(corners: Tensor, geometry: BlockGeometry) -> tuple[Tensor, int]:
    """Return a ByteTensor of ones in the blocks, and the number of zeros.

    The mask is padded with zeros, which are not counted, to whole sums.
    """
    sums = -(-geometry.num_units // (_LANES * _WORDS_PER_SUM))
    words = torch.zeros(sums, _WORDS_PER_SUM, dtype=torch.int64)
    mask = words.view(torch.uint8)
    _fill_blocks(mask, corners, geometry.mask_layout, 1)
    dropped = int(words.sum(1).view(torch.uint8).sum())
    return mask, geometry.num_units - dropped
