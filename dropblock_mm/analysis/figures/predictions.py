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
    drawn = [[_small(prediction.drawn) for prediction in row] for row in rows]
    shape = np.mean([row[0].shape[0] / row[0].shape[1] for row in drawn])
    size = (SIDE * columns, (SIDE * float(shape) + 0.35) * len(rows) + 0.3)
    figure = Figure(figsize=size, layout='constrained')
    panels = figure.subplots(len(rows), columns, squeeze=False)
    names = short_names([row[0].path for row in rows])
    for axes, row, pictures, name in zip(panels, rows, drawn, names, strict=True):
        axes[0].imshow(_small(Path(row[0].path)))
        axes[0].set_title(name, fontsize=8)
        for panel, prediction, picture in zip(axes[1:], row, pictures, strict=True):
            panel.imshow(picture)
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


def _small(picture: np.ndarray | Path) -> np.ndarray:
    if isinstance(picture, Path):
        with Image.open(picture) as file:
            image = file.convert('RGB')
    else:
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
