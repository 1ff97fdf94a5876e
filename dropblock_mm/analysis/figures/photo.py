"""Masks over a photograph, which scikit-learn has inside."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch, Rectangle
from PIL import Image
from torch import Tensor

from dropblock_mm.analysis.figures.masks import KEEP_PROB, draw_mask, one_block
from dropblock_mm.analysis.figures.style import DROPPED, GREY, ORANGE, Picture
from dropblock_mm.errors import MissingPackageError

PHOTO, STRIDE, PHOTO_BLOCK = 'flower.jpg', 16, 7


def draw_photo(seed: int) -> Picture:
    """Masks over a photograph: what a dropped block hides."""
    photo = load_photo()
    size = (photo.shape[0] * 2 // STRIDE, photo.shape[1] * 2 // STRIDE)
    layout = ConstrainedLayoutEngine(hspace=0.04, h_pad=0.08)
    figure = Figure(figsize=(9.25, 7.5), layout=layout)
    picture = Picture(figure)
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    side = PHOTO_BLOCK * STRIDE
    explain_block(panels[0, 0], photo, size)
    panels[0, 0].set_title(
        f'One seed drops one block:\nblock_size {PHOTO_BLOCK} hides '
        f'{side} x {side} pixels'
    )
    dropout, dropout_rates = draw_mask((1, *size), 1, seed)
    blocks, block_rates = draw_mask((2, *size), PHOTO_BLOCK, seed)
    for axes, name, kept in (
        (panels[0, 1], 'block_size 1 (dropout)', dropout[0]),
        (panels[1, 0], f'block_size {PHOTO_BLOCK}, one channel', blocks[0]),
        (panels[1, 1], f'block_size {PHOTO_BLOCK}, another channel', blocks[1]),
    ):
        show_over_photo(axes, photo, kept)
        axes.set_title(f'{name}\nkept: {kept.float().mean():.3f} of the units')
    figure.legend(
        handles=[Patch(facecolor=DROPPED, edgecolor=GREY, label='dropped')],
        loc='outside lower center',
        frameon=False,
    )
    for axes in panels.flat:
        axes.label_outer(remove_inner_ticks=True)
    for axes in panels[1]:
        axes.set_xlabel(f'column of the map (1 unit = {STRIDE} pixels)')
    for axes in panels[:, 0]:
        axes.set_ylabel('row of the map')
    figure.suptitle(
        f'Masks of a {size[0]} x {size[1]} feature map over its image, '
        f'keep_prob {KEEP_PROB}'
    )
    picture.lines = [
        f'block_size 1, one channel: {dropout_rates}',
        f'block_size {PHOTO_BLOCK}, two channels: {block_rates}',
    ]
    return picture


def load_photo() -> np.ndarray:
    """Read scikit-learn's photograph, cut to whole units of the map.

    It is made grey and pale, so that the dropped units stand out.

    Returns:
        np.ndarray: UInt8Array[H / 2, W / 2], with H and W multiples of the stride.

    Raises:
        ModuleNotFoundError: If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_sample_image
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f'--only photo needs the photograph {PHOTO!r} inside scikit-learn, which '
            "cannot be imported. Install it with pip install 'dropblock_mm[demo]', or "
            'name other pictures by --only.',
            name=error.name,
        ) from error
    photo = Image.fromarray(load_sample_image(PHOTO)).convert('L')
    width, height = (length // STRIDE * STRIDE for length in photo.size)
    photo = photo.crop((0, 0, width, height)).reduce(2)  # a panel has no more pixels
    grey = np.asarray(photo) // 8 * 8  # 32 levels do, and make the file small
    return (grey * 0.8 + 51).astype(np.uint8)


def explain_block(axes: Axes, photo: np.ndarray, size: tuple[int, int]) -> None:
    """Show the grid of units, one seed, and the block that it drops."""
    row, column = 9, 16
    show_over_photo(axes, photo, one_block(size, PHOTO_BLOCK, (row, column)))
    axes.vlines(range(1, size[1]), 0, size[0], color='white', lw=0.4)
    axes.hlines(range(1, size[0]), 0, size[1], color='white', lw=0.4)
    axes.add_patch(Rectangle((column, row), 1, 1, fc=ORANGE, ec='black', zorder=3))
    axes.annotate(
        'seed',
        (column + 0.5, row + 0.5),
        (column - 8, row - 4),
        bbox={'boxstyle': 'round', 'fc': 'white', 'ec': 'black'},
        arrowprops={'arrowstyle': '->', 'color': 'black', 'lw': 1.5},
    )


def show_over_photo(axes: Axes, photo: np.ndarray, kept: Tensor) -> None:
    """Show a photograph and paint over the dropped units of BoolTensor[H, W]."""
    height, width = kept.shape
    extent = (0, width, height, 0)
    axes.imshow(
        photo, cmap='gray', vmin=0, vmax=255, extent=extent, interpolation='nearest'
    )
    dropped = np.ma.masked_where(kept.numpy(), np.ones(kept.shape))
    axes.imshow(dropped, cmap=ListedColormap([DROPPED]), extent=extent)
    axes.set_xticks(range(0, width, 10))
    axes.set_yticks(range(0, height, 10))
