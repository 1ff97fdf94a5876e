r"""Write one page of HTML about runs, series and checkpoints, with their pictures.

The page is one file that asks for nothing from the network. It takes in what is in the
folders: configs, logs, tables of reproduce, and the pictures that the other commands
wrote there. What is missing or cannot be read, it says.

Examples::

    python tools/analysis_tools/report.py work_dirs/demo
    python tools/analysis_tools/report.py work_dirs/plain work_dirs/dropped \
        --out report.html --title 'With and without DropBlock'
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from dropblock_mm.commands.arguments import command_parser, parse_known
from dropblock_mm.commands.interrupted import interruptible
from dropblock_mm.commands.progress import progress
from dropblock_mm.programs import typed


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser(__doc__)
    parser.add_argument(
        'paths',
        nargs='+',
        type=Path,
        metavar='WORK_DIR',
        help='work directory of a run or a series, a folder of those, or a checkpoint',
    )
    parser.add_argument(
        '--out', type=Path, help='page to write (report.html in the first folder)'
    )
    parser.add_argument('--title', default='Report', help='heading (%(default)s)')
    return parse_known(parser, argv)


@interruptible('report')
def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, read, write."""
    words = list(sys.argv[1:] if argv is None else argv)
    args = parse_args(argv)

    from datetime import datetime, timezone

    from dropblock_mm.analysis.html_report.build import build_page, count_runs
    from dropblock_mm.analysis.html_report.page import render
    from dropblock_mm.runs.checkpoints.safe_loading import keep_loading_safe
    from dropblock_mm.runs.checkpoints.whole_files import megabytes, write_whole
    from dropblock_mm.runs.folders import check_out
    from dropblock_mm.runs.messages import one_message

    keep_loading_safe()
    made = {
        'written': datetime.now(timezone.utc).isoformat(sep=' ', timespec='seconds'),
        'by': f'{typed("report")} {shlex.join(words)}',
    }
    first = args.paths[0]
    out = args.out or (first if first.is_dir() else first.parent) / 'report.html'
    with one_message():
        check_out(out)
        with progress('runs', count_runs(args.paths)) as advance:
            page = build_page(args.paths, args.title, made, advance)
        content = render(page).encode()
        write_whole(content, out)
    missing = sum(len(section.missing) for section in page.sections)
    things = '1 thing' if missing == 1 else f'{missing} things'
    told = f', {things} missing' if missing else ''
    print(f'wrote {out} ({megabytes(len(content))}{told})')


if __name__ == '__main__':
    main()
