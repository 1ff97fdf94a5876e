"""DropBlock as compilers see it: one opaque operator and plain tensor arithmetic.

``dropblock_mm::drop_mask`` draws the mask, in bytes, and hides how, so that a graph
neither breaks on the number of seeds nor recompiles while the rate changes. Applying
the mask is ordinary arithmetic, which Inductor fuses with the layers around it.

The operator is a pure function of a key, which torch's own random numbers give.
Checkpointing and graph transformations know how to treat those, and backward
draws the same mask again instead of keeping it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from dropblock_mm.ops import dense
from dropblock_mm.ops.calibration import solve_gamma_on_device
from dropblock_mm.ops.cpu import operators, sparse
from dropblock_mm.ops.gpu import fused
from dropblock_mm.ops.plan import BlockGeometry, Draw, Plan, draw_key
from dropblock_mm.ops.rates import solve_gamma
from dropblock_mm.ops.torch_private import is_exporting

_LIBRARY = torch.library.Library('dropblock_mm', 'DEF')
_ARGUMENTS = (
    '(Tensor gamma, Tensor key, SymInt[] shape, SymInt[] block, bool channels_last)'
)
_LIBRARY.define(f'drop_mask{_ARGUMENTS} -> (Tensor, Tensor)')
# A compiler merges equal calls of one operator. Under a name of its own backward's
# call stays where it is, and no mask is kept from forward to backward.
_LIBRARY.define(f'drop_mask_again{_ARGUMENTS} -> Tensor')
_LIBRARY.define(
    'solve_gamma(Tensor keep_rate, SymInt[] block, SymInt[] size) -> Tensor'
)


def drop(
    x: Tensor,
    plan: Plan,
    keep_prob: float | Tensor,
    seeds: None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Drop blocks, as :func:`dropblock_mm.ops.dense.drop` has it, without seeds.

    On CUDA ``x`` may have two sides at most.
    """
    # Of a rate in double precision too, as a user may have it, operators take a single.
    gamma = plan.device_gamma(keep_prob, x.device).to(torch.float32)
    key = draw_key(x.device, generator)
    return drop_units(x, gamma, key, plan.geometry.shape, plan.geometry.block)


def drop_units(
    x: Tensor,
    gamma: Tensor,
    key: Tensor,
    mask_shape: Sequence[int],
    block: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Draw a mask, zero the units it drops and normalise by count.

    Args:
        x: Tensor[N, C, *size].
        gamma: Tensor[], the probability of a seed, in [0, 1].
        key: LongTensor[], the seed of the random numbers.
        mask_shape: (N, C, *size) of the mask; C is 1 for a shared mask.
        block: Sides of a block, at most those of the map.

    Returns:
        tuple[Tensor, Tensor]: Tensor[N, C, *size] and the number of units kept, a
        0-dim LongTensor.
    """
    # A strict torch.export takes a function's forward alone, with gradients off: what
    # comes before would never learn (torch 2.14.1). So there the mask is kept.
    drop = _draw_and_drop if is_exporting() else _DrawAndDrop.apply
    return drop(x, gamma, key, tuple(mask_shape), tuple(block))


def _draw_and_drop(
    x: Tensor,
    gamma: Tensor,
    key: Tensor,
    mask_shape: tuple[int, ...],
    block: tuple[int, ...],
) -> tuple[Tensor, Tensor]:
    mask, mask_kept = torch.ops.dropblock_mm.drop_mask(
        gamma, key, mask_shape, block, _turns_channels(x)
    )
    shared_over = x.shape[1] // mask_shape[1]
    kept = mask_kept if shared_over == 1 else mask_kept * shared_over
    return dense.apply_mask(x, _is_dropped(mask), kept), kept


def _turns_channels(x: Tensor) -> bool:
    """Tell whether the channels of a mask are to lie behind each other.

    On CPUs Inductor lets those of maps lie so wherever there is a convolution, and
    turns a mask that is otherwise byte by byte.
    """
    return x.dim() == 4 and x.device.type == 'cpu'


class _DrawAndDrop(torch.autograd.Function):
    """Linear in x, with the mask's diagonal matrix: backward is itself."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gamma: Tensor,
        key: Tensor,
        mask_shape: tuple[int, ...],
        block: tuple[int, ...],
    ) -> tuple[Tensor, Tensor]:
        out, kept = _draw_and_drop(x, gamma, key, mask_shape, block)
        ctx.save_for_backward(gamma, key, kept)
        ctx.how = mask_shape, block, _turns_channels(x)
        ctx.mark_non_differentiable(kept)
        return out, kept

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Any) -> tuple[Tensor | None, ...]:
        gamma, key, kept = ctx.saved_tensors
        mask = torch.ops.dropblock_mm.drop_mask_again(gamma, key, *ctx.how)
        return _apply_again(grad, _is_dropped(mask), kept), None, None, None, None


