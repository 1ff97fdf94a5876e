"""The curves of a training: loss, metric, keep_prob and effective keep rate."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from dropblock_mm.runs.training_log import TrainingLog


def plot_training(log: TrainingLog, metrics: Sequence[str] = ()) -> Figure:
    """Draw three panels over one axis of iterations.

    Args:
        log: What the training logged. Without DropBlock the lower panel says so, and
            before the first evaluation the middle one.
        metrics: What to draw of the evaluations; the one that the data set is judged
            by if there are none.

    Raises:
        RefusedValueError: A metric was not logged.
    """
    figure = Figure(figsize=(10.5, 8.5), layout='constrained')
    panels = figure.subplots(3, 1, sharex=True)
    plot_loss(panels[0], log)
    plot_metrics(panels[1], log, metrics)
    plot_keep_rates(panels[2], log)
    for panel in panels:
        panel.grid(alpha=0.3)
        panel.spines[['top', 'right']].set_visible(False)
    panels[-1].set_xlabel('iteration')
    panels[-1].set_xlim(0, None)
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def place_legend(panel: Axes) -> None:
    """Put a legend beside its panel, where it hides no line."""
    panel.legend(frameon=False, loc='upper left', bbox_to_anchor=(1.0, 1.0))


def plot_loss(panel: Axes, log: TrainingLog) -> None:
    """Draw the total loss and its parts, on a logarithmic scale."""
    parts = sorted({key for row in log.train for key in row if key.startswith('loss_')})
    for key in parts:
        panel.plot(*log.series(key), lw=1, label=key)
    panel.plot(*log.series('loss'), color='black', lw=1.5, label='loss (total)')
    panel.set(yscale='log', ylabel='loss (log scale)', title='Training loss')
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_major_formatter('{x:g}')
    panel.yaxis.set_minor_formatter(NullFormatter())
    place_legend(panel)


def plot_metrics(panel: Axes, log: TrainingLog, names: Sequence[str]) -> None:
    """Draw metrics after each evaluation, and name their last values."""
    panel.set(ylabel='metric', title='Accuracy on the validation set')
    if not names and not log.metrics():
        text = 'not evaluated yet'
        panel.text(0.5, 0.5, text, transform=panel.transAxes, ha='center')
        return
    chosen = [log.metric(name) for name in names] or [log.metric()]
    top = 0.05
    for name in chosen:
        steps, values = log.series(name)
        (line,) = panel.plot(steps, values, 'o-', label=name)
        panel.annotate(
            f'{values[-1]:.3f}',
            (steps[-1], values[-1]),
            xytext=(0, 7),
            textcoords='offset points',
            ha='right',
            color=line.get_color(),
        )
        top = max(top, 1.15 * max(values))
    bottom = min(0.0, *(min(log.series(name)[1]) for name in chosen), 0.0)
    panel.set_ylim(1.15 * bottom, top)
    if len(chosen) == 1:
        panel.set_ylabel(chosen[0])
    else:
        place_legend(panel)


def plot_keep_rates(panel: Axes, log: TrainingLog) -> None:
    """Draw keep_prob as scheduled, and the share of units that was really kept."""
    panel.set(ylabel='share of units kept', title='DropBlock, scheduled and applied')
    effective, of_target = 'effective_keep_rate', 'target_keep_rate.'
    targets = sorted(
        {key for row in log.train for key in row if key.startswith(of_target)}
    )
    steps, values = log.series('keep_prob')
    if not steps:
        panel.text(0.5, 0.5, 'no DropBlock', transform=panel.transAxes, ha='center')
        return
    panel.plot(steps, values, '--', color='black', label='keep_prob (scheduled)')
    for key in targets:
        panel.plot(*log.series(key), lw=1, alpha=0.8, label=key.replace('.', ', ', 1))
    label = f'{effective} (all targets)'
    panel.plot(*log.series(effective), color='tab:red', lw=1.5, label=label)
    place_legend(panel)
