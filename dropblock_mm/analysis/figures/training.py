"""The curves of a training: loss, metric, keep_prob and effective keep rate."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from dropblock_mm.runs.training_log import TrainingLog


def plot_training(log: TrainingLog) -> Figure:
    """Draw three panels over one axis of iterations.

    Args:
        log: What the training logged. Without DropBlock the lower panel says so.
    """
    figure = Figure(figsize=(8, 8.5), layout='constrained')
    panels = figure.subplots(3, 1, sharex=True)
    plot_loss(panels[0], log)
    plot_metric(panels[1], log)
    plot_keep_rates(panels[2], log)
    for panel in panels:
        panel.grid(alpha=0.3)
        panel.spines[['top', 'right']].set_visible(False)
    panels[-1].set_xlabel('iteration')
    panels[-1].set_xlim(0, None)
    return figure


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
    panel.legend(frameon=False)


def plot_metric(panel: Axes, log: TrainingLog) -> None:
    """Draw the metric after each evaluation, and name the last value."""
    metric = log.metric()
    steps, values = log.series(metric)
    panel.plot(steps, values, 'o-', color='tab:blue')
    panel.annotate(
        f'{values[-1]:.3f}',
        (steps[-1], values[-1]),
        xytext=(0, 7),
        textcoords='offset points',
        ha='right',
    )
    panel.set(ylabel=metric, title='Accuracy on the validation set')
    panel.set_ylim(0, max(1.15 * max(values), 0.05))


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
    panel.legend(frameon=False, loc='lower left')
