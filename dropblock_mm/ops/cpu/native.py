"""The loops over seeds in C, where the package was built with a compiler.

Each function has a namesake in :mod:`~dropblock_mm.ops.cpu.torch_loops`, which takes
its place otherwise and returns the same.
"""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor

from dropblock_mm.ops.plan import BlockGeometry

try:
    _native: Any = importlib.import_module('dropblock_mm.ops.cpu._native')
except ImportError:  # no compiler was there: setup.py makes it optional
    _native = None

IS_BUILT: bool = _native is not None


def place_seeds(uniform: Tensor, mean_gap: float, geometry: BlockGeometry) -> Tensor:
    """See :func:`dropblock_mm.ops.cpu.torch_loops.place_seeds`."""
    corners = torch.empty(len(uniform), dtype=torch.int64, device='cpu')
    seeds = _native.place_seeds(
        uniform.data_ptr(),
        len(uniform),
        mean_gap,
        geometry.num_positions,
        *geometry.volume,
        corners.data_ptr(),
    )
    return corners[:seeds]


def count_dropped(corners: Tensor, geometry: BlockGeometry) -> int:
    """See :func:`dropblock_mm.ops.cpu.torch_loops.count_dropped`."""
    return _native.count_dropped(corners.data_ptr(), len(corners), *geometry.volume)


def fill_blocks(
    out: Tensor, corners: Tensor, geometry: BlockGeometry, byte: int
) -> None:
    """See :func:`dropblock_mm.ops.cpu.torch_loops.fill_blocks`."""
    _native.fill_blocks(
        out.data_ptr(),
        out.element_size(),
        byte,
        corners.data_ptr(),
        len(corners),
        *geometry.volume,
        geometry.shape[1],
        geometry.shared_over,
        *geometry.volume_strides(out.stride()),
    )
