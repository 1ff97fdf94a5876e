"""Masks painted over an image, still and moving."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageOps

from dropblock_mm.analysis.figures.record import FigureRecord, NumberTable
from dropblock_mm.analysis.figures.style import DROPPED, ORANGE
from dropblock_mm.analysis.masks import MaskDraws, SiteMasks
from dropblock_mm.errors import RefusedFileError, RefusedValueError
from dropblock_mm.runs.checkpoints.whole_files import write_whole

PANEL = 260  # pixels of a panel's longer side
STRIP = 6
ANIMATED = ('.gif', '.webp', '.apng')
FRAMES, HOLD = 24, 8


def open_image(path: Path) -> Image.Image:
    """Open an image.

    Raises:
        RefusedFileError: It is not there, or no image.
    """
    try:
        with Image.open(path) as image:
            return image.convert('RGB')
    except OSError as error:
        raise RefusedFileError(
            f'{str(path)!r} cannot be read as an image: {error}. Give a JPEG or PNG.'
        ) from error


def pale(image: Image.Image, size: tuple[int, int]) -> np.ndarray:
    """Cut an image to the shape that a model sees, small and pale.

    Args:
        image: Of any size.
        size: Height and width of the model's input.

    Returns:
        np.ndarray: UInt8Array[H, W, 3], with PANEL pixels at the longer side.
    """
    scale = PANEL / max(size)
    height, width = (max(round(side * scale), 1) for side in size)
    cut = ImageOps.fit(image.convert('L'), (width, height))
    grey = np.asarray(cut) * 0.75 + 63
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def painted(
    photo: np.ndarray, kept: np.ndarray, seeds: np.ndarray | None = None
) -> np.ndarray:
    """Paint what is dropped over a photograph.

    Args:
        photo: UInt8Array[H, W, 3].
        kept: BoolArray[h, w].
        seeds: BoolArray[h, w], painted in another colour.
    """
    size = photo.shape[1], photo.shape[0]
    out = photo.astype(float)
    for where, colour in ((~kept, DROPPED), (seeds, ORANGE)):
        if where is None:
            continue
        large = Image.fromarray(where.astype(np.uint8)).resize(
            size, Image.Resampling.NEAREST
        )
        over = np.asarray(large, bool)
        out[over] = 0.2 * out[over] + 0.8 * 255 * np.array(to_rgb(colour))
    return out.astype(np.uint8)


def mosaic(photo: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Show nine channels, BoolArray[9, h, w], each over a small photograph."""
    height, width = photo.shape[0] // 3, photo.shape[1] // 3
    small = np.asarray(Image.fromarray(photo).resize((width, height)))
    framed = [
        np.pad(painted(small, k), ((1, 1), (1, 1), (0, 0)), constant_values=255)
        for k in kept
    ]
    rows = [np.concatenate(framed[i : i + 3], axis=1) for i in (0, 3, 6)]
    return np.concatenate(rows)


def draw_masks(
    photo: np.ndarray, drawn: Sequence[SiteMasks], strip: Sequence[SiteMasks]
) -> Figure:
    """Draw a row for each kind of site, and below it one site over a training.

    Args:
        photo: UInt8Array[H, W, 3], see :func:`pale`.
        drawn: The masks of the kinds of sites.
        strip: Those of one site, as keep_prob falls.
    """
    rows = len(drawn)
    shape = photo.shape[0] / photo.shape[1]
    heights = [2.6 * shape + 0.55] * rows + [1.7 * shape + 0.9]
    figure = Figure(figsize=(11, sum(heights) + 0.6), layout='constrained')
    upper, lower = figure.subfigures(
        2, 1, height_ratios=[sum(heights[:-1]), heights[-1]]
    )
    panels = upper.subplots(rows, 4, squeeze=False)
    for axes, masks in zip(panels, drawn, strict=True):
        _draw_row(axes, photo, masks)
    upper.suptitle('Masks at the sites, over the image (blue: dropped, orange: seeds)')
    lower.suptitle(f'Over training: {strip[0].kind.label}, one channel')
    channel = strip[-1].busiest
    for panel, masks in zip(lower.subplots(1, len(strip)), strip, strict=True):
        panel.imshow(painted(photo, masks.own[channel]))
        panel.set_title(f'keep_prob {masks.keep_prob:.3f}', fontsize=9)
        panel.set_axis_off()
    return figure


