"""Masks as training draws them, and all channels of one feature map."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from torch import Tensor

from dropblock_mm import drop_block_2d, expected_keep_rate
from dropblock_mm.analysis.figures.style import DROPPED, GREY, KEPT, Picture

KEEP_PROB = 0.75  # the paper's .9 leaves too few blocks to look at
CHANNELS, MAP_SIZE, BLOCK_SIZES = 16, 28, (1, 3, 7, 28)


@dataclass(frozen=True)
class Rates:
    """How much one mask keeps: as asked for, as expected, as it came out."""

    nominal: float
    expected: float
    drawn: float

    def __str__(self) -> str:
        return (
            f'nominal {self.nominal:.3f}, expected {self.expected:.3f}, '
            f'drawn {self.drawn:.3f}'
        )


def draw_mask(
    shape: tuple[int, int, int], block_size: int, seed: int
) -> tuple[Tensor, Rates]:
    """Draw a mask as training would.

    Args:
        shape: (C, H, W) of the feature map.
        block_size: Side of the dropped square.
        seed: Of the random numbers.

    Returns:
        tuple[Tensor, Rates]: BoolTensor[C, H, W], True where a unit is kept, and
        its rates.
    """
    generator = torch.Generator().manual_seed(seed)
    ones = torch.ones(1, *shape)
    out = drop_block_2d(
        ones, keep_prob=KEEP_PROB, block_size=block_size, generator=generator
    )
    kept = out[0] > 0
    expected = expected_keep_rate(
        keep_prob=KEEP_PROB, block_size=block_size, feature_size=shape[1:]
    )
    return kept, Rates(KEEP_PROB, expected, kept.float().mean().item())


def one_block(
    size: tuple[int, int], block_size: int, corner: tuple[int, int]
) -> Tensor:
    """Return BoolTensor[H, W], False in the block whose top left unit is ``corner``."""
    grid = [length - block_size + 1 for length in size]
    seeds = torch.zeros(1, 1, *grid, dtype=torch.bool)
    seeds[0, 0, corner[0], corner[1]] = True
    kept = drop_block_2d(
        torch.ones(1, 1, *size), keep_prob=KEEP_PROB, block_size=block_size, seeds=seeds
    )
    return kept[0, 0] > 0


def draw_block_sizes(seed: int) -> Picture:
    """All channels of one feature map, for several block sizes."""
    figure = Figure(figsize=(8.4, 9.4), layout='constrained')
    picture = Picture(figure)
    for axes, block_size in zip(figure.subplots(2, 2).flat, BLOCK_SIZES, strict=True):
        kept, rates = draw_mask((CHANNELS, MAP_SIZE, MAP_SIZE), block_size, seed)
        tile_channels(axes, kept)
        axes.set_title(f'block_size {block_size}{known_as(block_size)}\n{rates}')
        picture.lines.append(f'block_size {block_size}: {rates}')
    figure.suptitle(
        f'One feature map, {CHANNELS} channels of {MAP_SIZE} x {MAP_SIZE} units, '
        f'keep_prob {KEEP_PROB}'
    )
    figure.legend(
        handles=[
            Patch(facecolor=KEPT, edgecolor=GREY, label='kept'),
            Patch(facecolor=DROPPED, edgecolor=GREY, label='dropped'),
        ],
        loc='outside lower center',
        ncols=2,
        frameon=False,
    )
    return picture


def known_as(block_size: int) -> str:
    """Name the two ends of the range, which have names of their own."""
    names = {1: ' (dropout)', MAP_SIZE: ' (covers the map: SpatialDropout)'}
    return names.get(block_size, '')


def tile_channels(axes: Axes, kept: Tensor) -> None:
    """Show the channels of BoolTensor[C, H, W] side by side, four in a row."""
    channels, height, width = kept.shape
    for index in range(channels):
        left, top = index % 4 * (width + 2), index // 4 * (height + 2)
        axes.imshow(
            kept[index].numpy(),
            cmap=ListedColormap([DROPPED, KEPT]),
            vmin=0,
            vmax=1,
            extent=(left, left + width, top + height, top),
        )
        axes.add_patch(
            Rectangle((left, top), width, height, fill=False, ec=GREY, lw=0.6)
        )
    axes.set_xlim(-1, 4 * (width + 2) - 1)
    axes.set_ylim(-(-channels // 4) * (height + 2) - 1, -1)
    axes.axis('off')
