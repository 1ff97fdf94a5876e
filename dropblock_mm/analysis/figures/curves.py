"""Curves: keep_prob over training, and the exact keep rate over keep_prob."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from dropblock_mm import expected_keep_rate
from dropblock_mm.analysis.figures.style import BLUE, GREEN, GREY, ORANGE, RED, Picture
from dropblock_mm.layers.schedules import (
    SCHEDULES,
    Interval,
    keep_prob_at,
    resolve_interval,
)

MAX_ITERS, PRINTED_ITERS, FINAL_KEEP_PROB = 1000, (0, 300, 999), 0.9
INTERVALS = ((0.0, None), (0.2, 0.8))

RATE_MAP, RATE_BLOCKS = (65, 65), (1, 7, 16)
NOMINAL = tuple(percent / 100 for percent in range(0, 101, 2))
MARKED = 0.2  # the paper's keep_prob in the segmentation head, with block 16


def draw_schedules(seed: int) -> Picture:
    """keep_prob over training, for every schedule; nothing here is random."""
    figure = Figure(figsize=(9.6, 4.4), layout='constrained')
    picture = Picture(figure)
    looks = zip((BLUE, ORANGE, GREEN, RED), ('-', '--', ':', '-.'), strict=True)
    looks_of = dict(zip(SCHEDULES, looks, strict=True))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (begin, end) in zip(panels, INTERVALS, strict=True):
        interval = resolve_interval(begin, end, 'fraction', MAX_ITERS, MAX_ITERS)
        for schedule, (color, line) in looks_of.items():
            curve = schedule_curve(schedule, interval)
            axes.plot(curve, line, color=color, lw=2.2, label=schedule)
            values = ', '.join(f'{curve[i]:.3f} at {i}' for i in PRINTED_ITERS)
            picture.lines.append(f'begin={begin}, end={end}, {schedule}: {values}')
        axes.set_title(f'begin={begin:g}, end={end}')
        axes.set_xlabel(f'iteration (of {MAX_ITERS})')
        mark_interval(axes, interval)
    panels[0].set_ylabel('keep_prob')
    panels[0].set_ylim(FINAL_KEEP_PROB - 0.012, 1.012)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=4, frameon=False)
    figure.suptitle(f'KeepProbScheduleHook(keep_prob={FINAL_KEEP_PROB}, schedule=...)')
    return picture


def schedule_curve(schedule: str, interval: Interval) -> list[float]:
    """keep_prob at every iteration of the picture's run."""
    return [
        keep_prob_at(i, interval, start=1.0, end=FINAL_KEEP_PROB, schedule=schedule)
        for i in range(MAX_ITERS)
    ]


def mark_interval(axes: Axes, interval: Interval) -> None:
    """Mark where a schedule begins and where it arrives."""
    for iteration in (interval.begin, interval.end):
        axes.axvline(iteration, color=GREY, lw=0.8, zorder=0)


def draw_keep_rates(seed: int) -> Picture:
    """The exact expected keep rate against keep_prob; nothing here is random."""
    layout = ConstrainedLayoutEngine(wspace=0.06)
    figure = Figure(figsize=(9.6, 5.2), layout=layout)
    picture = Picture(figure)
    panels = figure.subplots(1, 2, sharey=True)
    looks = tuple(zip((BLUE, ORANGE, RED), ('-', '--', '-.'), 'os^', strict=True))
    for axes, calibrated in zip(panels, (False, True), strict=True):
        for index, (block_size, (color, line, marker)) in enumerate(
            zip(RATE_BLOCKS, looks, strict=True)
        ):
            curve = rate_curve(block_size, calibrated)
            axes.plot(
                NOMINAL,
                curve,
                line,
                color=color,
                lw=2,
                marker=marker,
                markevery=(2 + 2 * index, 8),  # where curves coincide, all show
                label=f'block_size {block_size}',
            )
            marked = curve[NOMINAL.index(MARKED)]
            picture.lines.append(
                f'block_size {block_size}, calibrated={calibrated}: expected keep '
                f'rate {marked:.3f} at keep_prob {MARKED}, '
                f'{curve[NOMINAL.index(0.9)]:.3f} at 0.9'
            )
        axes.set(xlabel='keep_prob', xlim=(0, 1), ylim=(0, 1), aspect='equal')
        axes.grid(color='#DDDDDD', lw=0.6)
        axes.legend(loc='lower right', frameon=False)
    panels[0].set_title('equation 1 of the paper (default)')
    panels[1].set_title('calibrated=True')
    panels[0].set_ylabel('exact expected keep rate')
    mark_rate(panels[0], rate_curve(RATE_BLOCKS[-1], False))
    figure.suptitle(f'A feature map of {RATE_MAP[0]} x {RATE_MAP[1]} units')
    return picture


def rate_curve(block_size: int, calibrated: bool) -> list[float]:
    """The exact expected keep rate at every nominal one."""
    return [
        expected_keep_rate(
            keep_prob=nominal,
            block_size=block_size,
            feature_size=RATE_MAP,
            calibrated=calibrated,
        )
        for nominal in NOMINAL
    ]


def mark_rate(axes: Axes, curve: Sequence[float]) -> None:
    """Point at the paper's setting for segmentation."""
    rate = curve[NOMINAL.index(MARKED)]
    axes.annotate(
        f'keep_prob {MARKED}\nkeeps {rate:.2f}',
        (MARKED, rate),
        (0.05, 0.72),
        arrowprops={'arrowstyle': '->', 'color': 'black'},
    )
