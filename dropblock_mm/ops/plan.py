"""What one call is to do, worked out once for every shape and setting."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from dropblock_mm.ops.geometry import BlockGeometry
from dropblock_mm.ops.rates import (
    clamp_block,
    gamma_per_drop_rate,
    seed_grid,
    solve_gamma,
)


@dataclass(frozen=True)
class Plan:
    """What is to be done, apart from the rate: arguments and shapes."""

    block_size: int
    gamma_scale: float
    calibrated: bool
    mask_shape: tuple[int, int, int, int]
    block: tuple[int, int]
    shared_over: int
    gamma_per_drop_rate: float

    @property
    def feature_size(self) -> tuple[int, int]:
        """Height and width of the map."""
        return self.mask_shape[2:]

    @property
    def seed_shape(self) -> tuple[int, int, int, int]:
        """(N, C, H - bh + 1, W - bw + 1): where a seed may fall."""
        return (*self.mask_shape[:2], *seed_grid(self.block_size, self.feature_size))

    @cached_property
    def geometry(self) -> BlockGeometry:
        """The same for the loops over seeds."""
        return BlockGeometry(self.mask_shape, self.block, self.shared_over)

    def gamma(self, keep_prob: float | Tensor) -> float:
        """Return gamma; a tensor is read back to the host."""
        drop_rate = self.gamma_scale * (1.0 - float(keep_prob))
        if self.calibrated:
            keep_rate = min(max(1.0 - drop_rate, 0.0), 1.0)
            return solve_gamma(keep_rate, self.block_size, self.feature_size)
        return min(max(drop_rate * self.gamma_per_drop_rate, 0.0), 1.0)

    def device_gamma(self, keep_prob: float | Tensor, device: torch.device) -> Tensor:
        """Return gamma as a 0-dim tensor on the device, read by nobody."""
        if not isinstance(keep_prob, Tensor):
            keep_prob = torch.full((), keep_prob, dtype=torch.float32, device=device)
        # A layer in half precision has a buffer in it.
        dtype = torch.promote_types(keep_prob.dtype, torch.float32)
        keep_prob = keep_prob.to(device, dtype)
        if self.calibrated:
            keep_rate = (1.0 - self.gamma_scale * (1.0 - keep_prob)).clamp(0.0, 1.0)
            return torch.ops.dropblock_mm.solve_gamma(
                keep_rate, self.block_size, self.feature_size
            )
        factor = self.gamma_scale * self.gamma_per_drop_rate
        return ((1.0 - keep_prob) * factor).clamp(0.0, 1.0)


def make_plan(
    shape: tuple[int, ...],
    block_size: int,
    gamma_scale: float,
    calibrated: bool,
    shared_mask: bool,
) -> Plan:
    """Return the plan for an input of ``shape``, (N, C, H, W)."""
    images, channels, height, width = shape
    shared_over = channels if shared_mask else 1
    return Plan(
        block_size=block_size,
        gamma_scale=gamma_scale,
        calibrated=calibrated,
        mask_shape=(images, channels // shared_over, height, width),
        block=clamp_block(block_size, (height, width)),
        shared_over=shared_over,
        gamma_per_drop_rate=gamma_per_drop_rate(block_size, (height, width)),
    )


cached_plan = lru_cache(maxsize=1024)(make_plan)
