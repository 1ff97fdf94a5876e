"""What a segmentation in a COCO file is to those who read it.

mmdet's ``LoadAnnotations(with_mask=True)`` trains on it, and pycocotools evaluates
masks on it (``annToRLE``). They differ: the one leaves polygons out that the other
fails on. Both take run lengths that do not fill the image for what happens to lie in
memory, and end the process at coordinates that are no numbers or far away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dropblock_mm.data_checks.problems import Kind, Problem, error, warning

NO_MASK = error(
    'objects without a mask',
    "The pipeline loads masks, and ends with KeyError: 'mask'. Add their segmentation, "
    'or load without with_mask=True and train a detector of boxes.',
)
POINTS = error(
    'objects whose polygons are lists of points',
    'They would be ignored, and no mask learned. Write each polygon as one list, '
    '[x1, y1, x2, y2, ...].',
)
NOT_A_MASK = error(
    'objects whose segmentation is neither polygons nor run lengths',
    'Loading ends there, or ignores them. Write a list of polygons, [[x1, y1, x2, y2, '
    '...]] with finite numbers near the image, or dict(size=[height, width], '
    'counts=...).',
)
WRONG_RUN_LENGTHS = error(
    'objects whose run lengths do not fill their size',
    'What lies in memory by chance would become their mask. Write '
    'dict(size=[height, width], counts=...) anew, with counts that add up to height '
    'times width.',
)
OTHER_SIZE = error(
    'objects whose run lengths are of another size than their image',
    'Loading ends there. Write size=[height, width] of the image, in this order.',
)
SHORT_POLYGON = warning(
    'objects without a polygon of three points',
    'They are no targets of training, as crowd.',
)
LOST_PARTS = warning(
    'objects with polygons that are left out',
    'They have fewer than three points, or an odd number of coordinates.',
)
RUN_LENGTHS_IGNORED = warning(
    'objects with run lengths, of which the pipeline takes polygons only',
    'With poly2mask=False they are no targets of training. Load with poly2mask=True.',
)
UNEVALUATED = error(
    'objects whose mask pycocotools cannot read',
    "Evaluation with metric='segm' ends there. Give each a polygon of three points or "
    "more as the first, or run lengths, or evaluate with metric='bbox' alone.",
)
# Objects of these kinds are no targets.
IGNORED_MASKS = (SHORT_POLYGON, RUN_LENGTHS_IGNORED)

_LEAST = 6  # numbers of a polygon
_FAR = 1e6  # pycocotools walks along every edge, pixel by pixel


class Mask(NamedTuple):
    """A segmentation, judged and then forgotten: most of a file is segmentations.

    Args:
        flaw: What training makes of it.
        is_read: Whether pycocotools can evaluate on it.
        size: (height, width) of run lengths; None of polygons.
    """

    flaw: Kind | None
    is_read: bool
    size: tuple[int, int] | None = None

    @property
    def is_sound(self) -> bool:
        """Whether there is nothing more to look at: polygons that all can read."""
        return self.flaw is None and self.is_read and self.size is None


_SOUND = Mask(None, True)
_NONE = Mask(NO_MASK, False)
_NO_MASK_AT_ALL = Mask(NOT_A_MASK, False)


def mask_of(segmentation: Any) -> Mask:
    """Judge what stands under 'segmentation'; what is judged already stays."""
    if isinstance(segmentation, Mask):
        return segmentation
    if not segmentation:
        return _NONE
    if isinstance(segmentation, list):
        return _of_polygons(segmentation)
    if isinstance(segmentation, Mapping):
        return _of_run_lengths(segmentation)
    return _NO_MASK_AT_ALL


def judge_masks(entry: dict[str, Any]) -> dict[str, Any]:
    """Put the judgement in the place of the segmentation (``json``'s object_hook)."""
    if 'segmentation' in entry:
        entry['segmentation'] = mask_of(entry['segmentation'])
    return entry


def _of_polygons(parts: Sequence[Any]) -> Mask:
    usable = 0
    for part in parts:
        if not isinstance(part, list):
            return Mask(POINTS if _are_points(parts) else NOT_A_MASK, False)
        if not _are_numbers(part):
            return Mask(POINTS if _are_points(part) else NOT_A_MASK, False)
        usable += len(part) % 2 == 0 and len(part) >= _LEAST
    if usable == len(parts):
        return _SOUND
    if not usable and _are_points(parts):
        return Mask(POINTS, False)
    # pycocotools tells boxes from polygons by the first one's length.
    return Mask(LOST_PARTS if usable else SHORT_POLYGON, len(parts[0]) > 4)


def _are_numbers(values: Sequence[Any]) -> bool:
    """Whether all are numbers, finite and not far from any image; fast, in C."""
    try:
        total = sum(values)
        return not values or (
            total == total and min(values) >= -_FAR and max(values) <= _FAR
        )
    except (TypeError, OverflowError):  # no numbers, or more digits than a float has
        return False


def _are_points(parts: Sequence[Any]) -> bool:
    """Whether these are pairs of numbers, or lists of them."""
    listed = [part for part in parts if isinstance(part, list) and part]
    if len(listed) != len(parts):
        return False
    pairs = all(len(part) == 2 and _are_numbers(part) for part in listed)
    return pairs or all(isinstance(part[0], list) for part in listed)


def _of_run_lengths(mask: Mapping[str, Any]) -> Mask:
    size, counts = mask.get('size'), mask.get('counts')
    if not isinstance(size, list) or len(size) != 2 or not all(map(_is_side, size)):
        return _NO_MASK_AT_ALL
    if not isinstance(counts, (list, str)):
        return _NO_MASK_AT_ALL
    lengths = _uncompressed(counts) if isinstance(counts, str) else _whole(counts)
    height, width = size
    if lengths is None or lengths != height * width:
        return Mask(WRONG_RUN_LENGTHS, False)
    return Mask(None, True, (height, width))


def _is_side(value: Any) -> bool:
    return type(value) is int and 0 < value < _FAR


def _whole(counts: Sequence[Any]) -> int | None:
    """The sum of run lengths; None if one is not a whole number from 0."""
    if not all(type(count) is int and count >= 0 for count in counts):
        return None
    return sum(counts)


def _uncompressed(counts: str) -> int | None:
    """The sum of compressed run lengths; None if the text is none of them.

    Each number is written in digits of 5 bits, the lowest first, one character per
    digit; bit 6 says that more follow, the highest digit's bit 5 is the sign. From the
    fourth on each stands for the difference from the second before it
    (``rleFrString`` in pycocotools' ``maskApi.c``).
    """
    try:
        digits = np.frombuffer(counts.encode('ascii'), np.uint8).astype(np.int64) - 48
    except UnicodeEncodeError:
        return None
    if not len(digits) or digits.min() < 0 or digits.max() > 63 or digits[-1] & 32:
        return None
    last = np.flatnonzero(digits & 32 == 0)
    first = np.concatenate(([0], last[:-1] + 1))
    place = np.arange(len(digits)) - np.repeat(first, last - first + 1)
    if place.max() > 7:
        return None
    numbers = np.add.reduceat((digits & 31) << 5 * place, first)
    numbers -= (digits[last] >> 4 & 1) << 5 * (last - first + 1)
    runs = [numbers[:1], np.cumsum(numbers[1::2]), np.cumsum(numbers[2::2])]
    lengths = np.concatenate(runs)
    return None if lengths.min() < 0 else int(lengths.sum())


def mask_problems(
    annotation: Mapping[str, Any],
    image: Mapping[str, Any],
    name: str,
    poly2mask: bool = True,
) -> Iterator[Problem]:
    """Look whether training gets a mask of an object.

    Args:
        annotation: An entry of the file.
        image: The entry of its image, with 'height' and 'width'.
        name (str): Of the object.
        poly2mask (bool): Of ``LoadAnnotations``.
    """
    mask = mask_of(annotation.get('segmentation'))
    if mask.flaw:
        yield mask.flaw, name
    elif mask.size and not poly2mask:
        yield RUN_LENGTHS_IGNORED, name
    elif mask.size and mask.size != (image['height'], image['width']):
        yield (
            OTHER_SIZE,
            f'{name}: {list(mask.size)}, not [{image["height"]}, {image["width"]}]',
        )


def evaluated_mask_problems(
    annotation: Mapping[str, Any], image: Mapping[str, Any], name: str
) -> Iterator[Problem]:
    """Look whether pycocotools can evaluate on the mask of an object."""
    mask = mask_of(annotation.get('segmentation'))
    if not mask.is_read:
        yield UNEVALUATED, name
    elif mask.size and mask.size != (image['height'], image['width']):
        yield (
            OTHER_SIZE,
            f'{name}: {list(mask.size)}, not [{image["height"]}, {image["width"]}]',
        )
