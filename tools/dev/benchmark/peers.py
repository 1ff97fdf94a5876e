"""DropBlock as others write it, under one interface, and what it is held against."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from dropblock_mm import DropBlock2d, drop_block_2d
from tools.dev.benchmark.report import first_line

Function = Callable[[Tensor, float, int], Tensor]
CONSTANT = 1.1


def dense_drop_block(x: Tensor, drop_prob: float, block_size: int) -> Tensor:
    """Drop blocks as libraries usually do: by a mask as large as the input.

    A random number decides at every place where a whole block fits, max pooling with
    a window of block_size^2 turns these seeds into blocks, and the input is multiplied
    by the mask and by ``all / kept``. These are the steps of torchvision's
    ``drop_block2d``, one by one, so that the two give equal results for equal seeds.

    Args:
        x: Tensor[N, C, H, W].
        drop_prob: Nominal share of units to drop.
        block_size: Side of the square, odd; at most the sides of the map.

    Returns:
        Tensor: Tensor[N, C, H, W].
    """
    n, c, height, width = x.shape
    side = min(block_size, height, width)
    rows, columns = height - side + 1, width - side + 1
    if side % 2 == 0:
        raise ValueError(f'block_size={side} is even; this algorithm needs a centre.')
    gamma = drop_prob * height * width / (side * side * rows * columns)
    seeds = torch.empty((n, c, rows, columns), dtype=x.dtype, device=x.device)
    half = side // 2
    padded = functional.pad(seeds.bernoulli_(gamma), [half] * 4, value=0)
    mask = 1 - functional.max_pool2d(padded, side, stride=1, padding=half)
    scale = mask.numel() / (1e-6 + mask.sum())
    return x * mask * scale


class FunctionLayer(nn.Module):
    """Holds the rate of a function that takes it with every call."""

    def __init__(self, function: Function, keep_prob: float, block_size: int) -> None:
        super().__init__()
        self.function, self.block_size = function, block_size
        self.drop_prob = 1.0 - keep_prob

    def forward(self, x: Tensor) -> Tensor:
        """Call the function on Tensor[N, C, H, W]."""
        return self.function(x, self.drop_prob, self.block_size)


@dataclass(frozen=True)
class Implementation:
    """A way to drop.

    Args:
        name: As it stands in the tables.
        build: Makes a layer in train mode from keep_prob and block_size.
        shared: Whether all channels of an image share one mask.
        ours: Whether it is dropblock_mm's.
    """

    name: str
    build: Callable[[float, int], nn.Module]
    shared: bool = False
    ours: bool = False


def set_keep_prob(layer: nn.Module, keep_prob: float) -> None:
    """Change the rate of a layer that an implementation built."""
    if isinstance(layer, DropBlock2d):
        layer.set_keep_prob(keep_prob)
    else:
        peer: Any = layer
        peer.drop_prob = 1.0 - keep_prob  # the name in all the peers


def of_function(name: str, function: Function, **flags: bool) -> Implementation:
    """Return the implementation that calls a function of x, drop_prob, block_size."""
    return Implementation(name, lambda k, b: FunctionLayer(function, k, b), **flags)


OURS = Implementation(
    'dropblock_mm',
    lambda keep_prob, size: DropBlock2d(keep_prob=keep_prob, block_size=size),
    ours=True,
)
OURS_SHARED = Implementation(
    'dropblock_mm shared',
    lambda keep_prob, size: DropBlock2d(
        keep_prob=keep_prob, block_size=size, shared_mask=True
    ),
    shared=True,
    ours=True,
)
OUR_FUNCTION = of_function(
    'dropblock_mm.drop_block_2d',
    lambda x, p, b: drop_block_2d(x, keep_prob=1.0 - p, block_size=b),
    ours=True,
)
DENSE = of_function('dense algorithm', dense_drop_block)
TIMES_CONSTANT = of_function('x * c', lambda x, p, b: x * CONSTANT)
DROPOUT = of_function('F.dropout', lambda x, p, b: functional.dropout(x, p))


def installed_peers() -> tuple[list[Implementation], list[str]]:
    """Return the other libraries' DropBlocks, and a line for each that is absent."""
    found: list[Implementation] = []
    absent: list[str] = []
    for library, load in _PEERS.items():
        try:
            found += load()
        # A build for another torch raises RuntimeError or OSError when it loads.
        except (ImportError, RuntimeError, OSError) as error:
            absent.append(f'{library}: {_why_absent(library, error)}, skipped')
    # Thousands of modules that stay: the collection before each pair of calls takes a
    # quarter of a second when it looks at them.
    gc.freeze()
    return found, absent


def _why_absent(library: str, error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == library.split()[0]:
        return 'not installed'
    return f'cannot be imported ({first_line(error)})'


def _torchvision() -> list[Implementation]:
    from torchvision.ops import drop_block2d

    return [of_function('torchvision drop_block2d', drop_block2d)]


def _timm() -> list[Implementation]:
    from timm.layers import drop_block_2d as timm_drop_block

    def per_channel(x: Tensor, drop_prob: float, block_size: int) -> Tensor:
        return timm_drop_block(x, drop_prob, block_size, couple_channels=False)

    return [
        of_function('timm drop_block_2d per channel', per_channel),
        of_function('timm drop_block_2d shared', timm_drop_block, shared=True),
    ]


def _mmdet() -> list[Implementation]:
    from mmdet.models.layers import DropBlock

    def build(keep_prob: float, block_size: int) -> nn.Module:
        # Without its warm-up, so that it drops from the first call on.
        return DropBlock(1.0 - keep_prob, block_size, warmup_iters=0)

    return [Implementation("mmdet's DropBlock plugin", build)]


def _miguelvr() -> list[Implementation]:
    from dropblock import DropBlock2D

    def build(keep_prob: float, block_size: int) -> nn.Module:
        return DropBlock2D(1.0 - keep_prob, block_size)

    return [Implementation("miguelvr's DropBlock2D shared", build, shared=True)]


_PEERS: dict[str, Callable[[], list[Implementation]]] = {
    'torchvision': _torchvision,
    'timm': _timm,
    'mmdet': _mmdet,
    'dropblock 0.3.0 (miguelvr)': _miguelvr,
}