def _draw_row(axes: Sequence[Axes], photo: np.ndarray, masks: SiteMasks) -> None:
    channel = masks.busiest
    seeds = None if masks.seeds is None else masks.seeds[channel]
    axes[0].imshow(painted(photo, masks.own[channel], seeds))
    settings = ', '.join(f'{k} {v}' for k, v in masks.kind.row.settings.items())
    axes[0].set_title(f'{masks.kind.label}\n{settings}', fontsize=9)
    for panel, (name, kept) in zip(axes[1:], masks.by_method().items(), strict=True):
        panel.imshow(mosaic(photo, kept))
        # Nine channels may well have no block at all; the rate is that of many.
        rates = f'kept {kept.mean():.3f} (expected {masks.expected:.3f})'
        panel.set_title(f'{name}, nine channels\n{rates}', fontsize=9)
    for panel in axes:
        panel.set_axis_off()


def check_animation(path: Path) -> Path:
    """Refuse an animation that cannot be written.

    Raises:
        RefusedValueError: Its ending is of no kind of animation.
    """
    if path.suffix.lower() not in ANIMATED:
        raise RefusedValueError(
            f'--animation {str(path)!r}: give a file that ends in '
            f'{" or ".join(ANIMATED)}.'
        )
    return path


def frames(
    photo: np.ndarray, draws: MaskDraws, keep_probs: Sequence[float]
) -> Iterator[Image.Image]:
    """Yield a frame for each keep_prob: the methods side by side, and a line below."""
    for keep_prob in keep_probs:
        masks = draws.at(keep_prob)
        tiles = [mosaic(photo, kept) for kept in masks.by_method().values()]
        height, width = tiles[0].shape[:2]
        frame = Image.new('RGB', (3 * width + 20, height + 34), 'white')
        pen = ImageDraw.Draw(frame)
        for index, (name, tile) in enumerate(
            zip(masks.by_method(), tiles, strict=True)
        ):
            frame.paste(Image.fromarray(tile), (index * (width + 10), 18))
            pen.text((index * (width + 10) + 2, 2), name, fill='black')
        pen.text(
            (2, height + 20),
            f'{masks.kind.label}   keep_prob {keep_prob:.3f}   '
            f'expected to keep {masks.expected:.3f}',
            fill='black',
        )
        yield frame


def save_animation(images: Sequence[Image.Image], path: Path) -> None:
    """Write frames as an animated GIF, WebP or PNG, which repeats."""
    if path.suffix.lower() == '.gif':
        images = [image.quantize(64, dither=Image.Dither.NONE) for image in images]
    durations = [150] * (len(images) - 1) + [150 * HOLD]
    kind = {'.apng': 'PNG', '.webp': 'WEBP'}.get(path.suffix.lower(), 'GIF')
    buffer = io.BytesIO()
    images[0].save(
        buffer,
        kind,
        save_all=True,
        append_images=list(images[1:]),
        duration=durations,
        loop=0,
    )
    write_whole(buffer.getvalue(), path)


def mask_record(
    picture: Path,
    drawn: Sequence[SiteMasks],
    strip: Sequence[SiteMasks],
    notes: Sequence[str],
    command: str,
) -> FigureRecord:
    """Say in words and numbers what :func:`draw_masks` shows.

    Args:
        picture: Where it was saved.
        drawn: The masks of the kinds of sites.
        strip: Those of one site, as keep_prob falls.
        notes: Sentences.
        command: What draws it again.
    """
    rows = [_numbers(masks) for masks in drawn]
    headings = ['sites', 'number', 'map', 'layer', 'keep_prob', 'gamma', 'expected']
    headings += ['drawn', 'dropout drawn', 'SpatialDropout drawn']
    over = [
        [f'{m.keep_prob:.4f}', f'{m.expected:.4f}', f'{m.own.mean():.4f}']
        for m in strip
    ]
    tables = [
        NumberTable('Share of units kept, nine channels', headings, rows),
        NumberTable(
            f'Over training: {strip[0].kind.label}, nine channels',
            ['keep_prob', 'expected', 'drawn'],
            over,
        ),
    ]
    told = '; '.join(
        f'{m.kind.label}: {m.own.mean():.3f} of the units kept, {m.expected:.3f} '
        'expected'
        for m in drawn
    )
    alt = (
        'What is dropped at the sites of the model, painted over the image, beside the '
        f'same share dropped as single units and as whole channels. {told}.'
    )
    return FigureRecord(
        'masks',
        'Masks at the sites',
        picture.name,
        alt,
        tables,
        list(notes),
        command,
    )


def _numbers(masks: SiteMasks) -> list[str]:
    kind = masks.kind
    facts = kind.layer().facts(masks.keep_prob, kind.size)
    gamma = f'{facts["gamma"]:.3g}' if 'gamma' in facts else ''
    size = f'{kind.map.channels} x {kind.map.height} x {kind.map.width}'
    shares = [f'{kept.mean():.4f}' for kept in masks.by_method().values()]
    return [
        kind.target or 'model',
        str(kind.sites),
        size,
        repr(kind.layer()),
        f'{masks.keep_prob:g}',
        gamma,
        f'{masks.expected:.4f}',
        *shares,
    ]
