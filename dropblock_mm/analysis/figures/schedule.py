"""keep_prob, gamma and keep rate of each stage, over the iterations of a config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from dropblock_mm.analysis.figures.record import FigureRecord, NumberTable
from dropblock_mm.analysis.figures.style import LINES, legend_below
from dropblock_mm.analysis.schedule import ScheduleCurves, StageCurve
from dropblock_mm.injection.sites import readable_name
from dropblock_mm.runs.training_log import TrainingLog

LOGGED = 'target_keep_rate.'
MANY = 60  # points, which would lie on each other if they were large
Series = tuple[list[int], list[float]]


def logged_rates(log: TrainingLog) -> dict[str, Series]:
    """Return what a training logged as kept, by target, and of all together."""
    keys = {key for row in log.train for key in row if key.startswith(LOGGED)}
    found = {key.removeprefix(LOGGED): log.series(key) for key in sorted(keys)}
    every = log.series('effective_keep_rate')
    return found | ({'all': every} if every[0] else {})


def draw_schedule(curves: ScheduleCurves, logged: Mapping[str, Series]) -> Figure:
    """Draw three panels over the iterations, a line for each stage.

    Args:
        curves: What will be done.
        logged: What a training kept, by target, as points over it.
    """
    figure = Figure(figsize=(8, 9), layout='constrained')
    rates, gammas, kept = figure.subplots(3, 1, sharex=True)
    for index, stage in enumerate(curves.stages):
        # Of stages with one keep_prob, the lower shows through the gaps of the upper.
        look = {'color': f'C{index}', 'linestyle': LINES[index % len(LINES)]}
        look['label'] = stage.kind.label
        rates.plot(curves.iterations, stage.keep_prob, **look)
        if stage.gamma is not None:
            gammas.plot(curves.iterations, stage.gamma, **look)
        kept.plot(curves.iterations, stage.expected, **look)
    for index, (name, (steps, values)) in enumerate(logged.items()):
        kept.plot(
            steps,
            values,
            '.',
            ms=3 if len(steps) > MANY else 9,
            color='black' if name == 'all' else f'C{index}',
            alpha=0.5,
            label=f'logged, {name}',
        )
    rates.set(ylabel='keep_prob', title='As scheduled')
    gammas.set(ylabel='gamma', title='Probability of a seed (equation 1)')
    kept.set(ylabel='share of units kept', title='Exact expected keep rate')
    unit = '' if curves.length.known else ' (the length is not known: of 1,000)'
    kept.set_xlabel(f'iteration{unit}')
    for panel in (rates, gammas, kept):
        panel.grid(alpha=0.3)
    handles, labels = kept.get_legend_handles_labels()
    legend_below(figure, handles, labels, columns=2)
    return figure


def schedule_record(
    picture: Path,
    curves: ScheduleCurves,
    logged: Mapping[str, Series],
    notes: Sequence[str],
    command: str,
) -> FigureRecord:
    """Say in words and numbers what :func:`draw_schedule` shows."""
    spaced = [i * (len(curves.iterations) - 1) // 4 for i in range(5)]
    rows = [
        row for stage in curves.stages for row in _rows(stage, curves, spaced, logged)
    ]
    headings = ['stage', 'iteration', 'keep_prob', 'gamma', 'expected', 'logged']
    ends = '; '.join(
        f'{stage.kind.label}: {stage.keep_prob[0]:.3f} to {stage.keep_prob[-1]:.3f}, '
        f'at the end {stage.expected[-1]:.4f} of the units kept'
        for stage in curves.stages
    )
    notes = list(notes)
    if not curves.length.known:
        notes.append(
            'The data are not there to count, so that 1,000 iterations are drawn.'
        )
    return FigureRecord(
        'schedule',
        'keep_prob, gamma and keep rate over training',
        picture.name,
        f'keep_prob over {curves.length.iterations:,} iterations. {ends}.',
        [NumberTable('By stage and iteration', headings, rows)],
        notes,
        command,
    )


def _rows(
    stage: StageCurve,
    curves: ScheduleCurves,
    spaced: Sequence[int],
    logged: Mapping[str, Series],
) -> list[list[str]]:
    steps, values = logged.get(readable_name(stage.kind.target), ([], []))
    rows = []
    for index in spaced:
        iteration = curves.iterations[index]
        # The log counts iterations from 1.
        near = min(
            range(len(steps)),
            key=lambda i: abs(steps[i] - 1 - iteration),
            default=None,
        )
        gamma = '' if stage.gamma is None else f'{stage.gamma[index]:.3g}'
        rows.append(
            [
                stage.kind.label,
                f'{iteration}',
                f'{stage.keep_prob[index]:.4f}',
                gamma,
                f'{stage.expected[index]:.4f}',
                '' if near is None else f'{values[near]:.4f}',
            ]
        )
    return rows
