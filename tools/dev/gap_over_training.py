"""Evaluate the checkpoints that runs of a comparison left, on and off training images.

Usage::

    python -m tools.dev.gap_over_training WORK_DIR --runs none_seed0 dropblock_seed0 \
        --metric pascal_voc/mAP --out work_dirs/evidence/detection_gap

Writes the metric over the epochs as JSON, and a picture of it: a thin line for each
run, a thick one for the mean of an arm's seeds. Runs keep their checkpoints where the
config says so: ``default_hooks.checkpoint.max_keep_ckpts``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import shlex
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Curve = dict[int, dict[str, float]]
ON, OFF = 'training images', 'unseen images'


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate, write and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('work_dir', type=Path)
    parser.add_argument('--runs', nargs='+', required=True, metavar='ARM_seedN')
    parser.add_argument('--metric', required=True)
    parser.add_argument('--out', type=Path, required=True, help='without a suffix')
    args = parser.parse_args(argv)
    words = shlex.join(sys.argv[1:] if argv is None else argv)
    curves = {name: curve_of(args.work_dir, name, args.metric) for name in args.runs}
    content = {
        'figure': 'gap',
        'command': f'python -m tools.dev.gap_over_training {words}',
        'metric': args.metric,
        'runs': curves,
    }
    args.out.with_suffix('.json').write_text(f'{json.dumps(content, indent=1)}\n')
    draw(curves, args.metric).savefig(args.out.with_suffix('.png'), dpi=100)


def curve_of(work_dir: Path, name: str, metric: str) -> Curve:
    """Return a run's metric on and off training images, by epoch.

    Raises:
        FileNotFoundError: It left no checkpoints of epochs.
    """
    found = {
        int(match[1]): path
        for path in (work_dir / name).glob('epoch_*.pth')
        if (match := re.fullmatch(r'epoch_(\d+)', path.stem))
    }
    if not found:
        raise FileNotFoundError(f'{work_dir / name} has no epoch_*.pth')
    configs = {ON: f'{name}_on_training.py', OFF: f'{name}.py'}
    return {
        epoch: {
            where: evaluated(work_dir / 'configs' / config, found[epoch], metric)
            for where, config in configs.items()
        }
        for epoch in sorted(found)
    }


def evaluated(config: Path, checkpoint: Path, metric: str) -> float:
    """Return the metric of a checkpoint on the test data of a config, in percent."""
    from dropblock_mm import runs
    from dropblock_mm.runs.checkpoints.safe_loading import keep_loading_safe
    from dropblock_mm.runs.libraries import percent

    keep_loading_safe()
    cfg = runs.load_config(str(config))
    runs.set_work_dir(cfg, str(checkpoint.parent / 'gap_over_training'), str(config))
    cfg.load_from, cfg.resume = str(checkpoint), False
    runs.prepare_library(cfg)
    # Evaluators return NumPy's numbers too, which JSON has no word for.
    return percent(metric) * float(runs.build_runner(cfg).test()[metric])


def by_arm(curves: Mapping[str, Curve]) -> dict[str, list[Curve]]:
    """Gather the curves of runs that are called ``ARM_seedN`` by arm."""
    arms: dict[str, list[Curve]] = {}
    for name, curve in curves.items():
        arms.setdefault(name.rpartition('_seed')[0] or name, []).append(curve)
    return arms


def mean_of(curves: Sequence[Curve]) -> Curve:
    """Return the mean of curves, at the epochs that all of them have."""
    epochs = [epoch for epoch in curves[0] if all(epoch in c for c in curves)]
    return {
        epoch: {
            where: statistics.fmean(curve[epoch][where] for curve in curves)
            for where in (ON, OFF)
        }
        for epoch in epochs
    }


def draw(curves: Mapping[str, Curve], metric: str) -> Any:
    """Draw the curves: a colour for each arm, broken lines on training images."""
    from matplotlib.figure import Figure

    from dropblock_mm.analysis.figures.style import (
        BLUE,
        GREEN,
        ORANGE,
        RED,
        legend_below,
    )

    figure = Figure(figsize=(6.5, 4.5), layout='constrained')
    panel = figure.subplots()
    colours = itertools.cycle((BLUE, ORANGE, GREEN, RED))
    for colour, (arm, runs) in zip(colours, by_arm(curves).items(), strict=False):
        for style, where in (('--', ON), ('-', OFF)):
            for curve in runs:
                thin: Any = dict(color=colour, linewidth=0.7, alpha=0.5)
                panel.plot(list(curve), on(curve, where), style, **thin)
            mean = mean_of(runs)
            thick: Any = dict(color=colour, marker='o', label=f'{arm}, {where}')
            panel.plot(list(mean), on(mean, where), style, **thick)
    panel.set(xlabel='epoch', ylabel=f'{metric}, %')
    panel.grid(alpha=0.3)
    panel.spines[['top', 'right']].set_visible(False)
    legend_below(figure, *panel.get_legend_handles_labels(), columns=2, fontsize=9)
    return figure


def on(curve: Curve, where: str) -> list[float]:
    """Return a curve's values on training images, or off them."""
    return [point[where] for point in curve.values()]


if __name__ == '__main__':
    main()
