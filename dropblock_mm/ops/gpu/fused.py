"""DropBlock on CUDA devices: Triton kernels in an autograd function.

Forward sets a counter, counts and applies, in three launches; backward is one. Each
kernel draws the mask anew from the same key, so nothing as large as the input is
written but the output.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from dropblock_mm.ops.plan import Plan, draw_key
from dropblock_mm.ops.torch_private import constant_for_compilers, without_modes

# Triton's code generator needs tensor cores' generation or later.
_OLDEST_CAPABILITY = (7, 0)

MaskShape = tuple[int, int, int, int]
Block = tuple[int, int]


@constant_for_compilers  # compilers ask, and need not look inside
def is_available(device: torch.device) -> bool:
    """Tell whether the kernels run on a device: CUDA or ROCm, with Triton."""
    return not why_not(device)


@lru_cache(maxsize=64)
def why_not(device: torch.device) -> str:
    """Say why the kernels do not run on a device; nothing where they do."""
    if device.type != 'cuda':
        return 'the fast path is for the CPU and for CUDA'
    if not torch.cuda.is_available():  # a fake tensor's device need not exist
        return 'there is no CUDA device'
    if importlib.util.find_spec('triton') is None:
        return 'the package triton is missing, which comes with torch for CUDA'
    capability = torch.cuda.get_device_capability(device)
    if torch.version.hip is None and capability < _OLDEST_CAPABILITY:
        return f'compute capability {capability} is below {_OLDEST_CAPABILITY}'
    return _failure(device)


def _failure(device: torch.device) -> str:
    """Launch both kernels on one unit; say what went wrong, or nothing.

    Triton compiles when it launches, and then misses what it needs for that: a C
    compiler, Python's headers, a driver of its own generation.
    """
    try:
        from dropblock_mm.ops.gpu import kernels

        with without_modes():  # kernels cannot read fake tensors
            x = torch.ones(1, 1, 1, 1, device=device)
            gamma = torch.zeros((), device=device)
            key = torch.zeros((), dtype=torch.int64, device=device)
            kept = kernels.count_kept(gamma, key, (1, 1, 1, 1), (1, 1))
            kernels.scale_and_drop(x, gamma, key, kept, (1, 1, 1, 1), (1, 1))
    except Exception as error:  # compilers raise what they like
        return f'Triton fails ({type(error).__name__}: {error})'.split('\n')[0]
    return ''


def drop(
    x: Tensor,
    plan: Plan,
    keep_prob: float | Tensor,
    seeds: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Drop blocks, as :func:`dropblock_mm.ops.dense.drop` has it, by the kernels.

    ``x`` may have two sides at most.
    """
    gamma = plan.device_gamma(keep_prob, x.device)
    key = draw_key(x.device, generator)
    shape, block = as_map(plan.geometry.shape, plan.geometry.block)
    if x.dim() == 4:
        return drop_units(x, gamma, key, shape, block, seeds)
    seeds = None if seeds is None else seeds.unsqueeze(2)
    out, kept = drop_units(x.unsqueeze(2), gamma, key, shape, block, seeds)
    return out.squeeze(2), kept


def as_map(shape: Sequence[int], block: Sequence[int]) -> tuple[MaskShape, Block]:
    """Return (N, C, H, W) and a block's height and width, of a map or a line."""
    images, channels, *size = shape
    height, width = size if len(size) == 2 else (1, *size)
    block_height, block_width = block if len(block) == 2 else (1, *block)
    return (images, channels, height, width), (block_height, block_width)


def drop_units(
    x: Tensor,
    gamma: Tensor,
    key: Tensor,
    mask_shape: MaskShape,
    block: Block,
    seeds: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw a mask, zero the units it drops and normalise by count.

    Args:
        x: Tensor[N, C, H, W].
        gamma: Tensor[], the probability of a seed, in [0, 1].
        key: LongTensor[], the seed of the random numbers.
        mask_shape: (N, C, H, W) of the mask; C is 1 for a shared mask.
        block: Height and width of a block, at most those of the map.
        seeds: BoolTensor[N, C, H - bh + 1, W - bw + 1] to use instead of drawing.

    Returns:
        tuple[Tensor, Tensor]: Tensor[N, C, H, W] and the number of units kept, a
        0-dim LongTensor, both on the device of ``x``.
    """
    from dropblock_mm.ops.gpu import kernels

    mask_kept = kernels.count_kept(gamma, key, mask_shape, block, seeds)
    out = _ScaleAndDrop.apply(x, gamma, key, mask_kept, mask_shape, block, seeds)
    shared_over = x.shape[1] // mask_shape[1]
    return out, mask_kept if shared_over == 1 else mask_kept * shared_over


class _ScaleAndDrop(torch.autograd.Function):
    """Linear in x, with the mask's diagonal matrix: backward is itself."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gamma: Tensor,
        key: Tensor,
        mask_kept: Tensor,
        mask_shape: MaskShape,
        block: Block,
        seeds: Tensor | None,
    ) -> Tensor:
        from dropblock_mm.ops.gpu import kernels

        ctx.save_for_backward(gamma, key, mask_kept, seeds)
        ctx.mask_shape, ctx.block = mask_shape, block
        return kernels.scale_and_drop(
            x, gamma, key, mask_kept, mask_shape, block, seeds
        )

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        gamma, key, mask_kept, seeds = ctx.saved_tensors
        grad = _ScaleAndDrop.apply(
            grad, gamma, key, mask_kept, ctx.mask_shape, ctx.block, seeds
        )
        return grad, None, None, None, None, None, None
