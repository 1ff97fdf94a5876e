"""DropBlock on the CPU: sample only the seeds that fall, write only their blocks.

The usual algorithm draws a random number for every unit and max-pools a mask as
large as the input. Seeds are rare (gamma is .0028 at keep_prob .9 and block 7),
so this one draws where they fall and keeps nothing but their blocks' corners.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from dropblock_mm.ops.cpu import native, torch_loops
from dropblock_mm.ops.plan import BlockGeometry, Plan, apply_steps, draw_key

# The two do the same, and draw the same seeds from the same random numbers.
loops = native if native.IS_BUILT else torch_loops

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
        generator = torch.Generator('cpu').manual_seed(self.key)
        return sample_corners(self.geometry, self.gamma, generator)


def drop(
    x: Tensor,
    plan: Plan,
    keep_prob: float | Tensor,
    seeds: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, int]:
    """Drop blocks, as :func:`dropblock_mm.ops.dense.drop` has it, on the CPU.

    Returns:
        tuple[Tensor, int]: Tensor[N, C, *size], ``x`` itself where nothing is to be
        dropped and else a fresh one, and the number of units kept.
    """
    geometry = plan.geometry
    if seeds is not None:
        positions = seeds.flatten().nonzero().flatten()
        return drop_blocks(x, corners_at(positions, geometry), geometry)
    gamma = plan.gamma(keep_prob)
    if gamma == 0.0:
        return x, x.numel()
    if keeps_corners(gamma, x.element_size(), geometry):
        return drop_blocks(x, sample_corners(geometry, gamma, generator), geometry)
    key = int(draw_key(x.device, generator))
    return drop_blocks(x, SeedDraw(geometry, gamma, key), geometry)


def sample_corners(
    geometry: BlockGeometry, gamma: float, generator: torch.Generator | None = None
) -> Tensor:
    """Let a seed fall on each position with probability gamma.

    The points of a Poisson process hit every place independently, at least once
    with probability ``1 - exp(-mean points per place)``: an exact Bernoulli(gamma)
    process for about ``gamma * num_positions`` random numbers, the gaps.

    Args:
        geometry: The map and the blocks.
        gamma: Probability of a seed, in [0, 1].
        generator: Source of randomness; torch's default one if None.

    Returns:
        Tensor: LongTensor[S], each block's first unit as an index into the
        flattened mask, increasing; one may come twice.
    """
    if gamma > _MANY_SEEDS:
        uniform = _random_numbers(geometry.num_positions, generator)
        return corners_at((uniform < gamma).nonzero().flatten(), geometry)
    if gamma == 0.0:
        return torch.empty(0, dtype=torch.int64, device='cpu')
    mean_gap = -1.0 / math.log1p(-gamma)  # in positions
    mean = geometry.num_positions / mean_gap
    # Six standard deviations: more are needed once in 10^9 calls.
    draws = int(mean + 6.0 * math.sqrt(mean)) + 16
    uniform = _random_numbers(draws, generator)
    corners = loops.place_seeds(uniform, mean_gap, geometry)
    while len(corners) == len(uniform):
        uniform = torch.cat([uniform, _random_numbers(draws, generator)])
        corners = loops.place_seeds(uniform, mean_gap, geometry)
    return corners


def _random_numbers(count: int, generator: torch.Generator | None) -> Tensor:
    # On the CPU whatever the default device is, as everything in this module.
    return torch.rand(count, dtype=torch.float64, generator=generator, device='cpu')


def corners_at(positions: Tensor, geometry: BlockGeometry) -> Tensor:
    """Return the blocks' corners.

    Args:
        positions: LongTensor[S], places of seeds, counted in the order (image,
            channel, slice, row, column) of the planes' seed grids.
        geometry: The map and the blocks.

    Returns:
        Tensor: LongTensor[S], each block's first unit as an index into the
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
        x: Tensor[N, C, *size].
        seeds: LongTensor[S], the blocks' corners (:func:`corners_at`), which are
            kept for backward, or a draw, which backward repeats.
        geometry: The map and the blocks.

    Returns:
        tuple[Tensor, int]: Tensor[N, C, *size], a fresh one, and the number of
        units kept.
    """
    corners = seeds.corners() if isinstance(seeds, SeedDraw) else seeds
    mask_kept = geometry.num_units - loops.count_dropped(corners, geometry)
    kept = mask_kept * geometry.shared_over
    scale = x.numel() / max(kept, 1)
    return _ScaleAndDrop.apply(x, corners, seeds, geometry, scale), kept


def drop_mask(draw: SeedDraw) -> tuple[Tensor, int]:
    """Return the mask of a draw, and the number of units it keeps.

    Returns:
        tuple[Tensor, int]: BoolTensor[N, C, *size], True where a unit is dropped,
        and a count of the mask's units.
    """
    geometry, corners = draw.geometry, draw.corners()
    mask = torch.zeros(geometry.shape, dtype=torch.bool, device='cpu')
    loops.fill_blocks(mask, corners, replace(geometry, shared_over=1), 1)
    return mask, geometry.num_units - loops.count_dropped(corners, geometry)


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
    loops.fill_blocks(out, corners, geometry, 0)
    return out
