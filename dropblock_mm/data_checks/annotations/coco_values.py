"""Entries of a COCO file: values of another type, sign or shape than libraries read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Any

from dropblock_mm.data_checks.problems import Problem, error

WRONG_VALUE = error(
    'values of a wrong type or sign',
    'Numbers must not be text, nor names numbers; sizes are whole and above 0, '
    'iscrowd and ignore are 0 or 1. Correct them.',
)
NO_ISCROWD = error(
    'annotations without iscrowd',
    'pycocotools evaluates with it, and the first evaluation ends with KeyError: '
    "'iscrowd'. Give each annotation iscrowd=0.",
)


_HUGE = 1e18


def is_number(value: Any) -> bool:
    """Tell whether it is a finite number, of a size that arrays can hold."""
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and -_HUGE < value < _HUGE
    )


def is_size(value: Any) -> bool:
    """Tell whether it can be a width or a height."""
    return is_number(value) and value > 0 and value == int(value)


def _is_whole_size(value: Any) -> bool:
    return type(value) is int and is_size(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_id(value: Any) -> bool:
    return is_number(value) or isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, (int, float)) and value in (0, 1)


Rules = dict[str, dict[str, Callable[[Any], bool]]]
_RULES: Rules = {
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
# pycocotools notes the ids of what was found in an array of numbers.
_EVALUATED: Rules = {**_RULES, 'annotations': _RULES['annotations'] | {'id': is_number}}
# It draws masks in arrays of the sizes in the file.
_SIZES = {'width': _is_whole_size, 'height': _is_whole_size}
_SEGM: Rules = {**_EVALUATED, 'images': _RULES['images'] | _SIZES}
_NUMBERS = (int, float)


def has_keys(entry: Any, keys: Set[str]) -> bool:
    """Tell whether an entry is a mapping with these keys."""
    return isinstance(entry, Mapping) and keys <= entry.keys()


def shorten(entry: Any) -> str:
    """Name an entry that may have no id."""
    text = repr(entry)
    return text if len(text) <= 60 else f'{text[:57]}...'


def repeated(entries: Iterable[Mapping[str, Any]], key: str) -> list[Any]:
    """Return the values that occur more than once."""
    counts = Counter(entry[key] for entry in entries)
    return [value for value, count in counts.items() if count > 1]


def wrong_values(
    part: str, entry: Mapping[str, Any], evaluates: bool = False, segm: bool = False
) -> list[str]:
    """Name the values of an entry that cannot be meant.

    Args:
        part (str): 'images', 'annotations' or 'categories'.
        entry: With an 'id'.
        evaluates (bool): Whether pycocotools evaluates on it.
        segm (bool): Whether it evaluates masks.

    Returns:
        list[str]: Such as "id 3: width='40'".
    """
    if part == 'annotations' and _is_plain(entry):
        return []
    rules = _SEGM if segm else _EVALUATED if evaluates else _RULES
    return [
        f'{part} id {shorten(entry["id"])}: {key}={shorten(entry[key])}'
        for key, is_right in rules[part].items()
        if key in entry and not is_right(entry[key])
    ]


def _is_plain(entry: Mapping[str, Any]) -> bool:
    """Whether it has what nearly all have, so that no rule need be asked: for speed."""
    area = entry['area']
    return (
        type(entry['id']) is int
        and type(entry['image_id']) is int
        and type(entry['category_id']) is int
        and type(area) in _NUMBERS
        and -_HUGE < area < _HUGE
        and entry.get('iscrowd', 0) in (0, 1)
        and type(entry.get('iscrowd', 0)) is int
        and 'ignore' not in entry
    )


def crowd_problems(content: Mapping[str, Any]) -> Iterator[Problem]:
    """Find what pycocotools does not evaluate, in the file of a metric."""
    for annotation in content.get('annotations') or []:
        if isinstance(annotation, Mapping) and 'iscrowd' not in annotation:
            yield NO_ISCROWD, f'id {annotation.get("id")}'
