"""The pictures that docs/en/evidence.md has of each kind of result."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dropblock_mm.analysis.activation_maps.spread import MEASURES
from dropblock_mm.analysis.figures.comparison import draw_comparison
from dropblock_mm.analysis.figures.style import BLUE, GREEN, GREY, ORANGE, RED
from tools.dev.evidence_tables import (
    comparison_of,
    robustness_values,
    spread_values,
)
from tools.dev.gap_over_training import draw as draw_curves

COLOURS = (BLUE, ORANGE, GREEN, RED)


def draw(kept: Mapping[str, Any]) -> Figure:
    """Draw what is kept of a command's results."""
    return _DRAWN[kept['kind']](kept)


def _draw_comparison(kept: Mapping[str, Any]) -> Figure:
    return draw_comparison(comparison_of(kept))


def _draw_gap(kept: Mapping[str, Any]) -> Figure:
    runs = {
        name: {int(epoch): point for epoch, point in curve.items()}
        for name, curve in kept['runs'].items()
    }
    return draw_curves(runs, kept['metric'])


def _draw_robustness(kept: Mapping[str, Any]) -> Figure:
    """A panel for each block size: a thin line for each seed, and the arms' means."""
    values = robustness_values(kept)
    blocks = sorted({block for block, _ in values})
    figure = Figure(figsize=(4.5 * len(blocks), 4), layout='constrained')
    panels = figure.subplots(1, len(blocks), sharey=True, squeeze=False)[0]
    for panel, block in zip(panels, blocks, strict=True):
        # With nothing dropped all sizes are the same: it is evaluated once.
        at = {rate: arms for (size, rate), arms in values.items() if rate == 1}
        at |= {rate: arms for (size, rate), arms in values.items() if size == block}
        rates = sorted(at)
        for colour, arm in zip(COLOURS, at[rates[0]], strict=False):
            seeds = [at[rate][arm] for rate in rates]
            for seed in seeds[0]:
                drawn = [statistics.fmean(point[seed]) for point in seeds]
                panel.plot(rates, drawn, color=colour, lw=0.7, alpha=0.5)
            means = [
                statistics.fmean(statistics.fmean(drawn) for drawn in point.values())
                for point in seeds
            ]
            panel.plot(rates, means, 'o-', color=colour, lw=2, label=arm)
        panel.set(title=f'block_size {block}', xlabel='keep_prob at test time')
        _quiet(panel)
    panels[0].set_ylabel(f'{kept["points"][0]["metric"]}, %')
    panels[0].legend(frameon=False)
    return figure


def _draw_maps(kept: Mapping[str, Any]) -> Figure:
    """A panel for each measure: every seed, seeds joined by lines, and the means."""
    values = spread_values(kept)
    figure = Figure(figsize=(10, 3.2), layout='constrained')
    for panel, (measure, arms) in zip(
        figure.subplots(1, len(values)), values.items(), strict=True
    ):
        names = list(arms)
        for seed in arms[names[0]]:
            panel.plot(names, [arms[n][seed] for n in names], 'o-', color=GREY, lw=0.8)
        means = [statistics.fmean(arms[name].values()) for name in names]
        panel.plot(names, means, 'D', color=BLUE, ms=8)
        panel.set_title(MEASURES[measure].partition(',')[0].partition(' (')[0])
        panel.title.set(fontsize=9, wrap=True)
        panel.margins(x=0.3)
        panel.set_xticks(range(len(names)), [_in_lines(name) for name in names])
        panel.tick_params(axis='x', labelsize=9)
        _quiet(panel)
    return figure


def _in_lines(name: str, width: int = 12) -> str:
    """Break a name behind underscores."""
    words = textwrap.wrap(name.replace('_', '_ '), width)
    return '\n'.join(word.replace('_ ', '_') for word in words)


def _quiet(panel: Axes) -> None:
    panel.grid(alpha=0.3)
    panel.spines[['top', 'right']].set_visible(False)


_DRAWN = {
    'comparison': _draw_comparison,
    'robustness': _draw_robustness,
    'activation_maps': _draw_maps,
    'gap': _draw_gap,
}
