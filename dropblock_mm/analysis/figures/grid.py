"""A sheet of small pictures in groups, such as truth and prediction of an image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend

Picture = Callable[[Axes], None]
GROUPS_PER_ROW = 3


def draw_groups(
    groups: Iterable[Sequence[Picture]],
    headings: Sequence[str],
    title: str,
    legend: Callable[[Figure], Legend] | None = None,
) -> Figure:
    """Draw groups of square pictures, three groups in a row.

    Args:
        groups: For each image what draws its pictures, each on axes of its own.
        headings: What the pictures of a group show; written over the first row.
        title: Written over the sheet.
        legend: Puts a legend at the bottom of a figure; it is given the room it takes.
    """
    groups = list(groups)
    rows = -(-len(groups) // GROUPS_PER_ROW)
    figure = Figure(figsize=(2.2 * len(headings) * GROUPS_PER_ROW, 1), dpi=110)
    below = 0.05
    if legend is not None:
        below += legend(figure).get_window_extent().height / figure.dpi
    height = 2.2 * rows + 0.6 + below
    figure.set_figheight(height)
    figure.suptitle(title, fontsize=12, y=1 - 0.1 / height, va='top')
    grid = figure.add_gridspec(
        rows,
        GROUPS_PER_ROW,
        wspace=0.04,
        hspace=0.04,
        left=0.01,
        right=0.99,
        bottom=below / height,
        top=1 - 0.6 / height,
    )
    for index, pictures in enumerate(groups):
        group = grid[index].subgridspec(1, len(headings), wspace=0.02)
        panels = group.subplots(squeeze=False)
        for panel, draw, heading in zip(panels[0], pictures, headings, strict=True):
            draw(panel)
            panel.set_axis_off()
            if index < GROUPS_PER_ROW:
                panel.set_title(heading, fontsize=9)
    return figure


def evenly_spaced(length: int, number: int) -> list[int]:
    """Return ``number`` indices from first to last; all, if there are fewer."""
    number = min(number, length)
    return [round(i * (length - 1) / max(number - 1, 1)) for i in range(number)]
