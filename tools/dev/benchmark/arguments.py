"""The benchmark's command line, read before anything else is imported."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from dropblock_mm.programs import ROOT

# What measures each, in a module of this folder.
SECTIONS = {
    'op': ('op', 'run'),
    'block_size': ('growth', 'run_block_size'),
    'scaling': ('growth', 'run_scaling'),
    'memory': ('memory', 'run'),
    'training_step': ('training_step', 'run'),
    'keep_rate': ('keep_rate', 'run'),
    'compile': ('compiled', 'run'),
    'cuda': ('cuda', 'run'),
}
OUT = Path('work_dirs/benchmark/benchmark.json')


def parse_args(
    description: str, argv: Sequence[str] | None = None
) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--only',
        nargs='+',
        choices=SECTIONS,
        default=list(SECTIONS),
        metavar='SECTION',
        help=f'some of {", ".join(SECTIONS)}',
    )
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument(
        '--threads',
        type=positive,
        default=min(2, len(os.sched_getaffinity(0))),
        help='of torch, on the CPU (%(default)s: all cores, but at most 2)',
    )
    parser.add_argument(
        '--repeats', type=positive, help='samples of each pair of calls (41)'
    )
    parser.add_argument(
        '--allocator',
        choices=('retain', 'system'),
        default='retain',
        help='whether malloc keeps freed pages or works as it does (%(default)s)',
    )
    parser.add_argument('--out', type=Path, default=OUT, help='JSON file (%(default)s)')
    parser.add_argument(
        '--docs',
        nargs='?',
        type=Path,
        const=ROOT / 'docs/en/benchmark.md',
        metavar='PAGE',
        help='put the results into a page, by default that of the documentation',
    )
    parser.add_argument(
        '--check', action='store_true', help='exit with 1 unless all gates pass'
    )
    parser.add_argument(
        '--quick', action='store_true', help='seconds, figures that mean nothing'
    )
    args = parser.parse_args(argv)
    if args.docs and args.quick:
        parser.error('--docs with --quick: the figures of a quick run mean nothing.')
    return args


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number above 0')
    return int(text)
