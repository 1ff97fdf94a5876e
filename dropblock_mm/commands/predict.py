"""Predict on images with trained models, by the inferencers of their libraries.

Each model's pictures and predictions go to OUT_DIR/NAME, and a sheet with all models
side by side to OUT_DIR/predictions.png. Checkpoints of trainings are loaded safely, on
torch 2.6 and later too. Interrupted, the same command goes on with the images that are
left.

Examples::

    python tools/predict.py photo.jpg folder/ --model work_dirs/RUN --out-dir predicted
    python tools/predict.py folder/ --model work_dirs/plain --model work_dirs/dropped
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dropblock_mm.commands.arguments import (
    add_model_arguments,
    command_parser,
    parse_known,
)
from dropblock_mm.commands.interrupted import interruptible
from dropblock_mm.programs import typed

if TYPE_CHECKING:
    from dropblock_mm.analysis.trained.predictions import Prediction


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser(__doc__)
    parser.add_argument(
        'images', nargs='+', type=Path, help='images, or folders of them'
    )
    add_model_arguments(parser)
    parser.add_argument(
        '--out-dir',
        type=Path,
        default=Path('predictions'),
        help='folder of what is written (%(default)s)',
    )
    parser.add_argument(
        '--score-thr', type=float, default=0.3, help='of boxes (%(default)s)'
    )
    return parse_known(parser, argv)


@interruptible('predict', goes_on=True)
def main(argv: Sequence[str] | None = None) -> None:
    """Predict as the command line says."""
    words = list(sys.argv[1:] if argv is None else argv)
    args = parse_args(argv)

    from dropblock_mm.analysis.figures.predictions import (
        draw_predictions,
        predictions_record,
    )
    from dropblock_mm.analysis.figures.record import write_record
    from dropblock_mm.analysis.figures.style import house_style, save_picture
    from dropblock_mm.analysis.trained.asked import models_asked
    from dropblock_mm.analysis.trained.kept_predictions import KeptPredictions
    from dropblock_mm.analysis.trained.models import check_names_differ, model_files
    from dropblock_mm.analysis.trained.predictions import image_files, predictor
    from dropblock_mm.commands.progress import progress
    from dropblock_mm.runs.messages import one_message

    found: dict[str, list[Prediction]] = {}
    with one_message():
        images = image_files(args.images)
        files = [model_files(words) for words in args.model]
        check_names_differ(files)
        for file in files:
            what = models_asked([file], args.cfg_options) | {'score': args.score_thr}
            kept = KeptPredictions(args.out_dir / file.name, what)
            predict = predictor(file, args.cfg_options, args.score_thr)
            found[file.name] = own = []
            with kept.writing(), progress(file.name, len(images)) as advance:
                for number, path in enumerate(images):
                    prediction = kept.known(number, path)
                    if prediction is None:
                        prediction = kept.keep(number, predict(path))
                    own.append(prediction)
                    advance(prediction.told)
    out = args.out_dir / 'predictions.png'
    with house_style():
        save_picture(draw_predictions(found), out)
    command = f'{typed("predict")} {shlex.join(words)}'
    write_record(predictions_record(out, found, command), out)
    print(f'wrote {out}, and the pictures of {len(images)} images beside it')


if __name__ == '__main__':
    main()
