r"""Train any model of mmdet, mmseg or mmpretrain, with DropBlock or without.

Examples::

    python tools/train.py configs/demo/retinanet_r18_fpn_dropblock_digit-scenes.py
    python tools/train.py mmdet::retinanet/retinanet_r50_fpn_1x_coco.py \
        --dropblock resnet_c4c5 --cfg-options train_dataloader.batch_size=4
    python tools/train.py mmpretrain::resnet/resnet50_8xb32_in1k.py \
        --dropblock resnet_c4c5
    python tools/train.py my_config.py --dropblock auto --work-dir work_dirs/first
    python tools/train.py my_config.py --dropblock auto --work-dir work_dirs/first \
        --resume
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

# Idle OpenMP threads spin by default; beside another program on the same cores this
# makes a step several times slower. Read when torch is imported.
os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')

from dropblock_mm.commands.arguments import (
    add_common_arguments,
    add_config_argument,
    add_fragment_argument,
    command_parser,
    parse,
)
from dropblock_mm.commands.interrupted import InterruptedCommandError, interruptible
from dropblock_mm.programs import INTERRUPTED

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.runner import Runner

    from dropblock_mm.runs.checkpoints.traces import Traces

LOOPS = ('train', 'val')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser(__doc__)
    add_config_argument(parser)
    add_fragment_argument(
        parser,
        'add the hooks of a fragment in configs/_base_/dropblock, or of a file; auto '
        'looks at the model',
    )
    add_common_arguments(parser)
    training = parser.add_argument_group('training')
    training.add_argument(
        '--amp',
        action='store_true',
        help='train in mixed precision: float16 on a GPU, bfloat16 on the CPU, or what '
        '--cfg-options optim_wrapper.dtype=... says',
    )
    training.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the batch size',
    )
    training.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CKPT',
        help='continue from a checkpoint, or from the latest in the work dir',
    )
    return parse(parser, argv)


def make_config(args: argparse.Namespace) -> Config:
    """Put the run's config together and check what it names."""
    from dropblock_mm import runs
    from dropblock_mm.data_checks.quick import check_data
    from dropblock_mm.hooks.fragments import (
        seed_ranks_apart,
        uses_drop_block,
        with_fragment,
    )
    from dropblock_mm.runs.checkpoints.config_weights import (
        check_checkpoints,
        check_sources_of_weights,
    )
    from dropblock_mm.runs.checkpoints.work_dir import refuse_held_work_dir
    from dropblock_mm.runs.counting import check_counting
    from dropblock_mm.runs.folders import (
        refuse_folder,
        say_where_training_begins,
        warn,
    )
    from dropblock_mm.runs.padded_batches import check_padding
    from dropblock_mm.runs.replaced_hooks import replaced_hooks

    cfg = runs.load_config(args.config, args.cfg_options, with_fragment(args.dropblock))
    cfg.launcher = args.launcher
    if args.launcher != 'none' and uses_drop_block(cfg):
        cfg = seed_ranks_apart(cfg)
    runs.set_work_dir(cfg, args.work_dir, args.config, args.dropblock)
    refuse_held_work_dir(cfg.work_dir)
    if args.amp:
        runs.enable_amp(cfg)
    runs.settle_auto_scale_lr(cfg, asked=args.auto_scale_lr)
    runs.save_whole_checkpoints(cfg)
    runs.advance_sampler_alone(cfg)
    runs.set_resume(cfg, args.resume)
    refuse_folder(cfg, '--resume' if args.resume else 'load_from')
    check_checkpoints(cfg, '--resume' if args.resume else 'load_from')
    runs.require(cfg, 'model', 'train_dataloader', 'train_cfg', 'optim_wrapper')
    check_counting(cfg)
    check_padding(cfg, trains=True)
    runs.prepare_library(cfg)
    check_data(cfg, LOOPS)
    check_sources_of_weights(cfg)
    say_where_training_begins(cfg, args.resume)
    lost = replaced_hooks(args.config, cfg)
    if lost:
        warn(lost)
    return cfg


def make_runner(args: argparse.Namespace) -> tuple[Runner, Traces]:
    """Build what trains, check the data that it loaded; note what was there before."""
    from dropblock_mm import runs
    from dropblock_mm.data_checks.loaded import check_loaded_data
    from dropblock_mm.runs.checkpoints.safe_loading import keep_loading_safe
    from dropblock_mm.runs.checkpoints.traces import Traces
    from dropblock_mm.runs.checkpoints.whole_files import naming_full_disk
    from dropblock_mm.runs.messages import one_message

    keep_loading_safe()
    with one_message():
        cfg = make_config(args)
        traces = Traces(cfg.work_dir, cfg.filename)
        with traces.gone_if_refused(), naming_full_disk(cfg.work_dir):
            runner = runs.build_runner(cfg)
    check_loaded_data(runner)
    return runner, traces


def train(runner: Runner, traces: Traces) -> None:
    """Train, naming what stops it before the first iteration ends."""
    from dropblock_mm.data_checks.build_errors import naming_bad_data
    from dropblock_mm.data_checks.failed_batch import naming_failed_batch
    from dropblock_mm.runs.checkpoints.whole_files import naming_full_disk
    from dropblock_mm.runs.checkpoints.work_dir import hold_work_dir
    from dropblock_mm.runs.folders import SayFinished, interrupted
    from dropblock_mm.runs.hooks import SeedsHook
    from dropblock_mm.runs.hooks.resumed_settings import SayResumedSettings
    from dropblock_mm.runs.lost_files import naming_lost_files
    from dropblock_mm.runs.lost_ranks import naming_lost_ranks
    from dropblock_mm.runs.messages import has_started, one_message
    from dropblock_mm.runs.refused_by_mmengine import refusing_what_mmengine_refuses
    from dropblock_mm.runs.stopping import StoppedError, stopped_by_schedulers

    started, cfg = has_started(runner), runner.cfg
    for hook in (SayFinished(), SayResumedSettings(), SeedsHook()):
        runner.register_hook(hook)
    alone = cfg.get('launcher', 'none') == 'none'
    try:
        with (
            stopped_by_schedulers() if alone else nullcontext(),
            one_message(unless=started),
            naming_full_disk(cfg.work_dir),
            naming_lost_files(cfg.work_dir),
            naming_lost_ranks(cfg.work_dir),
            hold_work_dir(runner),
            traces.gone_if_refused(unless=started),
            refusing_what_mmengine_refuses(cfg, unless=started),
            naming_bad_data(cfg, LOOPS),
            naming_failed_batch(runner),
        ):
            runner.train()
    except KeyboardInterrupt as stopped:
        status = stopped.status if isinstance(stopped, StoppedError) else INTERRUPTED
        raise InterruptedCommandError(interrupted(cfg.work_dir), status) from None


@interruptible('train')
def main(argv: Sequence[str] | None = None) -> None:
    """Train as the command line says."""
    args = parse_args(argv)

    from dropblock_mm.starting import formatting_once, starting_sooner

    try:
        with starting_sooner(), formatting_once():
            runner, traces = make_runner(args)
    except KeyboardInterrupt:  # while it imports, reads or checks
        told = 'stopped before training began; nothing was changed'
        raise InterruptedCommandError(told) from None
    with formatting_once():
        train(runner, traces)


if __name__ == '__main__':
    main()
