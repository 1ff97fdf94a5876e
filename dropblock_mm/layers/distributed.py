"""Tensors that are spread over processes: each drops units of the part that it has."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from torch import Tensor

from dropblock_mm.errors import RefusedValueError


def is_distributed(x: Tensor) -> bool:
    """Tell a DTensor. To import its module takes long; without it there is none."""
    module: Any = sys.modules.get('torch.distributed.tensor')
    return module is not None and isinstance(x, module.DTensor)


def drop_own_part(drop: Callable[[Tensor], Tensor], x: Any, name: str) -> Tensor:
    """Drop units of a DTensor, of which each process has some samples.

    They are normalised and counted as the batch of a process in data-parallel training.

    Args:
        drop: Drops units of a plain tensor.
        x: DTensor[N, C, ...], in parts along the samples.
        name: What drops units, for the message.

    Returns:
        Tensor: A DTensor in parts as ``x`` is.

    Raises:
        RefusedValueError: Processes would have to draw one mask together: they have
            parts of the same sample, or copies.
    """
    if not all(placement.is_shard(0) for placement in x.placements):
        raise RefusedValueError(
            f'{name} was given a DTensor that lies over processes as '
            f'{tuple(x.placements)}, so that they would have to draw one mask '
            'together. It takes those in parts along the samples: call '
            'x.redistribute(placements=[Shard(0)]) before the layer.'
        )
    return type(x).from_local(
        drop(x.to_local()),
        x.device_mesh,
        x.placements,
        run_check=False,
        shape=x.shape,
        stride=x.stride(),
    )
