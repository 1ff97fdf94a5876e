r"""Evaluate trained models with DropBlock left on (Figure 5 of the paper).

Blocks are dropped at the same sites in every model, and batch normalisation stays in
eval mode. Every evaluation is written down at once: interrupted and started again with
the same arguments, the command goes on.

Examples::

    python tools/analysis_tools/robustness.py --model work_dirs/plain \
        --model work_dirs/dropped --out robustness.png
    python tools/analysis_tools/robustness.py --model CONFIG CHECKPOINT NAME \
        --block-sizes 1 3 7 --keep-probs 0.5 0.7 0.9 1 --seeds 5
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropblock_mm.commands.arguments import (
    add_fragment_argument,
    add_model_arguments,
    command_parser,
    parse_known,
    positive,
)
from dropblock_mm.commands.interrupted import interruptible
from dropblock_mm.programs import typed

if TYPE_CHECKING:
    from dropblock_mm.analysis.robustness_points import Grid, Point


UNIT = 'percent'  # a file of another unit is not gone on with


def share(text: str) -> float:
    """Read a keep_prob, in (0, 1]."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number in (0, 1]')
    return value


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser(__doc__)
    add_model_arguments(parser)
    parser.add_argument(
        '--out', type=Path, default=Path('robustness.png'), help='picture (%(default)s)'
    )
    grid = parser.add_argument_group('what is dropped')
    grid.add_argument(
        '--block-sizes',
        nargs='+',
        type=positive,
        default=[1, 7],
        metavar='SIDE',
        help='each with every rate (1 7)',
    )
    grid.add_argument(
        '--keep-probs',
        nargs='+',
        type=share,
        default=[0.75, 0.8, 0.85, 0.9, 0.95, 1.0],
        metavar='RATE',
        help='the share that is kept (0.75 0.8 0.85 0.9 0.95 1)',
    )
    grid.add_argument(
        '--seeds', type=positive, default=3, help='draws of masks (%(default)s)'
    )
    add_fragment_argument(
        grid,
        'fragment that says where; else the first config that does, or the paper',
    )
    return parse_known(parser, argv)


@interruptible('robustness', goes_on=True)
def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate as the command line says."""
    words = list(sys.argv[1:] if argv is None else argv)
    args = parse_args(argv)

    from dropblock_mm.analysis.figures.record import check_picture_name, known_numbers
    from dropblock_mm.analysis.robustness import evaluate_points, targets_of
    from dropblock_mm.analysis.robustness_points import (
        Grid,
        check_grid,
        check_same_metric,
        known_points,
    )
    from dropblock_mm.analysis.trained.asked import models_asked
    from dropblock_mm.analysis.trained.models import (
        build_test_loader,
        check_names_differ,
        model_files,
        open_model,
    )
    from dropblock_mm.analysis.trained.same_data import check_same_data, check_same_task
    from dropblock_mm.commands.progress import progress
    from dropblock_mm.runs.messages import one_message

    grid = Grid(tuple(args.block_sizes), tuple(args.keep_probs), (*range(args.seeds),))
    command = f'{typed("robustness")} {shlex.join(words)}'
    with one_message():
        check_picture_name(args.out)
        files = [model_files(words) for words in args.model]
        check_names_differ(files)
        check_grid(grid)
        models = [open_model(file, args.cfg_options) for file in files]
        check_same_task(models)
        what = models_asked(files, args.cfg_options)
        what |= {'dropblock': args.dropblock, 'unit': UNIT}
        points = known_points(known_numbers(args.out), what)
        cfgs = [model.cfg for model in models]
        targets = targets_of(cfgs, args.dropblock, models[0].model)
        done = {(p.model, p.block_size, p.keep_prob, p.seed) for p in points}
        to_do = {
            m.name: [s for s in grid.settings() if (m.name, *s) not in done]
            for m in models
        }
        loaders = []
        if any(to_do.values()):
            loaders = [build_test_loader(model) for model in models]
            check_same_data(list(to_do), [loader.dataset for loader in loaders])
        pairs = list(zip(models, loaders, strict=bool(loaders)))
        batches = sum(len(to_do[model.name]) * len(loader) for model, loader in pairs)
        with progress('batches', batches) as advance:
            for model, loader in pairs:
                settings = to_do[model.name]
                for point in evaluate_points(model, loader, targets, settings, advance):
                    check_same_metric([*points, point])
                    points.append(point)
                    write(args.out, points, grid, what, command)
                    told = f'block {point.block_size}, keep_prob {point.keep_prob:g}'
                    advance(f'{point.model}, {told}: {point.value:.4g}', steps=0)
    write(args.out, points, grid, what, command)
    draw(args.out, points, grid)


def wanted(points: Sequence[Point], grid: Grid) -> list[Point]:
    """Return the points of the grid, of those that are known."""
    asked = set(grid.settings())
    return [p for p in points if (p.block_size, p.keep_prob, p.seed) in asked]


def write(
    out: Path, points: Sequence[Point], grid: Grid, what: dict[str, Any], command: str
) -> None:
    """Write down what is known by now."""
    from dropblock_mm.analysis.figures.record import write_record
    from dropblock_mm.analysis.figures.robustness import robustness_record
    from dropblock_mm.analysis.robustness_points import as_numbers, curves_of

    curves = curves_of(wanted(points, grid), grid)
    notes = ['Batch normalisation in eval mode; bars of one standard deviation.']
    if len(wanted(points, grid)) < len(grid.settings()) * len(what['models']):
        notes.append('Not finished.')
    numbers = as_numbers(points, what)
    record = robustness_record(out, curves, points[0].metric, numbers, notes, command)
    write_record(record, out)


def draw(out: Path, points: Sequence[Point], grid: Grid) -> None:
    """Draw the curves, and print them."""
    from dropblock_mm.analysis.figures.robustness import draw_robustness
    from dropblock_mm.analysis.figures.style import house_style, save_picture
    from dropblock_mm.analysis.robustness_points import curves_of

    curves = curves_of(wanted(points, grid), grid)
    with house_style():
        save_picture(draw_robustness(curves, points[0].metric), out)
    for curve in curves:
        values = '  '.join(
            f'{rate:g}: {mean:.4g} ± {spread:.3g}'
            for rate, mean, spread in zip(
                curve.keep_probs, curve.means, curve.spreads, strict=True
            )
        )
        print(f'{curve.model}, block {curve.block_size}:  {values}')
    print(f'wrote {out} and its numbers in {out.with_suffix(".json")}')


if __name__ == '__main__':
    main()
