"""DropBlock by a mask as large as the input, for devices other than the CPU.

Slower than the sparse path, but it reads nothing back to the host.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def sample_seed_mask(
    shape: tuple[int, int, int, int],
    gamma: Tensor | float,
    device: torch.device,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw BoolTensor[shape] with probability gamma of True.

    ``torch.rand`` gives multiples of 2^-24, so gamma is reached to within that.
    """
    uniform = torch.rand(shape, dtype=torch.float32, device=device, generator=generator)
    return uniform < gamma


def drop_mask(seeds: Tensor, block: tuple[int, int]) -> Tensor:
    """Expand seeds to blocks.

    Args:
        seeds: BoolTensor[N, C, H - bh + 1, W - bw + 1].
        block: Height and width of a block.

    Returns:
        Tensor: BoolTensor[N, C, H, W], True where a unit is dropped.
    """
    height, width = block[0] - 1, block[1] - 1
    padded = functional.pad(seeds.float(), (width, width, height, height))
    return functional.max_pool2d(padded, block, stride=1) > 0


def drop_units(x: Tensor, dropped: Tensor) -> tuple[Tensor, Tensor]:
    """Zero the dropped units of ``x`` and normalise by count.

    Args:
        x: Tensor[N, C, H, W].
        dropped: BoolTensor[N, C, H, W], or with one channel shared by all.

    Returns:
        tuple[Tensor, Tensor]: Tensor[N, C, H, W] and the number of units kept,
        a 0-dim LongTensor on the device of ``x``.
    """
    shared_over = x.numel() // dropped.numel()
    kept = (~dropped).sum() * shared_over  # in integers: fp16 ends at 65,504
    return apply_mask(x, dropped, kept), kept


def apply_mask(x: Tensor, dropped: Tensor, kept: Tensor) -> Tensor:
    """Return ``x * numel / kept`` with zeros where ``dropped`` is True.

    Args:
        x: Tensor[N, C, H, W].
        dropped: BoolTensor[N, C, H, W], or with one channel shared by all.
        kept: LongTensor[], the number of units of ``x`` that are kept.
    """
    # fp64, as on the host, and not `int / tensor`, which rounds twice.
    exact = torch.float32 if x.device.type == 'mps' else torch.float64
    scale = torch.full_like(kept, x.numel(), dtype=exact) / kept.clamp(min=1)
    # A factor on a device would be rounded to x's dtype before it multiplies.
    wide = torch.promote_types(x.dtype, torch.float32)
    return (x.to(wide) * scale.to(wide)).to(x.dtype).masked_fill(dropped, 0)
