"""What the commands that carry out many runs have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dropblock_mm.commands.arguments import (
    KeyValues,
    add_common_arguments,
    add_launcher_arguments,
    check_launcher,
    end_politely,
    launch_seed,
    positive,
)

if TYPE_CHECKING:
    from dropblock_mm.reproduction.plan import Run
    from dropblock_mm.reproduction.series import Series
    from dropblock_mm.reproduction.tables import Row


def add_series_arguments(parser: argparse.ArgumentParser, seeds: Sequence[int]) -> None:
    """Add what comparisons and sweeps share."""
    series = parser.add_argument_group('the trainings')
    series.add_argument(
        '--seeds',
        nargs='+',
        type=launch_seed,
        default=list(seeds),
        metavar='N',
        help=f'a training for each ({" ".join(map(str, seeds))})',
    )
    series.add_argument(
        '--epochs',
        type=positive,
        metavar='N',
        help='train for so many, learning rates in proportion',
    )
    series.add_argument(
        '--at-once',
        type=positive,
        default=1,
        metavar='N',
        help='trainings at work at once on this machine, each with a GPU of its own '
        'where there are several (1)',
    )
    series.add_argument(
        '--dry-run', action='store_true', help='print the commands, run nothing'
    )
    parser.add_argument(
        '--picture',
        choices=['png', 'svg'],
        default='png',
        help='format of the figure (png)',
    )
    add_common_arguments(parser)
    add_launcher_arguments(parser)
    group = parser.add_argument_group(
        'Slurm array', 'a job for each training, by submitit, --at-once of them'
    )
    group.add_argument('--array', action='store_true', help='with --partition')
    group.add_argument(
        '--minutes', type=positive, default=1440, metavar='N', help='for a job (1440)'
    )
    group.add_argument(
        '--sbatch',
        nargs='+',
        action=KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='further options of sbatch, such as cpus-per-task=8',
    )
    # A job of the array: one run of all.
    group.add_argument('--only', help=argparse.SUPPRESS)


def check_series_arguments(
    parser: argparse.ArgumentParser, args: argparse.Namespace
) -> None:
    """Refuse what does not go together."""
    args.seeds = list(dict.fromkeys(args.seeds))
    if not args.array:
        check_launcher(parser, args)
        return
    if not args.partition:
        parser.error('--array needs --partition NAME')
    if args.launcher != 'none':
        parser.error(
            f'--array starts its jobs itself: leave --launcher out, not '
            f'{args.launcher!r}; --gpus N is for each job'
        )


def chosen(
    rows: tuple[Row, ...], args: argparse.Namespace
) -> tuple[tuple[Row, ...], list[int]]:
    """Return the rows and seeds that are to be run: all, or a job's one."""
    name, _, seed = (args.only or '').rpartition('_seed')
    if not name:
        return rows, args.seeds
    return tuple(row for row in rows if row.name == name), [int(seed)]


def check_metric(run: Run, metric: str | None) -> None:
    """Refuse a metric that the first evaluation did not give.

    Raises:
        RefusedValueError: With what it gave.
    """
    from dropblock_mm.analysis.comparison.arms import choose_metric
    from dropblock_mm.reproduction.state import first_evaluation, numbers_of

    numbers = numbers_of(first_evaluation(run), ()) if metric else {}
    if numbers:
        choose_metric(numbers, metric)


def run_or_show(
    series: Series, args: argparse.Namespace, name: str, argv: Sequence[str]
) -> list[str]:
    """Do what the arguments that series share say.

    Returns:
        list[str]: What failed.
    """
    if args.dry_run:
        series.show()
        return []
    if args.only:
        return series.run_one(args.only)
    if args.array:
        from dropblock_mm.reproduction.slurm_array import Array, run_array

        array = Array(args.partition, args.gpus, args.minutes, dict(args.sbatch))
        return run_array(series, array, name, argv)
    return series.run()


def run_series(
    name: str, argv: Sequence[str], run: Callable[[], Sequence[str] | None]
) -> None:
    """Carry out a command of many runs, and end with its status.

    Args:
        name: The command's.
        argv: What followed it.
        run: Does it, and returns what failed; None if nothing was to be run.
    """
    from dropblock_mm.runs.checkpoints.safe_loading import keep_loading_safe
    from dropblock_mm.runs.messages import one_message

    keep_loading_safe()
    end_politely()
    with one_message():
        failed = run()
    if failed is not None:
        sys.exit(1 if failed else 0)
