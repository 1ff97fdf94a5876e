"""Random numbers from torch's generator of a device, or from a given one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def draw_key(device: torch.device, generator: torch.Generator | None) -> Tensor:
    """Return LongTensor[], the seed of a draw that backward can repeat."""
    return torch.randint(2**63 - 1, (), device=device, generator=generator)


def draw_uniform(
    shape: Sequence[int], device: torch.device, generator: torch.Generator | None
) -> Tensor:
    """Return FloatTensor[shape], uniform in [0, 1): multiples of 2^-24."""
    if generator is None:  # vmap and symbolic sizes: torch.rand takes no None for it
        return torch.rand(shape, dtype=torch.float32, device=device)
    return torch.rand(shape, dtype=torch.float32, device=device, generator=generator)
