"""DropBlock by a mask as large as the input, in plain tensor operations.

It is for devices other than the CPU and CUDA, and for what transforms operations:
torch.func and forward-mode differentiation. Slower than the sparse path, but it reads
nothing back to the host.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from dropblock_mm.ops.plan import Plan
from dropblock_mm.ops.torch_private import is_transformed

_MAX_POOLS = {
    1: functional.max_pool1d,
    2: functional.max_pool2d,
    3: functional.max_pool3d,
}


def drop(
    x: Tensor,
    plan: Plan,
    keep_prob: float | Tensor,
    seeds: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Drop blocks of ``x``. Every path has a function like this one.

    Args:
        x: Tensor[N, C, *size], not empty.
        plan: What is to be done to a tensor of this shape.
        keep_prob: Probability of keeping a unit; if a tensor, a 0-dim one.
        seeds: BoolTensor of the plan's ``geometry.grid_shape``, True at the first unit
            of each block, to use instead of drawing.
        generator: Source of randomness; the default one of x's device if None.

    Returns:
        tuple[Tensor, Tensor]: Tensor[N, C, *size] and the number of units kept, a
        0-dim LongTensor on the device of ``x``.
    """
    if seeds is None:
        gamma = plan.device_gamma(keep_prob, x.device)
        shape = plan.geometry.grid_shape
        seeds = sample_seed_mask(shape, gamma, x.device, generator)
    return drop_units(x, drop_mask(seeds, plan.geometry.block))


def sample_seed_mask(
    shape: tuple[int, ...],
    gamma: Tensor | float,
    device: torch.device,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw BoolTensor[shape] with probability gamma of True, to within 2^-24."""
    return draw_uniform(shape, device, generator) < gamma


def draw_uniform(
    shape: Sequence[int], device: torch.device, generator: torch.Generator | None
) -> Tensor:
    """Return FloatTensor[shape], uniform in [0, 1): multiples of 2^-24."""
    if generator is None:  # vmap and symbolic sizes: torch.rand takes no None for it
        return torch.rand(shape, dtype=torch.float32, device=device)
    return torch.rand(shape, dtype=torch.float32, device=device, generator=generator)


def drop_mask(seeds: Tensor, block: tuple[int, ...]) -> Tensor:
    """Expand seeds to blocks.

    Args:
        seeds: BoolTensor[N, C, H - bh + 1, W - bw + 1], or with as many sides as a
            block has.
        block: Sides of a block.

    Returns:
        Tensor: BoolTensor[N, C, H, W], True where a unit is dropped.
    """
    padding = [side - 1 for side in reversed(block) for _ in range(2)]
    padded = functional.pad(seeds.float(), padding)
    return _MAX_POOLS[len(block)](padded, block, stride=1) > 0


def drop_units(x: Tensor, dropped: Tensor) -> tuple[Tensor, Tensor]:
    """Zero the dropped units of ``x`` and normalise by count.

    Args:
        x: Tensor[N, C, *size].
        dropped: BoolTensor[N, C, *size], or with one channel shared by all.

    Returns:
        tuple[Tensor, Tensor]: Tensor[N, C, *size] and the number of units kept,
        a 0-dim LongTensor on the device of ``x``.
    """
    shared_over = x.numel() // dropped.numel()
    kept = (~dropped).sum() * shared_over  # in integers: fp16 ends at 65,504
    return apply_mask(x, dropped, kept), kept


def apply_mask(x: Tensor, dropped: Tensor, kept: Tensor) -> Tensor:
    """Return ``x * numel / kept`` with zeros where ``dropped`` is True.

    Args:
        x: Tensor[N, C, *size].
        dropped: BoolTensor[N, C, *size], or with one channel shared by all.
        kept: LongTensor[], the number of units of ``x`` that are kept.
    """
    return zeroed(scaled(x, kept), dropped)


def scaled(x: Tensor, kept: Tensor) -> Tensor:
    """Return ``x * numel / kept``, a tensor that nobody else has.

    Args:
        x: Tensor[N, C, *size].
        kept: LongTensor[], the number of units of ``x`` that are kept.
    """
    # fp64, as on the host, and not `int / tensor`, which rounds twice.
    exact = torch.float32 if x.device.type == 'mps' else torch.float64
    scale = torch.full_like(kept, x.numel(), dtype=exact) / kept.clamp(min=1)
    # A factor on a device would be rounded to x's dtype before it multiplies.
    wide = torch.promote_types(x.dtype, torch.float32)
    return (x.to(wide) * scale.to(wide)).to(x.dtype)


def zeroed(fresh: Tensor, dropped: Tensor) -> Tensor:
    """Return a tensor that nobody else has, with zeros where ``dropped`` is True.

    In place it keeps its memory format, where a copy would have that of the mask. But
    vmap cannot write a mask for each sample into one tensor for all.
    """
    if is_transformed(fresh, dropped):
        return fresh.masked_fill(dropped, 0)
    return fresh.masked_fill_(dropped, 0)
