"""DropBlock on the CPU: sample only the seeds that fall, write only their blocks.

The usual algorithm draws a random number for every unit and max-pools a mask as
large as the input. Seeds are rare (gamma is .0028 at keep_prob .9 and block 7),
so this one draws the gaps between them and keeps nothing but their positions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# A mask of bytes is counted 8 bytes at a time. Each of the 8 lanes of a 64-bit
# sum may reach 255 before it carries into its neighbour.
_LANES = 8
_WORDS_PER_SUM = 255


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

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the region of valid seeds."""
        return (
            self.shape[2] - self.block[0] + 1,
            self.shape[3] - self.block[1] + 1,
        )

    @property
    def num_positions(self) -> int:
        """Number of places where a seed may fall, over all planes."""
        return self.shape[0] * self.shape[1] * math.prod(self.grid)


def sample_seeds(
    num_positions: int, gamma: float, generator: torch.Generator | None = None
) -> Tensor:
    """Draw a Bernoulli(gamma) process over positions 0 ... num_positions - 1.

    The gaps between successes are geometric, ``floor(log(u) / log(1 - gamma)) + 1``,
    which makes this exact for ``gamma * num_positions`` random numbers.

    Args:
        num_positions: Number of trials.
        gamma: Probability of success, in (0, 1].
        generator: Source of randomness; torch's default one if None.

    Returns:
        Tensor: LongTensor[S], the positions of the successes, increasing.
    """
    mean = num_positions * gamma
    # Six standard deviations: a second draw happens once in 10^9 calls.
    draws = int(mean + 6.0 * math.sqrt(mean)) + 16
    pieces, last = [], -1.0
    while last < num_positions:
        # fp64 counts positions exactly up to 2^53 and gives u 53 random bits.
        uniform = torch.rand(
            draws, dtype=torch.float64, device='cpu', generator=generator
        )
        gaps = uniform.neg_().log1p_().mul_(_inverse_log_of_miss(gamma)).floor_()
        positions = gaps.add_(1.0).cumsum_(0).add_(last)
        pieces.append(positions)
        last = positions[-1].item()
    seeds = pieces[0] if len(pieces) == 1 else torch.cat(pieces)
    return seeds[: int(torch.searchsorted(seeds, num_positions))].long()


def drop_blocks(
    x: Tensor, seeds: Tensor, geometry: BlockGeometry
) -> tuple[Tensor, int]:
    """Zero the blocks of ``seeds`` in ``x`` and normalise by count.

    Args:
        x: Tensor[N, C, H, W].
        seeds: LongTensor[S], positions as :func:`sample_seeds` numbers them.
        geometry: The map and the blocks.

    Returns:
        tuple[Tensor, int]: Tensor[N, C, H, W], a fresh one, and the number of
        units kept.
    """
    kept = _count_kept(seeds, geometry) * geometry.shared_over
    scale = x.numel() / max(kept, 1)
    return _ScaleAndDrop.apply(x, seeds, geometry, scale), kept


class _ScaleAndDrop(torch.autograd.Function):
    """``x * scale`` with zeroed blocks; linear, so backward is itself.

    Saved for backward: the seeds' positions, and no mask.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, seeds: Tensor, geometry: BlockGeometry, scale: float
    ) -> Tensor:
        ctx.save_for_backward(seeds)
        ctx.geometry, ctx.scale = geometry, scale
        out = x * scale  # keeps x's memory format
        _zero_blocks(out, seeds, geometry)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        (seeds,) = ctx.saved_tensors
        grad = _ScaleAndDrop.apply(grad, seeds, ctx.geometry, ctx.scale)
        return grad, None, None, None


def _inverse_log_of_miss(gamma: float) -> float:
    """Return 1 / log(1 - gamma), which is 0 at gamma 1: every gap is 1."""
    return 0.0 if gamma >= 1.0 else 1.0 / math.log1p(-gamma)


def _zero_blocks(out: Tensor, seeds: Tensor, geometry: BlockGeometry) -> None:
    """Write zeros into every seed's block of ``out``, which owns its memory.

    All windows of the block's size are one strided view of ``out``, so no index
    is computed per unit. The view's windows overlap; all writes are zeros.
    """
    plane, row, column = _locate(seeds, geometry)
    image, channel = _divide(plane, geometry.shape[1])
    strides = out.stride()
    starts = (
        image * strides[0]
        + channel * strides[1]
        + row * strides[2]
        + column * strides[3]
    )
    sizes = (geometry.shared_over, *geometry.block)
    # From a window's first unit to its last, in units of memory.
    reach = sum(
        (size - 1) * step for size, step in zip(sizes, strides[1:], strict=True)
    )
    windows = out.as_strided(
        (out.numel() - reach, *sizes), (1, *strides[1:]), out.storage_offset()
    )
    windows.index_fill_(0, starts, 0)


def _count_kept(seeds: Tensor, geometry: BlockGeometry) -> int:
    """Return the number of units of the mask's planes outside every block."""
    units = math.prod(geometry.shape)
    chunk = _LANES * _WORDS_PER_SUM
    padded = seeds.new_zeros(-(-units // chunk) * chunk, dtype=torch.uint8)
    mask = padded[:units].view(geometry.shape)
    mask.fill_(1)
    _zero_blocks(mask, seeds, BlockGeometry(geometry.shape, geometry.block))
    words = padded.view(torch.int64).view(-1, _WORDS_PER_SUM)
    return int(words.sum(1).view(torch.uint8).sum())


def _locate(seeds: Tensor, geometry: BlockGeometry) -> tuple[Tensor, Tensor, Tensor]:
    """Return plane, row and column of each seed's top left unit."""
    plane, within = _divide(seeds, math.prod(geometry.grid))
    return plane, *_divide(within, geometry.grid[1])


def _divide(dividend: Tensor, divisor: int) -> tuple[Tensor, Tensor]:
    quotient = dividend.div(divisor, rounding_mode='floor')
    return quotient, dividend - quotient * divisor
