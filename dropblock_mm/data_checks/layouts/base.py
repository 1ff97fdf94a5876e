"""What a layout is asked, and in which order: paths, listed files, their contents."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from dropblock_mm.data_checks.data_settings import setting_flaws
from dropblock_mm.data_checks.entries import DataPath, DataSetEntry
from dropblock_mm.data_checks.images import Loader
from dropblock_mm.data_checks.jobs import Job
from dropblock_mm.data_checks.json_files import json_flaw
from dropblock_mm.data_checks.name_lists import list_flaw
from dropblock_mm.data_checks.problems import UNUSABLE, Problem, error, missing, warning

NO_IMAGES = error('data set without images', 'Give a list with names.')
UNKNOWN = warning(
    'type of data set that is unknown here',
    'The thorough check builds it as training does, unless other errors or warnings '
    'say no, and looks for its files, boxes and labels; no picture is decoded.',
)
NOT_LOCAL = warning(
    'data set that is not on this disk',
    'It is remote, or the config makes it when training starts.',
)


@dataclass(frozen=True)
class Look:
    """What a look at a data set found, files of pictures not opened.

    Args:
        problems: All of them.
        usable: Whether paths and type let a further look at single files be.
        labels: The class names by the numbers that training gives them, if known.
        image_ids: Of COCO's files.
        has_objects: Whether annotations list any object; None if not known.
    """

    problems: tuple[Problem, ...]
    usable: bool = False
    labels: tuple[str, ...] | None = None
    image_ids: frozenset[Any] = frozenset()
    has_objects: bool | None = None


class Layout:
    """One way in which data lie on the disk. This one knows nothing of the data set.

    A layout says which data sets it takes, which files they name, what is wrong with
    the contents of annotations, and which jobs the thorough check has. ``limit`` is
    always the size in bytes above which JSON files are not parsed.
    """

    #: The class whose ``load_data_list`` finds the files.
    finder = ''
    #: Whether the class cannot do without ``ann_file``.
    needs_file = False
    #: Keys of the heads in a model that predict its classes.
    heads: re.Pattern[str] = re.compile(r'(?!)')

    def takes(self, entry: DataSetEntry) -> bool:
        """Tell whether a data set is of this layout."""
        return bool(self.finder) and entry.layout == self.finder

    def paths(self, entry: DataSetEntry, limit: int) -> Iterator[str]:
        """Yield what is wrong with the paths of the config, each under its key."""
        if self.needs_file and not entry.options.get('ann_file'):
            yield (
                f'{entry.key}.ann_file={entry.options.get("ann_file")!r}: {entry.type} '
                'has no annotations without one. Give the file.'
            )
        if entry.annotations:
            masks = 'masks' in entry.loads
            yield from annotation_file_flaws(entry.annotations, limit, masks)
        for folder in entry.folders.values():
            yield from folder_flaws(folder)

    def files(self, entry: DataSetEntry, limit: int) -> Mapping[str, list[str]]:
        """Name the files that the data set will look for, by what they are."""
        return {}

    def may_lack(self, entry: DataSetEntry, what: str) -> bool:
        """Tell whether files may be absent: with ``indices``, those of the others."""
        return entry.options.get('indices') is not None

    def contents(
        self, entry: DataSetEntry, files: Mapping[str, Sequence[str]], limit: int
    ) -> Iterator[Problem]:
        """Look through annotations, as far as training reads them."""
        if self.takes(entry):
            return
        yield UNKNOWN, entry.type

    def labels(self, entry: DataSetEntry, limit: int) -> tuple[str, ...] | None:
        """Give the class names in the order of their labels; None if not known."""
        return entry.classes if self.takes(entry) else None

    def labels_go_to_heads(self, entry: DataSetEntry) -> bool:
        """Tell whether heads predict its classes as they are."""
        return self.takes(entry)

    def folders_are_labels(self, entry: DataSetEntry) -> bool:
        """Tell whether the names of folders, in their order, are the labels."""
        return False

    def image_ids(self, entry: DataSetEntry, limit: int) -> frozenset[Any]:
        """Give the ids by which a metric finds the images."""
        return frozenset()

    def has_objects(self, entry: DataSetEntry, limit: int) -> bool | None:
        """Tell whether annotations list any object at all; None if not known."""
        return None

    def loader(self, entry: DataSetEntry) -> Loader:
        """Read the pipeline's way of loading images."""
        step, default = entry.steps.get('LoadImageFromFile', {}), Loader()
        return Loader(
            step.get('imdecode_backend', default.backend),
            step.get('color_type', default.color_type),
        )

    def jobs(self, entry: DataSetEntry) -> Iterable[Job]:
        """Give each image, with what belongs to it, to the thorough check."""
        return ()

    def afterwards(self, entry: DataSetEntry, values: set[int]) -> Iterator[Problem]:
        """Judge the values of all label maps together."""
        yield from ()

    def look(self, entry: DataSetEntry, limit: int) -> Look:
        """Look at all but pictures: the same for the quick and the thorough check."""
        flaws = list(setting_flaws(entry))
        flaws = flaws or list(self.paths(entry, limit))
        if flaws:
            return Look(tuple((UNUSABLE, flaw) for flaw in flaws))
        files = self.files(entry, limit)
        if not (files or entry.folders or entry.annotations):
            return Look(((NOT_LOCAL, ''),))
        needed = {w: paths for w, paths in files.items() if not self.may_lack(entry, w)}
        problems = [
            *([(NO_IMAGES, '')] if 'images' in files and not files['images'] else []),
            *beyond_the_images(entry, files),
            *missing_files(needed),
            *self.contents(entry, files, limit),
        ]
        return Look(
            tuple(problems),
            bool(files.get('images')),
            self.labels(entry, limit),
            self.image_ids(entry, limit),
            self.has_objects(entry, limit),
        )


