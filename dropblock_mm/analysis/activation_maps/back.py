"""The way back from a score, past what the score does not depend on.

A box's score comes from one of a thousand regions, and from one level of a pyramid; the
logits of a region's pixels are sums of few cells. Autograd alone goes back through all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_input
from torch.overrides import TorchFunctionMode


class _UnlessZero(torch.autograd.Function):
    """What is there, whose gradient stops where it is 0 everywhere."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor | None:
        (grad,) = grads
        return grad if grad.any() else None


def stop_at_zero(module: nn.Module, inputs: Any, output: Any) -> Any:
    """Forward hook: do not go back through parts of an output with a gradient of 0."""
    if isinstance(output, (tuple, list)):
        return type(output)(stop_at_zero(module, inputs, part) for part in output)
    if isinstance(output, Tensor) and output.requires_grad:
        return _UnlessZero.apply(output)
    return output


class _Again(torch.autograd.Function):
    """A pass without a graph; the rows that count pass again on the way back."""

    @staticmethod
    def forward(ctx: Any, part: Callable[..., Any], whole: int, *inputs: Tensor) -> Any:
        ctx.part, ctx.whole = part, whole
        ctx.save_for_backward(*inputs)
        return part(*inputs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        whole, rows = ctx.saved_tensors[: ctx.whole], ctx.saved_tensors[ctx.whole :]
        known = [grad for grad in grads if grad is not None]  # a head may give None
        counts = torch.stack([g.flatten(1).any(dim=1) for g in known]).any(dim=0)
        if not counts.any():
            return None, None, *[None] * len(ctx.saved_tensors)
        with torch.enable_grad():
            chosen = [row[counts] for row in rows]
            again = ctx.part(*whole, *chosen)
        several = again if isinstance(again, tuple) else (again,)
        outputs = [out for out in several if out is not None]
        wanted = [x for x in (*whole, *chosen) if x.requires_grad]
        found = iter(
            torch.autograd.grad(
                outputs, wanted, [g[counts] for g in known], allow_unused=True
            )
        )
        of_whole = [next(found) if x.requires_grad else None for x in whole]
        of_rows = [
            _spread(next(found), counts) if x.requires_grad else None for x in rows
        ]
        return None, None, *of_whole, *of_rows


def _spread(part: Tensor | None, counts: Tensor) -> Tensor | None:
    """Return the gradient of all rows, given that of those that count."""
    if part is None:
        return None
    gradient = part.new_zeros((len(counts), *part.shape[1:]))
    gradient[counts] = part
    return gradient


@contextmanager
def region_by_region(
    heads: Iterable[nn.Module], extractors: Iterable[nn.Module]
) -> Iterator[None]:
    """Have a second stage gone back through for the regions that count.

    Args:
        heads: They take and give rows, one for each region, that do not mix.
        extractors: They take the maps, tuple of Tensor[1, C, H, W], and the regions,
            Tensor[N, 5], and give a row for each.
    """
    changed: list[nn.Module] = []
    try:
        for head in heads:
            head.forward = partial(_Again.apply, head.forward, 0)
            changed.append(head)
        for extractor in extractors:
            extractor.forward = partial(_extract, extractor.forward)
            changed.append(extractor)
        yield
    finally:
        for module in changed:
            del module.forward  # its own, in front of the class's


def _extract(
    extract: Callable[..., Tensor],
    maps: Iterable[Tensor],
    regions: Tensor,
    *more: Any,
    **named: Any,
) -> Tensor:
    whole = tuple(maps)
    with torch.no_grad():  # a box has no gradient to where its region is
        regions = regions.clone()

    def part(*inputs: Tensor) -> Tensor:
        return extract(inputs[:-1], inputs[-1], *more, **named)

    return _Again.apply(part, len(whole), *whole, regions)


class _Conv2d(torch.autograd.Function):
    """``F.conv2d`` by constant weights, gone back through where there is a gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, *how: Any) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.shape, ctx.how = x.shape, how
        return functional.conv2d(x, weight, *how)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (weight,) = grads, ctx.saved_tensors
        nothing = [None] * (1 + len(ctx.how))
        cells = grad.abs().sum(dim=(0, 1)) != 0  # and not finite numbers, seen later
        if not cells.any():
            return None, *nothing
        _, strides, paddings, dilations, groups = ctx.how
        grids = [_grid(cells.any(dim=1)), _grid(cells.any(dim=0))]
        rows, columns = grids
        part = grad[:, :, rows, columns]
        steps = [s * grid.step for s, grid in zip(strides, grids, strict=True)]
        # What the part was computed from: its size, and where its corner lies.
        sizes = [
            step * (number - 1) + dilation * (kernel - 1) + 1
            for step, number, dilation, kernel in zip(
                steps, part.shape[2:], dilations, weight.shape[2:], strict=True
            )
        ]
        if math.prod(sizes) >= math.prod(ctx.shape[2:]):  # most of it padding
            more = strides, paddings, dilations, groups
            return conv2d_input(ctx.shape, weight, grad, *more), *nothing
        shape = (*ctx.shape[:2], *sizes)
        found = conv2d_input(shape, weight, part, steps, 0, dilations, groups)
        around = []  # cells before and behind; pad wants the last axis first
        for axis in (1, 0):
            before = grids[axis].start * strides[axis] - paddings[axis]
            around += [before, ctx.shape[2 + axis] - sizes[axis] - before]
        return functional.pad(found, around), *nothing


def _grid(cells: Tensor) -> slice:
    """Return the evenly spaced places that hold all of BoolTensor[L] which are True."""
    where = cells.nonzero().flatten().tolist()
    step = math.gcd(*(place - where[0] for place in where)) or 1
    return slice(where[0], where[-1] + 1, step)


class WhereItCounts(TorchFunctionMode):
    """Has convolutions led back from the cells that have a gradient.

    They are a box around a region, say, or every second row and column of it.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is functional.conv2d and not kwargs and _by_constants(*args):
            return _Conv2d.apply(*args)
        return func(*args, **(kwargs or {}))


def _by_constants(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *how: Any
) -> bool:
    """Whether a module's convolution is of Tensor[N, C, H, W] by fixed weights."""
    learns = any(t is not None and t.requires_grad for t in (weight, bias))
    known = len(how) == 4 and all(isinstance(value, tuple) for value in how[:3])
    return x.dim() == 4 and x.requires_grad and not learns and known


def on_grid(shares: Tensor, step: int) -> Tensor:
    """Move numbers, Tensor[1, 1, H, W], to every ``step``-th row and column."""
    moved = torch.zeros_like(shares)
    moved[:, :, ::step, ::step] = functional.avg_pool2d(
        shares, step, ceil_mode=True, divisor_override=1
    )
    return moved
