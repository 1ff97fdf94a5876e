"""Make the augmented training set of VOC 2012 segmentation: 10,582 + 1,449 images.

The annotations that SBD (Hariharan et al., ICCV 2011) adds to PASCAL VOC 2012 become
label maps, and lists of names, in the layout that mmseg's config
_base_/datasets/pascal_voc12_aug.py expects::

    VOCDEVKIT/VOC2012/
      SegmentationClassAug/NAME.png              all images of trainaug
      ImageSets/Segmentation/{aug,trainaug}.txt  SBD's, and those with VOC's train

No image of VOC's val is in them. An interrupted run goes on where it stopped: files
appear whole, and the lists last, once every label map of trainaug and val is sound.

Examples::

    python tools/dataset_converters/voc_aug.py data/VOCdevkit data/benchmark_RELEASE
    python tools/dataset_converters/voc_aug.py VOCDEVKIT SBD -o data/VOC2012_aug
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dropblock_mm.commands.arguments import command_parser, parse_known
from dropblock_mm.commands.interrupted import interruptible

if TYPE_CHECKING:
    from dropblock_mm.datasets.voc_aug_set import Split

# Of the complete sets, as Ghiasi et al. (2018) train and evaluate for their Table 4.
FULL = {'trainaug': 10_582, 'val': 1_449}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = command_parser(__doc__)
    parser.add_argument('devkit', type=Path, help='VOCdevkit, which holds VOC2012/')
    parser.add_argument(
        'sbd', type=Path, help='benchmark_RELEASE, which holds dataset/cls/'
    )
    parser.add_argument(
        '-o',
        '--out',
        type=Path,
        help='make a VOC2012 folder here, which links to the images, and write nothing '
        'into the devkit',
    )
    parser.add_argument(
        '--workers',
        type=int,
        default=min(os.cpu_count() or 1, 8),
        help='processes; 0 for none (default: %(default)s)',
    )
    return parse_known(parser, argv)


def counts_told(split: Split) -> str:
    """Compare the numbers with those of the complete sets."""
    found = {'trainaug': len(split.trainaug), 'val': len(split.val)}
    if found == FULL:
        return 'All 10,582 + 1,449 images of the complete sets.'
    return (
        f'warning: {found["trainaug"]:,} images to train on (trainaug) and '
        f'{found["val"]:,} to evaluate on (val), where the complete sets have 10,582 '
        'and 1,449. Fine for a subset, otherwise look for what is missing.'
    )


def bar(what: str, total: int) -> Callable[[Iterable[str]], Iterable[str]]:
    """Return what shows a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import track

    return partial(track, description=what, total=total, console=Console(stderr=True))


@interruptible('voc-aug', goes_on=True)
def main(argv: Sequence[str] | None = None) -> int:
    """Convert as the command line says; 1 if something is missing."""
    args = parse_args(argv)

    from dropblock_mm.datasets.voc_aug_set import ConversionError, make

    try:
        split, folder = make(args.devkit, args.sbd, args.out, args.workers, bar)
    except (ConversionError, OSError) as flaw:
        print(f'error: {flaw}', file=sys.stderr)
        return 1
    print(
        f'{len(split.train)} train, {len(split.aug)} aug, {len(split.val)} val, '
        f'{len(split.trainaug)} trainaug in {folder}'
    )
    print(counts_told(split))
    return 0


if __name__ == '__main__':
    sys.exit(main())
