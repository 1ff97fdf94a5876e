"""A comparison of arms: what each seed gave, the differences, the gaps."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dropblock_mm.analysis.comparison.arms import Arm, Comparison
from dropblock_mm.analysis.figures.style import BLUE, GREY, ORANGE


def draw_comparison(comparison: Comparison) -> Figure:
    """Draw three panels: the metric, the paired differences, the gaps.

    Args:
        comparison: With at least one outcome. A panel without numbers says so.
    """
    height = 2.4 + 0.5 * len(comparison.arms)
    figure = Figure(figsize=(11, height), layout='constrained')
    # An arm has one line in all of them, and its name once: names may be long.
    panels = figure.subplots(1, 3, sharey=True, width_ratios=(3, 3, 2))
    draw_values(panels[0], comparison)
    draw_differences(panels[1], comparison)
    draw_gaps(panels[2], comparison)
    panels[0].set_yticks(
        range(len(comparison.arms)), [arm.name for arm in comparison.arms]
    )
    panels[0].set_ylim(len(comparison.arms) - 0.4, -0.6)  # the first on top
    for panel in panels:
        panel.grid(axis='x', alpha=0.3)
        panel.xaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
        panel.spines[['top', 'right']].set_visible(False)
    return figure


def draw_values(panel: Axes, comparison: Comparison) -> None:
    """Draw every seed, seeds joined by lines, and the means."""
    arms = comparison.arms
    for seed in sorted({seed for arm in arms for seed in arm.outcomes}):
        points = [
            (arm.outcomes[seed].value, place)
            for place, arm in enumerate(arms)
            if seed in arm.outcomes
        ]
        panel.plot(*zip(*points, strict=True), 'o-', color=GREY, alpha=0.5, lw=0.8)
    for place, arm in enumerate(arms):
        mean = arm.mean()
        if mean is not None:
            panel.plot([mean], [place], 'D', color=BLUE, ms=8)
            panel.annotate(
                f'{mean:.2f}',
                (mean, place),
                (0, 8),
                textcoords='offset points',
                ha='center',
            )
    panel.margins(x=0.12)  # room for what is written over the outermost
    panel.set(title='Every seed, and the mean', xlabel=comparison.metric)


def draw_differences(panel: Axes, comparison: Comparison) -> None:
    """Draw the mean differences with both intervals."""
    panel.axvline(0, color='black', lw=0.8)
    for place, arm in enumerate(comparison.others, start=1):
        _draw_difference(panel, place, arm)
    plain = comparison.arms[0].name
    panel.set(
        title=f'Difference to {plain}: 95 % intervals',
        xlabel=f'{comparison.metric}, same seed',
    )
    if panel.get_legend_handles_labels()[0]:
        handles, labels = panel.get_legend_handles_labels()
        once = dict(zip(labels, handles, strict=True))
        panel.legend(once.values(), once.keys(), frameon=False, fontsize=8)


def _draw_difference(panel: Axes, place: int, arm: Arm) -> None:
    found = arm.difference
    if found is None or not found.values:
        return
    values = list(found.values.values())
    panel.plot(values, [place] * len(values), 'o', color=GREY, alpha=0.5)
    panel.plot([found.mean], [place], 'D', color=BLUE, ms=8)
    if found.t_interval:
        panel.plot(found.t_interval, [place] * 2, color=BLUE, lw=3, label='paired t')
    if found.bootstrap:
        lower = [place + 0.15] * 2
        panel.plot(found.bootstrap, lower, color=ORANGE, lw=3, label='bootstrap')


def draw_gaps(panel: Axes, comparison: Comparison) -> None:
    """Draw the mean gaps between training and validation."""
    gaps = [arm.gap() for arm in comparison.arms]
    panel.set(title='Training - validation', xlabel=comparison.metric)
    if all(gap is None for gap in gaps):
        panel.text(0.5, 0.5, 'not measured', transform=panel.transAxes, ha='center')
        return
    panel.barh(range(len(gaps)), [gap or 0.0 for gap in gaps], color=BLUE, height=0.5)
    panel.axvline(0, color='black', lw=0.8)
