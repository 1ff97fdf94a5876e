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
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from dropblock_mm import runs
from dropblock_mm.analysis import machine
from dropblock_mm.analysis.cost import loading, report, step
from dropblock_mm.analysis.cost.gpus import GPUS, gpu_hours
from dropblock_mm.analysis.cost.loading import Loading
from dropblock_mm.analysis.cost.report import Estimate
from dropblock_mm.analysis.cost.step import Step
from dropblock_mm.analysis.cost.workload import CostError, Workload, workload
from dropblock_mm.runs.image_sizes import fixed_image_size
from dropblock_mm.runs.messages import EXIT_STATUS, one_message
from dropblock_mm.runs.refused_by_mmengine import refusing_what_mmengine_refuses


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'configs', nargs='+', metavar='CONFIG', help="paths, or 'mmdet::...'"
    )
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument(
        '--batch-size',
        type=positive,
        help="images in the measured step; 2 on the CPU, the config's own on a GPU",
    )
    parser.add_argument(
        '--image-size',
        nargs=2,
        type=positive,
        metavar=('H', 'W'),
        help='in pixels; by default what the config pads to, or the mean of what is '
        'loaded',
    )
    parser.add_argument(
        '--num-images',
        type=positive,
        help='images in an epoch; by default those of the data set, if it is there, or '
        'of the well-known list that the config names',
    )
    parser.add_argument(
        '--steps', type=positive, help='to time; 3 on the CPU, 30 on a GPU'
    )
    parser.add_argument(
        '--amp', action='store_true', help='in mixed precision, on a GPU'
    )
    rate = parser.add_mutually_exclusive_group()
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
    parser.add_argument(
        '--load', type=int, default=64, metavar='N', help='images to load; 0: none'
    )
    parser.add_argument(
        '--load-from',
        metavar='DIR',
        help='data_root of the images to load, instead of the one in the config',
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write as JSON, too')
    args = parser.parse_args(argv)
    if args.amp and args.device == 'cpu':
        parser.error('--amp is for --device cuda; operations are the same without it')
    return args


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number above 0')
    return int(text)


def estimate(name: str, args: argparse.Namespace) -> Estimate:
    """Measure one config."""
    cfg = runs.load_config(name)
    with refusing_what_mmengine_refuses(cfg):
        return measure(cfg, name, args)


def measure(cfg: Config, name: str, args: argparse.Namespace) -> Estimate:
    """Measure one config that was read."""
    runs.prepare_library(cfg)
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    if args.amp:
        runs.enable_amp(cfg)
    run = workload(cfg, Path(name.rpartition('::')[2]).stem, args.num_images)
    loaded = measure_loading(cfg, args)
    size = size_of_images(cfg, name, args, loaded)
    on_gpu = args.device == 'cuda'
    measured = step.measure(
        cfg,
        size,
        args.batch_size or (run.batch_size if on_gpu else 2),
        args.device,
        args.steps or (30 if on_gpu else 3),
    )
    return Estimate(name, size, run, measured, hours(run, measured, args), loaded)


def measure_loading(cfg: Config, args: argparse.Namespace) -> Loading | None:
    """Time the pipeline, if there are images and this was not turned off."""
    if not args.load:
        return None
    try:
        return loading.measure(cfg, args.load, args.load_from)
    except FileNotFoundError as error:
        if args.load_from:
            raise CostError(
                f'--load-from {args.load_from!r}: {error}. Give a folder with images '
                'and annotations where the config expects them.'
            ) from error
        return None


def size_of_images(
    cfg: Config, name: str, args: argparse.Namespace, loaded: Loading | None
) -> tuple[int, int]:
    """Decide on height and width: command line, config, what was loaded."""
    if args.image_size:
        return args.image_size[0], args.image_size[1]
    size = fixed_image_size(cfg) or (loaded.size if loaded else None)
    if size is None:
        raise CostError(
            f'{name}: its images differ in size, and there are none to load. Give '
            '--image-size H W, their mean, or a folder with some in --load-from.'
        )
    return size


def hours(run: Workload, measured: Step, args: argparse.Namespace) -> dict[str, float]:
    """Return GPU hours by GPU."""
    if args.device == 'cuda':
        seconds = run.images / measured.images_per_second
        return {torch.cuda.get_device_name(): seconds / 3600}
    rates = {name: GPUS[name].sustained_tflops for name in args.gpu}
    if args.tflops:
        rates = {f'{args.tflops:g} TFLOPS': args.tflops}
    work = run.images * measured.tflop
    return {name: gpu_hours(work, rate) for name, rate in rates.items()}


def save(path: Path, found: Sequence[Estimate], device: str) -> None:
    """Write the estimates with the environment."""
    content = {
        'environment': machine.describe(device, "malloc's defaults"),
        'estimates': [asdict(e) for e in found],
    }
    path.write_text(json.dumps(content, indent=2) + '\n')


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what building optimizers and data sets says of every parameter."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('ERROR')
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, save."""
    args = parse_args(argv)
    if args.device == 'cuda' and not torch.cuda.is_available():
        sys.exit('estimate_cost: --device cuda: torch sees no GPU. Leave it out.')
    found = []
    for name in args.configs:
        print(f'measuring {name}', file=sys.stderr, flush=True)
        with one_message(), quiet():
            try:
                found.append(estimate(name, args))
            except CostError as error:
                print(f'error: {error}', file=sys.stderr)
                raise SystemExit(EXIT_STATUS) from None
    known = [] if args.tflops else args.gpu
    print(report.markdown(found, args.device, known))
    if args.json:
        save(args.json, found, args.device)


if __name__ == '__main__':
    main()
