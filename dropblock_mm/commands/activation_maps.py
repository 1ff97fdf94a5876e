r"""Show where trained models look, side by side, and how far their maps spread.

Of a classifier it is the class activation map of a class, of a detector HiResCAM of a
box (Grad-CAM cell by cell), and of a segmentor Grad-CAM of a class. Without --images
the models' test data are looked at: in each image the true class, the largest object,
or the class with the most pixels; and the spread is compared over the images that every
model got right. Interrupted, it draws what it has; the same command goes on from there.

Examples::

    python tools/analysis_tools/activation_maps.py --model work_dirs/plain \
        --model work_dirs/dropped --out maps.png
    python tools/analysis_tools/activation_maps.py --model CONFIG CHECKPOINT NAME \
        --images a.jpg b.jpg --class cat --layer backbone.layer3
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dropblock_mm.commands.arguments import (
    add_model_arguments,
    command_parser,
    parse_known,
    positive,
)
from dropblock_mm.commands.interrupted import interruptible
from dropblock_mm.programs import typed

KEEP_EVERY = 30.0  # seconds between writing down what was measured


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser(__doc__)
    add_model_arguments(parser)
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('activation_maps.png'),
        help='picture (%(default)s)',
    )
    images = parser.add_argument_group('the images')
    images.add_argument(
        '--images',
        nargs='+',
        type=Path,
        default=[],
        help='images, or folders of them, instead of the test data',
    )
    images.add_argument(
        '--limit', type=positive, help='images of the test data at most'
    )
    images.add_argument(
        '--show', type=positive, default=6, help='images in the picture (%(default)s)'
    )
    maps = parser.add_argument_group('the maps')
    maps.add_argument('--class', dest='label', metavar='NAME', help='what to explain')
    maps.add_argument(
        '--layer',
        help='module whose maps are weighted; of the levels of a pyramid, the one that '
        "matters most (a detector's or segmentor's neck, else the backbone)",
    )
    parser.add_argument(
        '--method',
        choices=['grad-cam', 'hires-cam'],
        help='weight by the mean gradient, or by that of each cell; CAM of a class, '
        'HiResCAM of a box and Grad-CAM of a region if not given',
    )
    return parse_known(parser, argv)


@interruptible('activation-maps', goes_on=True)
def main(argv: Sequence[str] | None = None) -> None:
    """Explain as the command line says."""
    words = list(sys.argv[1:] if argv is None else argv)
    args = parse_args(argv)

    from dropblock_mm.analysis.activation_maps.compare import SameImages
    from dropblock_mm.analysis.activation_maps.measured import (
        as_numbers,
        known_measures,
        measure,
        spread_report,
    )
    from dropblock_mm.analysis.figures.activation_maps import (
        NOT_COMPARED,
        draw_grid,
        maps_record,
        to_show,
    )
    from dropblock_mm.analysis.figures.record import (
        FigureRecord,
        check_picture_name,
        known_numbers,
        write_record,
    )
    from dropblock_mm.analysis.figures.style import house_style, save_picture
    from dropblock_mm.analysis.trained.asked import files_asked, models_asked
    from dropblock_mm.analysis.trained.models import (
        check_names_differ,
        class_named,
        find_layer,
        model_files,
        open_model,
    )
    from dropblock_mm.analysis.trained.predictions import image_files
    from dropblock_mm.commands.progress import progress
    from dropblock_mm.runs.messages import one_message

    with one_message():
        check_picture_name(args.out)
        files = [model_files(words) for words in args.model]
        check_names_differ(files)
        paths = image_files(args.images)
        models = [open_model(file, args.cfg_options) for file in files]
        for model in models if args.layer else []:
            find_layer(model.model, args.layer)
        target = class_named(models[0], args.label) if args.label else None
        images = SameImages(models, paths, args.limit)
        layers = [args.layer] * len(models) if args.layer else images.usual_layers()
        what = models_asked(files, args.cfg_options) | {
            'images': files_asked(paths) or images.total,
            'maps': [args.label, layers, args.method],
        }
        known = known_measures(known_numbers(args.out), what)
        found = [image for image in known if image.index in images.indices]
        names = [model.name for model in models]
        told = f'Maps of {" and ".join(dict.fromkeys(layers))}'
        command = f'{typed("activation-maps")} {shlex.join(words)}'

        def keep() -> FigureRecord:
            found.sort(key=lambda image: image.index)
            notes = [f"{told}; blue: the target, orange: the model's own box."]
            if len(found) < len(images):
                notes.append(f'Interrupted after {len(found)} of {len(images)} images.')
            report, shown = spread_report(names, found), min(args.show, len(found))
            kept = as_numbers(found, what)
            record = maps_record(args.out, report, shown, notes, command, kept)
            write_record(record, args.out)
            return record

        done = {image.index for image in found}
        left = [index for index in images.indices if index not in done]
        try:
            with progress('activation maps', len(images), len(done)) as advance:
                kept_at = time.monotonic()
                for image in images.explain(target, args.layer, args.method, left):
                    found.append(measure(image))
                    advance()
                    if time.monotonic() - kept_at > KEEP_EVERY:
                        keep()
                        kept_at = time.monotonic()
        except KeyboardInterrupt:
            if not found:
                raise
            print(
                f'interrupted: {len(found)} of {len(images)} images are measured, and '
                'drawn from.',
                file=sys.stderr,
            )
        record = keep()
        indices = to_show(found, args.show)
        shown = [
            images.with_pixels(image)
            for image in images.explain(target, args.layer, args.method, indices)
        ]
    with house_style():
        save_picture(draw_grid(shown, names, models[0].classes), args.out)
    for table in record.tables:
        print(f'{table.caption}:')
        for row in table.rows:
            print('  ' + '  '.join(row))
    if not record.tables and not args.images:
        print(NOT_COMPARED)
    print(f'wrote {args.out} and its numbers in {args.out.with_suffix(".json")}')
    if len(found) < len(images):
        raise KeyboardInterrupt  # again, now that what was found is drawn


if __name__ == '__main__':
    main()
