"""Show where trained models look, side by side, and how far their maps spread.

Of a classifier it is the class activation map of a class, of a detector HiResCAM of a
box (Grad-CAM cell by cell), and of a segmentor Grad-CAM of a class. Without --images
the models' test data are looked at: in each image the true class, the largest object,
or the class with the most pixels; and the spread is compared over the images that every
model got right.

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
from collections.abc import Sequence
from pathlib import Path

from dropblock_mm.commands.arguments import (
    add_model_arguments,
    command_parser,
    parse_known,
    positive,
)
from dropblock_mm.programs import typed


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


def main(argv: Sequence[str] | None = None) -> None:
    """Explain as the command line says."""
    words = list(sys.argv[1:] if argv is None else argv)
    args = parse_args(argv)

    from dropblock_mm.analysis.activation_maps.compare import SameImages, spread_report
    from dropblock_mm.analysis.activation_maps.explain import usual_layer
    from dropblock_mm.analysis.figures.activation_maps import (
        draw_grid,
        maps_record,
        to_show,
    )
    from dropblock_mm.analysis.figures.record import check_picture_name, write_record
    from dropblock_mm.analysis.figures.style import house_style, save_picture
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

    found = []
    with one_message():
        check_picture_name(args.out)
        files = [model_files(words) for words in args.model]
        check_names_differ(files)
        paths = image_files(args.images)
        models = [open_model(file, args.cfg_options) for file in files]
        layers = [args.layer or usual_layer(model) for model in models]
        for model, layer in zip(models, layers, strict=True):
            find_layer(model.model, layer)
        target = class_named(models[0], args.label) if args.label else None
        images = SameImages(models, paths, args.limit)
        try:
            with progress('activation maps', len(images)) as advance:
                for image in images.explain(target, args.layer, args.method):
                    found.append(image)
                    advance()
        except KeyboardInterrupt:
            if not found:
                raise
            print(f'interrupted; going on with {len(found)} images', file=sys.stderr)
    names = [model.name for model in models]
    report, shown = spread_report(names, found), to_show(found, args.show)
    shown = [images.with_pixels(image) for image in shown]
    with house_style():
        save_picture(draw_grid(shown, names, models[0].classes), args.out)
    told = ' and '.join(dict.fromkeys(layers))
    notes = [f"Maps of {told}; blue: the target, orange: the model's own box."]
    if len(found) < len(images):
        notes.append(f'Interrupted after {len(found)} of {len(images)} images.')
    command = f'{typed("activation-maps")} {shlex.join(words)}'
    record = maps_record(args.out, report, len(shown), notes, command)
    write_record(record, args.out)
    for table in record.tables:
        print(f'{table.caption}:')
        for row in table.rows:
            print('  ' + '  '.join(row))
    print(f'wrote {args.out} and its numbers in {args.out.with_suffix(".json")}')


if __name__ == '__main__':
    main()
