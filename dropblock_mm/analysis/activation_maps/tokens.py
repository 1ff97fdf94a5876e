"""Tokens of a vision transformer, laid out as the grid that they were cut on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

_EXTRA = 2  # in front of the grid's tokens at most: the class's and a teacher's


class Grid:
    """The grid of the tokens of one image, as the latest module handed it on.

    Patch embeddings and poolings of mmpretrain, mmdet and mmseg return the tokens,
    Tensor[N, H * W, C], and (H, W). TNT's cuts its patches out by ``nn.Unfold``.
    """

    def __init__(self) -> None:
        self.size = (0, 0)

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """Forward hook: note the size, if the output or the module tells one."""
        if isinstance(module, nn.Unfold):
            self.size = _windows(module, inputs[0])
        if not isinstance(output, tuple) or len(output) != 2:
            return
        tokens, size = output
        are_tokens = isinstance(tokens, Tensor) and tokens.dim() == 3
        if are_tokens and _is_size(size) and tokens.shape[1] == size[0] * size[1]:
            self.size = (int(size[0]), int(size[1]))

    def extra(self, value: Tensor) -> int | None:
        """Return how many tokens are in front of the grid's; None if it has no such."""
        if value.dim() != 3 or len(value) != 1 or not all(self.size):
            return None
        number = value.shape[1] - self.size[0] * self.size[1]
        return number if 0 <= number <= _EXTRA else None

    def as_map(self, tokens: Tensor) -> Tensor:
        """Return Tensor[1, C, H, W] of the last H * W of Tensor[1, L, C]."""
        height, width = self.size
        grid = tokens[:, tokens.shape[1] - height * width :]
        return grid.transpose(1, 2).unflatten(2, self.size)

    def with_map(self, tokens: Tensor, map_: Tensor) -> Tensor:
        """Return tokens whose last ones are those of a map."""
        grid = map_.flatten(2).transpose(1, 2)
        return torch.cat([tokens[:, : tokens.shape[1] - grid.shape[1]], grid], dim=1)


def _is_size(value: Any) -> bool:
    pair = isinstance(value, (tuple, list, torch.Size)) and len(value) == 2
    return pair and all(isinstance(length, int) for length in value)


def _windows(module: nn.Unfold, maps: Tensor) -> tuple[int, int]:
    """Return how many windows are cut out of Tensor[N, C, H, W], down and across."""
    sides = []
    for axis, length in enumerate(maps.shape[2:]):
        window, step, padding, dilation = (
            value if isinstance(value, int) else value[axis]
            for value in (
                module.kernel_size,
                module.stride,
                module.padding,
                module.dilation,
            )
        )
        sides.append((length + 2 * padding - dilation * (window - 1) - 1) // step + 1)
    return sides[0], sides[1]


def last_attended(backbone: nn.Module) -> str | None:
    """Return the layer in a transformer that its last block attends to.

    It is the norm in front of the last attention. Behind it the class token has all
    that it will know of the others, whose gradient is 0 from there on.

    Returns:
        str: Its path in the backbone; None if that is no such transformer, or hands on
        a map itself.
    """
    if getattr(backbone, 'out_type', None) == 'featmap':
        return None
    for name in ('layers', 'encoder'):
        blocks = getattr(backbone, name, None)
        if isinstance(blocks, (nn.ModuleList, nn.Sequential)) and len(blocks):
            for path, block in _attending(blocks[-1]):
                for part, module in block.named_children():
                    if isinstance(module, nn.LayerNorm):
                        return f'{name}.{len(blocks) - 1}.{path}{part}'
    return None


def _attending(block: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield what of a block may attend to the image's tokens, with its path and a dot.

    TNT's has a block of its own for the pixels in a patch, and one for the patches.
    """
    within = [
        (f'{path}.', part)
        for path, part in block.named_children()
        if 'attn' in dict(part.named_children())
    ]
    yield from within[-1:]
    yield '', block
