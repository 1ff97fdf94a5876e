"""Draw the pictures of the guide: masks, schedules and keep rates.

Every number in them comes from dropblock_mm's own functions, and is printed too.
The photograph needs scikit-learn, which has it inside.

Examples::

    python tools/analysis_tools/draw_masks.py                  # all, into the docs
    python tools/analysis_tools/draw_masks.py --out work_dirs/masks --only schedules
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch, Rectangle
from PIL import Image
from torch import Tensor

from dropblock_mm import drop_block_2d, expected_keep_rate
from dropblock_mm.engine.schedules import (
    SCHEDULES,
    Interval,
    keep_prob_at,
    resolve_interval,
)

DOCS = Path(__file__).resolve().parents[2] / 'docs' / 'en' / '_static'
DPI = 100

# Okabe and Ito's palette, which colour-blind readers can tell apart too.
BLUE, ORANGE, GREEN, RED = '#0072B2', '#E69F00', '#009E73', '#D55E00'
KEPT, DROPPED, GREY = '#F1EFEA', BLUE, '#555555'
STYLE = {'font.size': 11, 'axes.titlesize': 11}

SEED = 18  # one whose masks keep about as much as is expected

KEEP_PROB = 0.75  # the paper's .9 leaves too few blocks to look at
CHANNELS, MAP_SIZE, BLOCK_SIZES = 16, 28, (1, 3, 7, 28)

PHOTO, STRIDE, PHOTO_BLOCK = 'flower.jpg', 16, 7

MAX_ITERS, PRINTED_ITERS, FINAL_KEEP_PROB = 1000, (0, 300, 999), 0.9
INTERVALS = ((0.0, None), (0.2, 0.8))

RATE_MAP, RATE_BLOCKS = (65, 65), (1, 7, 16)
NOMINAL = tuple(percent / 100 for percent in range(0, 101, 2))
MARKED = 0.2  # the paper's keep_prob in the segmentation head, with block 16


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


@dataclass
class Picture:
    """A figure and the lines that say its numbers."""

    figure: Figure
    lines: list[str] = field(default_factory=list)


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
    kept = drop_block_2d(ones, KEEP_PROB, block_size, generator=generator)[0] > 0
    expected = expected_keep_rate(KEEP_PROB, block_size, shape[1:])
    return kept, Rates(KEEP_PROB, expected, kept.float().mean().item())


def one_block(
    size: tuple[int, int], block_size: int, corner: tuple[int, int]
) -> Tensor:
    """Return BoolTensor[H, W], False in the block whose top left unit is ``corner``."""
    grid = [length - block_size + 1 for length in size]
    seeds = torch.zeros(1, 1, *grid, dtype=torch.bool)
    seeds[0, 0, corner[0], corner[1]] = True
    ones = torch.ones(1, 1, *size)
    return drop_block_2d(ones, KEEP_PROB, block_size, seeds=seeds)[0, 0] > 0


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
        raise ModuleNotFoundError(
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


def draw_schedules(seed: int) -> Picture:
    """keep_prob over training, for every schedule; nothing here is random."""
    figure = Figure(figsize=(9.6, 4.4), layout='constrained')
    picture = Picture(figure)
    looks = zip((BLUE, ORANGE, GREEN, RED), ('-', '--', ':', '-.'), strict=True)
    looks_of = dict(zip(SCHEDULES, looks, strict=True))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (begin, end) in zip(panels, INTERVALS, strict=True):
        interval = resolve_interval(begin, end, 'fraction', MAX_ITERS, MAX_ITERS)
        for schedule, (color, line) in looks_of.items():
            curve = schedule_curve(schedule, interval)
            axes.plot(curve, line, color=color, lw=2.2, label=schedule)
            values = ', '.join(f'{curve[i]:.3f} at {i}' for i in PRINTED_ITERS)
            picture.lines.append(f'begin={begin}, end={end}, {schedule}: {values}')
        axes.set_title(f'begin={begin:g}, end={end}')
        axes.set_xlabel(f'iteration (of {MAX_ITERS})')
        mark_interval(axes, interval)
    panels[0].set_ylabel('keep_prob')
    panels[0].set_ylim(FINAL_KEEP_PROB - 0.012, 1.012)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=4, frameon=False)
    figure.suptitle(f'KeepProbScheduleHook(keep_prob={FINAL_KEEP_PROB}, schedule=...)')
    return picture


def schedule_curve(schedule: str, interval: Interval) -> list[float]:
    """keep_prob at every iteration of the picture's run."""
    return [
        keep_prob_at(i, interval, start=1.0, end=FINAL_KEEP_PROB, schedule=schedule)
        for i in range(MAX_ITERS)
    ]


