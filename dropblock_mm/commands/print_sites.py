r"""Show where DropBlock goes in a model, and what it does there, without training.

For every site, of DropBlock or whatever a config injects: the size of its maps, the
settings, and the exact expected share of units kept at the end of the schedule. A block
that covers its map drops whole channels; such sites are marked. The model has no
weights (it is on torch's meta device), so this takes seconds whatever the model.

Examples::

    python tools/misc/print_sites.py mmdet::retinanet/retinanet_r50_fpn_1x_coco.py \
        --dropblock resnet_c4c5
    python tools/misc/print_sites.py CONFIG --input-size 512 1024 --json sites.json
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dropblock_mm.commands.arguments import (
    add_config_argument,
    add_fragment_argument,
    command_parser,
    parse_known,
)
from dropblock_mm.commands.interrupted import interruptible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.tree import Tree

    from dropblock_mm.analysis.sites.site_rows import MapRow, Report, SiteRow


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser(__doc__)
    add_config_argument(parser)
    add_fragment_argument(
        parser,
        'the fragment to show; without it, and without hooks in the config, all sites '
        'that the model has',
    )
    parser.add_argument(
        '--input-size',
        nargs=2,
        type=int,
        metavar=('H', 'W'),
        help='size of the images in pixels; as the config trains, else 800 1344',
    )
    parser.add_argument(
        '--keep-prob',
        type=float,
        default=0.9,
        help='where no schedule and no target sets one (default: %(default)s)',
    )
    parser.add_argument(
        '--block-size',
        type=int,
        default=7,
        help='where no hook sets one (default: %(default)s)',
    )
    parser.add_argument('--json', metavar='FILE', help="write as JSON; '-' prints it")
    return parse_known(parser, argv)


def draw_tree(report: Report) -> Tree:
    """Arrange the sites by the paths of their modules."""
    from rich.markup import escape
    from rich.tree import Tree

    height, width = report.input_size
    tree = Tree(
        f'[bold]{len(report.sites)} sites[/] in {escape(report.config)}, images of '
        f'{height} x {width}'
        + ('' if report.active else '; none active, these are the possible sites')
    )
    branches = {'': tree}
    for row in report.sites:
        branch = _branch(branches, row.module)
        for line in site_lines(row, report.input_size):
            branch.add(line)
    return tree


def _branch(branches: dict[str, Tree], path: str) -> Tree:
    from rich.markup import escape

    if path not in branches:
        above, _, name = path.rpartition('.')
        branches[path] = _branch(branches, above).add(f'[blue]{escape(name)}[/]')
    return branches[path]


def site_lines(row: SiteRow, size: tuple[int, int]) -> list[str]:
    """Describe a site, in a line for each size of its maps."""
    state = 'averaged' if row.averaged else 'frozen' if row.frozen else ''
    end = f'  [dim]{state}[/]' if state else ''
    if row.input_size not in (None, size):
        end += '  [dim]small images[/]'
    if not row.maps:
        return [f'{row.place:<9} [yellow]size unknown[/]{end}']
    return [
        f'{row.place:<9} {m.channels} x {m.height} x {m.width}  '
        + (f'{row.layer}  ' if row.layer != 'DropBlock2d' else '')
        + '  '.join([*map_settings(row, m), f'keeps {m.expected_keep_rate:.4f}'])
        + ('  [red]covers the map: drops whole channels[/]' if covers(m) else '')
        + end
        for m in row.maps
    ]


def map_settings(row: SiteRow, size: MapRow) -> list[str]:
    """Name the settings of a site, and the numbers that follow from a map's size."""
    shown: dict[str, Any] = {**row.settings, **size.facts}
    return [
        f'{name} {value:.3g}' if isinstance(value, float) else f'{name} {value}'
        for name, value in shown.items()
        if not isinstance(value, bool)
    ] + [name for name, value in row.settings.items() if value is True]


def covers(size: MapRow) -> bool:
    """Tell whether a block is as large as the map."""
    return bool(size.facts.get('covers_map'))


def print_report(report: Report, console: Console) -> None:
    """Print the tree, and what could not be found out."""
    from rich.markup import escape

    console.print(draw_tree(report))
    covered = sum(any(map(covers, row.maps)) for row in report.sites)
    if covered:
        console.print(
            f'[red]warning:[/] the block covers the map at {covered} of '
            f'{len(report.sites)} sites; take a smaller block_size there, or larger '
            'images.'
        )
    for note in report.notes:
        console.print(f'[yellow]note:[/] {escape(note)}')


def _width() -> int:
    """Return the width of the terminal; a file takes lines of any length."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 160


@interruptible('print-sites')
def main(argv: Sequence[str] | None = None) -> None:
    """Print the sites as the command line says."""
    args = parse_args(argv)

    from rich.console import Console

    from dropblock_mm.analysis.sites.config_report import report_of
    from dropblock_mm.runs.checkpoints.whole_files import write_whole
    from dropblock_mm.runs.folders import check_out
    from dropblock_mm.runs.messages import one_message

    with one_message():
        if args.json and args.json != '-':
            check_out(args.json, '--json')
        report = report_of(
            args.config,
            args.dropblock,
            input_size=tuple(args.input_size) if args.input_size else None,
            keep_prob=args.keep_prob,
            block_size=args.block_size,
        )
    text = json.dumps(report.as_dict(), indent=2)
    if args.json == '-':
        print(text)
        return
    print_report(report, Console(highlight=False, width=_width()))
    if args.json:
        write_whole(f'{text}\n'.encode(), args.json)


if __name__ == '__main__':
    main()
