"""Train the demo and make its pictures: what `make demo` calls after set-up.

Usage::

    python tools/demo.py [--fresh]

The training is plain ``tools/train.py configs/demo/...``; the configuration makes
the data set on first use, in ``data/digit_scenes``. What is added here, all of it in
``work_dirs/demo``: the predictions of the last evaluation as a file, two pictures
made from it and from the log, and one line that sums up the run.

Run again after an interruption it goes on from the last epoch that ended; run again
after a finished run, or with ``--fresh``, it trains anew. The log folders of earlier
runs stay.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dropblock_mm.engine.training_log import TrainingLog

ROOT = Path(__file__).resolve().parents[1]
CONFIG = 'configs/demo/retinanet_r18_fpn_dropblock_digit-scenes.py'
DATA = 'data/digit_scenes'
WORK_DIR = 'work_dirs/demo'
PREDICTIONS = f'{WORK_DIR}/val'  # mmdet appends .bbox.json
PICTURES = ('training.png', 'predictions.png')
MARKER = 'last_checkpoint'  # MMEngine's, at every checkpoint; --resume reads it


def train_command(resume: bool) -> list[str]:
    """Return the command that trains the demo."""
    return [
        sys.executable,
        'tools/train.py',
        CONFIG,
        '--work-dir',
        WORK_DIR,
        '--cfg-options',
        f'val_evaluator.outfile_prefix={PREDICTIONS}',
        *(['--resume'] if resume else []),
    ]


def picture_commands() -> list[list[str]]:
    """Return the commands that make the pictures of the finished run."""
    tools = 'tools/analysis_tools'
    return [
        [sys.executable, f'{tools}/plot_training.py', WORK_DIR],
        [
            sys.executable,
            f'{tools}/draw_predictions.py',
            f'{DATA}/annotations/instances_val.json',
            f'{DATA}/JPEGImages',
            f'{PREDICTIONS}.bbox.json',
            '--out',
            f'{WORK_DIR}/predictions.png',
        ],
    ]


def is_unfinished(work_dir: Path) -> bool:
    """Tell whether a run has a checkpoint to go on from, but no pictures yet."""
    if all((work_dir / name).exists() for name in PICTURES):
        return False
    marker = work_dir / MARKER
    # It is out of date for a moment while a checkpoint replaces the one before.
    return marker.exists() and Path(ROOT, marker.read_text().strip()).is_file()


def forget_earlier_run(work_dir: Path) -> None:
    """Remove what would make a new run look finished, or resumable too early."""
    for name in (*PICTURES, MARKER, 'val.bbox.json'):
        (work_dir / name).unlink(missing_ok=True)


def summary_line(log: TrainingLog) -> str:
    """Sum up a run in one line, from its log alone.

    Raises:
        ValueError: If the run logged no keep rates or was not evaluated.
    """
    _, accuracy = log.series('coco/bbox_mAP')
    _, keep_prob = log.series('keep_prob')
    if not accuracy or not keep_prob:
        raise ValueError("the log lacks 'coco/bbox_mAP' or 'keep_prob'")
    return (
        f'demo: bbox mAP {accuracy[-1]:.3f} '
        f'| keep_prob {keep_prob[0]:.3f} -> {keep_prob[-1]:.3f} '
        f'| effective keep rate {log.last_epoch_mean("effective_keep_rate"):.3f}'
    )


def environment() -> dict[str, str]:
    """Return the environment to train in.

    Idle OpenMP threads spin by default. Where another program competes for the same
    few cores this makes a training step up to ten times slower.
    """
    return {'OMP_WAIT_POLICY': 'PASSIVE', **os.environ}


def run(command: list[str]) -> None:
    """Run a command in the clone, its output passed through.

    Raises:
        SystemExit: If it fails, with its exit status.
    """
    print('+', ' '.join(command), flush=True)
    process = subprocess.Popen(command, cwd=ROOT, env=environment())
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.wait()  # Ctrl-C reached it too; let it end in its own way
        raise
    if status:
        sys.exit(status)


def train(resume: bool) -> TrainingLog:
    """Train to the end, and return the log."""
    if not resume:
        forget_earlier_run(ROOT / WORK_DIR)
    run(train_command(resume))
    # Not earlier: it imports torch, and the training is to start at once.
    from dropblock_mm.engine.training_log import read_training_log

    return read_training_log(ROOT / WORK_DIR)


def main() -> None:
    """Train, draw, sum up."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--fresh', action='store_true', help='do not resume an interrupted run'
    )
    args = parser.parse_args()
    try:
        log = train(resume=is_unfinished(ROOT / WORK_DIR) and not args.fresh)
        if not log.is_evaluated():
            # It was stopped in the last evaluation, which a resumed run skips.
            log = train(resume=False)
        for command in picture_commands():
            run(command)
    except KeyboardInterrupt:
        print('demo: interrupted; run again, it goes on from the last epoch that ended')
        sys.exit(130)
    print(summary_line(log))


if __name__ == '__main__':
    main()
