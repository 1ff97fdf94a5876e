r"""Evaluate a checkpoint of any model of mmdet or mmseg.

Without --work-dir it logs where the checkpoint was trained.

Examples::

    python tools/test.py CONFIG work_dirs/RUN/epoch_12.pth --show-dir pictures
    python tools/test.py CONFIG work_dirs/RUN/epoch_12.pth --classwise \
        --cfg-options test_evaluator.outfile_prefix=work_dirs/RUN/val
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dropblock_mm.commands.arguments import (
    add_common_arguments,
    add_config_argument,
    command_parser,
    parse,
)
from dropblock_mm.commands.interrupted import interruptible
from dropblock_mm.errors import RefusedValueError

if TYPE_CHECKING:
    from mmengine.config import Config, ConfigDict
    from mmengine.runner import Runner

LOOPS = ('test',)
COCO_METRICS = ('CocoMetric', 'CocoPanopticMetric', 'FasterCocoMetric', 'LVISMetric')
ALWAYS_CLASSWISE = ('VOCMetric', 'IoUMetric')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser(__doc__)
    add_config_argument(parser)
    parser.add_argument('checkpoint', help='checkpoint file or URL')
    add_common_arguments(parser)
    shown = parser.add_argument_group('what is shown and kept')
    shown.add_argument(
        '--out',
        help='keep the predictions: mmseg writes label maps into this folder, all '
        'others write a .pkl file',
    )
    shown.add_argument('--show', action='store_true', help='show the predictions')
    shown.add_argument(
        '--show-dir',
        help='folder of painted images; of mmdet under WORK_DIR/TIMESTAMP',
    )
    shown.add_argument(
        '--wait-time', type=float, default=2, help='seconds between shown images'
    )
    evaluation = parser.add_argument_group('evaluation')
    evaluation.add_argument('--tta', action='store_true', help='test-time augmentation')
    evaluation.add_argument(
        '--classwise', action='store_true', help='report the AP of every class'
    )
    evaluation.add_argument(
        '--coco-eval',
        choices=['pycocotools', 'faster'],
        default='pycocotools',
        help='what matches boxes: faster needs the package faster-coco-eval, and gives '
        'the same numbers (default: %(default)s)',
    )
    return parse(parser, argv)


def make_config(args: argparse.Namespace) -> Config:
    """Put the run's config together and check what it names."""
    from dropblock_mm import runs
    from dropblock_mm.data_checks.quick import check_data
    from dropblock_mm.runs.checkpoints.config_weights import check_checkpoints
    from dropblock_mm.runs.folders import folder_of_run, refuse_folder
    from dropblock_mm.runs.padded_batches import check_padding

    cfg = runs.load_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    # Not into the folder of another run of this config, say of the one without
    # DropBlock: where the checkpoint was trained is where its evaluation belongs.
    work_dir = args.work_dir or folder_of_run(args.checkpoint)
    runs.set_work_dir(cfg, work_dir, args.config)
    cfg.load_from, cfg.resume = args.checkpoint, False
    refuse_folder(cfg, 'CHECKPOINT')
    check_checkpoints(cfg, 'CHECKPOINT')
    runs.require(cfg, 'model', 'test_dataloader', 'test_cfg', 'test_evaluator')
    check_padding(cfg, trains=False)
    runs.prepare_library(cfg)
    check_data(cfg, LOOPS)
    if args.show or args.show_dir:
        paint_predictions(cfg, args)
    if args.tta:
        from dropblock_mm.runs.mirrored_tests import augment_test_images

        augment_test_images(cfg)
    if args.out:
        check_out(cfg, args.out)
    if args.classwise:
        report_classes(cfg)
    return cfg


def is_segmentation(cfg: Config) -> bool:
    """Whether mmseg's ways apply, which differ a little from mmdet's."""
    from dropblock_mm.runs import library_of

    return library_of(cfg) == 'mmseg'


