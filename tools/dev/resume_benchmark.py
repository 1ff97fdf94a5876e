"""Measure what resuming a run of iterations adds to the time of a fresh start.

The data are loaded as the config of a segmentor loads them, the model is one weight:
what is measured is the loop's way to its first iteration, MMEngine's way and this
package's (see :mod:`dropblock_mm.runs.resuming`). With ``--workers 0`` all happens in
one process, whose processor time is measured: another program disturbs that little.

Examples::

    python -m tools.dev.resume_benchmark /data/VOCdevkit/VOC2012 --iteration 5000
    python -m tools.dev.resume_benchmark /data/VOCdevkit/VOC2012 --workers 0
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor

from dropblock_mm.config_files import resolve_config
from dropblock_mm.runs.checkpoints.safe_loading import keep_loading_safe
from dropblock_mm.runs.nested_datasets import innermost

CONFIG = 'mmseg::fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py'
# In the order in which they are measured, and printed.
WAYS = {
    'fresh start': ('IterBasedTrainLoop', False),
    "MMEngine's resume": ('IterBasedTrainLoop', True),
    'advancing the sampler': ('dropblock_mm.IterBasedTrainLoop', True),
}


class Weight(BaseModel):
    """The smallest model: it costs nothing beside the loading of images."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(
        self, inputs: Any, data_samples: Any = None, mode: str = 'loss'
    ) -> dict[str, Tensor]:
        """Return a loss."""
        return {'loss': self.weight.sum()}


class Clock(Hook):
    """Note the time from before the loop to its first batch.

    Args:
        time_of: What tells the seconds.
    """

    priority = 'LOWEST'

    def __init__(self, time_of: Callable[[], float]) -> None:
        self.time_of = time_of
        self.began = self.seconds = 0.0

    def before_run(self, runner: Runner) -> None:
        """Start the clock: the data set is built, and the loop is next."""
        self.began = self.time_of()

    def before_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """Stop the clock."""
        self.seconds = self.seconds or self.time_of() - self.began


def make_runner(
    args: argparse.Namespace, folder: Path, loop: str, hooks: Sequence[Hook], at: int
) -> Runner:
    """Build a runner of one iteration after ``at``."""
    cfg = Config.fromfile(resolve_config(args.config))
    loader = cfg.train_dataloader
    loader.dataset = next(innermost(loader))
    loader.dataset.data_root = str(args.root)
    loader.dataset.ann_file = args.ann_file
    loader.num_workers = args.workers
    loader.persistent_workers = args.workers > 0
    loader.batch_size = args.batch_size
    return Runner(
        model=Weight(),
        work_dir=str(folder),
        train_dataloader=loader,
        train_cfg={'type': loop, 'max_iters': at + 1},
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.01}},
        default_hooks={'logger': None, 'checkpoint': None},
        custom_hooks=list(hooks),
        default_scope='mmseg',
        experiment_name=f'resume_benchmark_{time.time_ns()}',
        randomness={'seed': 0},
        log_level='ERROR',
    )


def write_checkpoint(args: argparse.Namespace, folder: Path) -> Path:
    """Save a run as it would be at the iteration, without training it."""
    runner = make_runner(args, folder, 'IterBasedTrainLoop', (), 0)
    runner.train()
    meta = {'epoch': 0, 'iter': args.iteration}
    runner.save_checkpoint(str(folder), 'at.pth', meta=meta, by_epoch=False)
    path = folder / 'at.pth'
    content = torch.load(path, weights_only=False)
    content['meta'].update(meta)
    torch.save(content, path)
    return path


def measure(args: argparse.Namespace) -> dict[str, float]:
    """Return the seconds to the first batch, for each way."""
    found = {}
    unit = 's' if args.workers else 's of processor time'
    with tempfile.TemporaryDirectory() as name:
        checkpoint = write_checkpoint(args, Path(name))
        for way, (loop, resumes) in WAYS.items():
            clock = Clock(time.perf_counter if args.workers else time.process_time)
            at = args.iteration if resumes else 0
            runner = make_runner(args, Path(name), loop, [clock], at)
            if resumes:
                runner.resume(str(checkpoint))
            runner.train()
            found[way] = clock.seconds
            said = f'{way:<22} {clock.seconds:8.2f} {unit} to the first batch'
            print(said, flush=True)
    return found


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Measure what resuming adds')
    parser.add_argument('root', type=Path, help='data_root, such as VOCdevkit/VOC2012')
    parser.add_argument('--config', default=CONFIG, help='default: %(default)s')
    parser.add_argument(
        '--ann-file',
        default='ImageSets/Segmentation/train.txt',
        help='names of the images',
    )
    parser.add_argument('--iteration', type=int, default=5000)
    parser.add_argument('--batch-size', type=int, default=4)
    parser.add_argument('--workers', type=int, default=2)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print."""
    args = parse_args(argv)
    keep_loading_safe()
    fresh, today, ours = measure(args).values()
    added = [max(seconds - fresh, 0.0) for seconds in (today, ours)]
    print(
        f'resuming at iteration {args.iteration:,} adds {added[0]:.2f} s with '
        f'MMEngine, {added[1]:.2f} s here: {added[1] / max(added[0], 1e-9):.4f} of it'
    )


if __name__ == '__main__':
    main()
