"""The layout of semantic segmentation: a folder of images and one of label maps."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dropblock_mm.data_checks.entries import DataSetEntry
from dropblock_mm.data_checks.jobs import Job
from dropblock_mm.data_checks.label_maps import FOREGROUND_IGNORED, UNUSED, LabelRule
from dropblock_mm.data_checks.layouts.base import Layout, register
from dropblock_mm.data_checks.name_lists import empty_lines, read_names
from dropblock_mm.data_checks.problems import Problem


@register
class SegmentationLayout(Layout):
    """What mmseg's ``BaseSegDataset`` reads, by a list of names or all of a folder."""

    finder = 'BaseSegDataset'
    heads = re.compile(r'(^|\.)(decode|auxiliary)_head(\.\d+)?$')

    def files(self, entry: DataSetEntry, limit: int) -> Mapping[str, list[str]]:
        """Name images and label maps."""
        names = _names(entry)
        found = {}
        for what, prefix, suffix in (
            ('images', 'img_path', 'img_suffix'),
            ('label maps', 'seg_map_path', 'seg_map_suffix'),
        ):
            folder, ending = entry.folders.get(prefix), entry.options.get(suffix)
            if folder and isinstance(ending, str):
                paths = [os.path.join(folder.path, name + ending) for name in names]
                found[what] = paths
        return found

    def contents(
        self, entry: DataSetEntry, files: Mapping[str, Sequence[str]], limit: int
    ) -> Iterator[Problem]:
        """Look at the list; label maps are decoded by the thorough check alone."""
        if entry.annotations and os.path.isfile(entry.annotations.path):
            yield from empty_lines(entry.annotations.path)

    def jobs(self, entry: DataSetEntry) -> Iterator[Job]:
        """Give each image with its label map."""
        files, loader = self.files(entry, 0), self.loader(entry)
        images = files['images']
        rule = label_rule(entry) if 'label maps' in files else None
        maps = files.get('label maps', [''] * len(images))
        for image, label_map in zip(images, maps, strict=True):
            yield Job(image, loader, label_map=label_map, rule=rule)

    def afterwards(self, entry: DataSetEntry, values: set[int]) -> Iterator[Problem]:
        """Find classes that no map has, and a foreground that is ignored.

        Some exporters write 255 for the only class, which is the ignored value: the
        background alone is learned then, with a mIoU of 100.
        """
        rule = label_rule(entry) if values else None
        if rule is None:
            return
        used = {value - rule.first for value in values if rule.is_class(value)}
        if used <= {0} and rule.ignored in values and len(rule.classes) > 1:
            yield FOREGROUND_IGNORED, f'{rule.ignored} for {rule.classes[1]}, ...?'
        for index, name in enumerate(rule.classes):
            if index not in used:
                yield UNUSED, name


def _names(entry: DataSetEntry) -> list[str]:
    """The names in the list, or else of all images in the folder."""
    if entry.annotations and os.path.isfile(entry.annotations.path):
        return read_names(entry.annotations.path)
    folder, suffix = entry.folders.get('img_path'), entry.options.get('img_suffix')
    if folder is None or not isinstance(suffix, str):
        return []
    found = Path(folder.path).rglob(f'*{suffix}')
    names = (path.relative_to(folder.path).as_posix() for path in found)
    return sorted(name.removesuffix(suffix) for name in names)


def label_rule(entry: DataSetEntry) -> LabelRule | None:
    """Read what the values in label maps stand for; None if no classes are known.

    Where the config picks some of the classes that the data set's own class knows,
    files hold the values of the latter.
    """
    own, given = entry.own_metainfo, entry.config.get('metainfo') or {}
    meta = own if 'classes' in own else given
    classes = meta.get('classes') or entry.classes
    if not classes:
        return None
    ignored = entry.options.get('ignore_index')
    return LabelRule(
        tuple(classes),
        tuple((int(r), int(g), int(b)) for r, g, b in meta.get('palette') or ()),
        255 if ignored is None else ignored,
        bool(entry.options.get('reduce_zero_label')),
        entry.steps.get('LoadAnnotations', {}).get('imdecode_backend', 'pillow'),
    )
