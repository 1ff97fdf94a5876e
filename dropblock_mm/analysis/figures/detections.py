"""Sheets of images: what is there beside what a detector found."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dropblock_mm.analysis.figures.evaluated import Box, Sample
from dropblock_mm.analysis.figures.grid import draw_groups
from dropblock_mm.analysis.figures.record import FigureRecord, NumberTable

TRUTH, RIGHT, WRONG = '#1f9dff', '#2ab52a', '#ff4136'
MATCH_IOU = 0.5


def is_right(prediction: Box, truth: list[Box]) -> bool:
    """Tell whether an object of the same class lies there (IoU of 0.5 or more)."""
    return any(
        prediction.label == box.label and iou(prediction.xywh, box.xywh) >= MATCH_IOU
        for box in truth
    )


def iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Return intersection over union of two boxes given as x, y, width, height."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    intersection = max(width, 0.0) * max(height, 0.0)
    return intersection / (a[2] * a[3] + b[2] * b[3] - intersection)


def draw_sheet(samples: list[Sample], title: str) -> Figure:
    """Draw pairs of pictures: ground truth at the left, predictions at the right."""
    pairs = [(partial(draw_truth, s), partial(draw_found, s)) for s in samples]
    return draw_groups(pairs, ('ground truth', 'predictions'), title)


def draw_truth(sample: Sample, panel: Axes) -> None:
    """Draw what is there."""
    draw_picture(panel, sample.image, [(box, TRUTH) for box in sample.truth])


def draw_found(sample: Sample, panel: Axes) -> None:
    """Draw what was found, the surest boxes last, so that they lie on top."""
    boxes = sorted(sample.predictions, key=lambda box: box.score or 0.0)
    coloured = [(box, RIGHT if is_right(box, sample.truth) else WRONG) for box in boxes]
    draw_picture(panel, sample.image, coloured)


def draw_picture(panel: Axes, image: np.ndarray, boxes: list[tuple[Box, str]]) -> None:
    """Draw boxes, each in its colour, on an image."""
    panel.imshow(image, interpolation='bicubic')
    for box, colour in boxes:
        x, y, width, height = box.xywh
        panel.add_patch(
            Rectangle(
                (x - 0.5, y - 0.5),
                width,
                height,
                fill=False,
                ec=colour,
                lw=1.5,
                ls='--' if colour == WRONG else '-',  # for who cannot tell red
            )
        )
        # Above the box, or within it where it touches the top of the image.
        above = y > image.shape[0] / 16
        panel.text(
            x,
            y - 1 if above else y,
            box.label if box.score is None else f'{box.label}  {box.score:.2f}',
            fontsize=6.5,
            color='white',
            va='bottom' if above else 'top',
            clip_on=True,
            bbox={'facecolor': colour, 'edgecolor': 'none', 'pad': 0.8},
        )


def sheet_record(picture: Path, samples: list[Sample], title: str) -> FigureRecord:
    """Say in words and numbers what :func:`draw_sheet` shows.

    Args:
        picture: Where it was saved.
        samples: What was drawn.
        title: What was written over it.
    """
    rows = [
        [
            str(number),
            str(len(sample.truth)),
            str(len(sample.predictions)),
            str(sum(is_right(box, sample.truth) for box in sample.predictions)),
        ]
        for number, sample in enumerate(samples, 1)
    ]
    sums = [sum(int(row[column]) for row in rows) for column in (1, 2, 3)]
    alt = (
        f'Ground truth beside predictions on {len(samples)} images: {sums[0]} objects, '
        f'{sums[1]} predicted boxes, {sums[2]} of them right.'
    )
    headings = ['image', 'objects', 'predicted boxes', 'right']
    tables = [NumberTable('Boxes', headings, rows)]
    return FigureRecord(
        'ground_truth',
        'Ground truth and predictions',
        picture.name,
        alt,
        tables,
        [title],
    )
