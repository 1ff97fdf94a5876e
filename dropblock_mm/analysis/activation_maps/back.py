"""The way back from a score, past what the score does not depend on.

A box's score comes from one of a thousand regions, and from one level of a pyramid.
Autograd alone goes back through all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


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
