"""Curves of a sweep, in the form of the paper's figures 3 and 4."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dropblock_mm.analysis.comparison.sweeps import Sweep
from dropblock_mm.analysis.figures.style import BLUE, GREEN, GREY, ORANGE, RED
from dropblock_mm.hooks.grid import NONE, Point

_COLORS, _MARKERS, _LINES = (BLUE, ORANGE, GREEN, RED), 'os^Dv', ('-', '--', ':', '-.')
_TITLES = {'conv': 'convolutions', 'both': 'with shortcuts', 'branch': 'branches'}


def draw_sweep(sweep: Sweep) -> dict[str, Figure]:
    """Draw a figure over each axis of numbers that has several.

    Args:
        sweep: With a metric.

    Returns:
        dict: By 'keep_prob' (figure 3) and 'block_size' (figure 4); empty where
        neither varies.
    """
    others = [point for point in sweep.points if point != NONE]
    figures = {}
    keeps = {point.keep_prob for point in sweep.points}
    if len(keeps) > 1 and others:
        figures['keep_prob'] = over_keep_prob(sweep, others)
    if len({point.block_size for point in others} - {None}) > 1:
        blocks = [point for point in others if point.block_size is not None]
        figures['block_size'] = over_block_size(sweep, blocks)
    return figures


def over_keep_prob(sweep: Sweep, points: Sequence[Point]) -> Figure:
    """Draw one panel: a curve for each method and what else differs (figure 3)."""
    figure = Figure(figsize=(7.5, 5), layout='constrained')
    panel = figure.subplots()
    curves = list(dict.fromkeys(replace(p, keep_prob=0.0) for p in points))
    for number, curve in enumerate(curves):
        own = [p for p in points if replace(p, keep_prob=0.0) == curve]
        own += [NONE] if NONE in sweep.points else []
        own.sort(key=lambda p: p.keep_prob)
        label = _label(curve, curves)
        draw_curve(panel, sweep, own, lambda p: p.keep_prob, label, number)
    _finish(panel, sweep, 'keep_prob')
    return figure


def over_block_size(sweep: Sweep, points: Sequence[Point]) -> Figure:
    """Draw a row for each group, a column for each place and schedule (figure 4)."""
    rows = list(dict.fromkeys(point.groups for point in points))
    columns = list(dict.fromkeys((p.place, p.schedule) for p in points))
    size = (0.6 + 3.6 * len(columns), 0.6 + 2.8 * len(rows))
    figure = Figure(figsize=size, layout='constrained')
    panels = figure.subplots(len(rows), len(columns), squeeze=False, sharey=True)
    keeps = list(dict.fromkeys(point.keep_prob for point in points))
    for row, groups in enumerate(rows):
        for column, (place, schedule) in enumerate(columns):
            panel = panels[row][column]
            draw_baseline(panel, sweep)
            for number, keep_prob in enumerate(keeps):
                own = [
                    p
                    for p in points
                    if (p.groups, p.place, p.schedule) == (groups, place, schedule)
                    and p.keep_prob == keep_prob
                ]
                own.sort(key=lambda p: p.block_size or 0)
                label = f'keep_prob {keep_prob:g}'
                draw_curve(panel, sweep, own, _block_size, label, number)
            how = 'schedule' if schedule else 'no schedule'
            panel.set_title(f'{groups}: {_TITLES[place]}, {how}', fontsize=10)
            _finish(panel, sweep, 'block_size')
            panel.label_outer()
    return figure


def _block_size(point: Point) -> float:
    return float(point.block_size or 0)


def draw_curve(
    panel: Axes,
    sweep: Sweep,
    points: Iterable[Point],
    place: Callable[[Point], float],
    label: str,
    number: int,
) -> None:
    """Draw means with their standard deviations over the seeds.

    Args:
        panel: Where.
        sweep: What came out.
        points: Those that have no outcome are left out.
        place: Where a point is on the axis.
        label: Of the curve.
        number: Of the curve, for its looks.
    """
    drawn = [(p, sweep.arm(p)) for p in points if sweep.arm(p).outcomes]
    if not drawn:
        return
    panel.errorbar(
        [place(point) for point, _ in drawn],
        [arm.mean() or 0.0 for _, arm in drawn],
        yerr=[arm.spread() or 0.0 for _, arm in drawn],
        color=_COLORS[number % len(_COLORS)],
        marker=_MARKERS[number % len(_MARKERS)],
        linestyle=_LINES[(number // len(_COLORS)) % len(_LINES)],
        capsize=3,
        label=label,
    )


def draw_baseline(panel: Axes, sweep: Sweep) -> None:
    """Draw the plain model as a line."""
    plain = sweep.arms.get(NONE.name)
    mean = plain.mean() if plain else None
    if mean is not None:
        panel.axhline(mean, color=GREY, linestyle='--', lw=1, label='none')


def _label(curve: Point, curves: Sequence[Point]) -> str:
    """Name what sets a curve apart from the others."""
    words = [curve.method]
    for key, told in {
        'groups': curve.groups,
        'block_size': f'block {curve.block_size}' if curve.block_size else '',
        'place': _TITLES[curve.place],
        'schedule': 'schedule' if curve.schedule else 'no schedule',
    }.items():
        if len({getattr(other, key) for other in curves}) > 1:
            words.append(told)
    return ', '.join(filter(None, words))


def _finish(panel: Axes, sweep: Sweep, axis: str) -> None:
    panel.set(xlabel=axis, ylabel=sweep.metric)
    if axis == 'block_size':
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    panel.grid(alpha=0.3)
    panel.spines[['top', 'right']].set_visible(False)
    if panel.get_legend_handles_labels()[0]:
        panel.legend(frameon=False, fontsize=8)
