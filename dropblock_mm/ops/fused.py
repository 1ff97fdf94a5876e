"""DropBlock on CUDA devices: Triton kernels in an autograd function.

Forward sets a counter, counts and applies, in three launches; backward is one. Each
kernel draws the mask anew from the same key, so nothing as large as the input is
written but the output.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

# Triton's code generator needs tensor cores' generation or later.
_OLDEST_CAPABILITY = (7, 0)

MaskShape = tuple[int, int, int, int]
Block = tuple[int, int]


@torch.compiler.assume_constant_result  # compilers ask, and need not look inside
def is_available(device: torch.device) -> bool:
    """Tell whether the kernels run on a device: CUDA or ROCm, with Triton."""
    return _runs_on(device)


@lru_cache(maxsize=64)
def _runs_on(device: torch.device) -> bool:
    if device.type != 'cuda' or importlib.util.find_spec('triton') is None:
        return False
    if torch.version.hip is not None:
        return True
    return torch.cuda.get_device_capability(device) >= _OLDEST_CAPABILITY


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
    from dropblock_mm.ops import triton_kernels

    mask_kept = triton_kernels.count_kept(gamma, key, mask_shape, block, seeds)
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
        from dropblock_mm.ops import triton_kernels

        ctx.save_for_backward(gamma, key, mask_kept, seeds)
        ctx.mask_shape, ctx.block = mask_shape, block
        return triton_kernels.scale_and_drop(
            x, gamma, key, mask_kept, mask_shape, block, seeds
        )

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        gamma, key, mask_kept, seeds = ctx.saved_tensors
        grad = _ScaleAndDrop.apply(
            grad, gamma, key, mask_kept, ctx.mask_shape, ctx.block, seeds
        )
        return grad, None, None, None, None, None, None
