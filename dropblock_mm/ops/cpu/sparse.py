"""DropBlock on the CPU: draw a mask of bits, count it, apply it in one pass.

The usual algorithm draws a random number for every unit, max-pools a mask as large as
the input, and goes over the memory for each step. Here seeds are drawn alone where
they are rare (gamma is .0028 at keep_prob .9 and block 7), or 64 places at a time; a
mask has a bit for a unit; scaling and clearing is one pass over the input. All of it
runs on torch's threads, and backward draws the same mask again instead of keeping it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dropblock_mm.ops.cpu import native, torch_loops
from dropblock_mm.ops.plan import Draw, Plan, draw_host_key

# The two do the same, and draw the same masks from the same key.
loops: Any = native if native.IS_BUILT else torch_loops
add_to: Callable[[Tensor, int], None] = loops.add_to


def drop(
    x: Tensor,
    plan: Plan,
    keep_prob: float | Tensor,
    seeds: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, int]:
    """Drop blocks, as :func:`dropblock_mm.ops.dense.drop` has it, on the CPU.

    Returns:
        tuple[Tensor, int]: Tensor[N, C, *size], ``x`` itself where nothing is to be
        dropped and else a fresh one, and the number of units kept.
    """
    if seeds is not None:
        return drop_drawn(x, Draw.given(plan.geometry, seeds))
    if isinstance(keep_prob, Tensor):
        keep_prob = loops.number_in(keep_prob)
    gamma = plan.gamma(keep_prob)
    if gamma == 0.0:
        return x, x.numel()
    key = draw_host_key(generator)
    return drop_drawn(x, Draw.of(plan.geometry, gamma, key))


def drop_drawn(
    x: Tensor, draw: Draw, factor: float = 0.0, divides: bool = False
) -> tuple[Tensor, int]:
    """Drop what a draw drops, and scale the rest.

    Args:
        x: Tensor[N, C, *size].
        draw: What is dropped.
        factor: What the rest is multiplied by; 0 for ``all / kept`` units.
        divides: Divide by ``factor`` instead; for whole planes alone.

    Returns:
        tuple[Tensor, int]: A fresh Tensor[N, C, *size], and the number of units kept.
    """
    if x.requires_grad and torch.is_grad_enabled():
        return _scale_and_drop(x, draw, factor, divides)
    out, dropped = loops.drop(x, draw, factor, divides)
    return out, x.numel() - dropped


def drop_mask(draw: Draw) -> tuple[Tensor, int]:
    """Return the mask of a draw, and the number of units it keeps.

    Returns:
        tuple[Tensor, int]: BoolTensor[N, C, *size], True where a unit is dropped,
        and a count of the mask's units.
    """
    mask, dropped = loops.draw_mask(draw)
    return mask, draw.geometry.num_units - dropped // draw.geometry.shared_over


class _ScaleAndDrop(torch.autograd.Function):
    """Linear in x, with the mask's diagonal matrix: backward is itself.

    Saved for backward: how to draw the mask again.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, draw: Draw, factor: float, divides: bool
    ) -> tuple[Tensor, int]:
        ctx.how = draw, factor, divides
        if draw.seeds is not None:
            ctx.save_for_backward(draw.seeds)
        out, dropped = loops.drop(x, draw, factor, divides)
        return out, x.numel() - dropped

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: None) -> tuple[Tensor | None, ...]:
        if ctx.how[0].seeds is not None:
            _ = ctx.saved_tensors  # refuses if they were changed
        return drop_drawn(grad, *ctx.how)[0], None, None, None


# What Function.apply itself calls where torch.func transforms nothing, as here.
_scale_and_drop = super(torch.autograd.Function, _ScaleAndDrop).apply
