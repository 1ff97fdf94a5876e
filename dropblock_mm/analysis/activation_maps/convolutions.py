"""A convolution by fixed weights, led back from the cells that have a gradient."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_input

_FEW = 64  # cells, for which moving the weights would cost more than multiplying them
_MANY = 1 << 20  # weights, that is
_AT_ONCE = 512  # channels, whose weights a cache still holds


class Conv2dWhereItCounts(torch.autograd.Function):
    """``F.conv2d`` by constant weights, gone back through where there is a gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, *how: Any) -> Tensor:
        """Return Tensor[N, O, H', W'], given how: bias, stride, padding and so on."""
        ctx.save_for_backward(weight)
        ctx.shape, ctx.how = x.shape, how
        bias, stride, padding, dilation, groups = how
        if _few_for_many(x, weight, groups):
            return _product(x, weight, bias, stride, padding, dilation)
        dilation = _for_onednn(x, weight, dilation)
        return functional.conv2d(x, weight, bias, stride, padding, dilation, groups)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of the input alone, None if there is none."""
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


def _few_for_many(x: Tensor, weight: Tensor, groups: int) -> bool:
    """Whether a convolution is of one small map by weights that a cache does not hold.

    On a CPU it takes twice the time of the product that it is.
    """
    small = len(x) == groups == 1 and math.prod(x.shape[2:]) <= _FEW
    return small and x.is_cpu and weight.numel() > _MANY


def _product(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, far: Any
) -> Tensor:
    kernel = weight.shape[2:]
    columns = functional.unfold(x, kernel, far, padding, stride)[0]
    found = weight.flatten(1) @ columns
    if bias is not None:
        found += bias[:, None]
    size = [
        (length + 2 * pad - gap * (width - 1) - 1) // step + 1
        for length, width, step, pad, gap in zip(
            x.shape[2:], kernel, stride, padding, far, strict=True
        )
    ]
    return found.view(1, -1, *size)


def _columns(weight: Tensor, part: Tensor) -> Tensor:
    """Return the product of Tensor[O, C * K] turned, and Tensor[O, L].

    oneDNN has it as a convolution of the weights by the part.
    """
    flat = weight.flatten(1)
    if not part.is_cpu or part.shape[1] <= _FEW:
        return flat.t() @ part
    pixels, kernels = flat[None, :, None], part.t()[:, :, None, None]
    return functional.conv2d(pixels, kernels, dilation=(2, 2))[0, :, 0].t()


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
        columns = _columns(weight, part.reshape(len(weight), cells))
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
