r"""Draw the masks of a model's sites over an image, beside dropout and SpatialDropout.

For each kind of site: one channel with the seeds of its blocks, nine channels, and the
same share dropped as single units and as whole channels. Below, one site as keep_prob
falls over training; --animation shows that moving. The model needs no weights.

Examples::

    python tools/analysis_tools/masks.py CONFIG photo.jpg --out masks.png
    python tools/analysis_tools/masks.py mmdet::retinanet/retinanet_r50_fpn_1x_coco.py \
        photo.jpg --dropblock resnet_c4c5 --animation masks.gif
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from dropblock_mm.commands.arguments import (
    add_config_argument,
    add_fragment_argument,
    add_input_size_argument,
    command_parser,
    parse_known,
    positive,
)
from dropblock_mm.commands.interrupted import interruptible
from dropblock_mm.programs import typed


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser(__doc__)
    add_config_argument(parser)
    parser.add_argument('image', type=Path, help='any image; it is cut to the input')
    add_fragment_argument(parser, 'fragment to add')
    add_input_size_argument(parser)
    picture = parser.add_argument_group('the picture')
    picture.add_argument(
        '--out', type=Path, default=Path('masks.png'), help='(%(default)s)'
    )
    picture.add_argument('--animation', type=Path, help='.gif, .webp or .apng')
    picture.add_argument(
        '--seed', type=int, default=0, help='of the masks (%(default)s)'
    )
    picture.add_argument(
        '--kinds', type=positive, default=4, help='rows at most (%(default)s)'
    )
    return parse_known(parser, argv)


@interruptible('masks')
def main(argv: Sequence[str] | None = None) -> None:
    """Draw as the command line says."""
    words = list(sys.argv[1:] if argv is None else argv)
    args = parse_args(argv)

    from dropblock_mm import runs
    from dropblock_mm.analysis.figures.over_image import (
        FRAMES,
        STRIP,
        check_animation,
        draw_masks,
        frames,
        mask_record,
        open_image,
        pale,
        save_animation,
    )
    from dropblock_mm.analysis.figures.record import check_picture_name, write_record
    from dropblock_mm.analysis.figures.style import house_style, save_picture
    from dropblock_mm.analysis.masks import MaskDraws
    from dropblock_mm.analysis.schedule import keep_probs_over, schedule_of
    from dropblock_mm.analysis.sites.config_report import report_of
    from dropblock_mm.analysis.sites.site_kinds import site_kinds, widest_drop
    from dropblock_mm.commands.progress import progress
    from dropblock_mm.hooks.fragments import require_drop_block, with_fragment
    from dropblock_mm.runs.folders import check_out
    from dropblock_mm.runs.messages import one_message

    with one_message():
        check_picture_name(args.out)
        if args.animation:
            check_animation(args.animation)
            check_out(args.animation, '--animation')
        image = open_image(args.image)
        size = tuple(args.input_size) if args.input_size else None
        report = report_of(args.config, args.dropblock, input_size=size)
        kinds = site_kinds(report)
        cfg = runs.load_config(args.config, extend=with_fragment(args.dropblock))
        require_drop_block(cfg, args.config)
        schedule = schedule_of(cfg)
    shown, shown_moving = kinds[: args.kinds], widest_drop(kinds)
    drawn = [MaskDraws(kind, args.seed).at(kind.row.keep_prob) for kind in shown]
    moving = MaskDraws(shown_moving, args.seed)
    own = shown_moving.row.keep_prob
    strip = [moving.at(rate) for rate in keep_probs_over(schedule, STRIP, own)]
    photo = pale(image, report.input_size)
    with house_style():
        save_picture(draw_masks(photo, drawn, strip), args.out)
    notes = [*report.notes]
    if len(kinds) > len(shown):
        notes.append(f'{len(kinds) - len(shown)} more kinds of sites are not shown.')
    command = f'{typed("masks")} {shlex.join(words)}'
    write_record(mask_record(args.out, drawn, strip, notes, command), args.out)
    print(f'wrote {args.out} and its numbers in {args.out.with_suffix(".json")}')
    if args.animation:
        rates = keep_probs_over(schedule, FRAMES, own)
        args.animation.parent.mkdir(parents=True, exist_ok=True)
        moved = []
        with progress('frames', len(rates)) as advance:
            for frame in frames(photo, moving, rates):
                moved.append(frame)
                advance()
        save_animation(moved, args.animation)
        print(f'wrote {args.animation}')


if __name__ == '__main__':
    main()
