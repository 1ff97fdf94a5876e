"""Where blocks lie: from a seed's position to places in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

Strides = tuple[int, ...]
Steps = tuple[int, tuple[tuple[int, int], ...]]


@dataclass(frozen=True)
class BlockGeometry:
    """Where blocks may start on a feature map and how large they are.

    What does not depend on chance is computed once; every call's own work counts.

    Args:
        shape: (N, C, H, W) of the mask's planes; C is 1 for a shared mask.
        block: Height and width of a block, at most those of the map.
        shared_over: Channels of the input that share each plane of the mask.
    """

    shape: tuple[int, int, int, int]
    block: tuple[int, int]
    shared_over: int = 1

    @cached_property
    def grid_shape(self) -> tuple[int, int, int, int]:
        """(N, C, H - bh + 1, W - bw + 1): where a seed may fall."""
        images, channels, height, width = self.shape
        return images, channels, height - self.block[0] + 1, width - self.block[1] + 1

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
    def plane(self) -> tuple[int, int, int, int]:
        """Height and width of a plane, height and width of a block."""
        return (*self.shape[2:], *self.block)

    @cached_property
    def mask_strides(self) -> Strides:
        """Strides of the mask, which is contiguous."""
        _, channels, height, width = self.shape
        return channels * height * width, height * width, width, 1

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
