"""What can be wrong in VOC's xml files, as mmdet's ``XMLDataset`` takes them.

That class keeps boxes without an area, of which the loss becomes infinite: every
anchor without overlap is then assigned to them. ``filter_cfg.bbox_min_size`` has them
ignored.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dropblock_mm.data_checks.annotations.boxes import is_outside, sticks_out
from dropblock_mm.data_checks.annotations.voc_files import (
    box_corners,
    image_size,
    whole_number,
)
from dropblock_mm.data_checks.problems import Kind, Problem, error, warning

BROKEN_XML = error(
    'XML files that are cut short or not XML', 'Copy or download them again.'
)
UNREADABLE_OBJECT = error(
    'objects without a name or without a bndbox of numbers',
    'The data set cannot be read so. Correct them.',
)
BAD_DIFFICULT = error(
    'objects whose difficult is no whole number',
    'The data set cannot be read so. Write 0 or 1, or leave <difficult> out.',
)
NO_AREA = error(
    'boxes without an area',
    'The loss would become infinite. Remove them, or set '
    'filter_cfg=dict(bbox_min_size=1) to have them ignored.',
)
IGNORED_NO_AREA = warning(
    'boxes without an area', 'filter_cfg.bbox_min_size has them ignored.'
)
OUTSIDE = error(
    'boxes outside their image',
    'Resize leaves no area of them, and the loss would become infinite. Correct or '
    'remove them.',
)
NO_AREA_TO_FIND = warning(
    'boxes without an area', 'Evaluation counts them as missed. Remove them.'
)
OUTSIDE_TO_FIND = warning(
    'boxes outside their image', 'Evaluation counts them as missed. Remove them.'
)
STICKS_OUT = warning(
    'boxes that stick out of their image by more than a pixel',
    'Resize cuts them off at its border. Many of them suggest sizes that are wrong.',
)
NO_SIZE = warning(
    'XML files without a size',
    'Every start of training reads their images for it. Add <size>.',
)
UNREADABLE_SIZE = error(
    'XML files whose size is not two whole numbers',
    'The data set cannot be read so. Correct <width> and <height>.',
)
SIZE_ZERO = warning(
    'XML files that state a size of 0',
    'filter_cfg=dict(min_size=...) leaves their images out. Correct <size>.',
)
DIFFICULT = warning(
    'boxes marked difficult',
    'They are no targets of training, and no misses in evaluation.',
)
NOT_A_CLASS = warning(
    'names of objects that are no class of the config',
    'Their boxes are left out. Add them to metainfo.classes if that is not meant.',
)
NO_INSTANCES = warning('classes without instances', 'Nothing is learned of them here.')
NO_CLASS_IN_COMMON = error(
    'data set whose objects all are of no class of the config',
    'All boxes would be left out. Set metainfo=dict(classes=(...)) in every data set '
    "of the config, and the model's num_classes.",
)
NOTHING_LEFT = error(
    'data set of which no object is left to learn',
    'Training would go on with background alone. Correct what they are ignored for.',
)
LITTLE_LEFT = error(
    'data set of which hardly an object is left to learn',
    'Nine of ten or more are ignored. Correct what they are ignored for, or take these '
    'objects out.',
)
NOTHING_TO_FIND = error(
    'data set of which no object is left to evaluate on',
    'Every AP would be 0 or nan. Correct what they are left out for.',
)
NO_OBJECTS = warning(
    'images without objects',
    'filter_cfg=dict(filter_empty_gt=True) leaves them out, otherwise they are '
    'background.',
)


@dataclass
class VocNames:
    """The names of the objects met so far, and how often they occur.

    Args:
        classes: Of the config or the data set's class, None if not known.
        counts: Objects by their name.
        ignored: Of these, how many are no targets.
    """

    classes: Sequence[str] | None
    counts: dict[str, int] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, is_ignored: bool = False) -> None:
        """Count an object."""
        self.counts[name] = self.counts.get(name, 0) + 1
        self.ignored[name] = self.ignored.get(name, 0) + is_ignored

    def left_over(self, trains: bool) -> Iterator[Problem]:
        """Tell whether anything is left of the objects, after the last file."""
        known = [n for n in self.counts if self.classes is None or n in self.classes]
        sought = sum(self.counts[name] for name in known)
        lost = sum(self.ignored[name] for name in known)
        told = f'{lost} of {sought} are difficult, or too small'
        if sought and lost == sought:
            yield (NOTHING_LEFT if trains else NOTHING_TO_FIND), told
        elif trains and sought >= 10 and lost > 0.9 * sought:
            yield LITTLE_LEFT, told

    def problems(self) -> Iterator[Problem]:
        """Compare with the classes, after the last file."""
        if self.classes is None or not self.counts:
            return
        if not set(self.counts) & set(self.classes):
            found = ', '.join(list(self.counts)[:3])
            yield NO_CLASS_IN_COMMON, f'{found} are not in {self.classes[:3]}'
            return
        for name, count in self.counts.items():
            if name not in self.classes:
                yield NOT_A_CLASS, f'{name}: {count}'
        missing = [name for name in self.classes if name not in self.counts]
        yield from ((NO_INSTANCES, name) for name in missing)


@dataclass(frozen=True)
class BoxKinds:
    """What boxes are that no detector can be trained on, and which are ignored."""

    no_area: Kind = NO_AREA
    outside: Kind = OUTSIDE
    smallest: int = 0

    @classmethod
    def of(cls, trains: bool, bbox_min_size: int) -> BoxKinds:
        """Choose them for a data set.

        Args:
            trains (bool): Whether it is trained on.
            bbox_min_size (int): Of its ``filter_cfg``, 0 if there is none.
        """
        if not trains:
            return cls(NO_AREA_TO_FIND, OUTSIDE_TO_FIND)
        no_area = IGNORED_NO_AREA if bbox_min_size > 0 else NO_AREA
        return cls(no_area=no_area, smallest=bbox_min_size)

    def is_small(self, corners: Sequence[float]) -> bool:
        """Tell whether a box is ignored for its size."""
        x1, y1, x2, y2 = corners
        return min(x2 - x1, y2 - y1) < self.smallest


def voc_problems(path: str, names: VocNames, kinds: BoxKinds) -> Iterator[Problem]:
    """Look through one XML file.

    Args:
        path (str): The file, which exists.
        names: Counts the objects of all files.
        kinds: Of the data set.

    Yields:
        Problem: Each under the path.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, LookupError, ValueError):  # or of no encoding
        yield BROKEN_XML, path
        return
    size = None
    if root.find('size') is None:
        yield NO_SIZE, path
    else:
        size = image_size(root)
        if size is None:
            yield UNREADABLE_SIZE, path
        elif min(size) <= 0:
            yield SIZE_ZERO, path
    objects = root.findall('object')
    if not objects:
        yield NO_OBJECTS, path
    for index, node in enumerate(objects):
        name, corners = node.findtext('name'), box_corners(node)
        if name is None or corners is None:
            yield UNREADABLE_OBJECT, f'object {index} of {path}'
            continue
        place = f'{name} in {path}'
        difficult = whole_number(node.findtext('difficult', '0'))
        names.add(name, bool(difficult) or kinds.is_small(corners))
        if difficult is None:
            yield BAD_DIFFICULT, f'object {index} of {path}'
        elif difficult:
            yield DIFFICULT, place
        yield from _of_box(corners, size, kinds, place)


def _of_box(
    corners: Sequence[int], size: tuple[int, int] | None, kinds: BoxKinds, place: str
) -> Iterator[Problem]:
    x1, y1, x2, y2 = corners
    if x2 <= x1 or y2 <= y1:
        yield kinds.no_area, place
    elif size is None or min(size) <= 0:
        return
    elif is_outside(corners, *size):
        yield kinds.outside, place
    elif sticks_out(corners, *size):
        yield STICKS_OUT, place
