"""The way back through a segmentor's head, from the cells that have a gradient.

The logits of a region's pixels are sums of few cells, or of every second row and column
of them. Autograd alone goes back through all, and keeps what only training would need.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from dropblock_mm.analysis.activation_maps.convolutions import Conv2dWhereItCounts

_LOW = 64  # rows of a map, above which products with matrices are no gain


class _Norm(torch.autograd.Function):
    """``F.batch_norm`` by constants. Torch keeps what went in, to train the weights."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        mean: Tensor,
        var: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
    ) -> Tensor:
        ctx.save_for_backward(var, weight)
        ctx.eps = eps
        return functional.batch_norm(x, mean, var, weight, bias, eps=eps)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (var, weight) = grads, ctx.saved_tensors
        factor = (var + ctx.eps).rsqrt()
        if weight is not None:
            factor = factor * weight
        return grad * factor.view(1, -1, *[1] * (grad.dim() - 2)), *[None] * 5


class WhereItCounts(TorchFunctionMode):
    """Has convolutions led back from the cells that have a gradient, and norms cheaply.

    They are a box around a region, say, or every second row and column of it.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.conv2d and not kwargs and _by_constants(*args):
            return Conv2dWhereItCounts.apply(*args)
        if func is functional.batch_norm and _norms_by_constants(*args, **kwargs):
            how = (kwargs[key] for key in ('weight', 'bias', 'eps'))
            return _Norm.apply(*args, *how)
        if func is functional.interpolate and _is_low_map(*args, **kwargs):
            return _resized(*args, **kwargs)
        return func(*args, **kwargs)


def _by_constants(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *how: Any
) -> bool:
    """Whether a module's convolution is of Tensor[N, C, H, W] by fixed weights."""
    learns = any(t is not None and t.requires_grad for t in (weight, bias))
    known = len(how) == 4 and all(isinstance(value, tuple) for value in how[:3])
    return x.dim() == 4 and x.requires_grad and not learns and known


def _norms_by_constants(
    x: Tensor,
    mean: Tensor | None,
    var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    **how: Any,
) -> bool:
    """Whether a norm is by fixed statistics and weights. Torch passes all by name."""
    learns = any(t is not None and t.requires_grad for t in (weight, bias))
    return x.requires_grad and mean is not None and not training and not learns


def _is_low_map(
    x: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = 'nearest',
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> bool:
    """Whether a map is resized by sums of neighbours, and has few rows."""
    plain = mode == 'bilinear' and scale_factor is None and not antialias
    exact = x.dtype in (torch.float32, torch.float64)
    if not (plain and exact and x.dim() == 4 and x.requires_grad and x.is_cpu):
        return False
    height, width = x.shape[2:]
    down = size if isinstance(size, int) else size[0]
    return height * (1 + width / down) <= _LOW


def _resized(
    x: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = 'nearest',
    align_corners: bool | None = None,
    **_: Any,
) -> Tensor:
    """``F.interpolate`` by two products, which torch is quicker at in both ways."""
    sides = (size, size) if isinstance(size, int) else size
    down, across = (
        functional.interpolate(
            torch.eye(length, dtype=x.dtype)[None],
            int(side),
            mode='linear',
            align_corners=align_corners,
        )[0]
        for length, side in zip(x.shape[2:], sides, strict=True)
    )
    return down.t() @ (x @ across)


def on_grid(shares: Tensor, step: int) -> Tensor:
    """Move numbers, Tensor[1, 1, H, W], to every ``step``-th row and column."""
    moved = torch.zeros_like(shares)
    moved[:, :, ::step, ::step] = functional.avg_pool2d(
        shares, step, ceil_mode=True, divisor_override=1
    )
    return moved
