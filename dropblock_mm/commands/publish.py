"""Write the weights of a checkpoint so that stock libraries load them.

From torch 2.6 on mmdet's, mmseg's and mmpretrain's own tools and inferencers stop at
what a training saves, with "Weights only load failed". A published file has the weights
and the names of the classes, and nothing that has to be trusted. Models with DropBlock
have the same weights as without, so the plain config serves too.

Examples::

    python tools/publish.py work_dirs/RUN/epoch_12.pth model.pth
    python tools/publish.py work_dirs/RUN/epoch_12.pth --no-ema
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from dropblock_mm.commands.arguments import (
    command_parser,
    parse_known,
)
from dropblock_mm.commands.interrupted import interruptible


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser(__doc__)
    parser.add_argument('checkpoint', help='what a training saved')
    parser.add_argument(
        'out', nargs='?', type=Path, help='file to write (NAME-HASH.pth beside it)'
    )
    parser.add_argument(
        '--ema',
        action=argparse.BooleanOptionalAction,
        help='insist on the averaged weights of EMAHook, which are taken anyway where '
        'there are any; --no-ema takes those that the optimizer left',
    )
    return parse_known(parser, argv)


@interruptible('publish')
def main(argv: Sequence[str] | None = None) -> None:
    """Publish as the command line says."""
    args = parse_args(argv)

    from dropblock_mm.runs.checkpoints.publishing import publish
    from dropblock_mm.runs.checkpoints.safe_loading import keep_loading_safe
    from dropblock_mm.runs.checkpoints.whole_files import megabytes
    from dropblock_mm.runs.folders import check_out
    from dropblock_mm.runs.messages import one_message

    keep_loading_safe()
    with one_message():
        if args.out:
            check_out(args.out, 'OUT')
        out = publish(args.checkpoint, args.out, ema=args.ema)
    print(f'wrote {out} ({megabytes(out.stat().st_size)})')


if __name__ == '__main__':
    main()
