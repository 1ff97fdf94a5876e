"""The loops as tensor operations: for installations without a compiler.

They draw the same masks as those in C, from the same numbers: ``random.h`` says how
those are made of a key and an index.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dropblock_mm.ops import dense
from dropblock_mm.ops.plan import BlockGeometry, Draw, Strides, Way

_STREAM = 8192  # places that a stream of gaps runs along, as in jobs.h
_WORD, _LEVELS = 64, 64
_TWO_64 = 2.0**64

Steps = tuple[int, tuple[tuple[int, int], ...]]


def apply(
    x: Tensor, mask: Tensor, dropped: int, factor: float, divides: bool
) -> Tensor:
    """Return the product or quotient, with zeros where the mask is True.

    Args:
        x: Tensor[N, C, *size] of any strides.
        mask: BoolTensor[N, C, *size], with one channel where all share it.
        dropped: Number of units of ``x`` that it drops.
        factor: What the rest is multiplied by; 0 for ``all / kept`` units.
        divides: Divide by ``factor`` instead.
    """
    if factor == 0.0:
        factor = x.numel() / max(x.numel() - dropped, 1)
    wide = x.to(torch.promote_types(x.dtype, torch.float32)) if divides else x
    out = (wide / factor).to(x.dtype) if divides else x * factor
    return out.masked_fill_(mask.reshape(*mask.shape[:2], *x.shape[2:]), 0)


def draw_mask(draw: Draw) -> tuple[Tensor, int]:
    """Draw BoolTensor[N, C, *size], True where a unit is dropped.

    Returns:
        tuple[Tensor, int]: The mask, with one channel where all share it, and the
        number of units that it drops of the input.
    """
    geometry = draw.geometry
    seeds = draw_seeds(draw)
    if geometry.draws_units:
        mask = seeds.expand(geometry.shape)
    elif draw.way is Way.GAPS:
        mask = torch.zeros(geometry.shape, dtype=torch.bool, device='cpu')
        places = seeds.flatten().nonzero().flatten()
        _fill(mask, apply_steps(places, corner_steps(geometry)), geometry)
    else:
        mask = dense.drop_mask(seeds, geometry.block)
    return mask, int(mask.sum()) * geometry.shared_over


def draw_seeds(draw: Draw) -> Tensor:
    """Draw BoolTensor of ``geometry.grid_shape``, True with the draw's probability."""
    geometry = draw.geometry
    grid, units = geometry.grid_shape, math.prod(geometry.shape[2:])
    if draw.seeds is not None:
        return draw.seeds
    if draw.way is Way.GAPS:
        places = math.prod(grid[2:])
        # Streams hold whole planes where blocks might reach into another's words.
        stream = max(_STREAM // places, 1) * places
        seeds = torch.zeros(grid, dtype=torch.bool, device='cpu')
        seeds.view(-1)[_points(draw, _STREAM if geometry.draws_units else stream)] = (
            True
        )
        return seeds
    if geometry.draws_units:
        number = -(-geometry.num_positions // _WORD)
        bits = _random_bits(draw, torch.arange(number, device='cpu')).flatten()
        return bits[: geometry.num_positions].view(grid)
    planes, words = math.prod(grid[:2]), -(-units // _WORD)
    bits = _random_bits(draw, torch.arange(planes * words, device='cpu'))
    maps = bits.view(planes, -1)[:, :units].reshape(geometry.shape)
    return maps[(slice(None), slice(None), *(slice(side) for side in grid[2:]))]


def corner_steps(geometry: BlockGeometry) -> Steps:
    """Return how an index into the grid becomes one into the mask, contiguous."""
    shape = geometry.shape
    strides = tuple(math.prod(shape[k + 1 :]) for k in range(len(shape)))
    return steps_between(geometry.grid_shape, strides)


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


def _fill(mask: Tensor, corners: Tensor, geometry: BlockGeometry) -> None:
    """Set the blocks of LongTensor[S], their first units in the flattened mask.

    All windows of a block's size are one strided view of the mask, so no index is
    computed per unit. The view overlaps itself; all writes are equal.
    """
    window, strides = geometry.block, mask.stride()[2:]
    reach = sum((n - 1) * step for n, step in zip(window, strides, strict=True))
    windows = mask.as_strided((mask.numel() - reach, *window), (1, *strides))
    windows.index_fill_(0, corners, True)


# ---- random numbers by their index


def _points(draw: Draw, stream: int) -> Tensor:
    """Return the points of a Poisson process along all places, in order.

    The points hit every place independently, at least once with probability
    ``1 - exp(-mean points per place)``: an exact Bernoulli process for about as many
    random numbers as it has ones, the gaps.

    Args:
        draw: The probability, above 0, and the key.
        stream: Places that a stream of gaps runs along.

    Returns:
        Tensor: LongTensor[S], increasing; one may come twice.
    """
    places = draw.geometry.num_positions
    gap = -1.0 / math.log1p(-draw.share)
    number = torch.arange(-(-places // stream), device='cpu')[:, None]
    length = (places - number * stream).clamp(max=stream)
    mean = stream / gap
    # Six standard deviations: more are needed once in 10^9 streams.
    draws = int(mean + 6.0 * math.sqrt(mean)) + 16
    while True:
        index = (number << 32) + torch.arange(draws, device='cpu')
        bits = _shifted(_random_words(draw.key, index), 11)
        points = ((bits + 1).double() * 2.0**-53).log_().cumsum_(1).mul_(-gap)
        if (points[:, -1:] >= length).all():
            break
        draws *= 2
    inside = points < length
    return (number * stream + points.long())[inside]


def _random_bits(draw: Draw, index: Tensor) -> Tensor:
    """Return BoolTensor[W, 64], each True with the draw's probability.

    Args:
        draw: The probability and the key.
        index: LongTensor[W], numbers of the words.
    """
    if draw.share >= 1.0:
        return torch.ones(len(index), _WORD, dtype=torch.bool, device='cpu')
    rest = int(draw.share * _TWO_64)
    below, still = torch.zeros_like(index), torch.full_like(index, -1)
    for level in range(_LEVELS):
        if rest == 0 or not still.any():
            break
        word = _random_words(draw.key, index * _LEVELS + level)
        if rest >> 63:
            below |= still & ~word
            still &= word
        else:
            still &= ~word
        rest = rest << 1 & (1 << 64) - 1
    return (below[:, None] >> torch.arange(_WORD, device='cpu') & 1).bool()


def _random_words(key: int, index: Tensor) -> Tensor:
    """Return LongTensor like ``index``: SplitMix64's numbers, by their index."""
    z = (index + 1) * _signed(0x9E3779B97F4A7C15) + key
    z = (z ^ _shifted(z, 30)) * _signed(0xBF58476D1CE4E5B9)
    z = (z ^ _shifted(z, 27)) * _signed(0x94D049BB133111EB)
    return z ^ _shifted(z, 31)


def _shifted(word: Tensor, by: int) -> Tensor:
    return word >> by & (1 << 64 - by) - 1  # as of a number without a sign


def _signed(word: int) -> int:
    return word - (1 << 64)
