"""DropBlock on the CPU: draw a mask of bits, count it, apply it in one pass.

The usual algorithm draws a random number for every unit, max-pools a mask as large as
the input, and goes over the memory for each step. Here seeds are drawn alone where
they are rare (gamma is .0028 at keep_prob .9 and block 7), or 64 places at a time; a
mask has a bit for a unit; scaling and clearing is one pass over the input. All of it
runs on torch's threads. Backward takes the bits that forward drew while they are still
in the memory that a process has for masks, and else draws the same ones again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dropblock_mm.ops.cpu import native, torch_loops
from dropblock_mm.ops.plan import (
    BlockGeometry,
    Draw,
    Plan,
    Recipe,
    recipe_of,
)
from dropblock_mm.ops.torch_private import has_dual_tensors, has_memory

# Whether C does it, where it can; tensor operations draw the same from the same key.
in_c = native.IS_BUILT

_loops: Any = native.loops
# What the loops know, by the number it has there.
DTYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2, torch.float16: 3}
_CONTIGUOUS, _CHANNELS_LAST = torch.contiguous_format, torch.channels_last
_SINGLE, _WHOLE = torch.float32, torch.int64
# Looked up once: torch's modules are large, and left the caches since the last call.
_empty_like, _num_threads = torch.empty_like, torch.get_num_threads
_is_grad_enabled = torch.is_grad_enabled
Steps = tuple[int, int, int]
ONCE, KEEP, AGAIN = range(3)  # the uses of a mask, as in kept.h


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
        keep_prob = number_in(keep_prob)
    return drop_by(recipe_of(plan, keep_prob), x, generator)


def drop_by(
    recipe: Recipe, x: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, int]:
    """Do :func:`drop` as a recipe for such an input says."""
    if recipe.share == 0.0:
        return x, x.numel()
    return drop_drawn(x, recipe.draw(generator))


def drop_drawn(x: Tensor, draw: Draw) -> tuple[Tensor, int]:
    """Drop what a draw drops, and scale the rest.

    Args:
        x: Tensor[N, C, *size].
        draw: What is dropped.

    Returns:
        tuple[Tensor, int]: A fresh Tensor[N, C, *size], and the number of units kept.
    """
    if x.requires_grad and _is_grad_enabled():
        return _scale_and_drop(x, draw)
    out, dropped = scale_and_clear(x, draw)
    return out, x.numel() - dropped


def drop_mask(
    draw: Draw,
    use: int = ONCE,
    channels_last: bool = False,
    dtype: torch.dtype = torch.bool,
) -> tuple[Tensor, int]:
    """Return the mask of a draw, and the number of units it keeps.

    Args:
        draw: What is dropped.
        use: See :func:`scale_and_clear`.
        channels_last: Let the channels of a map lie behind each other.
        dtype: ``bool``, or ``uint8`` for bytes of 0 and 1.

    Returns:
        tuple[Tensor, int]: Tensor[N, C, *size], True where a unit is dropped, and a
        count of the mask's units.
    """
    mask, dropped = draw_mask(draw, use, channels_last, dtype)
    return mask, draw.geometry.num_units - dropped // draw.geometry.shared_over


class _ScaleAndDrop(torch.autograd.Function):
    """Linear in x, with the mask's diagonal matrix: backward is itself.

    Saved for backward: how to draw the mask again.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, draw: Draw) -> tuple[Tensor, int]:
        ctx.draw = draw
        if draw.seeds is not None:
            ctx.save_for_backward(draw.seeds)
        out, dropped = scale_and_clear(x, draw, KEEP)
        return out, x.numel() - dropped

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: None) -> tuple[Tensor, None]:
        draw = ctx.draw
        if draw.seeds is not None:
            _ = ctx.saved_tensors  # refuses if they were changed
        # torch.autograd may have a batch of gradients at once, or one with a tangent.
        if not has_memory(grad) or has_dual_tensors():
            return _clear_by_mask(grad, draw)[0], None
        if grad.requires_grad and _is_grad_enabled():
            return drop_drawn(grad, draw)[0], None
        return scale_and_clear(grad, draw, AGAIN)[0], None


# What Function.apply itself calls where torch.func transforms nothing, as here.
_scale_and_drop = super(torch.autograd.Function, _ScaleAndDrop).apply


# ---- the loops: in C, or as tensor operations


def number_in(rate: Tensor) -> float:
    """Return the number in Tensor[] on the CPU."""
    if in_c and type(rate) is Tensor and rate.dtype is _SINGLE and rate.is_cpu:
        return _loops.float_at(rate.data_ptr())
    return float(rate)