def paint_predictions(cfg: Config, args: argparse.Namespace) -> None:
    """Let the library's visualization hook show or save what was predicted.

    Raises:
        RefusedValueError: The config has no such hook.
    """
    hook = cfg.get('default_hooks', {}).get('visualization')
    if hook is None:
        raise RefusedValueError(
            '--show and --show-dir need default_hooks.visualization, which the config '
            "does not set. Add default_hooks = dict(visualization=dict(type='"
            f'{"Seg" if is_segmentation(cfg) else "Det"}VisualizationHook'
            "')) to it."
        )
    hook.draw = True
    if args.show:
        hook.show, hook.wait_time = True, args.wait_time
    if args.show_dir and is_segmentation(cfg):
        cfg.visualizer.save_dir = args.show_dir
    elif args.show_dir:
        hook.test_out_dir = args.show_dir


def check_out(cfg: Config, out: str) -> None:
    """Check ``--out`` before hours of testing; mmseg's metric writes by itself.

    Raises:
        RefusedValueError: It is not a pickle file, where one is going to be written.
    """
    if is_segmentation(cfg):
        for metric in metric_configs(cfg):
            metric.output_dir, metric.keep_results = out, True
    elif not out.endswith(('.pkl', '.pickle')):
        raise RefusedValueError(
            f'--out {out!r}: give a file that ends in .pkl or .pickle.'
        )


def metric_configs(cfg: Config) -> list[ConfigDict]:
    """Return the configs of the test's metrics, of which there may be one."""
    metrics = cfg.test_evaluator
    if isinstance(metrics, dict) and 'metrics' in metrics:
        metrics = metrics['metrics']
    return metrics if isinstance(metrics, list) else [metrics]


def report_classes(cfg: Config) -> None:
    """Have the metrics report every class; some do so anyway.

    Raises:
        RefusedValueError: None of them can.
    """
    from dropblock_mm.runs import type_name

    metrics = metric_configs(cfg)
    names = [type_name(metric) for metric in metrics]
    coco = [m for m, name in zip(metrics, names, strict=True) if name in COCO_METRICS]
    for metric in coco:
        metric.classwise = True
    if not coco and not set(names) & set(ALWAYS_CLASSWISE):
        raise RefusedValueError(
            f'--classwise serves {", ".join(COCO_METRICS)} (and needs not be given for '
            f'{" and ".join(ALWAYS_CLASSWISE)}), but test_evaluator has '
            f'{", ".join(names)}. Leave it out.'
        )


def dump_predictions(runner: Runner, cfg: Config, out: str) -> None:
    """Add a metric that writes the predictions to a pickle file."""
    from dropblock_mm.runs import library_of

    if library_of(cfg) == 'mmdet':
        # Imported here: only detectors have masks to encode.
        from mmdet.evaluation import DumpDetResults

        runner.test_evaluator.metrics.append(DumpDetResults(out_file_path=out))
    else:
        from mmengine.evaluator import DumpResults

        runner.test_evaluator.metrics.append(DumpResults(out_file_path=out))


@interruptible('test')
def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate as the command line says."""
    args = parse_args(argv)

    from dropblock_mm import runs
    from dropblock_mm.data_checks.build_errors import naming_bad_data
    from dropblock_mm.runs.checkpoints.safe_loading import keep_loading_safe
    from dropblock_mm.runs.coco_eval import match_faster
    from dropblock_mm.runs.messages import has_started, one_message
    from dropblock_mm.runs.refused_by_mmengine import refusing_what_mmengine_refuses

    keep_loading_safe()
    with one_message():
        cfg = make_config(args)
        runner = runs.build_runner(cfg)
    started = has_started(runner)
    with (
        one_message(unless=started),
        refusing_what_mmengine_refuses(cfg, unless=started),
        naming_bad_data(cfg, LOOPS),
    ):
        if args.out and not is_segmentation(cfg):
            dump_predictions(runner, cfg, args.out)
        if args.coco_eval == 'faster':
            match_faster(runner.test_evaluator)
        runner.test()


if __name__ == '__main__':
    main()
