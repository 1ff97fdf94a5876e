"""Train the demos and make their pictures: what `make demo` calls after set-up.

Usage::

    python tools/demo.py [det] [seg] [cls] [--fresh]

`det` is a detector, `seg` a segmentation model, `cls` a classifier; without a name all
run. The training is plain ``tools/train.py configs/demo/...``; the configuration makes
the data set on first use, in ``data/digit_scenes`` or ``data/digit_images``. What is
added here, all of it in ``work_dirs/demo/NAME``: the predictions of the last evaluation
as files, two pictures made from them and from the log, and one line that sums up the
run.

Run again after an interruption it goes on from the last epoch that ended, and does not
repeat what was finished; run again after all is finished, or with ``--fresh``, it
trains anew. The log folders of earlier runs stay.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dropblock_mm.runs.training_log import TrainingLog

ROOT = Path(__file__).resolve().parents[1]
DATA = 'data/digit_scenes'
ANALYSIS = 'tools/analysis_tools'
REPORT = 'work_dirs/demo/report.html'
MAPPED = 24  # images of the test data whose activation maps are compared
PICTURES = ('training.png', 'predictions.png')
MARKER = 'last_checkpoint'  # MMEngine's, at every checkpoint; --resume reads it


@dataclass(frozen=True)
class Demo:
    """One of the demos.

    Args:
        name: What it is called on the command line, and its folder.
        config: Path of its config.
        metric: Name of the metric in the log.
        label: Name of the metric in the summary.
        full_marks: The metric's best value: 1, or 100 for per cent.
        keep_predictions: Setting of the config that keeps predictions.
        predictions: What that setting makes of ``val``, file or folder.
        draw: Tool and arguments that draw them; {predictions} is replaced.
    """

    name: str
    config: str
    metric: str
    label: str
    full_marks: float
    keep_predictions: str
    predictions: str
    draw: tuple[str, ...]

    @property
    def work_dir(self) -> str:
        """The folder of the run, as seen from the clone."""
        return f'work_dirs/demo/{self.name}'


DEMOS = {
    'det': Demo(
        name='det',
        config='configs/demo/retinanet_r18_fpn_dropblock_digit-scenes.py',
        metric='coco/bbox_mAP',
        label='bbox mAP',
        full_marks=1.0,
        keep_predictions='val_evaluator.outfile_prefix',
        predictions='val.bbox.json',
        draw=(
            f'{ANALYSIS}/draw_predictions.py',
            f'{DATA}/annotations/instances_val.json',
            f'{DATA}/JPEGImages',
            '{predictions}',
        ),
    ),
    'seg': Demo(
        name='seg',
        config='configs/demo/retinaseg_r18_fpn_dropblock_digit-scenes.py',
        metric='mIoU',
        label='mIoU',
        full_marks=100.0,
        keep_predictions='val_evaluator.output_dir',
        predictions='val',
        draw=(
            f'{ANALYSIS}/draw_segmentation.py',
            DATA,
            '{predictions}',
            '--classes',
            'background',
            *'0123456789',
        ),
    ),
    'cls': Demo(
        name='cls',
        config='configs/demo/resnet18_dropblock_digit-images.py',
        metric='accuracy/top1',
        label='top-1',
        full_marks=100.0,
        keep_predictions='val_evaluator.1.outfile_prefix',
        predictions='val.json',
        draw=(f'{ANALYSIS}/draw_classes.py', '{predictions}'),
    ),
}


def train_command(demo: Demo, resume: bool) -> list[str]:
    """Return the command that trains a demo."""
    return [
        sys.executable,
        'tools/train.py',
        demo.config,
        '--work-dir',
        demo.work_dir,
        '--cfg-options',
        f'{demo.keep_predictions}={demo.work_dir}/val',
        *(['--resume'] if resume else []),
    ]


def picture_commands(demo: Demo) -> list[list[str]]:
    """Return the commands that make the pictures of a finished run."""
    found = f'{demo.work_dir}/{demo.predictions}'
    draw = [argument.format(predictions=found) for argument in demo.draw]
    return [
        [sys.executable, f'{ANALYSIS}/plot_training.py', demo.work_dir],
        [sys.executable, *draw, '--out', f'{demo.work_dir}/predictions.png'],
    ]


def is_finished(work_dir: Path) -> bool:
    """Tell whether a run has its pictures."""
    return all((work_dir / name).exists() for name in PICTURES)


def is_unfinished(work_dir: Path) -> bool:
    """Tell whether a run has a checkpoint to go on from, but no pictures yet."""
    marker = work_dir / MARKER
    if is_finished(work_dir) or not marker.exists():
        return False
    # It is out of date for a moment while a checkpoint replaces the one before.
    return Path(ROOT, marker.read_text().strip()).is_file()


def to_train(demos: Sequence[Demo], fresh: bool) -> list[Demo]:
    """Return the demos that are not finished; all, if all are or with ``fresh``."""
    missing = [demo for demo in demos if not is_finished(ROOT / demo.work_dir)]
    return list(demos) if fresh or not missing else missing


def forget_earlier_run(demo: Demo) -> None:
    """Remove what would make a new run look finished, or resumable too early."""
    work_dir = ROOT / demo.work_dir
    for path in (work_dir / name for name in (*PICTURES, MARKER, demo.predictions)):
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)


def summary_line(demo: Demo, log: TrainingLog) -> str:
    """Sum up a run in one line, from its log alone.

    Raises:
        ValueError: If the run logged no keep rates or was not evaluated.
    """
    _, accuracy = log.series(demo.metric)
    _, keep_prob = log.series('keep_prob')
    if not accuracy or not keep_prob:
        raise ValueError(f"the log lacks {demo.metric!r} or 'keep_prob'")
    return (
        f'demo: {demo.label} {accuracy[-1] / demo.full_marks:.3f} '
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


def read_log(demo: Demo) -> TrainingLog:
    """Read what a run logged."""
    # Not earlier: it imports torch, and the training is to start at once.
    from dropblock_mm.runs.training_log import read_training_log

    return read_training_log(ROOT / demo.work_dir)


def train(demo: Demo, resume: bool) -> TrainingLog:
    """Train to the end, and return the log."""
    if not resume:
        forget_earlier_run(demo)
    run(train_command(demo, resume))
    return read_log(demo)


def train_and_draw(demo: Demo, fresh: bool) -> None:
    """Bring a demo to its end: train, resume or train anew, then draw."""
    resume = is_unfinished(ROOT / demo.work_dir) and not fresh
    if not train(demo, resume).is_evaluated():
        # It was stopped in the last evaluation, which a resumed run skips.
        train(demo, resume=False)
    for command in picture_commands(demo):
        run(command)


def report_commands(demos: Sequence[Demo]) -> list[list[str]]:
    """Return the commands that draw masks and activation maps, and write the report."""
    data = Path(ROOT, 'data')
    images = sorted([*data.rglob('*.jpg'), *data.rglob('*.png')])
    commands = []
    for demo in demos:
        image = [str(path.relative_to(ROOT)) for path in images[:1]]
        masks = [f'{ANALYSIS}/masks.py', demo.config, *image]
        maps = [f'{ANALYSIS}/activation_maps.py', '--model', demo.work_dir]
        maps += ['--limit', str(MAPPED)]
        for name, command in (('masks', masks), ('activation_maps', maps)):
            commands.append([*command, '--out', f'{demo.work_dir}/{name}.png'])
    folders = [demo.work_dir for demo in demos]
    title = ['--title', 'The demo of dropblock_mm']
    commands.append([f'{ANALYSIS}/report.py', *folders, *title, '--out', REPORT])
    return [[sys.executable, *command] for command in commands]


def write_report(demos: Sequence[Demo]) -> None:
    """Write one page of the runs, with masks and activation maps."""
    for command in report_commands(demos):
        run(command)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'names',
        nargs='*',
        metavar='NAME',
        help='det, seg or cls (all, if none is named)',
    )
    parser.add_argument(
        '--fresh', action='store_true', help='do not resume an interrupted run'
    )
    args = parser.parse_args(argv)
    for name in args.names:
        if name not in DEMOS:
            parser.error(f'NAME={name!r} is not one of {", ".join(DEMOS)}')
    return args


def main() -> None:
    """Train, draw, sum up."""
    args = parse_args()
    demos = [DEMOS[name] for name in dict.fromkeys(args.names or DEMOS)]
    try:
        for demo in to_train(demos, args.fresh):
            train_and_draw(demo, args.fresh)
    except KeyboardInterrupt:
        print('demo: interrupted; run again, it goes on from the last epoch that ended')
        sys.exit(130)
    write_report(demos)
    for demo in demos:
        print(summary_line(demo, read_log(demo)))
    print(f'demo: look at {REPORT}')


if __name__ == '__main__':
    main()
