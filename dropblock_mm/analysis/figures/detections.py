"""Sheets of images: what is there beside what a detector found."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from dropblock_mm.analysis.figures.grid import draw_groups, evenly_spaced
from dropblock_mm.analysis.figures.record import FigureRecord, NumberTable

TRUTH, RIGHT, WRONG = '#1f9dff', '#2ab52a', '#ff4136'
MATCH_IOU = 0.5


@dataclass(frozen=True)
class Box:
    """A labelled box; x, y, width and height in pixels from the top left corner."""

    xywh: tuple[float, float, float, float]
    label: str
    score: float | None = None


@dataclass(frozen=True)
class Sample:
    """An image, UInt8Array[H, W, 3], with what is there and what was found."""

    image: np.ndarray
    truth: list[Box]
    predictions: list[Box]


def read_samples(
    ann_file: Path,
    image_dir: Path,
    results_file: Path,
    *,
    num_images: int,
    score_thr: float,
) -> list[Sample]:
    """Read evenly spaced images of a data set and the predictions on them.

    Args:
        ann_file: COCO annotations.
        image_dir: What the annotations' ``file_name`` is relative to.
        results_file: COCO results: a list of image_id, category_id, bbox, score.
        num_images: How many images; fewer if the data set has fewer.
        score_thr: Predictions with a lower score are left out.
    """
    coco = json.loads(ann_file.read_text(encoding='utf-8'))
    results = json.loads(results_file.read_text(encoding='utf-8'))
    names = {category['id']: category['name'] for category in coco['categories']}
    truth = boxes_by_image(coco['annotations'], names)
    predictions = boxes_by_image(
        [result for result in results if result['score'] >= score_thr], names
    )
    images = coco['images']
    return [
        Sample(
            np.asarray(Image.open(image_dir / image['file_name']).convert('RGB')),
            truth[image['id']],
            predictions[image['id']],
        )
        for image in (images[i] for i in evenly_spaced(len(images), num_images))
    ]


def boxes_by_image(
    entries: list[dict[str, Any]], names: dict[int, str]
) -> dict[int, list[Box]]:
    """Group annotations or results by image; an image without any has no boxes."""
    boxes: dict[int, list[Box]] = defaultdict(list)
    for entry in entries:
        box = Box(tuple(entry['bbox']), names[entry['category_id']], entry.get('score'))
        boxes[entry['image_id']].append(box)
    return boxes


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
