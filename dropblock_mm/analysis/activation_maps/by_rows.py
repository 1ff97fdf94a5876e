"""Layers whose backward pass leaves out the rows without a gradient.

A two-stage detector brings a thousand regions through its head, and the score of a box
depends on one of them. Going back through all of them costs as much as the way there.
A detector of one stage has a row, an image, for each level of its pyramid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d as plain_conv2d
from torch.nn.functional import linear as plain_linear
from torch.nn.grad import conv2d_input

Layer = Callable[..., Tensor]


class _Linear(torch.autograd.Function):
    """``F.linear`` of Tensor[N, K], by constant weights."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return plain_linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (weight,) = grads, ctx.saved_tensors
        return _by_rows(grad, lambda rows: rows @ weight), None, None


class _Conv2d(torch.autograd.Function):
    """``F.conv2d`` of Tensor[N, C, H, W], by constant weights."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, *how: Any
    ) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.shape, ctx.how = x.shape[1:], how
        return plain_conv2d(x, weight, bias, *how)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (weight,) = grads, ctx.saved_tensors

        def back(rows: Tensor) -> Tensor:
            return conv2d_input((len(rows), *ctx.shape), weight, rows, *ctx.how)

        return _by_rows(grad, back), None, None, *[None] * len(ctx.how)


class _Align(torch.autograd.Function):
    """What is cut out of a map, Tensor[1, C, H, W], for rows of Tensor[N, 5]."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, regions: Tensor, align: Layer) -> Tensor:
        ctx.save_for_backward(features, regions)
        ctx.align = align
        return align(features, regions)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (features, regions) = grads, ctx.saved_tensors
        counts = _counts(grad)
        if not counts.any():
            return torch.zeros_like(features), None, None
        with torch.enable_grad():
            again = ctx.align(features, regions[counts])
        return *torch.autograd.grad(again, [features], grad[counts]), None, None


@contextmanager
def aligned_by_rows(layers: Iterable[nn.Module]) -> Iterator[None]:
    """Have layers that cut regions out of maps go back from those that count.

    Args:
        layers: They take a map and regions, as mmcv's ``RoIAlign`` does.
    """
    changed = list(layers)
    for layer in changed:
        layer.forward = partial(_align, layer.forward)
    try:
        yield
    finally:
        for layer in changed:
            del layer.forward  # its own, in front of the class's


def _align(align: Layer, features: Tensor, regions: Tensor) -> Tensor:
    if features.requires_grad:
        # A box has no gradient to where its region is; not detach, as in Watched.
        with torch.no_grad():
            regions = regions.clone()
        return _Align.apply(features, regions, align)
    return align(features, regions)


def _by_rows(grad: Tensor, back: Callable[[Tensor], Tensor]) -> Tensor:
    """Bring the rows that have a gradient through a layer.

    Args:
        grad: Tensor[N, ...], of the layer's output.
        back: Returns the gradient of the layer's input, row by row.
    """
    counts = _counts(grad)
    if counts.all():
        return back(grad)
    part = back(grad[counts])
    whole = part.new_zeros((len(grad), *part.shape[1:]))
    whole[counts] = part
    return whole


def _counts(grad: Tensor) -> Tensor:
    """Return BoolTensor[N]: what is not 0, and not finite numbers, to be seen later."""
    return (grad != 0).flatten(1).any(dim=1)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Do as ``F.linear``."""
    if _has_rows(x, 2, weight, bias):
        return _Linear.apply(x, weight, bias)
    return plain_linear(x, weight, bias)


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Do as ``F.conv2d``."""
    how = (stride, padding, dilation, groups)
    if _has_rows(x, 4, weight, bias) and not isinstance(padding, str):
        return _Conv2d.apply(x, weight, bias, *how)
    return plain_conv2d(x, weight, bias, *how)


def _has_rows(x: Tensor, dims: int, weight: Tensor, bias: Tensor | None) -> bool:
    constant = not any(t.requires_grad for t in (weight, bias) if t is not None)
    return x.dim() == dims and x.requires_grad and constant


# By the functions that modules call.
BY_ROWS: dict[Any, Layer] = {plain_linear: linear, plain_conv2d: conv2d}
