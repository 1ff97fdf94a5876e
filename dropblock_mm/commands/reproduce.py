"""Train the rows of a table, and put the results beside the paper's numbers.

Examples::

    python tools/reproduce.py table1 --launcher pytorch --gpus 8
    python tools/reproduce.py table3 --rows scratch block7 --seeds 0 1 2
    python tools/reproduce.py table3 --smoke        # less than a minute a row, on a CPU

Each row and seed is a training by tools/train.py. Run the same command again after an
interruption: finished rows are skipped, interrupted ones go on from their last
checkpoint. The table, in Markdown and JSON, is renewed in the work dir after each run.
docs/en/reproduction.md says more.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dropblock_mm.commands.arguments import (
    add_common_arguments,
    add_launcher_arguments,
    check_launcher,
    command_parser,
    launch_seed,
    parse_known,
    positive,
)
from dropblock_mm.commands.interrupted import interruptible
from dropblock_mm.commands.series_arguments import run_series
from dropblock_mm.errors import RefusedError
from dropblock_mm.programs import typed
from dropblock_mm.reproduction.tables import TABLES, Table

if TYPE_CHECKING:
    from dropblock_mm.reproduction.data import Data
    from dropblock_mm.reproduction.series import Series


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser(__doc__, conflict_handler='resolve')  # for --launcher
    parser.add_argument('table', choices=TABLES, help='of the paper, or the study')
    parser.add_argument('--rows', nargs='+', metavar='NAME', help='all, by default')
    parser.add_argument(
        '--seeds',
        nargs='+',
        type=launch_seed,
        metavar='N',
        help='a training for each (0; of table1 and studies, but for --smoke, 0 1 2)',
    )
    parser.add_argument(
        '--smoke',
        action='store_true',
        help='a tiny model, few tiny images, two epochs: only shows that all works',
    )
    parser.add_argument(
        '--dry-run', action='store_true', help='print the commands, run nothing'
    )
    add_common_arguments(parser)
    parser.add_argument(
        '--epochs',
        type=positive,
        metavar='N',
        help='train for so many, learning rates in proportion',
    )
    add_launcher_arguments(parser)
    add_data_arguments(parser)
    args = parse_known(parser, argv)
    check_arguments(parser, args)
    return args


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what names another data set."""
    group = parser.add_argument_group(
        'data', "another data set in the layout of the table's; see the page"
    )
    group.add_argument('--data-root', metavar='DIR', help='what the rest is below')
    for loop in ('train', 'val'):
        group.add_argument(
            f'--{loop}-ann',
            metavar='FILE',
            help='COCO annotations; a list of names in VOC layout, of names and labels '
            'for a classifier',
        )
        group.add_argument(
            f'--{loop}-images',
            metavar='DIR',
            help=f'with a folder for each class, for a classifier ({loop})',
        )
    group.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help='of VOC layout and of lists of labels; COCO annotations and class folders '
        'say them',
    )


def check_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse what does not go together, and fill in defaults."""
    table = TABLES[args.table]
    names = [row.name for row in table.rows]
    args.rows = list(dict.fromkeys(args.rows or names))
    default = table.seeds[:1] if args.smoke else table.seeds
    args.seeds = list(dict.fromkeys(args.seeds or default))
    unknown = [name for name in args.rows if name not in names]
    if unknown:
        parser.error(
            f'--rows {" ".join(unknown)}: {args.table} has the rows {", ".join(names)}'
        )
    check_launcher(parser, args)
    if args.classes and table.embedded == 'coco':
        parser.error('--classes is for VOC layout: COCO annotations name their classes')
    if not args.work_dir:
        args.work_dir = f'work_dirs/{args.table}{"-smoke" if args.smoke else ""}'


def choose_data(table: Table, args: argparse.Namespace) -> tuple[Data, str | None]:
    """Return the data that were named and, if it serves, the embedded set's folder.

    Raises:
        RefusedError: A smoke run has no data.
    """
    from dropblock_mm.reproduction.data import Data, embedded_data

    data = Data(
        args.data_root,
        args.train_ann,
        args.val_ann,
        args.train_images,
        args.val_images,
        tuple(args.classes) if args.classes else None,
    )
    if not args.smoke or data != Data():
        return data, None
    if table.embedded is None:
        raise RefusedError(
            f'{table.name} --smoke needs --data-root DIR: the embedded data set does '
            'not have its layout.'
        )
    name = 'digit_images' if table.embedded == 'folders' else 'digit_scenes'
    root = str(Path(args.work_dir, name))
    return embedded_data(table.embedded, root), root


def make_series(args: argparse.Namespace, argv: Sequence[str]) -> Series:
    """Put together what is to be run."""
    from dropblock_mm.reproduction.commands import Launcher
    from dropblock_mm.reproduction.plan import Changes, make_plan
    from dropblock_mm.reproduction.report import TableReport
    from dropblock_mm.reproduction.series import Series

    table = TABLES[args.table]
    data, embedded = choose_data(table, args)
    changes = Changes(data, args.smoke, args.epochs, args.cfg_options)
    return Series(
        table,
        make_plan(table, args.rows, args.seeds, Path(args.work_dir), changes),
        Path(args.work_dir),
        Launcher(args.launcher, args.gpus or 1, args.partition),
        typed('reproduce', *argv),
        partial(print, flush=True),
        TableReport(table, Path(args.work_dir)),
        data=_named(embedded) if embedded else data.root or '',
        smoke=args.smoke,
        embedded=embedded,
    )


def _named(embedded: str) -> str:
    """Return what the embedded data set in a folder is called."""
    return f'the {Path(embedded).name.replace("_", " ")}'


@interruptible('reproduce', goes_on=True)
def main(argv: Sequence[str] | None = None) -> None:
    """Train and evaluate what is missing, then write the table."""
    argv = sys.argv[1:] if argv is None else argv
    args = parse_args(argv)

    def run() -> list[str] | None:
        series = make_series(args, argv)
        if args.dry_run:
            series.show()
            return None
        return series.run()

    run_series('reproduce', argv, run)


if __name__ == '__main__':
    main()
