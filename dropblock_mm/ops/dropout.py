"""Dropout of single units, of channels and of samples: one draw and one product."""

from __future__ import annotations

import torch
from torch import Tensor


def drop_units(
    x: Tensor,
    keep_prob: Tensor | float,
    drop_scale: float = 1.0,
    axes: int | None = None,
    *,
    kept: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Zero what is not kept, and divide the rest by the probability of keeping it.

    Args:
        x: Tensor[N, C, ...], of any floating dtype.
        keep_prob: Probability of keeping, in [0, 1].
        drop_scale: Factor on the drop rate ``1 - keep_prob``.
        axes: How many leading axes have a draw for each index: 1 for samples, 2 for
            channels of samples, None for units.
        kept: BoolTensor that broadcasts to ``x``, to use instead of drawing.
        generator: Source of randomness; the default one of x's device if None.

    Returns:
        tuple[Tensor, Tensor]: Tensor like ``x``, and the number of units kept, a 0-dim
        LongTensor on the device of ``x``.
    """
    probability = _probability(keep_prob, drop_scale, x.device)
    if kept is None:
        axes = x.dim() if axes is None else axes
        shape = (*x.shape[:axes], *[1] * (x.dim() - axes))
        uniform = torch.rand(shape, device=x.device, generator=generator)
        kept = uniform < probability
    # Multiples of 2^-24 are drawn. Nothing kept: zero, not 0 / 0.
    wide = torch.promote_types(x.dtype, torch.float32)
    factor = torch.where(kept, 1.0 / probability.clamp(min=1e-30), 0.0).to(wide)
    count = kept.sum() * (x.numel() // max(kept.numel(), 1))
    return (x * factor).to(x.dtype), count


def _probability(
    keep_prob: Tensor | float, drop_scale: float, device: torch.device
) -> Tensor:
    if not isinstance(keep_prob, Tensor):
        keep_prob = torch.full((), keep_prob, dtype=torch.float32, device=device)
    return (1.0 - drop_scale * (1.0 - keep_prob)).clamp(0.0, 1.0)
