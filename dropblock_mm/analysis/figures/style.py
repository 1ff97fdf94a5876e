"""How the pictures look, and how they are saved."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from PIL import Image

from dropblock_mm.runs.checkpoints.whole_files import write_whole

DPI = 100

# Okabe and Ito's palette, which colour-blind readers can tell apart too.
BLUE, ORANGE, GREEN, RED = '#0072B2', '#E69F00', '#009E73', '#D55E00'
KEPT, DROPPED, GREY = '#F1EFEA', BLUE, '#555555'
LINES = '-', '--', '-.', ':'  # what lies under one of these shows through its gaps
STYLE = {'font.size': 11, 'axes.titlesize': 11}


@dataclass
class Picture:
    """A figure and the lines that say its numbers."""

    figure: Figure
    lines: list[str] = field(default_factory=list)


@contextmanager
def house_style() -> Iterator[None]:
    """Draw with this file's settings, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def legend_below(
    figure: Figure,
    handles: Sequence[Artist],
    labels: Sequence[str],
    columns: int,
    **look: Any,
) -> Legend:
    """Put a legend below a figure, in as many columns as its width holds.

    A legend of more than a fifth of the figure makes it higher, so that what is drawn
    keeps its room.

    Args:
        figure: At its size.
        handles: What is drawn for each name.
        labels: The names, of any length.
        columns: At most so many.
        **look: As for :meth:`Figure.legend`.
    """
    look = {'loc': 'outside lower center', 'frameon': False, **look}
    for number in range(columns, 0, -1):
        legend = figure.legend(handles, labels, ncols=number, **look)
        extent = legend.get_window_extent()
        if number == 1 or extent.width <= figure.bbox.width:
            break
        legend.remove()
    too_high = (extent.height - figure.bbox.height / 5) / figure.dpi
    figure.set_figheight(figure.get_figheight() + max(0.0, too_high))
    return legend


def save_whole(figure: Figure, path: Path, **how: Any) -> None:
    """Write a figure as its name ends, whole or not at all; make the folder."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=path.suffix[1:] or 'png', **how)
    write_whole(buffer.getvalue(), path)


def save_small(figure: Figure, path: Path) -> None:
    """Write a PNG of 256 colours: a third of the size, and it looks the same."""
    buffer, small = io.BytesIO(), io.BytesIO()
    figure.savefig(buffer, format='png', dpi=DPI)
    with Image.open(buffer) as image:
        image.convert('RGB').quantize(256).save(small, 'png', optimize=True)
    write_whole(small.getvalue(), path)


def save_picture(figure: Figure, path: Path) -> None:
    """Write a figure, as a small PNG or as what its name ends in; make the folder."""
    if path.suffix.lower() == '.png':
        save_small(figure, path)
    else:
        save_whole(figure, path)
