"""COCO's layout: a JSON file of instances, beside a folder of images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dropblock_mm.data_checks.annotations.coco import coco_labels, coco_problems
from dropblock_mm.data_checks.annotations.coco_boxes import Use
from dropblock_mm.data_checks.annotations.coco_values import is_size
from dropblock_mm.data_checks.entries import DataSetEntry, is_remote
from dropblock_mm.data_checks.jobs import Job
from dropblock_mm.data_checks.json_files import read_json
from dropblock_mm.data_checks.layouts.base import Layout, register
from dropblock_mm.data_checks.problems import Problem, error

URL_IN_FOLDER = error(
    'images that are URLs, behind a folder',
    'Both are joined, and no such file is found. Download them, or take data_root out '
    "and set data_prefix=dict(img='').",
)
_PARTS = ('images', 'annotations', 'categories')


@register
class CocoLayout(Layout):
    """What mmdet's ``CocoDataset`` reads, and the data sets made from it."""

    finder = 'CocoDataset'
    needs_file = True
    heads = re.compile(r'(^|\.)(bbox|mask)_head(\.\d+)?$')

    def paths(self, entry: DataSetEntry, limit: int) -> Iterator[str]:
        """Look also for valid JSON that is something else, say a list of results."""
        flaws = list(super().paths(entry, limit))
        prefix = entry.options.get('data_prefix') or {}
        if 'img' not in prefix and entry.annotation_format == self.finder:
            flaws.append(
                f'{entry.key}.data_prefix={dict(prefix)!r}: it names no folder of '
                "images. Set img in it, as in dict(img='images/')."
            )
        yield from flaws
        if flaws or entry.annotations is None:
            return
        content = self._content(entry, limit)
        if content is None:
            return
        lists = content if isinstance(content, dict) else {}
        # Test sets have no annotations.
        needed = [p for p in _PARTS if p in lists or p != 'annotations']
        absent = [part for part in needed if not isinstance(lists.get(part), list)]
        if absent:
            yield entry.annotations.problem(
                f'not a COCO annotation file, it holds no {" and no ".join(absent)}',
                'Give the file with the instances.',
            )

    def files(self, entry: DataSetEntry, limit: int) -> Mapping[str, list[str]]:
        """Name the images in the file."""
        content, folder = self._content(entry, limit), _image_folder(entry)
        if content is None or folder is None:
            return {}
        paths = [path for path, _ in _images(content, folder)]
        local = [path for path in paths if not is_remote(path)]
        return {'images': local} if local or not paths else {}

    def contents(
        self, entry: DataSetEntry, files: Mapping[str, Sequence[str]], limit: int
    ) -> Iterator[Problem]:
        """Look at the instances; panoptic data sets have none."""
        content, folder = self._content(entry, limit), _image_folder(entry)
        if content is not None and folder:
            for path, _ in _images(content, ''):
                if is_remote(path):
                    yield URL_IN_FOLDER, path
        if content is not None and entry.annotation_format == self.finder:
            yield from coco_problems(
                content,
                entry.classes,
                _use(entry),
            )

    def labels_go_to_heads(self, entry: DataSetEntry) -> bool:
        """Tell boxes from the things and stuff of panoptic data."""
        return entry.annotation_format in ('CocoDataset', 'XMLDataset')

    def labels(self, entry: DataSetEntry, limit: int) -> tuple[str, ...] | None:
        """Give the classes in the order of the file's categories."""
        content = self._content(entry, limit)
        if content is None or entry.annotation_format != self.finder:
            return None
        return coco_labels(content, entry.classes)

    def image_ids(self, entry: DataSetEntry, limit: int) -> frozenset[Any]:
        """Give the ids of the images."""
        content = self._content(entry, limit) or {'images': ()}
        return coco_ids(content)

    def has_objects(self, entry: DataSetEntry, limit: int) -> bool | None:
        """Tell whether the file lists any."""
        content = self._content(entry, limit)
        if content is None or entry.annotation_format != self.finder:
            return None
        return bool(content.get('annotations'))

    def jobs(self, entry: DataSetEntry) -> Iterator[Job]:
        """Give each image, with the size in the file."""
        content, folder = self._content(entry, 2**63), _image_folder(entry)
        if content is not None and folder is not None:
            for path, size in _images(content, folder):
                if not is_remote(path):
                    yield Job(path, self.loader(entry), size)

    def _content(self, entry: DataSetEntry, limit: int) -> Any:
        """The file; None where it is too large to be parsed twice."""
        path = entry.annotations.path if entry.annotations else ''
        if not path or os.path.getsize(path) > limit:
            return None
        return read_json(path, 'masks' in entry.loads)


def _use(entry: DataSetEntry) -> Use:
    """What the loop does with the file; ``indices`` let through a part of it."""
    filters = entry.options.get('filter_cfg') or {}
    trains = entry.loop == 'train'
    smallest = 0 if entry.options.get('test_mode') else filters.get('min_size') or 0
    return Use(
        trains=trains,
        evaluates=not trains,
        masks='masks' in entry.loads,
        poly2mask=entry.steps.get('LoadAnnotations', {}).get('poly2mask', True),
        min_size=smallest if trains else 0,
    )


def coco_ids(content: Any) -> frozenset[Any]:
    """Return the ids of the images in a COCO file; none of another kind of file."""
    images = content.get('images') if isinstance(content, dict) else None
    listed = images if isinstance(images, list) else ()
    named = [image.get('id') for image in listed if isinstance(image, dict)]
    return frozenset(i for i in named if isinstance(i, (int, float, str)))


def _image_folder(entry: DataSetEntry) -> str | None:
    """The folder of the images, '' where names are whole; None if it is remote."""
    folder = entry.folders.get('img')
    if folder:
        return folder.path
    prefix = entry.options.get('data_prefix') or {}
    return '' if not (entry.options.get('data_root') or prefix.get('img')) else None


def _images(
    content: Mapping[str, Any], folder: str
) -> Iterator[tuple[str, tuple[int, int] | None]]:
    """The path of each image, and (width, height) if they are stated."""
    for image in content['images']:
        name = image.get('file_name') if isinstance(image, dict) else None
        if isinstance(name, str) and name:
            width, height = image.get('width'), image.get('height')
            sized = is_size(width) and is_size(height)
            yield os.path.join(folder, name), (width, height) if sized else None
