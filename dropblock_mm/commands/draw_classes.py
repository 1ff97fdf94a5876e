r"""Draw images with the classes that a classifier predicted.

Usage::

    python tools/analysis_tools/draw_classes.py \
        PREDICTIONS.json --out predictions.png --classes cat dog

PREDICTIONS is what the metric dropblock_mm.PredictionFile writes at every evaluation,
if it stands in the config's list of evaluators and is given a prefix for it::

    python tools/test.py CONFIG CHECKPOINT --cfg-options \
        test_evaluator.1.outfile_prefix=work_dirs/val
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from dropblock_mm.commands.arguments import command_parser, parse_known
from dropblock_mm.commands.interrupted import interruptible


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser(__doc__)
    parser.add_argument('predictions', type=Path, help='predictions, as JSON')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('predictions.png'),
        help='picture (%(default)s)',
    )
    parser.add_argument(
        '--num-images', type=int, default=40, help='at most (%(default)s)'
    )
    parser.add_argument(
        '--classes', nargs='+', default=[], metavar='NAME', help='numbers, by default'
    )
    return parse_known(parser, argv)


@interruptible('draw-classes')
def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, draw, save."""
    args = parse_args(argv)

    from dropblock_mm.analysis.figures.classes import draw_sheet, read_samples
    from dropblock_mm.analysis.figures.style import save_whole
    from dropblock_mm.runs.messages import naming_missing_files, one_message

    with one_message(), naming_missing_files():
        samples = read_samples(args.predictions, num_images=args.num_images)
    title = 'Predicted classes with their scores; red: wrong'
    save_whole(draw_sheet(samples, args.classes, title), args.out)
    print(f'wrote {args.out}')


if __name__ == '__main__':
    main()
