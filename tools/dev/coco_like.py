"""Write an annotation file as large as COCO's of 2017, without the images.

Usage::

    python -m tools.dev.coco_like instances.json [--images 118287] [--files FOLDER]

118,287 images, 860,001 boxes with polygons in 80 categories, about 460 MB. What is in
it is random and sound, so the time and the memory of the checks can be measured:
see ``tools/dev/time_checks.py``. ``--files`` makes an empty file for each image.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

IMAGES = 118_287
BOXES_PER_IMAGE = 860_001 / IMAGES
CLASSES = 80
# So many points that the file is as large as COCO's.
POINTS = (4, 41)
WIDTH, HEIGHT = 640, 480


def image(number: int) -> dict[str, Any]:
    """An entry of 'images', with all that COCO writes."""
    name = f'{number:012}.jpg'
    return {
        'license': 3,
        'file_name': name,
        'coco_url': f'http://images.cocodataset.org/train2017/{name}',
        'height': HEIGHT,
        'width': WIDTH,
        'date_captured': '2013-11-14 11:18:45',
        'flickr_url': f'http://farm9.staticflickr.com/8186/{number:010}_55f5ba28.jpg',
        'id': number,
    }


def annotation(number: int, image_id: int, chance: random.Random) -> dict[str, Any]:
    """An entry of 'annotations': a polygon, and the box around it."""
    width, height = chance.uniform(8, 300), chance.uniform(8, 200)
    x, y = chance.uniform(0, WIDTH - width), chance.uniform(0, HEIGHT - height)
    polygon = []
    for _ in range(chance.randint(*POINTS)):
        polygon.append(round(x + width * chance.random(), 2))
        polygon.append(round(y + height * chance.random(), 2))
    return {
        'segmentation': [polygon],
        'area': round(width * height * 0.6, 4),
        'iscrowd': 0,
        'image_id': image_id,
        'bbox': [round(v, 2) for v in (x, y, width, height)],
        'category_id': chance.randint(1, CLASSES),
        'id': number,
    }


def parts(images: int) -> Iterator[str]:
    """The text of the file, in pieces."""
    chance = random.Random(0)
    listed = [image(number) for number in range(1, images + 1)]
    yield '{"images": ' + json.dumps(listed) + ', "annotations": ['
    for number in range(1, round(images * BOXES_PER_IMAGE) + 1):
        one = annotation(number, chance.randint(1, images), chance)
        yield (', ' if number > 1 else '') + json.dumps(one)
    names = [{'id': i, 'name': f'class {i}'} for i in range(1, CLASSES + 1)]
    yield '], "categories": ' + json.dumps(names) + '}'


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('file', type=Path, help='to write')
    parser.add_argument('--images', type=int, default=IMAGES, help=f'({IMAGES})')
    parser.add_argument('--files', type=Path, help='folder for empty images')
    args = parser.parse_args(argv)
    if args.files:
        args.files.mkdir(parents=True, exist_ok=True)
        for number in range(1, args.images + 1):
            (args.files / image(number)['file_name']).touch()
    with args.file.open('w', encoding='utf-8') as file:
        file.writelines(parts(args.images))
    print(f'{args.file}: {args.file.stat().st_size / 1e6:.0f} MB')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
