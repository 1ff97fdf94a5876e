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
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

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

Strides = tuple[int, ...]


@dataclass(frozen=True)
class BlockGeometry:
    """Where blocks may start on a feature map and how large they are.

    Args:
        shape: (N, C, H, W) of the mask's planes; C is 1 for a shared mask.
        block: Height and width of a block, at most those of the map.
        shared_over: Channels of the input that share each plane of the mask.
    """

    shape: tuple[int, int, int, int]
    block: tuple[int, int]
    shared_over: int = 1

    @cached_property
    def grid(self) -> tuple[int, int]:
        """Height and width of the region of valid seeds."""
        return (
            self.shape[2] - self.block[0] + 1,
            self.shape[3] - self.block[1] + 1,
        )

    @cached_property
    def num_positions(self) -> int:
        """Number of places where a seed may fall, over all planes."""
        return self.shape[0] * self.shape[1] * math.prod(self.grid)

    @cached_property
    def num_units(self) -> int:
        """Number of units of the mask's planes."""
        return math.prod(self.shape)

    @cached_property
    def strides(self) -> Strides:
        """Strides of the mask, which is contiguous."""
        _, channels, height, width = self.shape
        return channels * height * width, height * width, width, 1


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

    A Poisson number of points, each on a place of its own choice, hits every
    place independently with probability ``1 - exp(-mean points per place)``: an
    exact Bernoulli(gamma) process for ``gamma * num_positions`` random numbers.

    Args:
        num_positions: Number of places.
        gamma: Probability of a seed, in [0, 1].
        generator: Source of randomness; torch's default one if None.

    Returns:
        Tensor: LongTensor[S], the seeds' places in no order; one may come twice.
    """
    if gamma > _MANY_SEEDS:
        uniform = torch.rand(num_positions, dtype=torch.float64, generator=generator)
        return (uniform < gamma).nonzero().flatten()
    mean = torch.tensor(-num_positions * math.log1p(-gamma), dtype=torch.float64)
    points = int(torch.poisson(mean, generator=generator))
    # fp64 tells 2^53 places apart and never rounds up to num_positions.
    uniform = torch.rand(points, dtype=torch.float64, generator=generator)
    return uniform.mul_(num_positions).long()


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
    sizes = (*geometry.shape[:2], *geometry.grid)
    return _in_memory(positions, sizes, geometry.strides)


def is_few(x: Tensor, gamma: float, geometry: BlockGeometry) -> bool:
    """Tell whether the corners are small enough beside x to keep for backward."""
    expected = geometry.num_positions * gamma * _BYTES_PER_CORNER
    return expected <= _KEPT_SHARE * x.numel() * x.element_size()


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
    units = mask[: draw.geometry.num_units]
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
        out = x * scale  # keeps x's memory format
        _fill_blocks(out, out.stride(), corners, geometry, 0)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        seeds = ctx.draw or ctx.saved_tensors[0]
        corners = ctx.draw.corners() if ctx.draw else seeds
        grad = _ScaleAndDrop.apply(grad, corners, seeds, ctx.geometry, ctx.scale)
        return grad, None, None, None, None


def _fill_blocks(
    out: Tensor,
    strides: Strides,
    corners: Tensor,
    geometry: BlockGeometry,
    value: int,
) -> None:
    """Write a value into the blocks of ``out``, which owns its memory.

    All windows of a block's size are one strided view of ``out``, so no index is
    computed per unit. The view overlaps itself; all writes are equal.
    """
    sizes = (geometry.shared_over, *geometry.block)
    starts = _in_memory(corners, geometry.shape, strides)
    # From a window's first unit to its last, in units of memory.
    reach = sum(
        (size - 1) * step for size, step in zip(sizes, strides[1:], strict=True)
    )
    windows = out.as_strided((out.numel() - reach, *sizes), (1, *strides[1:]))
    windows.index_fill_(0, starts, value)


def _in_memory(index: Tensor, sizes: Strides, strides: Strides) -> Tensor:
    """Turn an index into a flattened (N, C, H, W) array into a place in memory.

    The index is a number in mixed radix, and the place its digits times the
    strides. A digit is a quotient by the lower sizes less size times the next
    quotient, so each digit but the lowest needs one division and no remainder;
    none where neighbouring dimensions are contiguous in memory.
    """
    steps = [strides[k] - sizes[k + 1] * strides[k + 1] for k in (2, 1, 0)]
    while steps and steps[-1] == 0:
        steps.pop()
    place = index if strides[3] == 1 else index * strides[3]
    quotient = index
    for size, step in zip(sizes[:0:-1], steps, strict=False):
        quotient = quotient.div(size, rounding_mode='floor')
        place = place.add(quotient, alpha=step)
    return place


def _paint(corners: Tensor, geometry: BlockGeometry) -> tuple[Tensor, int]:
    """Return a flat ByteTensor of ones in the blocks, and the number of zeros.

    The mask is padded with zeros, which are not counted, to whole sums.
    """
    sums = -(-geometry.num_units // (_LANES * _WORDS_PER_SUM))
    words = torch.zeros(sums, _WORDS_PER_SUM, dtype=torch.int64)
    mask = words.view(torch.uint8).view(-1)
    plane = geometry if geometry.shared_over == 1 else _unshared(geometry)
    _fill_blocks(mask, geometry.strides, corners, plane, 1)
    dropped = int(words.sum(1).view(torch.uint8).sum())
    return mask, geometry.num_units - dropped


def _unshared(geometry: BlockGeometry) -> BlockGeometry:
    return BlockGeometry(geometry.shape, geometry.block)
