"""Sheets of images: their label maps beside what a segmentor predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from dropblock_mm.analysis.figures.grid import draw_groups, evenly_spaced
from dropblock_mm.analysis.figures.record import FigureRecord, NumberTable
from dropblock_mm.analysis.figures.style import legend_below

HEADINGS = ('image', 'ground truth', 'prediction')
NOT_LABELLED = 255
# Black for the background, and twenty colours that repeat.
COLOURS = np.vstack([np.zeros(3), colormaps['tab20'](range(20))[:, :3]])


@dataclass(frozen=True)
class Sample:
    """An image, UInt8Array[H, W, 3], and label maps, UInt8Array[H, W]."""

    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray


def read_samples(
    folder: Path, predictions: Path, *, image_set: str, num_images: int
) -> list[Sample]:
    """Read evenly spaced images of a data set and the predictions on them.

    Args:
        folder: With JPEGImages, SegmentationClass and ImageSets/Segmentation.
        predictions: Folder of label maps.
        image_set: Which list of ImageSets/Segmentation to read.
        num_images: How many images; fewer if the list has fewer.
    """
    names = (folder / f'ImageSets/Segmentation/{image_set}.txt').read_text().split()
    return [
        Sample(
            np.asarray(Image.open(folder / f'JPEGImages/{name}.jpg').convert('RGB')),
            np.asarray(Image.open(folder / f'SegmentationClass/{name}.png')),
            np.asarray(Image.open(predictions / f'{name}.png')),
        )
        for name in (names[i] for i in evenly_spaced(len(names), num_images))
    ]


def draw_sheet(samples: Sequence[Sample], classes: Sequence[str], title: str) -> Figure:
    """Draw triples: image, ground truth and prediction, with the classes' colours.

    Where the truth is not labelled, both label maps are white.
    """
    groups = [
        (
            partial(draw_picture, sample.image),
            partial(draw_picture, coloured(sample.truth, sample.truth)),
            partial(draw_picture, coloured(sample.prediction, sample.truth)),
        )
        for sample in samples
    ]
    colours = colour_of(np.arange(len(classes))).tolist()
    patches = [Patch(facecolor=colour, edgecolor='gray') for colour in colours]
    legend = partial(
        legend_below,
        handles=patches,
        labels=classes,
        columns=min(len(classes), 11),
        loc='lower center',
        fontsize=9,
    )
    return draw_groups(groups, HEADINGS, title, legend if classes else None)


def coloured(labels: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Paint a label map, FloatArray[H, W, 3]; white where nothing is labelled."""
    return np.where((truth == NOT_LABELLED)[..., None], 1.0, colour_of(labels))


def colour_of(labels: np.ndarray) -> np.ndarray:
    """Return the colours of labels, FloatArray[..., 3] in [0, 1]."""
    cycle = len(COLOURS) - 1
    return COLOURS[np.where(labels == 0, 0, (labels.astype(int) - 1) % cycle + 1)]


def draw_picture(picture: np.ndarray, panel: Axes) -> None:
    """Draw a picture; without smoothing, which would mix the classes' colours."""
    panel.imshow(picture, interpolation='nearest')


def sheet_record(picture: Path, samples: Sequence[Sample], title: str) -> FigureRecord:
    """Say in words and numbers what :func:`draw_sheet` shows.

    Args:
        picture: Where it was saved.
        samples: What was drawn.
        title: What was written over it.
    """
    rows = []
    for number, sample in enumerate(samples, 1):
        labelled = sample.truth != NOT_LABELLED
        right = (sample.truth == sample.prediction)[labelled]
        rows.append([str(number), f'{right.mean():.3f}' if right.size else ''])
    shares = [float(row[1]) for row in rows if row[1]]
    mean = f'{np.mean(shares):.3f}' if shares else 'none'
    alt = (
        f'Images, label maps and predictions of {len(samples)} images; in the mean, '
        f'{mean} of the labelled pixels are right.'
    )
    tables = [NumberTable('Pixels', ['image', 'share of pixels right'], rows)]
    return FigureRecord(
        'ground_truth',
        'Ground truth and predictions',
        picture.name,
        alt,
        tables,
        [title],
    )
