"""Give both checks annotation files that are wrong in any way, and count tracebacks.

Usage::

    python -m tools.dev.mutate_annotations [--times 50000] [--seed 0]

A sound file (COCO's json, VOC's xml, a list of names) is changed at random: values
replaced or taken away, bytes changed, cut or doubled. The quick and the thorough check
have to end in findings or in a refusal, and to agree. Printed is how many did; the exit
status is 1 if one raised anything else, and the first of these are shown.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import copy
import io
import json
import random
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLASSES = ('cat', 'dog')
SIDE = 32
SHOWN = 5
TEXTS = ('', '0', '7', 'cat', 'PPPP', 'http://a/1.jpg', 'é', '\0')
KEYS = ('id', 'name', 'size', 'counts')
PICTURES = ('JPEGImages/a.jpg', '1.jpg', '2.jpg', '3.jpg')
LABEL_MAPS = ('maps/1.png', 'maps/2.png', 'maps/3.png')
XML = """<annotation><size><width>32</width><height>32</height></size><object>
<name>cat</name><difficult>0</difficult><bndbox><xmin>3</xmin><ymin>3</ymin>
<xmax>20</xmax><ymax>20</ymax></bndbox></object></annotation>"""


def coco() -> dict[str, Any]:
    """A sound file: a polygon, and run lengths in both forms."""
    masks = [
        [[2, 2, 11, 2, 11, 11]],
        {'size': [SIDE, SIDE], 'counts': [500, 24, 500]},
        {'size': [SIDE, SIDE], 'counts': 'd_oPPPP'},
    ]
    return {
        'images': [
            {'id': i, 'file_name': f'{i}.jpg', 'width': SIDE, 'height': SIDE}
            for i in range(1, 4)
        ],
        'annotations': [
            {
                'id': i,
                'image_id': i,
                'category_id': 1 + i % 2,
                'bbox': [2, 2, 9, 9],
                'area': 81,
                'iscrowd': 0,
                'segmentation': mask,
            }
            for i, mask in enumerate(masks, 1)
        ],
        'categories': [{'id': i, 'name': n} for i, n in enumerate(CLASSES, 1)],
    }


def any_value(chance: random.Random, depth: int = 2) -> Any:
    """A value of any type that JSON knows."""
    plain: list[Callable[[], Any]] = [
        lambda: None,
        lambda: chance.random() < 0.5,
        lambda: chance.randint(-3, 40),
        lambda: chance.uniform(-50, 90),
        lambda: chance.choice([float('nan'), float('inf'), 1e300, 10**400, -0.0]),
        lambda: chance.choice(TEXTS),
    ]
    if depth:
        inner = depth - 1
        plain += [
            lambda: [any_value(chance, inner) for _ in range(chance.randint(0, 7))],
            lambda: {
                chance.choice(KEYS): any_value(chance, inner)
                for _ in range(chance.randint(0, 2))
            },
        ]
    return chance.choice(plain)()


def change_value(part: Any, chance: random.Random) -> None:
    """Replace or remove something in a structure, at any depth."""
    keys = list(part) if isinstance(part, dict) else range(len(part))
    if not keys:
        return
    key = chance.choice(keys)
    if isinstance(part[key], (dict, list)) and part[key] and chance.random() < 0.85:
        change_value(part[key], chance)
    elif chance.random() < 0.2:
        del part[key]
    else:
        part[key] = any_value(chance)


def change_bytes(content: bytes, chance: random.Random) -> bytes:
    """Change, cut, double or insert some bytes."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(changed) + 1)
        end = place + chance.randint(1, 8)
        how = chance.randrange(4)
        if how == 0:
            changed[place:end] = bytes(chance.randrange(256) for _ in range(3))
        elif how == 1:
            del changed[place:end]
        elif how == 2:
            changed[place:place] = changed[place:end]
        else:
            del changed[place:]
    return bytes(changed)


