"""The way back through a segmentor's head, from the cells that have a gradient.

The logits of a region's pixels are sums of few cells, or of every second row and column
of them. Autograd alone goes back through all, and keeps what only training would need.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_input
from torch.overrides import TorchFunctionMode

_FEW = 64  # cells, for which moving the weights would cost more than multiplying them
_AT_ONCE = 512  # channels, whose weights a cache still holds


class _Conv2d(torch.autograd.Function):
    """``F.conv2d`` by constant weights, gone back through where there is a gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, *how: Any) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.shape, ctx.how = x.shape, how
        bias, stride, padding, dilation, groups = how
        dilation = _for_onednn(x, weight, dilation)
        return functional.conv2d(x, weight, bias, stride, padding, dilation, groups)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (weight,) = grads, ctx.saved_tensors
        nothing = [None] * (1 + len(ctx.how))
        cells = grad.abs().sum(dim=(0, 1)) != 0  # and not finite numbers, seen later
        if not cells.any():
            return None, *nothing
        _, strides, paddings, dilations, groups = ctx.how
        grids = [_grid(cells.any(dim=1)), _grid(cells.any(dim=0))]
        part = grad[:, :, grids[0], grids[1]]
        axes = [
            _axis(*of_axis)
            for of_axis in zip(
                grids,
                part.shape[2:],
                ctx.shape[2:],
                weight.shape[2:],
                strides,
                paddings,
                dilations,
                strict=True,
            )
        ]
        found = _led_back(part, weight, axes, dilations, groups)
        return _in_place(found, axes, ctx.shape), *nothing


def _for_onednn(x: Tensor, weight: Tensor, dilations: Any) -> Any:
    """Return dilations of the same convolution, with which torch takes oneDNN for it.

    On one thread of a CPU it takes a slower one for kernels of one cell.
    They have no neighbours to be dilated from.
    """
    return (2, 2) if weight.shape[2:] == (1, 1) and x.is_cpu else dilations


def _grid(cells: Tensor) -> slice:
    """Return the evenly spaced places that hold all of BoolTensor[L] which are True."""
    where = cells.nonzero().flatten().tolist()
    step = math.gcd(*(place - where[0] for place in where)) or 1
    return slice(where[0], where[-1] + 1, step)


class _Axis(NamedTuple):
    """What a part of a gradient was computed from, along an axis: a convolution's x.

    Args:
        step: From one cell of the part to the next.
        padding: Of it, at both ends.
        length: Of it, without the padding.
        before: Cells in front of it; if negative, its first ones are none of x.
    """

    step: int
    padding: int
    length: int
    before: int


def _axis(
    grid: slice,
    number: int,
    whole: int,
    kernel: int,
    stride: int,
    padding: int,
    dilation: int,
) -> _Axis:
    step = stride * grid.step
    reach = step * (number - 1) + dilation * (kernel - 1) + 1
    start = grid.start * stride - padding
    # Padding is left out at both ends, and a step has room for some cells more. What is
    # of x's own length at once need not be copied. But no cell of it may be left out.
    beyond = max(start + reach - whole, 0)
    around = min(max(-start, 0), (reach - 1) // 2, beyond + step - 1)
    before = start + around
    shortest = reach - 2 * around
    length = min(max(whole - before, shortest), shortest + step - 1)
    return _Axis(step, around, length, before)


def _led_back(
    part: Tensor, weight: Tensor, axes: list[_Axis], dilations: Any, groups: int
) -> Tensor:
    """Return the gradient of what ``part`` is the gradient of the convolution of.

    ``conv2d_input`` does it always. The others give the same in less time.
    """
    steps, paddings, lengths = zip(*(axis[:3] for axis in axes), strict=True)
    kernel, channels = weight.shape[2:], weight.shape[1] * groups
    cells = math.prod(part.shape[2:])
    if groups == len(part) == 1 and (max(steps) > 1 or cells <= _FEW):
        columns = weight.flatten(1).t() @ part.reshape(len(weight), cells)
        return functional.fold(
            columns[None], lengths, kernel, dilations, paddings, steps
        )
    even = max(steps) == 1
    if even and groups == 1 and kernel == (1, 1) and not any(paddings):
        dilations = _for_onednn(part, weight, dilations)
        return functional.conv2d(part, weight.transpose(0, 1), dilation=dilations)
    turned = [
        dilation * (length - 1) - padding
        for dilation, length, padding in zip(dilations, kernel, paddings, strict=True)
    ]
    if even and groups == channels == len(weight) and min(turned) >= 0:
        return functional.conv2d(
            part, weight.flip(2, 3), None, 1, turned, dilations, groups
        )
    found = [
        conv2d_input(
            (len(part), some.shape[1] * groups, *lengths),
            some,
            part,
            steps,
            paddings,
            dilations,
            groups,
        )
        for some in (weight.split(_AT_ONCE, dim=1) if groups == 1 else [weight])
    ]
    return found[0] if len(found) == 1 else torch.cat(found, dim=1)


def _in_place(found: Tensor, axes: list[_Axis], shape: torch.Size) -> Tensor:
    """Put what was found for a part of a map where it belongs, and 0 elsewhere."""
    if found.shape == shape and not any(axis.before for axis in axes):
        return found
    whole = found.new_zeros(shape)
    here, there = [], []
    for axis, length in zip(axes, shape[2:], strict=True):
        start = min(max(axis.before, 0), length)
        stop = max(min(axis.before + axis.length, length), start)
        here.append(slice(start, stop))
        there.append(slice(start - axis.before, stop - axis.before))
    whole[:, :, here[0], here[1]] = found[:, :, there[0], there[1]]
    return whole


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
            return _Conv2d.apply(*args)
        if func is functional.batch_norm and _norms_by_constants(*args, **kwargs):
            how = (kwargs[key] for key in ('weight', 'bias', 'eps'))
            return _Norm.apply(*args, *how)
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


def on_grid(shares: Tensor, step: int) -> Tensor:
    """Move numbers, Tensor[1, 1, H, W], to every ``step``-th row and column."""
    moved = torch.zeros_like(shares)
    moved[:, :, ::step, ::step] = functional.avg_pool2d(
        shares, step, ceil_mode=True, divisor_override=1
    )
    return moved
