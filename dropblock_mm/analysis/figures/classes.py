"""Sheets of images with the classes that a classifier predicted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from dropblock_mm.analysis.figures.grid import evenly_spaced

PER_ROW = 10
RIGHT, WRONG = 'green', 'red'


@dataclass(frozen=True)
class Sample:
    """An image, UInt8Array[H, W, 3], its class, the predicted one and its score."""

    image: np.ndarray
    label: int
    predicted: int
    score: float


def read_samples(predictions: Path, *, num_images: int) -> list[Sample]:
    """Read evenly spaced images and the predictions on them.

    Args:
        predictions: What ``dropblock_mm.PredictionFile`` wrote.
        num_images: How many images; fewer if there are fewer.
    """
    entries = json.loads(predictions.read_text(encoding='utf-8'))
    return [
        Sample(
            np.asarray(Image.open(entry['image']).convert('RGB')),
            entry['label'],
            entry['predicted'],
            entry['score'],
        )
        for entry in (entries[i] for i in evenly_spaced(len(entries), num_images))
    ]


def draw_sheet(samples: Sequence[Sample], classes: Sequence[str], title: str) -> Figure:
    """Draw images, each with its prediction over it, and the truth where it is wrong.

    Args:
        samples: What to draw.
        classes: Names of the classes; without them, their numbers.
        title: Written over the sheet.
    """
    rows = -(-len(samples) // PER_ROW)
    height = 1.25 * rows + 0.5
    figure = Figure(figsize=(1.1 * PER_ROW, height), dpi=110)
    figure.suptitle(title, fontsize=12, y=1 - 0.1 / height, va='top')
    panels = figure.subplots(rows, PER_ROW, squeeze=False)
    figure.subplots_adjust(
        left=0.01, right=0.99, bottom=0.02, top=1 - 0.55 / height, wspace=0.05
    )
    for panel in panels.flat:
        panel.set_axis_off()
    for panel, sample in zip(panels.flat, samples, strict=False):
        panel.imshow(sample.image)
        panel.set_title(caption(sample, classes), fontsize=8, pad=2)
        panel.title.set_color(RIGHT if sample.predicted == sample.label else WRONG)
    return figure


def caption(sample: Sample, classes: Sequence[str]) -> str:
    """Tell a prediction: 'cat 0.93', or 'cat 0.93, not dog'."""

    def name(label: int) -> str:
        return classes[label] if label < len(classes) else str(label)

    told = f'{name(sample.predicted)} {sample.score:.2f}'
    wrong = sample.predicted != sample.label
    return f'{told}, not {name(sample.label)}' if wrong else told