def add_to_both(one: Tensor, number: int, other: Tensor, more: int) -> None:
    """Add to two counts, LongTensor[], which nothing follows, in place."""
    is_plain = type(one) is type(other) is Tensor and one.is_cpu and other.is_cpu
    if in_c and is_plain and one.dtype is other.dtype is _WHOLE:
        _loops.add_at(one.data_ptr(), number, other.data_ptr(), more)
    else:
        one.add_(number)
        other.add_(more)


def scale_and_clear(x: Tensor, draw: Draw, use: int = ONCE) -> tuple[Tensor, int]:
    """Do :func:`drop_drawn`, which differentiates it, and count what is dropped.

    Args:
        x: Tensor[N, C, *size].
        draw: What is dropped.
        use: Of the mask: once, or it is kept as long as there is room, or it may be
            one that was kept.

    Returns:
        tuple[Tensor, int]: A fresh tensor like ``x``, and the number of its units that
        were dropped.
    """
    dtype = DTYPES.get(x.dtype)
    # One of torch's views is the negative of what its memory holds.
    if not in_c or dtype is None or x.is_neg():
        return _clear_by_mask(x, draw)
    recipe, key, seeds = draw
    if x.is_contiguous():  # as of a product, also where sides of 1 have any stride
        out, steps = _empty_like(x, memory_format=_CONTIGUOUS), None
    elif x.dim() == 4 and x.is_contiguous(memory_format=_CHANNELS_LAST):
        out = _empty_like(x, memory_format=_CHANNELS_LAST)
        steps = recipe.geometry.steps_channels_last
    else:
        found = _layout_for(x, recipe.geometry)
        if found is None:
            return _clear_by_mask(x, draw)
        x, out, steps = found
    dropped = _loops.drop(
        recipe.packs.get((dtype, steps)) or recipe.pack(dtype, steps),
        key,
        0 if seeds is None else seeds.data_ptr(),
        out.data_ptr(),
        x.data_ptr(),
        use,
        _num_threads(),
    )
    return out, dropped


def draw_mask(
    draw: Draw,
    use: int = ONCE,
    channels_last: bool = False,
    dtype: torch.dtype = torch.bool,
) -> tuple[Tensor, int]:
    """See :func:`dropblock_mm.ops.cpu.torch_loops.draw_mask`."""
    layout = _CHANNELS_LAST if channels_last else _CONTIGUOUS
    if not in_c:
        mask, dropped = torch_loops.draw_mask(draw)
        return mask.contiguous(memory_format=layout).view(dtype), dropped
    geometry = draw.geometry.of_mask
    mask = torch.empty(geometry.shape, dtype=dtype, device='cpu', memory_format=layout)
    dropped = _loops.draw(
        geometry.packed_layout,
        draw.way,
        draw.key,
        draw.share,
        0 if draw.seeds is None else draw.seeds.data_ptr(),
        mask.data_ptr(),
        channels_last,
        use,
        _num_threads(),
    )
    return mask, dropped * draw.geometry.shared_over


def _clear_by_mask(x: Tensor, draw: Draw) -> tuple[Tensor, int]:
    (mask, dropped), recipe = draw_mask(draw), draw.recipe
    return torch_loops.apply(x, mask, dropped, recipe.factor, recipe.divides), dropped


def _layout_for(
    x: Tensor, geometry: BlockGeometry
) -> tuple[Tensor, Tensor, tuple[int, ...]] | None:
    """Return an input, an output and their steps, where the loops can follow them."""
    steps = _steps_of(x, geometry)
    if steps is None:
        x = x.clone()  # torch's own order of dimensions, without gaps
        steps = _steps_of(x, geometry)
    if steps is None:
        return None
    out = torch.empty_like(x)
    out_steps = _steps_of(out, geometry)
    if out_steps is None or not _fit(steps, out_steps):
        x = torch.empty_like(out).copy_(x)  # channels behind each other, as in `out`
        return _layout_for(x, geometry)
    return x, out, (*out_steps, *steps)


def _steps_of(x: Tensor, geometry: BlockGeometry) -> Steps | None:
    """Return strides of image, channel and unit, where the loops can follow them.

    Returns:
        Steps | None: None where the units of a plane have no common stride, or nothing
        lies behind each other.
    """
    if x.is_contiguous():
        return geometry.steps_of_input
    image, channel, *inner = x.stride()
    step, expected = 1, 0
    for length, stride in zip(reversed(x.shape[2:]), reversed(inner), strict=True):
        if length == 1:
            continue
        if expected == 0:
            step = stride
        elif stride != expected:
            return None
        expected = stride * length
    return (image, channel, step) if 1 in (channel, step) else None


def _fit(one: Steps, other: Steps) -> bool:
    """Tell whether units lie behind each other in both tensors, or channels do."""
    return one[2] == other[2] == 1 or one[1] == other[1] == 1
