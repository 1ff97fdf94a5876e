r"""Draw images with their ground truth beside a detector's predictions.

Usage::

    python tools/analysis_tools/draw_predictions.py \
        CONFIG PREDICTIONS.bbox.json --out predictions.png
    python tools/analysis_tools/draw_predictions.py \
        ANNOTATIONS.json IMAGE_DIR PREDICTIONS.bbox.json --out predictions.png

PREDICTIONS is in COCO's results format. mmdet's CocoMetric writes it at every
evaluation if it is given a prefix for it::

    python tools/test.py CONFIG CHECKPOINT \
        --cfg-options test_evaluator.outfile_prefix=work_dirs/val

With the CONFIG that was tested, its images and its classes are drawn. Of ANNOTATIONS
those images are drawn in which anything was found.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dropblock_mm.commands.arguments import command_parser, parse_known
from dropblock_mm.commands.interrupted import interruptible

if TYPE_CHECKING:
    from dropblock_mm.analysis.figures.evaluated import Evaluated


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser(__doc__)
    parser.add_argument(
        'files',
        nargs='+',
        metavar='FILE',
        help='CONFIG PREDICTIONS, or ANNOTATIONS IMAGE_DIR PREDICTIONS',
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('predictions.png'),
        help='picture to write (%(default)s)',
    )
    parser.add_argument(
        '--num-images', type=int, default=12, help='of them (%(default)s)'
    )
    parser.add_argument(
        '--score-thr', type=float, default=0.3, help='least score (%(default)s)'
    )
    args = parse_known(parser, argv)
    if len(args.files) not in (2, 3):
        parser.error(
            f'{len(args.files)} files are given; expected CONFIG PREDICTIONS, or '
            'ANNOTATIONS IMAGE_DIR PREDICTIONS'
        )
    return args


def read(files: Sequence[str], score_thr: float) -> Evaluated:
    """Read what was evaluated, from a config or from annotations.

    Raises:
        RefusedError: A file is not what it should be.
    """
    from dropblock_mm.analysis.figures.evaluated import of_annotations, of_dataset

    *_, results = paths = [Path(file) for file in files]
    if len(files) == 3:
        return of_annotations(paths[0], paths[1], results, score_thr)

    from mmengine.config import Config
    from mmengine.registry import DATASETS, init_default_scope

    from dropblock_mm import runs
    from dropblock_mm.data_checks.quick import check_data

    cfg = runs.load_config(files[0])
    runs.require(cfg, 'test_dataloader')
    runs.prepare_library(cfg)
    scope = cfg.get('default_scope') or runs.library_of(cfg)
    # Nothing is evaluated, so the model and the metrics may be what they are.
    data = {'default_scope': scope, 'test_dataloader': cfg.test_dataloader}
    check_data(Config(data), ['test'])
    init_default_scope(scope)
    return of_dataset(DATASETS.build(cfg.test_dataloader.dataset), results, score_thr)


@interruptible('draw-predictions')
def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line, draw, save."""
    args = parse_args(argv)

    from dropblock_mm.analysis.figures.detections import draw_sheet, sheet_record
    from dropblock_mm.analysis.figures.record import write_record
    from dropblock_mm.analysis.figures.style import save_whole
    from dropblock_mm.runs.messages import naming_missing_files, one_message

    with one_message(), naming_missing_files():
        evaluated = read(args.files, args.score_thr)
        samples = evaluated.samples(args.num_images)
    if evaluated.note:
        print(f'note: {evaluated.note}')
    title = (
        f'Predictions with a score of {args.score_thr:g} or more; '
        'green: right class, IoU of 0.5 or more; dashed red: not'
    )
    save_whole(draw_sheet(samples, title), args.out)
    write_record(sheet_record(args.out, samples, title), args.out)
    print(f'wrote {args.out}')


if __name__ == '__main__':
    main()
