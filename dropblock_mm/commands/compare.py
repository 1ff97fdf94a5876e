"""Train a config without DropBlock and with, on the same images, and compare.

Examples::

    python tools/compare.py CONFIG --dropblock resnet_c4c5 --seeds 0 1 2 3 4
    python tools/compare.py CONFIG --dropblock resnet_c4c5 --also resnet_c4c5_dropout
    python tools/compare.py CONFIG --dropblock resnet_c4c5 --budget 12

Each arm and seed is a training by tools/train.py, with the same images in the same
order in all arms. A config that has DropBlock already is compared with itself without,
and needs no --dropblock. Run the same command again after an interruption: finished
runs are skipped, others go on. What comes out is in the work dir as compare.md,
compare.json and compare.png. docs/en/compare.md says more.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dropblock_mm.commands.arguments import (
    add_config_argument,
    add_fragment_argument,
    command_parser,
    parse_known,
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
from dropblock_mm.commands.series_reports import CompareReport
from dropblock_mm.errors import RefusedValueError
from dropblock_mm.programs import typed

if TYPE_CHECKING:
    from mmengine.config import Config

    from dropblock_mm.reproduction.plan import Extend
    from dropblock_mm.reproduction.series import Series

PLAIN, OWN = 'none', 'config'
SEEDS = (0, 1, 2)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser(__doc__, conflict_handler='resolve')  # for --launcher
    add_config_argument(parser)
    add_fragment_argument(
        parser, 'what is compared: a fragment in configs/_base_/dropblock, or a file'
    )
    parser.add_argument(
        '--also', nargs='+', default=[], metavar='NAME-OR-FILE', help='more of these'
    )
    measured = parser.add_argument_group('what is measured')
    measured.add_argument(
        '--metric', help='key of the evaluation; the usual one if not'
    )
    measured.add_argument(
        '--gap-images',
        type=whole,
        default=500,
        metavar='N',
        help='evaluate on so many training images too; 0: on none (%(default)s)',
    )
    measured.add_argument(
        '--budget',
        type=hours,
        metavar='HOURS',
        help='measure a step, propose epochs and seeds, train nothing',
    )
    add_series_arguments(parser, SEEDS)
    args = parse_known(parser, argv)
    check_series_arguments(parser, args)
    return args


def whole(text: str) -> int:
    """Read a whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number')
    return int(text)


def hours(text: str) -> float:
    """Read a time in hours."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float('inf'):
        raise argparse.ArgumentTypeError(f'{text!r} is not a number of hours above 0')
    return number


def find_arms(args: argparse.Namespace) -> dict[str, Extend]:
    """Return the arms by name, the plain one first, and what each does to the config.

    Raises:
        RefusedError: There is nothing to compare, two arms have one name, or a fragment
            is not known.
    """
    from dropblock_mm import runs
    from dropblock_mm.hooks.fragments import find_fragment, uses_drop_block

    cfg = runs.load_config(args.config)
    several = args.launcher != 'none'
    arms: dict[str, Extend] = {}
    arms[PLAIN] = partial(arm, fragment=None, several_ranks=several)
    if uses_drop_block(cfg):
        arms[OWN] = partial(arm, fragment=OWN, several_ranks=several)
    for fragment in [*filter(None, [args.dropblock]), *args.also]:
        find_fragment(fragment)
        name = re.sub(r'[^\w.-]', '-', Path(fragment.rpartition('::')[2]).stem)
        if name in arms:
            raise RefusedValueError(
                f'{fragment!r} would be an arm called {name!r}, and there is one. Give '
                'each once, or rename the file.'
            )
        arms[name] = partial(arm, fragment=fragment, several_ranks=several)
    if len(arms) == 1:
        raise RefusedValueError(
            f'{args.config} has no DropBlock, and --dropblock names none: there is '
            'nothing to compare. Give --dropblock resnet_c4c5, for example.'
        )
    return arms


def arm(cfg: Config, fragment: str | None, several_ranks: bool) -> Config:
    """Return an arm's config.

    Args:
        cfg (Config): The user's.
        fragment: What is added; ``OWN`` for what the config has, None for nothing.
        several_ranks: Whether several processes train together.
    """
    from dropblock_mm.hooks.fragments import add_fragment, without_drop_block
    from dropblock_mm.reproduction.same_data import make_comparable

    if fragment != OWN:
        cfg = without_drop_block(cfg)
        cfg = add_fragment(cfg, fragment) if fragment else cfg
    return make_comparable(cfg, several_ranks=several_ranks)


def make_series(args: argparse.Namespace, argv: Sequence[str]) -> Series:
    """Put together what is to be run."""
    from dropblock_mm.analysis.sites.checking import check_targets
    from dropblock_mm.reproduction.commands import Launcher
    from dropblock_mm.reproduction.plan import Changes, make_plan
    from dropblock_mm.reproduction.series import Series
    from dropblock_mm.reproduction.tables import Row, Table

    arms = find_arms(args)
    stem = Path(args.config.rpartition('::')[2]).stem
    work_dir = Path(args.work_dir or f'work_dirs/compare-{stem}')
    rows = tuple(Row(name, name, args.config) for name in arms)
    rows, seeds = chosen(rows, args)
    table = Table('compare', f'{args.config}, compared', '', (), rows)
    changes = Changes(
        epochs=args.epochs,
        options=args.cfg_options,
        extend=arms,
        find=str,
        gap_images=args.gap_images,
    )
    return Series(
        table,
        make_plan(table, [row.name for row in rows], seeds, work_dir, changes),
        work_dir,
        Launcher(args.launcher, args.gpus or 1, args.partition),
        typed('compare', *argv),
        partial(print, flush=True),
        CompareReport(work_dir, args.config, args.metric, args.picture),
        at_once=args.at_once,
        check=check_targets,
        look_at=partial(check_metric, metric=args.metric),
        gap_images=args.gap_images,
    )


@interruptible('compare', goes_on=True)
def main(argv: Sequence[str] | None = None) -> None:
    """Train what is missing, then compare."""
    argv = sys.argv[1:] if argv is None else argv
    args = parse_args(argv)

    def run() -> list[str]:
        series = make_series(args, argv)
        if args.budget:
            propose(series, args)
            return []
        return run_or_show(series, args, 'compare', argv)

    run_series('compare', argv, run)


def propose(series: Series, args: argparse.Namespace) -> None:
    """Measure a step, and print what fits the budget."""
    from dropblock_mm.analysis.comparison.budget import cost_of, proposal_text
    from dropblock_mm.reproduction.trial import measure_step

    run = series.plan.asked[1]  # the second arm, which has DropBlock
    series.prepare()
    print(f'measuring a step of {run}', flush=True)
    step = measure_step(run, series.launcher)
    cost = cost_of(run.cfg, step, args.gpus or 1)
    print(proposal_text(cost, args.budget, len(series.table.rows), args.at_once))


if __name__ == '__main__':
    main()
