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
    def mask_layout(self) -> MemoryLayout:
        """The layout of the mask, which is contiguous and has no shared planes."""
        _, channels, height, width = self.shape
        strides = (channels * height * width, height * width, width, 1)
        return MemoryLayout.of(self.shape, strides, (1, *self.block))

    @cached_property
    def corner_steps(self) -> Steps:
        """How an index into the grid becomes one into the mask."""
        return steps_between(self.grid_shape, self.mask_layout.strides)

    def layout(self, strides: Strides) -> MemoryLayout:
        """Return the layout of an input with these strides."""
        if self.shared_over == 1 and strides == self.mask_layout.strides:
            return self.mask_layout
        return MemoryLayout.of(self.shape, strides, (self.shared_over, *self.block))


@dataclass(frozen=True)
class MemoryLayout:
    """How blocks lie in memory.

    Args:
        strides: Of the tensor that blocks are written to.
        steps: How an index into the mask becomes a place in memory.
        window: Channels, height and width of what is written at a corner.
        reach: From a window's first unit to its last, in units of memory.
    """

    strides: Strides
    steps: Steps
    window: tuple[int, int, int]
    reach: int

    @classmethod
    def of(
        cls, shape: Strides, strides: Strides, window: tuple[int, int, int]
    ) -> MemoryLayout:
        """Work out the layout for a mask of ``shape`` and these strides."""
        reach = sum(
            (size - 1) * step for size, step in zip(window, strides[1:], strict=True)
        )
        return cls(strides, steps_between(shape, strides), window, reach)


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
