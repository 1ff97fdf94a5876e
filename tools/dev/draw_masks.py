"""Draw the pictures of the guide: masks, schedules and keep rates.

Every number in them comes from dropblock_mm's own functions, and is printed too.
The photograph needs scikit-learn, which has it inside.

Examples::

    python tools/dev/draw_masks.py                  # all, into the docs
    python tools/dev/draw_masks.py --out work_dirs/masks --only schedules
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from dropblock_mm.analysis.figures.curves import draw_keep_rates, draw_schedules
from dropblock_mm.analysis.figures.masks import draw_block_sizes
from dropblock_mm.analysis.figures.photo import draw_photo
from dropblock_mm.analysis.figures.style import Picture, house_style, save_small

DOCS = Path(__file__).resolve().parents[2] / 'docs' / 'en' / '_static'
SEED = 18  # one whose masks keep about as much as is expected

PICTURES: dict[str, Callable[[int], Picture]] = {
    'block_sizes': draw_block_sizes,
    'photo': draw_photo,
    'schedules': draw_schedules,
    'keep_rates': draw_keep_rates,
}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Draw the guide's pictures")
    parser.add_argument(
        '--out', type=Path, default=DOCS, help='folder of the pictures (%(default)s)'
    )
    parser.add_argument(
        '--only',
        nargs='+',
        choices=PICTURES,
        default=list(PICTURES),
        metavar='NAME',
        help=f'some of {", ".join(PICTURES)}',
    )
    parser.add_argument(
        '--seed', type=int, default=SEED, help='of the masks (%(default)s)'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Draw, save, and say what was drawn."""
    args = parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.only:
        path = args.out / f'{name}.png'
        with house_style():
            picture = PICTURES[name](args.seed)
            save_small(picture.figure, path)
        print(path)
        for line in picture.lines:
            print(f'  {line}')


if __name__ == '__main__':
    main()
