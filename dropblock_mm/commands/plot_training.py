"""Plot a training: loss, metric, keep_prob and effective keep rate by iteration.

Usage::

    python tools/analysis_tools/plot_training.py WORK_DIR [--out training.png]

WORK_DIR is the training's; interrupted and resumed parts are joined.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dropblock_mm.programs import as_typed


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=as_typed(__doc__),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('work_dir', type=Path, help='the work directory of a training')
    parser.add_argument(
        '--out', type=Path, help='picture to write (WORK_DIR/training.png)'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, plot, save."""
    args = parse_args(argv)

    from dropblock_mm.analysis.figures.training import plot_training
    from dropblock_mm.runs.training_log import read_training_log

    out = args.out or args.work_dir / 'training.png'
    try:
        figure = plot_training(read_training_log(args.work_dir))
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f'plot_training: {error}')
    figure.savefig(out, dpi=120)
    print(f'wrote {out}')


if __name__ == '__main__':
    main()
