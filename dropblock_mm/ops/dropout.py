"""Dropout of single units, of channels and of samples: a draw and a product."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from dropblock_mm.errors import RefusedTypeError
from dropblock_mm.ops.cpu import followed, sparse
from dropblock_mm.ops.dense import draw_uniform, zeroed
from dropblock_mm.ops.paths import is_plain_on_host
from dropblock_mm.ops.plan import BlockGeometry, Recipe, cheaper_way

_DRAWN = (None, 1, 2)
_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def drop_units(
    x: Tensor,
    keep_prob: Tensor | float,
    drop_scale: float = 1.0,
    axes: int | None = None,
    *,
    kept: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor | int]:
    """Zero what is not kept, and divide the rest by the probability of keeping it.

    As ``torch.nn.functional.dropout`` and ``dropout2d`` round it, and for samples as
    mmcv's ``DropPath`` does. Half precision is rounded once, at the end.

    Args:
        x: Tensor[N, C, ...], of any floating dtype and memory format.
        keep_prob: Probability of keeping, in [0, 1]; if a tensor, a 0-dim one.
        drop_scale: Factor on the drop rate ``1 - keep_prob``.
        axes: How many leading axes have a draw for each index: 1 for samples, 2 for
            channels of samples, None for units.
        kept: BoolTensor that broadcasts to ``x``, to use instead of drawing.
        generator: Source of randomness; the default one of x's device if None.

    Returns:
        tuple[Tensor, Tensor | int]: Tensor like ``x``, a fresh one, and the number of
        units kept: an int where a plain tensor is on the CPU, elsewhere a 0-dim
        LongTensor on the device of ``x``.

    Raises:
        TypeError: ``x`` is not of a floating dtype.
    """
    if kept is None and _is_known(x, axes) and is_plain_on_host(x):
        chance = _probability_on_host(keep_prob, drop_scale, x.dtype)
        return _drop_on_host(x, chance, axes, generator)
    if not x.is_floating_point():
        raise RefusedTypeError(
            f'x has dtype {x.dtype}. Dropout needs a floating dtype.'
        )
    wide = torch.promote_types(x.dtype, torch.float32)
    probability = _probability(keep_prob, drop_scale, x.device, wide)
    if kept is None and _is_known(x, axes) and followed.is_drawn_here(x, keep_prob):
        chance = _probability_on_host(keep_prob, drop_scale, x.dtype)
        dropped = followed.draw_mask(_recipe(x.shape, axes, chance), generator)
        kept = ~dropped.view(*dropped.shape[:2], *x.shape[2:])
    if kept is None:
        axes = x.dim() if axes is None else axes
        shape = (*x.shape[:axes], *[1] * (x.dim() - axes))
        kept = draw_uniform(shape, x.device, generator) < probability
    # Where nothing can be kept a quotient would be infinite, and its gradient NaN.
    safe = torch.where(probability > 0.0, probability, 1.0)
    scaled = x.to(wide) / safe if axes == 1 else x.to(wide) * (1.0 / safe)
    shared_over = x.numel() // max(kept.numel(), 1)
    return zeroed(scaled.to(x.dtype), ~kept), kept.sum() * shared_over


def _is_known(x: Tensor, axes: int | None) -> bool:
    """Tell what DropBlock's path for the CPU can draw masks for."""
    return axes in _DRAWN and x.dtype in _DTYPES and x.dim() > 1 and x.numel() > 0


def _drop_on_host(
    x: Tensor,
    probability: float,
    axes: int | None,
    generator: torch.Generator | None,
) -> tuple[Tensor, int]:
    """Drop in one pass: units are blocks of 1, channels and samples cover the map."""
    recipe = _recipe(x.shape, axes, probability)
    return sparse.drop_drawn(x, recipe.draw(generator))


@lru_cache(maxsize=1024)
def _recipe(shape: tuple[int, ...], axes: int | None, probability: float) -> Recipe:
    geometry, share = _geometry(shape, axes), 1.0 - probability
    way, safe = cheaper_way(geometry, share), probability or 1.0
    if axes == 1:
        return Recipe(geometry, share, way, safe, divides=True)
    return Recipe(geometry, share, way, 1.0 / safe)


@lru_cache(maxsize=1024)
def _geometry(shape: tuple[int, ...], axes: int | None) -> BlockGeometry:
    images, channels, units = *shape[:2], math.prod(shape[2:])
    if axes == 1:
        return BlockGeometry((images, 1, units), (units,), channels)
    block = 1 if axes is None else units
    return BlockGeometry((images, channels, units), (block,))


def _probability_on_host(
    keep_prob: Tensor | float, drop_scale: float, dtype: torch.dtype
) -> float:
    """Return the number in what :func:`_probability` returns."""
    if isinstance(keep_prob, Tensor) and keep_prob.dtype is torch.float32:
        number = sparse.number_in(keep_prob)
        return number if drop_scale == 1.0 else _scaled(number, drop_scale, dtype)
    wide = torch.promote_types(dtype, torch.float32)
    return float(_probability(keep_prob, drop_scale, torch.device('cpu'), wide))


@lru_cache(maxsize=256)  # all layers of a model have one rate at a time
def _scaled(number: float, drop_scale: float, dtype: torch.dtype) -> float:
    keep_prob = torch.full((), number, dtype=torch.float32, device='cpu')
    wide = torch.promote_types(dtype, torch.float32)
    return float(_probability(keep_prob, drop_scale, keep_prob.device, wide))


def _probability(
    keep_prob: Tensor | float,
    drop_scale: float,
    device: torch.device,
    wide: torch.dtype,
) -> Tensor:
    """Return Tensor[] in [0, 1], of the dtype in which everything is computed."""
    if not isinstance(keep_prob, Tensor):
        if drop_scale != 1.0:
            keep_prob = min(max(1.0 - drop_scale * (1.0 - keep_prob), 0.0), 1.0)
        return torch.full((), keep_prob, dtype=wide, device=device)
    keep_prob = keep_prob.to(device, wide)
    if drop_scale != 1.0:  # else it would be rounded on the way there and back
        keep_prob = (1.0 - drop_scale * (1.0 - keep_prob)).clamp(0.0, 1.0)
    return keep_prob
