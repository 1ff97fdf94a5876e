"""The metric over keep_prob, with DropBlock left on: a panel for each block size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dropblock_mm.analysis.figures.record import FigureRecord, NumberTable
from dropblock_mm.analysis.figures.style import (
    BLUE,
    GREEN,
    LINES,
    ORANGE,
    RED,
    legend_below,
)
from dropblock_mm.analysis.robustness_points import Curve

COLOURS, MARKERS = (BLUE, ORANGE, GREEN, RED), 'os^D'


def draw_robustness(curves: Sequence[Curve], metric: str) -> Figure:
    """Draw a curve for each model, with bars of one standard deviation.

    Args:
        curves: At least one.
        metric: What was measured.
    """
    block_sizes = list(dict.fromkeys(curve.block_size for curve in curves))
    models = list(dict.fromkeys(curve.model for curve in curves))
    figure = Figure(figsize=(4.6 * len(block_sizes), 4.2), layout='constrained')
    panels = figure.subplots(1, len(block_sizes), sharey=True, squeeze=False)[0]
    for panel, block_size in zip(panels, block_sizes, strict=True):
        for curve in (c for c in curves if c.block_size == block_size):
            index = models.index(curve.model)
            panel.errorbar(
                curve.keep_probs,
                curve.means,
                curve.spreads,
                color=COLOURS[index % len(COLOURS)],
                marker=MARKERS[index % len(MARKERS)],
                # What lies under another curve shows through its gaps, and with more
                # curves than colours no two look the same.
                linestyle=LINES[(index + index // len(COLOURS)) % len(LINES)],
                capsize=3,
                label=curve.model,
            )
        panel.set(title=f'block_size {block_size}', xlabel='keep_prob at test time')
        panel.xaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel(metric)
    panels[0].set_ylim(0, max(1.1 * max(max(c.means) for c in curves), 5))
    handles, labels = panels[0].get_legend_handles_labels()
    legend_below(figure, handles, labels, columns=3)
    return figure


def robustness_record(
    picture: Path,
    curves: Sequence[Curve],
    metric: str,
    numbers: dict[str, Any],
    notes: Sequence[str],
    command: str,
) -> FigureRecord:
    """Say in words and numbers what :func:`draw_robustness` shows."""
    rows = [
        [
            curve.model,
            str(curve.block_size),
            f'{rate:g}',
            f'{mean:.4g}',
            f'{spread:.2g}' if count > 1 else '',
            str(count),
        ]
        for curve in curves
        for rate, mean, spread, count in zip(
            curve.keep_probs, curve.means, curve.spreads, curve.counts, strict=True
        )
    ]
    headings = ['model', 'block_size', 'keep_prob', metric, 'deviation', 'seeds']
    told = '; '.join(
        f'{c.model} at block {c.block_size} from {c.means[-1]:.3g} at keep_prob '
        f'{c.keep_probs[-1]:g} to {c.means[0]:.3g} at {c.keep_probs[0]:g}'
        for c in curves
    )
    return FigureRecord(
        'robustness',
        'With DropBlock left on at test time',
        picture.name,
        f'{metric} over keep_prob: {told}.',
        [NumberTable(f'{metric}, mean over the masks', headings, rows)],
        list(notes),
        command,
        numbers,
    )
