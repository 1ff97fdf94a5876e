"""The layout of semantic segmentation: a folder of images and one of label maps."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dropblock_mm.data_checks.entries import DataSetEntry
from dropblock_mm.data_checks.jobs import Job
from dropblock_mm.data_checks.label_maps import LabelRule
from dropblock_mm.data_checks.label_values import value_problems
from dropblock_mm.data_checks.layouts.base import Layout, register
from dropblock_mm.data_checks.name_lists import line_problems, read_names
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
        """Look at the list."""
        if entry.annotations and os.path.isfile(entry.annotations.path):
            yield from line_problems(entry.annotations.path, blanks=False)

    def jobs(self, entry: DataSetEntry) -> Iterator[Job]:
        """Give each image with its label map."""
        files, loader = self.files(entry, 0), self.loader(entry)
        images = files.get('images', [])
        rule = label_rule(entry) if 'label maps' in files else None
        maps = files.get('label maps', [''] * len(images))
        for image, label_map in zip(images, maps, strict=True):
            yield Job(image, loader, label_map=label_map, rule=rule)

    def paths(self, entry: DataSetEntry, limit: int) -> Iterator[str]:
        """Look also for a step that denies what the data set says."""
        yield from super().paths(entry, limit)
        if entry.options.get('test_mode') and entry.classes is None:
            yield (
                f'{entry.key}.metainfo.classes: {entry.type} has no classes of its '
                'own, and with test_mode=True it must have some. Set '
                'metainfo=dict(classes=(...)) to the names of the labels.'
            )
        yield from _setting_flaws(entry)
        own = entry.options.get('reduce_zero_label')
        step = entry.steps.get('LoadAnnotations', {}).get('reduce_zero_label')
        if step is not None and bool(step) != bool(own):
            yield (
                f'{entry.key}.reduce_zero_label={own!r}: LoadAnnotations in its '
                f'pipeline says {step!r}, and loading ends there. Set it in the data '
                'set alone.'
            )

    def afterwards(self, entry: DataSetEntry, values: set[int]) -> Iterator[Problem]:
        """Judge the values of all maps."""
        rule = label_rule(entry) if values else None
        if rule is not None:
            yield from value_problems(values, rule, entry.loop == 'train')


def _setting_flaws(entry: DataSetEntry) -> Iterator[str]:
    """Find what mmseg meets with a TypeError, a KeyError or a ValueError."""
    prefix = entry.options.get('data_prefix') or {}
    needed = [('img_path', 'images')]
    if 'LoadAnnotations' in entry.steps:
        needed.append(('seg_map_path', 'label maps'))
    for name, what in needed:
        if isinstance(prefix, Mapping) and prefix.get(name) is None:
            yield (
                f'{entry.key}.data_prefix={dict(prefix)!r}: it names no folder of '
                f"{what}. Set {name} in it, as in dict(img_path='images', "
                "seg_map_path='labels')."
            )
    given = entry.config.get('metainfo') or {}
    palette, classes = given.get('palette'), given.get('classes')
    if not palette:
        return
    if not all(map(_is_colour, palette)):
        yield (
            f'{entry.key}.metainfo.palette={palette!r}: not a list of colours. Give '
            '[R, G, B] for each class, from 0 to 255.'
        )
    elif classes is not None and len(palette) < len(classes):
        yield (
            f'{entry.key}.metainfo.palette: {len(palette)} colours for {len(classes)} '
            'classes. Give each class one, or leave the palette out.'
        )


def _is_colour(value: object) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) == 3
        and all(isinstance(part, int) and 0 <= part <= 255 for part in value)
    )


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
    ignored = entry.ignored
    if ignored is None:
        ignored = entry.options.get('ignore_index')
    return LabelRule(
        tuple(classes),
        tuple((int(r), int(g), int(b)) for r, g, b in meta.get('palette') or ()),
        ignored if isinstance(ignored, int) else 255,
        bool(entry.options.get('reduce_zero_label')),
        entry.steps.get('LoadAnnotations', {}).get('imdecode_backend', 'pillow'),
    )
