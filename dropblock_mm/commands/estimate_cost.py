"""Estimate what it costs to train configs, in GPU hours.

On a GPU it measures: the median time of a training step, times the steps of the run.
Without one it counts the operations of a step of the model itself, and divides them by
what published runs sustained on some GPUs. It also times the step on this machine, and
how fast one core makes the images ready, which tells how many workers a GPU needs.
docs/en/cost.md says what is measured and what is assumed.

Examples::

    python tools/analysis_tools/estimate_cost.py configs/retinanet/*.py
    python tools/analysis_tools/estimate_cost.py CONFIG --device cuda
    python tools/analysis_tools/estimate_cost.py CONFIG --num-images 5000 --tflops 20
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropblock_mm.analysis.cost.gpus import GPUS
from dropblock_mm.commands.arguments import (
    command_parser,
    config_names,
    parse_known,
    positive,
)
from dropblock_mm.commands.interrupted import interruptible
from dropblock_mm.commands.progress import progress

if TYPE_CHECKING:
    from dropblock_mm.analysis.cost.report import Estimate


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser(__doc__)
    configs: Any = parser.add_argument(
        'configs', nargs='+', metavar='CONFIG', help="paths, or 'mmdet::...'"
    )
    configs.completer = config_names
    parser.add_argument('--json', type=Path, metavar='FILE', help='write as JSON, too')
    step = parser.add_argument_group('the measured step')
    step.add_argument(
        '--device', choices=('cpu', 'cuda'), default='cpu', help='(%(default)s)'
    )
    step.add_argument(
        '--batch-size',
        type=positive,
        help="images in it; 2 on the CPU, the config's own on a GPU",
    )
    step.add_argument(
        '--image-size',
        nargs=2,
        type=positive,
        metavar=('H', 'W'),
        help='in pixels; by default what the config pads to, or the mean of what is '
        'loaded',
    )
    step.add_argument(
        '--steps', type=positive, help='to time; 3 on the CPU, 30 on a GPU'
    )
    step.add_argument('--amp', action='store_true', help='in mixed precision, on a GPU')
    images = parser.add_argument_group('the images')
    images.add_argument(
        '--num-images',
        type=positive,
        help='images in an epoch; by default those of the data set, if it is there, or '
        'of the well-known list that the config names',
    )
    images.add_argument(
        '--load', type=int, default=64, metavar='N', help='images to load; 0: none'
    )
    images.add_argument(
        '--load-from',
        metavar='DIR',
        help='data_root of the images to load, instead of the one in the config',
    )
    rate = parser.add_argument_group('the GPUs').add_mutually_exclusive_group()
    rate.add_argument(
        '--gpu',
        nargs='+',
        choices=GPUS,
        default=list(GPUS),
        metavar='NAME',
        help=f'estimate for some of {", ".join(GPUS)}',
    )
    rate.add_argument(
        '--tflops',
        type=float,
        help='estimate for a GPU that sustains this, in 1e12 operations a second',
    )
    args = parse_known(parser, argv)
    if args.amp and args.device == 'cpu':
        parser.error('--amp is for --device cuda; operations are the same without it')
    return args


def save(path: Path, found: Sequence[Estimate], device: str) -> None:
    """Write the estimates with the environment."""
    from dropblock_mm.analysis import machine
    from dropblock_mm.runs.checkpoints.whole_files import write_json

    content = {
        'environment': machine.describe(device, "malloc's defaults"),
        'estimates': [asdict(e) for e in found],
    }
    write_json(path, content, indent=2)


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what building optimizers and data sets says of every parameter."""
    from mmengine.logging import MMLogger

    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('ERROR')
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


@interruptible('estimate-cost')
def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, save."""
    args = parse_args(argv)

    import torch

    from dropblock_mm.analysis.cost import report
    from dropblock_mm.analysis.cost.estimate import Settings, estimate
    from dropblock_mm.runs.folders import check_out
    from dropblock_mm.runs.messages import one_message

    if args.device == 'cuda' and not torch.cuda.is_available():
        sys.exit('estimate_cost: --device cuda: torch sees no GPU. Leave it out.')
    settings = Settings(
        device=args.device,
        batch_size=args.batch_size,
        image_size=tuple(args.image_size) if args.image_size else None,
        num_images=args.num_images,
        steps=args.steps,
        amp=args.amp,
        gpus=tuple(args.gpu),
        tflops=args.tflops,
        load=args.load,
        load_from=args.load_from,
    )
    if args.json:
        with one_message():
            check_out(args.json, '--json')
    found = []
    for name in args.configs:
        with (
            one_message(),
            progress(Path(name).stem, settings.parts) as advance,
            quiet(),
        ):
            found.append(estimate(name, settings, advance))
    known = [] if args.tflops else args.gpu
    print(report.markdown(found, args.device, known))
    if args.json:
        save(args.json, found, args.device)


if __name__ == '__main__':
    main()
