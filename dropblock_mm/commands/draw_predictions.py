r"""Draw images with their ground truth beside a detector's predictions.

Usage::

    python tools/analysis_tools/draw_predictions.py \
        ANNOTATIONS.json IMAGE_DIR PREDICTIONS.bbox.json --out predictions.png

PREDICTIONS is in COCO's results format. mmdet's CocoMetric writes it at every
evaluation if it is given a prefix for it::

    python tools/test.py CONFIG CHECKPOINT \
        --cfg-options test_evaluator.outfile_prefix=work_dirs/val
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
    parser.add_argument('ann_file', type=Path, help='COCO annotations')
    parser.add_argument('image_dir', type=Path, help='folder with the images')
    parser.add_argument('results', type=Path, help='predictions, as COCO results')
    parser.add_argument('--out', type=Path, default=Path('predictions.png'))
    parser.add_argument('--num-images', type=int, default=12)
    parser.add_argument('--score-thr', type=float, default=0.3)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, draw, save."""
    args = parse_args(argv)

    from dropblock_mm.analysis.figures.detections import (
        draw_sheet,
        read_samples,
        sheet_record,
    )
    from dropblock_mm.analysis.figures.record import write_record

    try:
        samples = read_samples(
            args.ann_file,
            args.image_dir,
            args.results,
            num_images=args.num_images,
            score_thr=args.score_thr,
        )
    except FileNotFoundError as error:
        sys.exit(f'draw_predictions: {error.filename} does not exist; see --help')
    title = (
        f'Predictions with a score of {args.score_thr:g} or more; '
        'green: right class, IoU of 0.5 or more; dashed red: not'
    )
    draw_sheet(samples, title).savefig(args.out)
    write_record(sheet_record(args.out, samples, title), args.out)
    print(f'wrote {args.out}')


if __name__ == '__main__':
    main()