def mark_interval(axes: Axes, interval: Interval) -> None:
    """Mark where a schedule begins and where it arrives."""
    for iteration in (interval.begin, interval.end):
        axes.axvline(iteration, color=GREY, lw=0.8, zorder=0)


def draw_keep_rates(seed: int) -> Picture:
    """The exact expected keep rate against keep_prob; nothing here is random."""
    layout = ConstrainedLayoutEngine(wspace=0.06)
    figure = Figure(figsize=(9.6, 5.2), layout=layout)
    picture = Picture(figure)
    panels = figure.subplots(1, 2, sharey=True)
    looks = tuple(zip((BLUE, ORANGE, RED), ('-', '--', '-.'), 'os^', strict=True))
    for axes, calibrated in zip(panels, (False, True), strict=True):
        for index, (block_size, (color, line, marker)) in enumerate(
            zip(RATE_BLOCKS, looks, strict=True)
        ):
            curve = rate_curve(block_size, calibrated)
            axes.plot(
                NOMINAL,
                curve,
                line,
                color=color,
                lw=2,
                marker=marker,
                markevery=(2 + 2 * index, 8),  # where curves coincide, all show
                label=f'block_size {block_size}',
            )
            marked = curve[NOMINAL.index(MARKED)]
            picture.lines.append(
                f'block_size {block_size}, calibrated={calibrated}: expected keep '
                f'rate {marked:.3f} at keep_prob {MARKED}, '
                f'{curve[NOMINAL.index(0.9)]:.3f} at 0.9'
            )
        axes.set(xlabel='keep_prob', xlim=(0, 1), ylim=(0, 1), aspect='equal')
        axes.grid(color='#DDDDDD', lw=0.6)
        axes.legend(loc='lower right', frameon=False)
    panels[0].set_title('equation 1 of the paper (default)')
    panels[1].set_title('calibrated=True')
    panels[0].set_ylabel('exact expected keep rate')
    mark_rate(panels[0], rate_curve(RATE_BLOCKS[-1], False))
    figure.suptitle(f'A feature map of {RATE_MAP[0]} x {RATE_MAP[1]} units')
    return picture


def rate_curve(block_size: int, calibrated: bool) -> list[float]:
    """The exact expected keep rate at every nominal one."""
    return [
        expected_keep_rate(nominal, block_size, RATE_MAP, calibrated=calibrated)
        for nominal in NOMINAL
    ]


def mark_rate(axes: Axes, curve: Sequence[float]) -> None:
    """Point at the paper's setting for segmentation."""
    rate = curve[NOMINAL.index(MARKED)]
    axes.annotate(
        f'keep_prob {MARKED}\nkeeps {rate:.2f}',
        (MARKED, rate),
        (0.05, 0.72),
        arrowprops={'arrowstyle': '->', 'color': 'black'},
    )


PICTURES: dict[str, Callable[[int], Picture]] = {
    'block_sizes': draw_block_sizes,
    'photo': draw_photo,
    'schedules': draw_schedules,
    'keep_rates': draw_keep_rates,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw with this file's settings, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def save_small(figure: Figure, path: Path) -> None:
    """Write a PNG of 256 colours: a third of the size, and it looks the same."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=DPI)
    with Image.open(buffer) as image:
        image.convert('RGB').quantize(256).save(path, optimize=True)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Draw the guide's pictures")
    parser.add_argument(
        '--out', type=Path, default=DOCS, help='folder of the pictures (%(default)s)'
    )
    parser.add_argument(
        '--only',
        nargs='+',
        choices=PICTURES,
        default=list(PICTURES),
        metavar='NAME',
        help=f'some of {", ".join(PICTURES)}',
    )
    parser.add_argument(
        '--seed', type=int, default=SEED, help='of the masks (%(default)s)'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Draw, save, and say what was drawn."""
    args = parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.only:
        path = args.out / f'{name}.png'
        with house_style():
            picture = PICTURES[name](args.seed)
            save_small(picture.figure, path)
        print(path)
        for line in picture.lines:
            print(f'  {line}')


if __name__ == '__main__':
    main()
