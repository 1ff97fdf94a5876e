"""The layout of classification: a folder of images for each class, or a list of them.

mmpretrain's ``CustomDataset``, and ``ImageNet`` with it, numbers the class folders in
the order of their names, hidden ones too, and takes files by their extension. With a
list it reads 'NAME LABEL' in each line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dropblock_mm.data_checks.entries import DataSetEntry
from dropblock_mm.data_checks.jobs import Job
from dropblock_mm.data_checks.layouts.base import Layout, folder_flaws, register
from dropblock_mm.data_checks.name_lists import empty_lines, read_names
from dropblock_mm.data_checks.problems import Problem, error, warning

HIDDEN = error(
    'hidden folders that are taken for classes',
    'They get a label, and shift those of the folders behind them. Remove them.',
)
NOWHERE = error(
    'links that lead nowhere in the place of class folders',
    'The class is left out, and those behind it get other labels. Mend the links.',
)
TWO_CLASSES = error(
    'class folders that are one and the same',
    'Its images would have two labels. Remove the links.',
)
LINKED = warning('class folders that are links', 'Their images lie elsewhere.')
OTHER_NUMBER = error(
    'number of class folders that is not the number of classes',
    'The data set cannot be read so. Complete the folders, the empty ones too, or '
    'correct metainfo.classes.',
)
OTHER_ORDER = error(
    'classes that stand in another place than their folder',
    'Labels are numbered by the sorted names of the folders. List metainfo.classes in '
    'that order.',
)
BESIDE = warning(
    'images beside the class folders', 'They are left out. Put them into a folder.'
)
TWO_LABELS = error(
    'names in the list that have two labels', 'Give each image one line.'
)
EMPTY_CLASS = warning(
    'class folders without an image', 'Nothing is learned of them, or measured.'
)
CLOSED = error(
    'class folders that may not be read', 'Training ends there. Permit to read them.'
)
OTHER_EXTENSION = warning(
    'files whose extension is none of the data set',
    'They are left out. Add theirs to extensions, or convert them, if they are images.',
)
BAD_LINE = error(
    'lines of the list that are not a name and a whole number',
    'The data set cannot be read so. Write NAME LABEL, or set with_label=False.',
)
NOT_A_LABEL = error(
    'labels in the list that are no class',
    'The loss fails on them. Labels count from 0 and end below the number of classes.',
)
FROM_ONE = warning(
    'list whose labels count from 1',
    'Nothing is learned of class 0, and its output stays. Subtract 1 from each.',
)


@register
class ImageFoldersLayout(Layout):
    """What mmpretrain's ``CustomDataset`` reads."""

    finder = 'CustomDataset'
    heads = re.compile(r'^model\.head$')

    def takes(self, entry: DataSetEntry) -> bool:
        """Tell it from other classes of that name."""
        return super().takes(entry) and 'extensions' in entry.options

    def paths(self, entry: DataSetEntry, limit: int) -> Iterator[str]:
        """Look at ``data_root`` where it is the folder itself."""
        yield from super().paths(entry, limit)
        if entry.root and not entry.folders:
            yield from folder_flaws(entry.root)

    def files(self, entry: DataSetEntry, limit: int) -> Mapping[str, list[str]]:
        """Name the images in the list, or else in the folders."""
        folder = _image_folder(entry)
        if folder is None:
            return {}
        return {'images': [path for path, _ in _labelled(entry, folder)]}

    def contents(
        self, entry: DataSetEntry, files: Mapping[str, Sequence[str]], limit: int
    ) -> Iterator[Problem]:
        """Look at the list, or else at the class folders."""
        folder = _image_folder(entry)
        if entry.annotations:
            yield from _of_list(entry, entry.annotations.path)
        elif folder is not None and entry.options.get('with_label'):
            yield from _of_folders(entry, folder)

    def labels(self, entry: DataSetEntry, limit: int) -> tuple[str, ...] | None:
        """Give the names of the folders, which are the labels where no list is.

        A list without names of classes has numbers in their place.
        """
        folder = _image_folder(entry)
        if folder is not None and self.folders_are_labels(entry):
            return tuple(_class_folders(entry, folder))
        if entry.classes or not entry.annotations:
            return entry.classes
        numbers = [int(label) for _, label in _listed(entry) if _is_number(label)]
        return tuple(map(str, range(max(numbers, default=-1) + 1))) or None

    def folders_are_labels(self, entry: DataSetEntry) -> bool:
        """Tell whether there are labels, and no list."""
        return not entry.annotations and bool(entry.options.get('with_label'))

    def jobs(self, entry: DataSetEntry) -> Iterator[Job]:
        """Give each image, with the name or the number of its class."""
        folder, loader = _image_folder(entry), self.loader(entry)
        for path, label in _labelled(entry, folder) if folder is not None else ():
            yield Job(path, loader, label=label)


