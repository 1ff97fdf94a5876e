"""Time the checks of an annotation file as large as COCO's, and their memory.

Usage::

    python -m tools.dev.coco_like big.json --files images
    python -m tools.dev.time_checks big.json --images images

Each of these runs in a process of its own: the imports alone, the quick check that
training begins with, and the thorough one without the pictures. Printed are seconds of
the processor and the largest memory.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from tools.dev.coco_like import CLASSES

KINDS = ('imports', 'quick', 'thorough')


class _NoBars:
    def begin(self, description: str, total: int) -> None:
        """Show nothing."""

    def advance(self) -> None:
        """Show nothing."""


def config(file: str, images: str) -> dict[str, Any]:
    """A config that trains on boxes of the file."""
    dataset = {
        'type': 'CocoDataset',
        'ann_file': file,
        'data_prefix': {'img': images},
        'metainfo': {'classes': tuple(f'class {i}' for i in range(1, CLASSES + 1))},
        'pipeline': [{'type': 'LoadAnnotations', 'with_bbox': True}],
    }
    return {'default_scope': 'mmdet', 'train_dataloader': {'dataset': dataset}}


def run(kind: str, file: str, images: str) -> int:
    """Do one of the checks; return how many kinds of problems it found."""
    import mmdet.datasets  # noqa: F401 - where the type of the data set is registered
    from mmengine.config import Config

    from dropblock_mm.data_checks import quick, thorough
    from dropblock_mm.data_checks.jobs import Job, Outcome

    def unopened(job: Job) -> Outcome:
        return Outcome(())  # opening the image costs the same with any check

    if kind == 'quick':
        quick.check_data(Config(config(file, images)), ['train'])
    if kind == 'thorough':
        with mock.patch.object(thorough, 'do', unopened):
            cfg = config(file, images)
            reports = thorough.check_datasets(cfg, ['train'], 0, _NoBars())
        return sum(len(report.findings) for report in reports)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Measure each, or be the process that is measured."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('file', type=Path)
    parser.add_argument('--images', type=Path, required=True, help='their folder')
    parser.add_argument('--only', choices=KINDS, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.only:
        began = time.process_time()
        found = run(args.only, str(args.file), str(args.images))
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(
            f'{args.only:9} {time.process_time() - began:6.1f} s '
            f'{used.ru_maxrss / 1e3:7.0f} MB, {found} kinds of problems',
            flush=True,
        )
        return 0
    for kind in KINDS:
        command = [sys.executable, '-m', __spec__.name, str(args.file)]
        command += ['--images', str(args.images), '--only', kind]
        subprocess.run(command, check=True)
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
