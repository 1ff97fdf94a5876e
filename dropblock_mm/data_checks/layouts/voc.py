"""PASCAL VOC's layout for boxes: a list of names, a folder of XML and one of images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence

from dropblock_mm.data_checks.annotations.voc import BoxKinds, VocNames, voc_problems
from dropblock_mm.data_checks.annotations.voc_files import has_object
from dropblock_mm.data_checks.entries import DataSetEntry
from dropblock_mm.data_checks.jobs import Job
from dropblock_mm.data_checks.layouts.base import Layout, register
from dropblock_mm.data_checks.name_lists import line_problems, read_lines
from dropblock_mm.data_checks.problems import Problem


@register
class VocLayout(Layout):
    """What mmdet's ``XMLDataset`` reads, ``VOCDataset`` among them."""

    finder = 'XMLDataset'
    needs_file = True
    heads = re.compile(r'(^|\.)(bbox|mask)_head(\.\d+)?$')

    def paths(self, entry: DataSetEntry, limit: int) -> Iterator[str]:
        """Look also for what the class asserts, without a word of why."""
        yield from super().paths(entry, limit)
        smallest = (entry.options.get('filter_cfg') or {}).get('bbox_min_size')
        if smallest is not None and entry.options.get('test_mode'):
            yield (
                f'{entry.key}.filter_cfg.bbox_min_size={smallest!r}: it ignores small '
                f'boxes in training, and the data set has {entry.key}.test_mode=True, '
                'with which every box is evaluated on. Take bbox_min_size out of '
                'filter_cfg here.'
            )
        if entry.layout == self.finder and entry.classes is None:
            yield (
                f'{entry.key}.metainfo.classes: {entry.type} has no classes of its '
                'own. Set metainfo=dict(classes=(...)) to the names in the XML files.'
            )

    def files(self, entry: DataSetEntry, limit: int) -> Mapping[str, list[str]]:
        """Name the XML file and the image of each name in the list."""
        if entry.annotations is None:
            return {}
        folder = entry.folders.get('sub_data_root')
        root = folder.path if folder else ''
        images = os.path.join(root, entry.options['img_subdir'])
        xmls = os.path.join(root, entry.options['ann_subdir'])
        names = [n for n in read_lines(entry.annotations.path) if n.strip()]
        found = {'XML files': [os.path.join(xmls, f'{name}.xml') for name in names]}
        if 'images' not in entry.remote:
            found['images'] = [os.path.join(images, f'{name}.jpg') for name in names]
        return found

    def may_lack(self, entry: DataSetEntry, what: str) -> bool:
        """All XML files are read, before any ``indices`` pick."""
        return what != 'XML files' and super().may_lack(entry, what)

    def contents(
        self, entry: DataSetEntry, files: Mapping[str, Sequence[str]], limit: int
    ) -> Iterator[Problem]:
        """Look through the XML files, of a subset by ``indices`` through its own."""
        if entry.annotations:
            yield from line_problems(entry.annotations.path, blanks=True)
        if entry.annotation_format != self.finder:
            return
        names = VocNames(entry.classes)
        smallest = (entry.options.get('filter_cfg') or {}).get('bbox_min_size') or 0
        kinds = BoxKinds.of(entry.loop == 'train', smallest)
        for path in _used(files.get('XML files', ()), entry.options.get('indices')):
            if os.path.isfile(path):
                yield from voc_problems(path, names, kinds)
        yield from names.problems()
        yield from names.left_over(entry.loop == 'train')

    def labels_go_to_heads(self, entry: DataSetEntry) -> bool:
        """Tell boxes from the things and stuff of panoptic data."""
        return entry.annotation_format in ('CocoDataset', 'XMLDataset')

    def labels(self, entry: DataSetEntry, limit: int) -> tuple[str, ...] | None:
        """Give the classes as configured, where they are boxes' own."""
        return entry.classes if entry.annotation_format == self.finder else None

    def has_objects(self, entry: DataSetEntry, limit: int) -> bool | None:
        """Tell whether any XML file has one; the first that does ends the search."""
        paths = self.files(entry, limit).get('XML files', ())
        if entry.annotation_format != self.finder:
            return None
        return any(has_object(path) for path in paths if os.path.isfile(path))

    def jobs(self, entry: DataSetEntry) -> Iterator[Job]:
        """Give each image, with the XML file that states its size."""
        files = self.files(entry, 0)
        for image, xml in zip(files['images'], files['XML files'], strict=True):
            yield Job(image, self.loader(entry), xml=xml)


def _used(paths: Sequence[str], indices: object) -> Sequence[str]:
    """Those that ``indices`` picks, where its filter leaves none out."""
    if isinstance(indices, int):
        return paths[:indices] if indices >= 0 else paths[indices:]
    return paths
