"""Train a config over a grid of settings, and draw the curves.

Examples::

    python tools/sweep.py CONFIG --keep-prob 0.8 0.9 1 --block-size 3 7 --seeds 0 1 2
    python tools/sweep.py CONFIG --method dropblock dropout --place conv --schedule off
    python tools/sweep.py CONFIG --figure 4 --array --partition NAME --at-once 8

The grid is keep_prob x block size x place x schedule x method x groups x seeds; what a
method does not have is left out, and keep_prob 1 is the plain model, once. Each point
and seed has a folder; finished ones are skipped, failed ones are kept apart. What comes
out is in the work dir as sweep.md, sweep.json and pictures. docs/en/sweep.md says more.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dropblock_mm.commands.arguments import (
    add_config_argument,
    command_parser,
    parse_known,
    positive,
)
from dropblock_mm.commands.interrupted import interruptible
from dropblock_mm.commands.series_arguments import (
    add_series_arguments,
    check_metric,
    check_series_arguments,
    chosen,
    run_or_show,
    run_series,
)
from dropblock_mm.commands.series_reports import SweepReport
from dropblock_mm.errors import RefusedValueError
from dropblock_mm.programs import typed

if TYPE_CHECKING:
    from mmengine.config import Config

    from dropblock_mm.hooks.grid import Modules, Point
    from dropblock_mm.reproduction.series import Series

METHODS = ('dropblock', 'dropout', 'spatial-dropout', 'drop-path')
SEEDS = (0, 1, 2)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser(__doc__, conflict_handler='resolve')  # for --launcher
    add_config_argument(parser)
    add_grid_arguments(parser)
    parser.add_argument('--metric', help='key of the evaluation; the usual one if not')
    add_series_arguments(parser, SEEDS)
    args = parse_known(parser, argv)
    check_series_arguments(parser, args)
    return args


def add_grid_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the axes of the grid."""
    group = parser.add_argument_group('grid', 'one or more of each')
    group.add_argument(
        '--keep-prob',
        nargs='+',
        type=probability,
        default=[0.75, 0.8, 0.85, 0.9, 0.95, 1.0],
        metavar='P',
        help='at the end of training; 1 is the plain model (0.75 0.8 0.85 0.9 0.95 1)',
    )
    group.add_argument(
        '--block-size', nargs='+', type=positive, default=[7], metavar='N', help='(7)'
    )
    group.add_argument(
        '--place',
        nargs='+',
        choices=['conv', 'both'],
        default=['both'],
        help='after convolutions, or after them and on shortcuts (both)',
    )
    group.add_argument(
        '--schedule',
        nargs='+',
        choices=['on', 'off'],
        default=['on'],
        help='whether keep_prob falls from 1 (on)',
    )
    group.add_argument(
        '--method',
        nargs='+',
        choices=METHODS,
        default=['dropblock'],
        help='(dropblock)',
    )
    group.add_argument(
        '--groups',
        nargs='+',
        choices=['c5', 'c4c5'],
        default=['c4c5'],
        help='stages of a ResNet: layer4, or layer3 with a quarter of the rate too '
        '(c4c5)',
    )
    group.add_argument(
        '--modules',
        nargs='+',
        metavar='MODULE[:FACTOR]',
        help='of another model, instead of --groups, with factors on the drop rate',
    )
    group.add_argument(
        '--figure',
        choices=['3a', '3b', '4'],
        help="the grid of one of the paper's figures, instead of all of these",
    )


def probability(text: str) -> float:
    """Read a number in [0, 1]."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a number from 0 to 1')
    return number


def find_points(args: argparse.Namespace) -> dict[Point, Modules]:
    """Return the points of the grid, and each one's modules.

    Raises:
        RefusedValueError: There is one point alone.
    """
    from dropblock_mm.hooks.grid import GROUPS, figure, grid, parse_modules

    groups = dict(GROUPS)
    names = list(args.groups)
    if args.modules:
        groups['modules'], names = parse_modules(args.modules), ['modules']
    if args.figure:
        points = figure(args.figure)
    else:
        schedules = [word == 'on' for word in dict.fromkeys(args.schedule)]
        axes = (args.method, names, args.keep_prob, args.block_size, args.place)
        points = grid(*axes, schedules)
    if len(points) == 1:
        raise RefusedValueError(
            f'the grid has one point, {points[0].name}: there is no curve to draw. '
            'Give more of --keep-prob, --block-size, --place, --schedule or --method, '
            f'or compare one setting with none: {typed("compare")}.'
        )
    return {point: groups.get(point.groups, ()) for point in points}


def with_point(
    cfg: Config, point: Point, modules: Modules, several_ranks: bool
) -> Config:
    """Return the config of a point, whatever DropBlock the user's has left out."""
    from dropblock_mm.hooks.fragments import without_drop_block
    from dropblock_mm.hooks.grid import add_point
    from dropblock_mm.reproduction.same_data import make_comparable

    cfg = add_point(without_drop_block(cfg), point, modules)
    return make_comparable(cfg, several_ranks=several_ranks)


def make_series(args: argparse.Namespace, argv: Sequence[str]) -> Series:
    """Put together what is to be run."""
    from dropblock_mm.analysis.sites.checking import check_targets
    from dropblock_mm.reproduction.commands import Launcher
    from dropblock_mm.reproduction.plan import Changes, make_plan
    from dropblock_mm.reproduction.series import Series
    from dropblock_mm.reproduction.tables import Row, Table

    points = find_points(args)
    several = args.launcher != 'none'
    extend = {
        point.name: partial(
            with_point, point=point, modules=modules, several_ranks=several
        )
        for point, modules in points.items()
    }
    stem = Path(args.config.rpartition('::')[2]).stem
    work_dir = Path(args.work_dir or f'work_dirs/sweep-{stem}')
    rows = tuple(Row(name, name, args.config) for name in extend)
    rows, seeds = chosen(rows, args)
    table = Table('sweep', f'{args.config}, swept', '', (), rows)
    changes = Changes(
        epochs=args.epochs, options=args.cfg_options, extend=extend, find=str
    )
    return Series(
        table,
        make_plan(table, [row.name for row in rows], seeds, work_dir, changes),
        work_dir,
        Launcher(args.launcher, args.gpus or 1, args.partition),
        typed('sweep', *argv),
        partial(print, flush=True),
        SweepReport(work_dir, args.config, list(points), args.metric, args.picture),
        at_once=args.at_once,
        check=check_targets,
        look_at=partial(check_metric, metric=args.metric),
    )


@interruptible('sweep', goes_on=True)
def main(argv: Sequence[str] | None = None) -> None:
    """Train what is missing, then draw."""
    argv = sys.argv[1:] if argv is None else argv
    args = parse_args(argv)

    def run() -> list[str]:
        return run_or_show(make_series(args, argv), args, 'sweep', argv)

    run_series('sweep', argv, run)


if __name__ == '__main__':
    main()
