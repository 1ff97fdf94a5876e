"""Entries of a COCO file: values of another type, sign or shape than libraries read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from dropblock_mm.data_checks.problems import Problem, error, warning

WRONG_VALUE = error(
    'values of a wrong type or sign',
    'Numbers must not be text, nor names numbers; sizes are above 0, iscrowd and '
    'ignore are 0 or 1. Correct them.',
)
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
SHORT_POLYGON = warning(
    'objects without a polygon of three points',
    'They are no targets of training, as crowd.',
)
NO_ISCROWD = error(
    'annotations without iscrowd',
    'pycocotools evaluates with it, and the first evaluation ends with KeyError: '
    "'iscrowd'. Give each annotation iscrowd=0.",
)
_CORNERS = 3


def is_number(value: Any) -> bool:
    """Tell whether it is a finite number."""
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


def is_size(value: Any) -> bool:
    """Tell whether it can be a width or a height."""
    return is_number(value) and value > 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_id(value: Any) -> bool:
    return is_number(value) or isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, (int, float)) and value in (0, 1)


_RULES: dict[str, dict[str, Callable[[Any], bool]]] = {
    'images': {
        'id': _is_id,
        'file_name': _is_text,
        'width': is_size,
        'height': is_size,
    },
    'annotations': {
        'id': _is_id,
        'image_id': _is_id,
        'category_id': _is_id,
        'area': is_number,
        'iscrowd': _is_flag,
        'ignore': _is_flag,
    },
    'categories': {'id': _is_id, 'name': _is_text},
}


def has_keys(entry: Any, keys: Iterable[str]) -> bool:
    """Tell whether an entry is a mapping with these keys."""
    return isinstance(entry, Mapping) and all(key in entry for key in keys)


def shorten(entry: Any) -> str:
    """Name an entry that may have no id."""
    text = repr(entry)
    return text if len(text) <= 60 else f'{text[:57]}...'


def repeated(entries: Iterable[Mapping[str, Any]], key: str) -> list[Any]:
    """Return the values that occur more than once."""
    counts = Counter(entry[key] for entry in entries)
    return [value for value, count in counts.items() if count > 1]


def wrong_values(part: str, entry: Mapping[str, Any]) -> list[str]:
    """Name the values of an entry that cannot be meant.

    Args:
        part (str): 'images', 'annotations' or 'categories'.
        entry: With an 'id'.

    Returns:
        list[str]: Such as "id 3: width='40'".
    """
    named = f'{part} id {entry["id"]!r}'
    return [
        f'{named}: {key}={entry[key]!r}'
        for key, is_right in _RULES[part].items()
        if key in entry and not is_right(entry[key])
    ]


def crowd_problems(content: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what pycocotools does not evaluate, in the file of a metric."""
    for annotation in content.get('annotations') or []:
        if isinstance(annotation, Mapping) and 'iscrowd' not in annotation:
            yield NO_ISCROWD, f'id {annotation.get("id")}'


def mask_problems(annotation: Mapping[str, Any], name: str) -> Iterator[Problem]:
    """Look whether mmdet's ``LoadAnnotations(with_mask=True)`` gets a mask.

    It takes polygons that are flat lists of at least three points, ignores objects
    that have none of them, and fails where there is no segmentation at all. The dicts
    of run-length encoding are left alone.
    """
    mask = annotation.get('segmentation')
    if not mask:
        yield NO_MASK, name
    elif isinstance(mask, list) and not any(_is_polygon(part) for part in mask):
        of_points = all(_is_points(part) for part in mask)
        yield (POINTS if of_points else SHORT_POLYGON), name


def _is_polygon(part: Any) -> bool:
    flat = isinstance(part, Sequence) and all(is_number(value) for value in part)
    return flat and len(part) % 2 == 0 and len(part) >= 2 * _CORNERS


def _is_points(part: Any) -> bool:
    """Whether it is one point, or a list of them."""
    if not isinstance(part, Sequence) or isinstance(part, str) or not part:
        return False
    point = len(part) == 2 and all(is_number(value) for value in part)
    return point or all(isinstance(value, Sequence) for value in part)
