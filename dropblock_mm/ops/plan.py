"""What one call is to do, worked out once for every shape and setting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

from dropblock_mm.ops.calibration import solve_gamma_on_device
from dropblock_mm.ops.rates import (
    BlockSize,
    clamp_block,
    gamma_per_drop_rate,
    seed_grid,
    solve_gamma,
)
from dropblock_mm.ops.torch_private import is_transformed

Strides = tuple[int, ...]
Steps = tuple[int, tuple[tuple[int, int], ...]]

_MOST_DIMS = 3  # of a plane: lines, maps and volumes


@dataclass(frozen=True)
class BlockGeometry:
    """Where blocks may start on a feature map and how large they are.

    What does not depend on chance is computed once; every call's own work counts.

    Args:
        shape: (N, C, *size) of the mask's planes, with one to three sides; C is 1
            for a shared mask.
        block: Sides of a block, at most those of the map.
        shared_over: Channels of the input that share each plane of the mask.
    """

    shape: tuple[int, ...]
    block: tuple[int, ...]
    shared_over: int = 1

    @property
    def grid_shape(self) -> tuple[int, ...]:
        """(N, C, H - bh + 1, W - bw + 1) of maps: where a seed may fall."""
        return (*self.shape[:2], *seed_grid(self.block, self.shape[2:]))

    @cached_property
    def num_positions(self) -> int:
        """Number of places where a seed may fall, over all planes."""
        return math.prod(self.grid_shape)

    @cached_property
    def num_units(self) -> int:
        """Number of units of the mask's planes."""
        return math.prod(self.shape)

    @cached_property
    def positions_per_unit(self) -> float:
        """Number of places for a seed per unit of the input."""
        return self.num_positions / (self.num_units * self.shared_over)

    @cached_property
    def volume(self) -> tuple[int, ...]:
        """Depth, height and width of a plane, then of a block: 1 where it has none."""
        flat = (1,) * (_MOST_DIMS - len(self.block))
        return (*flat, *self.shape[2:], *flat, *self.block)

    def volume_strides(self, strides: Strides) -> Strides:
        """Return strides of (N, C, depth, height, width), given those of a tensor."""
        return (*strides[:2], *(0,) * (_MOST_DIMS - len(self.block)), *strides[2:])

    @cached_property
    def mask_strides(self) -> Strides:
        """Strides of the mask, which is contiguous."""
        return tuple(math.prod(self.shape[k + 1 :]) for k in range(len(self.shape)))

    @cached_property
    def corner_steps(self) -> Steps:
        """How an index into the grid becomes one into the mask."""
        return steps_between(self.grid_shape, self.mask_strides)

    def steps(self, strides: Strides) -> Steps:
        """Return how an index into the mask becomes a place in memory."""
        if strides == self.mask_strides:
            return 1, ()
        return steps_between(self.shape, strides)


def steps_between(sizes: Strides, strides: Strides) -> Steps:
    """Return how an index into a flattened array of ``sizes`` becomes a place.

    The index is a number in mixed radix, and the place its digits times the
    strides. A digit is a quotient by the lower sizes less size times the next
    quotient, so each digit but the lowest needs one division and no remainder;
    none where neighbouring dimensions are contiguous in memory.

    Returns:
        tuple: The lowest digit's stride, and a divisor and a factor for each
        quotient.
    """
    steps = [
        (sizes[k], strides[k - 1] - sizes[k] * strides[k])
        for k in range(len(sizes) - 1, 0, -1)
    ]
    while steps and steps[-1][1] == 0:
        steps.pop()
    return strides[-1], tuple(steps)


def apply_steps(index: Tensor, steps: Steps) -> Tensor:
    """Turn indices, LongTensor[S], into places as :func:`steps_between` says."""
    stride, factors = steps
    place = index if stride == 1 else index * stride
    quotient = index
    for size, factor in factors:
        quotient = quotient.div(size, rounding_mode='floor')
        place = place.add(quotient, alpha=factor)
    return place


@dataclass(frozen=True)
class Plan:
    """What is to be done, apart from the rate: where blocks lie, and how many."""

    geometry: BlockGeometry
    gamma_scale: float
    calibrated: bool
    gamma_per_drop_rate: float

    def gamma(self, keep_prob: float | Tensor) -> float:
        """Return gamma; a tensor is read back to the host."""
        drop_rate = self.gamma_scale * (1.0 - float(keep_prob))
        if self.calibrated:
            keep_rate = min(max(1.0 - drop_rate, 0.0), 1.0)
            geometry = self.geometry
            return solve_gamma(keep_rate, geometry.block, geometry.shape[2:])
        return min(max(drop_rate * self.gamma_per_drop_rate, 0.0), 1.0)

    def device_gamma(self, keep_prob: float | Tensor, device: torch.device) -> Tensor:
        """Return gamma as a 0-dim tensor on the device, read by nobody."""
        if not isinstance(keep_prob, Tensor):
            keep_prob = torch.full((), keep_prob, dtype=torch.float32, device=device)
        # A layer in half precision has a buffer in it.
        dtype = torch.promote_types(keep_prob.dtype, torch.float32)
        keep_prob = keep_prob.to(device, dtype)
        if self.calibrated:
            keep_rate = (1.0 - self.gamma_scale * (1.0 - keep_prob)).clamp(0.0, 1.0)
            solve: Any = torch.ops.dropblock_mm.solve_gamma
            if is_transformed(keep_rate):  # vmap over rates takes plain operations
                solve = solve_gamma_on_device
            return solve(keep_rate, self.geometry.block, self.geometry.shape[2:])
        factor = self.gamma_scale * self.gamma_per_drop_rate
        return ((1.0 - keep_prob) * factor).clamp(0.0, 1.0)


def make_plan(
    shape: tuple[int, ...],
    block_size: BlockSize,
    gamma_scale: float,
    calibrated: bool,
    shared_mask: bool,
) -> Plan:
    """Return the plan for an input of ``shape``, (N, C, *size)."""
    images, channels, *sides = shape
    size = tuple(sides)
    shared_over = channels if shared_mask else 1
    block = clamp_block(block_size, size)
    return Plan(
        BlockGeometry((images, channels // shared_over, *size), block, shared_over),
        gamma_scale=gamma_scale,
        calibrated=calibrated,
        gamma_per_drop_rate=gamma_per_drop_rate(block, size),
    )


cached_plan = lru_cache(maxsize=1024)(make_plan)


def draw_key(device: torch.device, generator: torch.Generator | None) -> Tensor:
    """Return LongTensor[], the seed of a draw that backward can repeat."""
    return torch.randint(2**63 - 1, (), device=device, generator=generator)
