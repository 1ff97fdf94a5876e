r"""Look at all data of a config, before training spends hours on them.

Annotations are read, and every image and label map is decoded. Errors are what
training would end with or learn wrongly from, warnings what it takes in its own way.
Each kind is counted and the first few are named, with what to do. The exit status is
1 with errors, 0 without.

Examples::

    python tools/misc/check_dataset.py mmdet::retinanet/retinanet_r50_fpn_1x_coco.py
    python tools/misc/check_dataset.py CONFIG --loops train --json report.json \
        --cfg-options train_dataloader.dataset.data_root=/path/to/coco
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dropblock_mm.commands.arguments import (
    KeyValues,
    add_config_argument,
    command_parser,
    parse_known,
)
from dropblock_mm.commands.interrupted import interruptible
from dropblock_mm.errors import RefusedError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from dropblock_mm.data_checks.thorough import DatasetReport


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser(__doc__)
    add_config_argument(parser)
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='override settings of the config, as in tools/train.py',
    )
    parser.add_argument(
        '--loops',
        nargs='+',
        choices=['train', 'val', 'test'],
        default=['train', 'val', 'test'],
        help='whose data to look at (default: all)',
    )
    parser.add_argument(
        '--workers',
        type=int,
        default=min(os.cpu_count() or 1, 8),
        help='processes that decode images; 0 for none (default: %(default)s)',
    )
    parser.add_argument(
        '--json', metavar='FILE', help=f'write all of it as JSON, {_KEPT}'
    )
    return parse_known(parser, argv)


_KEPT = 'with up to 100 names of each kind'


class _Bars:
    """A bar below the other for each data set."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def begin(self, description: str, total: int) -> None:
        self._task = self._progress.add_task(description, total=total)

    def advance(self) -> None:
        self._progress.advance(self._task)


def check(args: argparse.Namespace) -> list[DatasetReport]:
    """Read the config and check its data, with a progress bar on stderr."""
    from mmengine.registry import init_default_scope
    from PIL import Image
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from dropblock_mm import runs
    from dropblock_mm.data_checks.thorough import check_datasets
    from dropblock_mm.runs.refused_by_mmengine import refusing_what_mmengine_refuses

    cfg = runs.load_config(args.config, args.cfg_options)
    runs.prepare_library(cfg)
    if cfg.get('default_scope'):
        init_default_scope(cfg.default_scope)
    Image.MAX_IMAGE_PIXELS = None  # large images are no attack here
    columns = TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn()
    console = Console(stderr=True)
    with (
        refusing_what_mmengine_refuses(cfg),
        Progress(
            *columns, TimeRemainingColumn(), console=console, transient=True
        ) as progress,
    ):
        bars = _Bars(progress)
        reports = check_datasets(cfg.to_dict(), args.loops, args.workers, bars)
    if not reports:
        keys = ' and no '.join(f'{loop}_dataloader' for loop in args.loops)
        raise RefusedError(f'{args.config!r} has no {keys}. Give another config.')
    return reports


_STYLES = {True: ('error', 'red'), False: ('warning', 'yellow')}


def print_report(reports: Sequence[DatasetReport], console: Console) -> None:
    """Print all data sets, errors first, and a line that sums up."""
    from rich.markup import escape

    for report in reports:
        console.print(
            f'[bold]{escape(", ".join(report.keys))}[/]: {escape(report.type)}, '
            f'{report.images} images'
        )
        for finding in report.findings:
            name, colour = _STYLES[finding.kind.is_error]
            console.print(f'  [{colour}]{name}[/] {escape(finding.text)}')
            console.print(f'      [dim]{escape(finding.kind.remedy)}[/]')
        if not report.findings:
            console.print('  nothing to complain of')
    console.print(summary(reports))


def summary(reports: Sequence[DatasetReport]) -> str:
    """Say in a line how it went."""
    from dropblock_mm.data_checks.thorough import total

    errors, warnings = (total(reports, level) for level in (True, False))
    counts = ((errors, 'error'), (warnings, 'warning'), (len(reports), 'data set'))
    numbers = [f'{count} {name}{"s" * (count != 1)}' for count, name in counts]
    told = f'{numbers[0]}, {numbers[1]} in {numbers[2]}.'
    if errors:
        return f'{told} Mend the errors before training.'
    return f'{told} Training can start.'


def _width() -> int:
    """Return the width of the terminal; a file takes lines of any length."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 160


@interruptible('check-dataset')
def main(argv: Sequence[str] | None = None) -> int:
    """Check as the command line says; 1 if there are errors."""
    args = parse_args(argv)

    from rich.console import Console

    from dropblock_mm.data_checks.thorough import as_dict
    from dropblock_mm.runs.checkpoints.whole_files import write_json
    from dropblock_mm.runs.folders import check_out
    from dropblock_mm.runs.messages import one_message

    with one_message():
        if args.json:
            check_out(args.json, '--json')
        reports = check(args)
    print_report(reports, Console(highlight=False, width=_width()))
    found = as_dict(reports)
    if args.json:
        write_json(args.json, found, indent=2)
    return 1 if found['errors'] else 0


if __name__ == '__main__':
    sys.exit(main())
