r"""Draw images with their label maps beside a segmentor's predictions.

Usage::

    python tools/analysis_tools/draw_segmentation.py \
        VOC_FOLDER PREDICTIONS --out predictions.png --classes background 0 1 2

VOC_FOLDER is laid out as PASCAL VOC; PREDICTIONS is a folder with a label map for each
image, NAME.png. mmseg's IoUMetric writes them at every evaluation if it is given a
folder for them::

    python tools/test.py CONFIG CHECKPOINT \
        --cfg-options test_evaluator.output_dir=work_dirs/val
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
    parser.add_argument('folder', type=Path, help='data set in the layout of VOC')
    parser.add_argument('predictions', type=Path, help='folder of label maps')
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('predictions.png'),
        help='picture (%(default)s)',
    )
    parser.add_argument('--image-set', default='val', help='list to read (val)')
    parser.add_argument(
        '--num-images', type=int, default=12, help='at most (%(default)s)'
    )
    parser.add_argument(
        '--classes', nargs='+', default=[], metavar='NAME', help='for the legend'
    )
    return parse_known(parser, argv)


@interruptible('draw-segmentation')
def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, draw, save."""
    args = parse_args(argv)

    from dropblock_mm.analysis.figures.label_maps import (
        draw_sheet,
        read_samples,
        sheet_record,
    )
    from dropblock_mm.analysis.figures.record import write_record
    from dropblock_mm.analysis.figures.style import save_whole
    from dropblock_mm.runs.messages import naming_missing_files, one_message

    with one_message(), naming_missing_files():
        samples = read_samples(
            args.folder,
            args.predictions,
            image_set=args.image_set,
            num_images=args.num_images,
        )
    title = 'Predicted label maps; pixels that are not labelled are white'
    save_whole(draw_sheet(samples, args.classes, title), args.out)
    write_record(sheet_record(args.out, samples, title), args.out)
    print(f'wrote {args.out}')


if __name__ == '__main__':
    main()
