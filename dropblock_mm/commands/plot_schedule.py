"""Plot keep_prob, gamma and the exact expected keep rate over a config's iterations.

There is a line for each kind of site, by the sizes of its maps. With --work-dir what
the training logged is drawn over it. The model needs no weights and is not trained.

Examples::

    python tools/analysis_tools/plot_schedule.py CONFIG --out schedule.png
    python tools/analysis_tools/plot_schedule.py CONFIG --work-dir work_dirs/RUN
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
    add_fragment_argument(parser, 'fragment to add')
    parser.add_argument(
        '--out', type=Path, default=Path('schedule.png'), help='picture (%(default)s)'
    )
    parser.add_argument(
        '--work-dir', type=Path, help='of the training, to draw its log'
    )
    add_input_size_argument(parser)
    parser.add_argument(
        '--num-images', type=positive, help='of an epoch; counted where they are there'
    )
    return parse_known(parser, argv)


@interruptible('plot-schedule')
def main(argv: Sequence[str] | None = None) -> None:
    """Plot as the command line says."""
    words = list(sys.argv[1:] if argv is None else argv)
    args = parse_args(argv)

    from dropblock_mm import runs
    from dropblock_mm.analysis.figures.record import check_picture_name, write_record
    from dropblock_mm.analysis.figures.schedule import (
        draw_schedule,
        logged_rates,
        schedule_record,
    )
    from dropblock_mm.analysis.figures.style import house_style, save_picture
    from dropblock_mm.analysis.schedule import (
        schedule_curves,
        schedule_of,
        training_length,
    )
    from dropblock_mm.analysis.sites.config_report import report_of
    from dropblock_mm.analysis.sites.site_kinds import site_kinds
    from dropblock_mm.hooks.fragments import require_drop_block, with_fragment
    from dropblock_mm.runs.messages import one_message
    from dropblock_mm.runs.training_log import read_training_log

    with one_message():
        check_picture_name(args.out)
        log = read_training_log(args.work_dir) if args.work_dir else None
        logged = logged_rates(log) if log else {}
        size = tuple(args.input_size) if args.input_size else None
        report = report_of(args.config, args.dropblock, input_size=size)
        kinds = site_kinds(report)
        cfg = runs.load_config(args.config, extend=with_fragment(args.dropblock))
        runs.require(cfg, 'train_dataloader', 'train_cfg')
        require_drop_block(cfg, args.config)
        length = training_length(cfg, args.config, args.num_images)
        curves = schedule_curves(kinds, schedule_of(cfg), length)
    with house_style():
        save_picture(draw_schedule(curves, logged), args.out)
    command = f'{typed("plot-schedule")} {shlex.join(words)}'
    record = schedule_record(args.out, curves, logged, report.notes, command)
    write_record(record, args.out)
    print(f'wrote {args.out} and its numbers in {args.out.with_suffix(".json")}')


if __name__ == '__main__':
    main()
