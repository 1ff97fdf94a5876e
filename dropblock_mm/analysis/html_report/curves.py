"""The curves of the runs, drawn for the page, with their numbers."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from functools import partial

from matplotlib.figure import Figure
from PIL import Image

from dropblock_mm.analysis.figures.record import NumberTable
from dropblock_mm.analysis.figures.style import (
    DPI,
    LINES,
    house_style,
    legend_below,
)
from dropblock_mm.analysis.figures.training import (
    plot_keep_rates,
    plot_loss,
    plot_metrics,
)
from dropblock_mm.analysis.html_report.page import InlinePicture
from dropblock_mm.analysis.html_report.run_folder import RunFolder

COLOURS = 10  # of matplotlib, before they come again


def png(figure: Figure) -> bytes:
    """Return a figure as a small PNG."""
    raw, small = io.BytesIO(), io.BytesIO()
    figure.savefig(raw, format='png', dpi=DPI)
    with Image.open(raw) as image:
        image.convert('RGB').quantize(128).save(small, 'png', optimize=True)
    return small.getvalue()


def training_picture(run: RunFolder) -> InlinePicture | None:
    """Draw loss, metric and keep rates of a run; None without a log."""
    log = run.log
    if log is None or not log.series('loss')[0]:
        return None
    panels = [plot_loss, plot_keep_rates]
    if run.metric is not None:
        panels.insert(1, partial(plot_metrics, names=[run.metric]))
    with house_style():
        figure = Figure(figsize=(7, 2.6 * len(panels)), layout='constrained')
        axes = figure.subplots(len(panels), 1, sharex=True)
        for draw, panel in zip(panels, axes, strict=True):
            draw(panel, log)
            panel.grid(alpha=0.3)
        axes[-1].set_xlabel('iteration')
        data = png(figure)
    return InlinePicture(
        'Training', data, 'png', _in_words(run), [_numbers_by_epoch(run)]
    )


def _above(curves: Iterable[Sequence[float]]) -> float | None:
    """Return what leaves room for the dots of the highest curve."""
    known = [v for values in curves for v in values if math.isfinite(v)]
    return 1.05 * max(known, default=0) or None


def _in_words(run: RunFolder) -> str:
    assert run.log is not None
    steps, losses = run.log.series('loss')
    text = (
        f'Curves over {steps[-1]:,} iterations: the loss goes from {losses[0]:.3g} to '
        f'{losses[-1]:.3g}'
    )
    if run.values:
        text += f', {run.metric} ends at {run.values[-1]:.4g}'
    if run.keep_rate is not None:
        keep_prob = run.log.series('keep_prob')[1]
        text += f', and {run.keep_rate:.4f} of the units are kept in the last epoch'
        text += f' at a keep_prob of {keep_prob[-1]:.3f}' if keep_prob else ''
    return f'{text}.'


def _numbers_by_epoch(run: RunFolder) -> NumberTable:
    """Return a line for each evaluation, or ten of the log where there is none."""
    assert run.log is not None
    rows = run.log.train
    metric = run.metric
    dated = {row['step']: row[metric] for row in run.log.val if metric in row}
    spaced = [rows[i * (len(rows) - 1) // 9]['step'] for i in range(10)]
    steps = list(dated) or list(dict.fromkeys(spaced))
    lines = []
    for step in steps:
        last = [row for row in rows if row['step'] <= step][-1:]
        seen = last[0] if last else {}
        cells = [str(step)] + [
            f'{seen[key]:.4g}' if isinstance(seen.get(key), (int, float)) else ''
            for key in ('loss', 'keep_prob', 'effective_keep_rate')
        ]
        lines.append([*cells, f'{dated[step]:.4g}' if step in dated else ''])
    headings = ['iteration', 'loss', 'keep_prob', 'units kept', metric or 'metric']
    return NumberTable('By evaluation', headings, lines, sorted_by=0)


def compared_picture(runs: list[RunFolder]) -> InlinePicture | None:
    """Draw the metric of all runs that share it and the data; None for one alone."""
    kinds = [(run.metric, run.data) for run in runs if run.metric]
    shared, held_on = max(kinds, key=kinds.count, default=(None, ''))
    alike = [run for run in runs if run.metric == shared and run.log]
    drawn = [run for run in alike if run.data == held_on]
    if shared is None or len(drawn) < 2:
        return None
    notes = [
        'One run each, unless a series says otherwise: a difference may be chance.'
    ]
    notes += [
        f'Not drawn, for it was evaluated on other data: {run.name} '
        f'({run.data or "not known"}).'
        for run in alike
        if run.data != held_on
    ]
    with house_style():
        figure = Figure(figsize=(7, 3.6), layout='constrained')
        panel = figure.subplots()
        for number, run in enumerate(drawn):
            assert run.log is not None
            line = LINES[number // COLOURS % len(LINES)]
            panel.plot(*run.log.series(shared), f'o{line}', label=run.name)
        panel.set(xlabel='iteration', ylabel=shared)
        panel.set_ylim(0, _above(run.values for run in drawn))
        panel.grid(alpha=0.3)
        legend_below(figure, *panel.get_legend_handles_labels(), columns=2)
        data = png(figure)
    lines = [[r.name, f'{r.values[-1]:.4g}', f'{max(r.values):.4g}'] for r in drawn]
    table = NumberTable(shared, ['run', 'at the end', 'at best'], lines)
    ends = ', '.join(f'{run.name} {run.values[-1]:.4g}' for run in drawn)
    return InlinePicture(
        f'{shared} of {len(drawn)} runs',
        data,
        'png',
        f'{shared} over the iterations; at the end: {ends}.',
        [table.sorted(1, descending=True)],
        notes,
    )