class Cases:
    """Writes files into a folder, one case after the other."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder = folder
        self.chance = chance
        labels = np.indices((SIDE, SIDE)).sum(axis=0) % 2
        for name in (*PICTURES, *LABEL_MAPS):
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            image = Image.fromarray(labels.astype(np.uint8))
            image.convert('L' if name in LABEL_MAPS else 'RGB').save(path)
        (folder / 'Annotations').mkdir()

    def next(self) -> dict[str, Any]:
        """Write the next case, and return its config."""
        how = self.chance.randrange(6)
        if how < 4:
            return self._coco(by_bytes=how == 3)
        return self._voc() if how == 4 else self._list()

    def _coco(self, by_bytes: bool) -> dict[str, Any]:
        found = copy.deepcopy(coco())
        for _ in range(0 if by_bytes else self.chance.randint(1, 3)):
            change_value(found, self.chance)
        content = json.dumps(found).encode()
        if by_bytes:
            content = change_bytes(content, self.chance)
        (self.folder / 'a.json').write_bytes(content)
        dataset = {
            'type': 'CocoDataset',
            'data_root': str(self.folder),
            'ann_file': 'a.json',
            'data_prefix': {'img': ''},
            'metainfo': {'classes': CLASSES},
            'pipeline': [
                {
                    'type': 'LoadAnnotations',
                    'with_mask': self.chance.random() < 0.7,
                    'poly2mask': self.chance.random() < 0.7,
                }
            ],
        }
        metric = {
            'type': 'CocoMetric',
            'ann_file': str(self.folder / 'a.json'),
            'metric': self.chance.choice(['bbox', ['bbox', 'segm']]),
        }
        return _config(dataset, metric)

    def _voc(self) -> dict[str, Any]:
        content = change_bytes(XML.encode(), self.chance)
        (self.folder / 'Annotations/a.xml').write_bytes(content)
        (self.folder / 'names.txt').write_text('a\n')
        dataset = {
            'type': 'XMLDataset',
            'data_root': str(self.folder),
            'ann_file': 'names.txt',
            'data_prefix': {'sub_data_root': ''},
            'metainfo': {'classes': CLASSES},
        }
        return _config(dataset, {'type': 'VOCMetric'})

    def _list(self) -> dict[str, Any]:
        (self.folder / 'names.txt').write_bytes(change_bytes(b'1\n2\n3\n', self.chance))
        dataset = {
            'type': 'BaseSegDataset',
            'data_root': str(self.folder),
            'ann_file': 'names.txt',
            'data_prefix': {'img_path': '', 'seg_map_path': 'maps'},
            'metainfo': {'classes': CLASSES},
        }
        return _config(dataset, {'type': 'IoUMetric'}, 'mmseg')


def _config(
    dataset: dict[str, Any], metric: dict[str, Any], scope: str = 'mmdet'
) -> dict[str, Any]:
    loops = {f'{loop}_dataloader': {'dataset': dataset} for loop in ('train', 'val')}
    return {'default_scope': scope, **loops, 'val_evaluator': metric}


class _NoBars:
    def begin(self, description: str, total: int) -> None:
        """Show nothing."""

    def advance(self) -> None:
        """Show nothing."""


def answers(config: dict[str, Any]) -> tuple[bool, bool]:
    """Let both checks look; whether each found an error.

    Raises:
        Exception: Whatever is no refusal.
    """
    from mmengine.config import Config

    from dropblock_mm.data_checks.quick import check_data
    from dropblock_mm.data_checks.thorough import check_datasets
    from dropblock_mm.errors import RefusedError

    loops = ['train', 'val']
    refused = False
    try:
        check_data(Config(config), loops)
    except RefusedError:
        refused = True
    reports = check_datasets(config, loops, 0, _NoBars())
    return refused, any(report.levels(True) for report in reports)


def count(times: int, seed: int) -> tuple[collections.Counter[str], list[str]]:
    """Try so many cases; return what came of them, and the first tracebacks."""
    import mmseg.datasets  # noqa: F401 - both are named in the configs

    chance = random.Random(seed)
    results: collections.Counter[str] = collections.Counter()
    shown: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        cases = Cases(Path(folder), chance)
        for _ in range(times):
            config = cases.next()
            try:
                with contextlib.redirect_stderr(io.StringIO()):
                    quick, thorough = answers(config)
                results['with errors' if thorough else 'without'] += 1
                results['disagreements'] += quick != thorough
                if quick != thorough and len(shown) < SHOWN:
                    kept = Path(tempfile.mkdtemp())
                    shutil.copytree(folder, kept, dirs_exist_ok=True)
                    shown.append(
                        f'quick {quick}, thorough {thorough}: {kept}, {config}'
                    )
            except Exception:  # that is what is counted
                results['tracebacks'] += 1
                if len(shown) < SHOWN:
                    shown.append(traceback.format_exc())
    return results, shown


def main(argv: Sequence[str] | None = None) -> int:
    """Count and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--times', type=int, default=50_000, help='(50000)')
    parser.add_argument('--seed', type=int, default=0, help='(0)')
    args = parser.parse_args(argv)
    results, shown = count(args.times, args.seed)
    for text in shown:
        print(text, file=sys.stderr)
    print(
        f'{args.times} mutations: {results["with errors"]} with errors, '
        f'{results["without"]} without, {results["tracebacks"]} tracebacks, '
        f'{results["disagreements"]} disagreements of the two checks'
    )
    return bool(results['tracebacks'] or results['disagreements'])


if __name__ == '__main__':
    raise SystemExit(main())
