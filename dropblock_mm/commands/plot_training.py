r"""Plot a training: loss, metric, keep_prob and effective keep rate by iteration.

Usage::

    python tools/analysis_tools/plot_training.py WORK_DIR [--out training.png]
    python tools/analysis_tools/plot_training.py work_dirs/RUN \
        --metric coco/bbox_mAP_50 coco/bbox_mAP_75

WORK_DIR is the training's, which may be at work; interrupted and resumed parts are
joined.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from dropblock_mm.commands.arguments import command_parser, parse_known
from dropblock_mm.commands.interrupted import interruptible

FORMATS = ('.png', '.svg', '.pdf', '.jpg')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser(__doc__)
    parser.add_argument('work_dir', type=Path, help='the work directory of a training')
    parser.add_argument(
        '--out', type=Path, help='picture to write (WORK_DIR/training.png)'
    )
    parser.add_argument(
        '--metric',
        nargs='+',
        default=[],
        metavar='NAME',
        help='what to plot of the evaluations, as the log calls it; the one that the '
        'data set is judged by, or else the first',
    )
    return parse_known(parser, argv)


@interruptible('plot-training')
def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, plot, save."""
    args = parse_args(argv)

    from dropblock_mm.analysis.figures.record import check_picture_name
    from dropblock_mm.analysis.figures.style import save_whole
    from dropblock_mm.analysis.figures.training import plot_training
    from dropblock_mm.runs.messages import one_message
    from dropblock_mm.runs.training_log import read_training_log

    out = args.out or args.work_dir / 'training.png'
    with one_message():
        check_picture_name(out, FORMATS)
        figure = plot_training(read_training_log(args.work_dir), args.metric)
    save_whole(figure, out, dpi=120)
    print(f'wrote {out}')


if __name__ == '__main__':
    main()