def _is_dropped(mask: Tensor) -> Tensor:
    """Return BoolTensor of a mask in bytes.

    On CPUs Inductor reads booleans one by one (torch 2.14.1, ``VecMask::from``), and
    bytes that become numbers as vectors.
    """
    return mask.to(torch.float32) > 0


def _apply_again(grad: Tensor, dropped: Tensor, kept: Tensor) -> Tensor:
    """Do :func:`dropblock_mm.ops.dense.apply_mask` in the layout of the gradient.

    What masked_fill returns is contiguous for compilers (torch 2.14.1,
    ``_refs.masked_fill``). In backward Inductor writes it so, behind a norm, and then
    once more with the channels behind each other for the convolution. A selection has
    the layout of its condition: here that of the comparison, which is never true.
    """
    scaled = dense.scaled(grad, kept)
    return torch.where((scaled < -math.inf) | dropped, 0, scaled)


def _drop_mask_on_cpu(
    gamma: Tensor,
    key: Tensor,
    shape: Sequence[int],
    block: Sequence[int],
    channels_last: bool,
) -> tuple[Tensor, Tensor]:
    draw = _draw_on_cpu(gamma, key, shape, block)
    mask, kept = sparse.drop_mask(draw, sparse.KEEP, channels_last, torch.uint8)
    return mask, torch.scalar_tensor(kept, dtype=torch.int64, device='cpu')


def _drop_mask_again_on_cpu(
    gamma: Tensor,
    key: Tensor,
    shape: Sequence[int],
    block: Sequence[int],
    channels_last: bool,
) -> Tensor:
    draw = _draw_on_cpu(gamma, key, shape, block)
    return sparse.drop_mask(draw, sparse.AGAIN, channels_last, torch.uint8)[0]


def _draw_on_cpu(
    gamma: Tensor, key: Tensor, shape: Sequence[int], block: Sequence[int]
) -> Draw:
    geometry = _geometry(tuple(shape), tuple(block))
    return Draw.of(geometry, sparse.number_in(gamma), int(key))


# What it works out for a shape takes longer than to draw on a small map.
_geometry = lru_cache(maxsize=1024)(BlockGeometry)


def _drop_mask_on_cuda(
    gamma: Tensor,
    key: Tensor,
    shape: Sequence[int],
    block: Sequence[int],
    channels_last: bool = False,  # always, there
) -> tuple[Tensor, Tensor]:
    from dropblock_mm.ops.gpu import kernels

    kept = kernels.count_kept(gamma, key, *fused.as_map(shape, block))
    return _drop_mask_again_on_cuda(gamma, key, shape, block), kept


def _drop_mask_again_on_cuda(
    gamma: Tensor,
    key: Tensor,
    shape: Sequence[int],
    block: Sequence[int],
    channels_last: bool = False,  # always, there
) -> Tensor:
    from dropblock_mm.ops.gpu import kernels

    mask = kernels.keep_mask(gamma, key, *fused.as_map(shape, block))
    return (~mask.view(shape)).view(torch.uint8)


def _drop_mask_on_meta(
    gamma: Tensor,
    key: Tensor,
    shape: Sequence[int],
    block: Sequence[int],
    channels_last: bool,
) -> tuple[Tensor, Tensor]:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    mask = torch.empty(
        shape, dtype=torch.uint8, device=gamma.device, memory_format=layout
    )
    return mask, gamma.new_empty((), dtype=torch.int64)


def _solve_gamma_on_host(
    keep_rate: Tensor, block: Sequence[int], size: Sequence[int]
) -> Tensor:
    gamma = solve_gamma(float(keep_rate), tuple(block), tuple(size))
    return torch.full_like(keep_rate, gamma)


def _solve_gamma_on_cuda(
    keep_rate: Tensor, block: Sequence[int], size: Sequence[int]
) -> Tensor:
    return solve_gamma_on_device(keep_rate, tuple(block), tuple(size))


# In C a call takes a fraction of the time, on which a compiled step depends.
IS_IN_C = operators.give_to_torch('dropblock_mm', ('drop_mask', 'drop_mask_again'))
if not IS_IN_C:
    _LIBRARY.impl('drop_mask', _drop_mask_on_cpu, 'CPU')
    _LIBRARY.impl('drop_mask_again', _drop_mask_again_on_cpu, 'CPU')
_LIBRARY.impl('drop_mask', _drop_mask_on_cuda, 'CUDA')
_LIBRARY.impl('drop_mask_again', _drop_mask_again_on_cuda, 'CUDA')
_LIBRARY.impl('drop_mask', _drop_mask_on_meta, 'Meta')
_LIBRARY.impl('drop_mask_again', lambda *args: _drop_mask_on_meta(*args)[0], 'Meta')
_LIBRARY.impl('solve_gamma', _solve_gamma_on_host, 'CompositeExplicitAutograd')
_LIBRARY.impl('solve_gamma', _solve_gamma_on_cuda, 'CUDA')
_LIBRARY.impl('solve_gamma', lambda rate, *_: torch.empty_like(rate), 'Meta')