def _image_folder(entry: DataSetEntry) -> str | None:
    """The folder of all images; None if it is not on this disk."""
    prefix = entry.folders.get('img_path') or entry.root
    return prefix.path if prefix else None


def _labelled(entry: DataSetEntry, folder: str) -> list[tuple[str, str]]:
    """The images, each with the name of its folder or else its label in the list."""
    if entry.annotations:
        listed = _listed(entry)
        return [(os.path.join(folder, name), label or '') for name, label in listed]
    return [
        (path, name)
        for name in _class_folders(entry, folder)
        for path in _images(entry, os.path.join(folder, name))
    ]


def _class_folders(entry: DataSetEntry, folder: str) -> list[str]:
    """The folders in the order of their labels; without labels all is one."""
    if not entry.options.get('with_label'):
        return ['']
    return sorted(e.name for e in os.scandir(folder) if os.path.isdir(e.path))


def _images(entry: DataSetEntry, folder: str) -> list[str]:
    extensions = _extensions(entry)
    return [path for path in _all_files(folder) if path.lower().endswith(extensions)]


def _extensions(entry: DataSetEntry) -> tuple[str, ...]:
    return tuple(extension.lower() for extension in entry.options['extensions'])


def _all_files(folder: str) -> list[str]:
    """All files below that are not hidden, through links too, each folder once."""
    found: list[str] = []
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        if os.path.realpath(place) in seen:
            folders.clear()
            continue
        seen.add(os.path.realpath(place))
        found += [os.path.join(place, name) for name in names if name[0] != '.']
    return sorted(found)


def _of_folders(entry: DataSetEntry, folder: str) -> Iterator[Problem]:
    names = _class_folders(entry, folder)
    places: dict[str, str] = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        real = os.path.realpath(path)
        if os.path.islink(path) and not os.path.exists(path):
            yield NOWHERE, f'{path} to {os.readlink(path)}'
        if name not in names:
            continue
        if name.startswith('.'):
            yield HIDDEN, path
        if real in places:
            yield TWO_CLASSES, f'{places[real]} and {path}'
        elif os.path.islink(path):
            yield LINKED, f'{path} to {os.readlink(path)}'
        places.setdefault(real, path)
        yield from _of_class_folder(entry, path)
    for name in sorted(os.listdir(folder)):
        if name.lower().endswith(_extensions(entry)) and name not in names:
            yield BESIDE, os.path.join(folder, name)
    yield from _of_names(names, entry.classes)


def _of_class_folder(entry: DataSetEntry, path: str) -> Iterator[Problem]:
    if not os.access(path, os.R_OK | os.X_OK):
        yield CLOSED, path
        return
    files, extensions = _all_files(path), _extensions(entry)
    others = [file for file in files if not file.lower().endswith(extensions)]
    yield from ((OTHER_EXTENSION, file) for file in others)
    if len(others) == len(files):
        yield EMPTY_CLASS, path


def _of_names(names: list[str], classes: Sequence[str] | None) -> Iterator[Problem]:
    if classes is None:
        return
    if len(names) != len(classes):
        absent = [name for name in classes if name not in names]
        named = f', none for {", ".join(absent[:3])}'
        lacks = named if len(absent) < len(classes) else ''
        yield OTHER_NUMBER, f'{len(names)} folders, {len(classes)} classes{lacks}'
    elif set(names) == set(classes):
        for name, other in zip(names, classes, strict=True):
            if name != other:
                yield OTHER_ORDER, f'{other} in the place of {name}'


def _listed(entry: DataSetEntry) -> list[tuple[str, Any]]:
    """The names in the list, each with the text of its label."""
    lines = read_names(entry.annotations.path) if entry.annotations else []
    if not entry.options.get('with_label'):
        return [(line, None) for line in lines]
    parts = [line.rpartition(' ') for line in lines]
    return [(name or label, label if name else '') for name, _, label in parts]


def _of_list(entry: DataSetEntry, path: str) -> Iterator[Problem]:
    yield from empty_lines(path)
    labels: dict[str, int] = {}
    for number, (name, label) in enumerate(_listed(entry), 1):
        if label is None:
            continue
        if not _is_number(label):
            yield BAD_LINE, f'{path}, name {number}: {name}'
            continue
        value = int(label)
        if labels.setdefault(name, value) != value:
            yield TWO_LABELS, f'{name}: {labels[name]} and {value}'
        if value < 0 or (entry.classes and value >= len(entry.classes)):
            yield NOT_A_LABEL, f'{value} of {name}'
    values = {*labels.values()}
    if len(values) > 1 and values == {*range(1, len(values) + 1)}:
        yield FROM_ONE, path


def _is_number(label: str | None) -> bool:
    """Tell whether Python reads a label as a whole number, as mmpretrain has it do."""
    try:
        int(label or '')
    except ValueError:
        return False
    return True
