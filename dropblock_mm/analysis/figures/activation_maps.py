"""A grid of activation maps: images down, models across (Figure 6 of the paper)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from dropblock_mm.analysis.activation_maps.compare import ImageMaps
from dropblock_mm.analysis.activation_maps.explanation import Explanation
from dropblock_mm.analysis.activation_maps.measured import Measured, SpreadReport
from dropblock_mm.analysis.figures.grid import evenly_spaced
from dropblock_mm.analysis.figures.record import FigureRecord
from dropblock_mm.analysis.figures.style import BLUE, ORANGE

SIDE = 2.3  # inches of a picture
LARGEST = 400  # pixels


def to_show(images: Sequence[Measured], number: int) -> list[int]:
    """Pick evenly spaced images, of those that all models got right if there are.

    Returns:
        list[int]: Their indices.
    """
    right = [image.index for image in images if image.comparable]
    source = right or [image.index for image in images]
    return [source[i] for i in evenly_spaced(len(source), number)]


def draw_grid(
    images: Sequence[ImageMaps], names: Sequence[str], classes: Sequence[str]
) -> Figure:
    """Draw each image, and beside it each model's map over what the model was given.

    Args:
        images: Those that :func:`to_show` picked.
        names: Of the models.
        classes: Their names, where they are known.
    """
    columns, rows = len(names) + 1, len(images)
    size = (SIDE * columns, SIDE * rows + 0.4)
    figure = Figure(figsize=size, layout='constrained')
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes, image in zip(panels, images, strict=True):
        photo = _open(image.path)
        _draw_target(axes[0], photo, image, classes)
        given = [photo if s is None else Image.fromarray(s) for s in image.seen]
        below = given or [photo] * len(image.maps)
        for panel, part, found in zip(axes[1:], below, image.maps, strict=True):
            _draw_map(panel, part, found)
    for panel, name in zip(panels[0], ('image', *names), strict=True):
        above = panel.get_title()
        panel.set_title(f'{name}\n{above}' if above else name, fontsize=9)
    for panel in panels.flat:
        panel.set_axis_off()
    return figure


def _open(path: str) -> Image.Image:
    with Image.open(path) as image:
        photo = image.convert('RGB')
    return photo


def _draw_target(
    panel: Axes, photo: Image.Image, image: ImageMaps, classes: Sequence[str]
) -> None:
    panel.imshow(_small(photo), extent=_extent(photo))
    first = image.maps[0]
    if first is None:
        panel.set_title('nothing found', fontsize=8)
        return
    label = first.target.label
    panel.set_title(classes[label] if label < len(classes) else f'class {label}')
    panel.title.set_fontsize(8)
    _draw_box(panel, first.target.box, BLUE)


def _draw_map(panel: Axes, photo: Image.Image, found: Explanation | None) -> None:
    panel.imshow(_small(photo.convert('L').convert('RGB')), extent=_extent(photo))
    if found is None or not found.activation.any():
        panel.set_title('not found', fontsize=8)
        return
    panel.imshow(
        found.activation / found.activation.max(),
        cmap='inferno',
        alpha=0.55,
        vmin=0,
        vmax=1,
        extent=_extent(photo),
        interpolation='bilinear',
    )
    wrong = ', wrong' if found.right is False else ''
    panel.set_title(f'{found.score:.2f}{wrong}', fontsize=8)
    _draw_box(panel, found.box, ORANGE)


def _draw_box(
    panel: Axes, box: tuple[float, float, float, float] | None, colour: str
) -> None:
    if box is not None:
        left, top, right, bottom = box
        width, height = right - left, bottom - top
        panel.add_patch(
            Rectangle((left, top), width, height, fill=False, ec=colour, lw=1.5)
        )


def _small(photo: Image.Image) -> np.ndarray:
    photo = photo.copy()
    photo.thumbnail((LARGEST, LARGEST))
    return np.asarray(photo)


def _extent(photo: Image.Image) -> tuple[float, float, float, float]:
    return (0, photo.width, photo.height, 0)


NOT_COMPARED = 'No image was got right by every model, so that no spread is compared.'


def maps_record(
    picture: Path,
    report: SpreadReport,
    shown: int,
    notes: Sequence[str],
    command: str,
    kept: Mapping[str, Any],
) -> FigureRecord:
    """Say in words and numbers what :func:`draw_grid` shows.

    Args:
        picture: Its file.
        report: The spread of the maps.
        shown: Number of images in the picture.
        notes: Sentences.
        command: What makes it again.
        kept: What the same command goes on from.
    """
    told = NOT_COMPARED
    if report.compared:
        shares = ', '.join(
            f'{name} {share:.3f}'
            for name, share in zip(report.names, report.means['share'], strict=True)
        )
        told = (
            f'Mean share of cells above 20 % of the maximum over {report.compared} '
            f'images: {shares}.'
        )
    models = ', '.join(report.names)
    alt = f'Activation maps of {models} over {shown} images. {told}'
    numbers = {
        'models': report.names,
        'images': report.images,
        'compared': report.compared,
        'means': report.means,
        'differences': {
            key: [vars(found) for found in differences]
            for key, differences in report.differences.items()
        },
    }
    return FigureRecord(
        'activation_maps',
        'Activation maps',
        picture.name,
        alt,
        report.tables(),
        list(notes),
        command,
        {**kept, **(numbers if report.compared else {})},
    )