LAYOUTS: list[Layout] = []
_LayoutType = TypeVar('_LayoutType', bound=type[Layout])


def register(layout: _LayoutType) -> _LayoutType:
    """Have a layout asked for the data sets that it takes (decorator)."""
    LAYOUTS.append(layout())
    return layout


def beyond_the_images(
    entry: DataSetEntry, files: Mapping[str, Sequence[str]]
) -> Iterator[Problem]:
    """Find ``indices`` of images that there are not; a filter may leave fewer."""
    indices, count = entry.options.get('indices'), len(files.get('images', ()))
    if isinstance(indices, (list, tuple)) and count and max(indices) >= count:
        yield (
            UNUSABLE,
            f'{entry.key}.indices: {max(indices)} is among them, and there are {count} '
            'images, from 0.',
        )


def annotation_file_flaws(
    annotations: DataPath, limit: int, masks: bool = False
) -> Iterator[str]:
    """Look whether an annotation file is there and whole."""
    path = annotations.path
    if not os.path.exists(path):
        yield annotations.problem('no such file', 'Give the annotation file.')
    elif os.path.isdir(path):
        yield annotations.problem('a folder', 'Give the annotation file.')
    elif os.path.isfile(path) and os.path.getsize(path) == 0:
        yield annotations.problem('the file is empty', 'Copy or download it again.')
    elif path.endswith('.json'):
        flaw = json_flaw(path, limit, masks)
        if flaw:
            yield annotations.problem(
                f'not complete JSON, {flaw}', 'Copy or download it again.'
            )
    elif path.endswith('.txt') and list_flaw(path):
        yield annotations.problem(list_flaw(path), 'Save it as UTF-8.')


def folder_flaws(folder: DataPath) -> Iterator[str]:
    """Look whether a folder is there and holds anything."""
    if not os.path.isdir(folder.path):
        yield folder.problem('no such folder', 'Give the folder of the files.')
    elif next(os.scandir(folder.path), None) is None:
        yield folder.problem('the folder is empty', 'Give the folder of the files.')


def missing_files(files: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """Find files that are named and not there."""
    folders: dict[str, dict[str, str]] = {}
    for what, paths in files.items():
        for path in paths:
            if not os.path.isfile(path):
                yield missing(what), path + _hint(path, folders)


def _hint(path: str, folders: dict[str, dict[str, str]]) -> str:
    """Say whether the file is there by nearly this name."""
    folder, name = os.path.split(path)
    if os.path.islink(path):
        return f', a link to {os.readlink(path)}'
    if folder not in folders:
        listed = os.listdir(folder or '.') if os.path.isdir(folder or '.') else []
        folders[folder] = {_stem(other): other for other in listed}
        folders[folder] |= {other.lower(): other for other in listed}
    there = folders[folder]
    found = there.get(name.lower())
    if found:
        return f', which is called {found} there'
    stem, suffix = os.path.splitext(name)
    found = there.get(stem.lower())
    if found and found.lower() == stem.lower():
        return f': the list names {found} with its suffix, take that out'
    found = there.get(_stem(name))
    if found:
        return f': there is {found}, but {suffix} is looked for'
    longer = next((n for n in there if n.startswith(stem.lower())), '')
    return f': there is {there[longer]}, but {name} is looked for' if longer else ''


def _stem(name: str) -> str:
    return os.path.splitext(name)[0].lower()
