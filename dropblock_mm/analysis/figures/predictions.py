"""Predictions side by side: images down, models across."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from dropblock_mm.analysis.figures.record import FigureRecord, NumberTable
from dropblock_mm.analysis.trained.predictions import Prediction

SIDE, LARGEST, SHOWN = 3.0, 500, 6  # inches, pixels, images


def draw_predictions(found: Mapping[str, Sequence[Prediction]]) -> Figure:
    """Draw the first images, each beside itself with each model's predictions.

    Args:
        found: By the models' names, over the same images.
    """
    rows = list(zip(*found.values(), strict=True))[:SHOWN]
    columns = len(found) + 1
    shape = np.mean([row[0].drawn.shape[0] / row[0].drawn.shape[1] for row in rows])
    size = (SIDE * columns, (SIDE * float(shape) + 0.35) * len(rows) + 0.3)
    figure = Figure(figsize=size, layout='constrained')
    panels = figure.subplots(len(rows), columns, squeeze=False)
    names = short_names([row[0].path for row in rows])
    for axes, row, name in zip(panels, rows, names, strict=True):
        with Image.open(row[0].path) as image:
            axes[0].imshow(_small(np.asarray(image.convert('RGB'))))
        axes[0].set_title(name, fontsize=8)
        for panel, prediction in zip(axes[1:], row, strict=True):
            panel.imshow(_small(prediction.drawn))
            panel.set_title(_short(prediction.told), fontsize=8)
    for panel, name in zip(panels[0], ('image', *found), strict=True):
        panel.set_title(f'{name}\n{panel.get_title()}', fontsize=9)
    for panel in panels.flat:
        panel.set_axis_off()
    return figure


def short_names(paths: Sequence[str]) -> list[str]:
    """Return names of files, with their folders' where two files have one name."""
    names = [Path(path).name for path in paths]
    if len(set(names)) == len(set(paths)):
        return names
    return [str(Path(*Path(path).parts[-2:])) for path in paths]


def _short(text: str) -> str:
    return text if len(text) <= 40 else f'{text[:38]} ...'


def _small(picture: np.ndarray) -> np.ndarray:
    image = Image.fromarray(picture)
    image.thumbnail((LARGEST, LARGEST))
    return np.asarray(image)


def predictions_record(
    picture: Path, found: Mapping[str, Sequence[Prediction]], command: str
) -> FigureRecord:
    """Say in words what :func:`draw_predictions` shows, and of all images."""
    shown = list(zip(*found.values(), strict=True))
    names = short_names([row[0].path for row in shown])
    rows = [
        [name, *(prediction.told for prediction in row)]
        for name, row in zip(names, shown, strict=True)
    ]
    first = '; '.join(
        f'{name}: {predictions[0].told}' for name, predictions in found.items()
    )
    alt = (
        f'Predictions of {", ".join(found)} on {len(rows)} images. On '
        f'{rows[0][0]}, {first}.'
    )
    return FigureRecord(
        'predictions',
        'Predictions side by side',
        picture.name,
        alt,
        [NumberTable('What was predicted', ['image', *found], rows)],
        [],
        command,
    )
