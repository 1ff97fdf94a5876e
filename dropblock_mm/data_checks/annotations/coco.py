"""What can be wrong in a COCO annotation file, as mmdet's ``CocoDataset`` takes it.

That class leaves out boxes without an area, boxes outside their image, and what names
an unknown image or category, and says nothing. It numbers the classes by the order
of the file's categories.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dropblock_mm.data_checks.annotations.coco_boxes import Use, annotation_problems
from dropblock_mm.data_checks.annotations.coco_kinds import (
    INCOMPLETE,
    KEYS,
    MISSING_IN_EVALUATION,
    NO_ANNOTATIONS,
    NO_CLASS_IN_COMMON,
    NO_INSTANCES,
    NO_SUCH_CATEGORY_IN_FILE,
    NOT_A_CLASS,
    OFF_BY_ONE,
    OTHER_ORDER,
    SAME_FILE,
    SAME_ID,
    SAME_NAME,
)
from dropblock_mm.data_checks.annotations.coco_values import (
    WRONG_VALUE,
    has_keys,
    repeated,
    shorten,
    wrong_values,
)
from dropblock_mm.data_checks.problems import Problem

Entry = Mapping[str, Any]
_NO_USE = Use()


def coco_problems(
    content: Mapping[str, Any], classes: Sequence[str] | None, use: Use = _NO_USE
) -> Iterator[Problem]:
    """Look through a COCO annotation file.

    Args:
        content: The file, with 'images' and 'categories'; 'annotations' may be
            missing, as in COCO's test sets.
        classes: Of the config or the data set's class, None if not known.
        use: What is done with it.

    Yields:
        Problem: Each under an id or a name in the file.
    """
    parts: dict[str, list[Entry]] = {}
    wrong_ids: dict[str, set[str]] = {}
    for part in KEYS:
        problems: list[Problem] = []
        parts[part] = sound_entries(content, part, use, problems, wrong_ids)
        yield from problems
        yield from ((SAME_ID[part], f'id {i}') for i in repeated(parts[part], 'id'))
    if wrong_ids['images'] or wrong_ids['categories']:
        parts['annotations'] = [
            annotation
            for annotation in parts['annotations']
            if shorten(annotation['image_id']) not in wrong_ids['images']
            and shorten(annotation['category_id']) not in wrong_ids['categories']
        ]
    yield from ((SAME_FILE, n) for n in repeated(parts['images'], 'file_name'))
    yield from ((SAME_NAME, n) for n in repeated(parts['categories'], 'name'))
    names = [category['name'] for category in parts['categories']]
    yield from _of_classes(names, classes, use.evaluates)
    if parts['annotations']:
        yield from _shifted(parts)
        yield from annotation_problems(parts, classes, use)
        yield from _of_the_unused(parts, classes)


def sound_entries(
    content: Mapping[str, Any],
    part: str,
    use: Use,
    problems: list[Problem],
    wrong_ids: dict[str, set[str]],
) -> list[Entry]:
    """Part a list of the file into what can be looked at further, and problems."""
    keys = frozenset(KEYS[part])
    sound, wrong = [], set()
    for entry in content.get(part) or []:
        if not has_keys(entry, keys):
            problems.append((INCOMPLETE[part], shorten(entry)))
            continue
        texts = wrong_values(part, entry, use.evaluates, use.segm)
        if texts:
            problems += [(WRONG_VALUE, text) for text in texts]
            wrong.add(shorten(entry['id']))
        else:
            sound.append(entry)
    wrong_ids[part] = wrong
    return sound


def coco_labels(
    content: Mapping[str, Any], classes: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the names of classes by their labels: in the order of the categories."""
    listed = content.get('categories')
    listed = listed if isinstance(listed, list) else []
    names = [entry['name'] for entry in listed if has_keys(entry, {'name'})]
    return tuple(name for name in names if classes is None or name in classes)


def _of_classes(
    names: list[str], classes: Sequence[str] | None, evaluates: bool
) -> Iterator[Problem]:
    if classes is None:
        return
    # The order in which CocoDataset numbers them.
    labelled = [name for name in names if name in classes]
    if names and not labelled:
        yield NO_CLASS_IN_COMMON, f'{", ".join(names[:3])} are not in {classes[:3]}'
        return
    yield from ((NOT_A_CLASS, name) for name in names if name not in classes)
    missing = [name for name in classes if name not in names]
    kind = MISSING_IN_EVALUATION if evaluates else NO_SUCH_CATEGORY_IN_FILE
    yield from ((kind, name) for name in missing)
    # A class that is missing in the middle moves those behind it.
    for name, category in zip(classes, labelled, strict=False):
        if name != category:
            yield OTHER_ORDER, f'{category} in the place of {name}'


def _shifted(parts: Mapping[str, list[Entry]]) -> Iterator[Problem]:
    """Tell ids from 0 in one list and from 1 in the other, where that shows."""
    known = {category['id'] for category in parts['categories']}
    used = {annotation['category_id'] for annotation in parts['annotations']}
    if used <= known or not all(type(i) is int for i in used):
        return
    if {i + 1 for i in used} <= known or {i - 1 for i in used} <= known:
        first, last = min(used), max(used)
        told = f'{first} to {last}' if first < last else str(first)
        yield OFF_BY_ONE, f'annotations have {told}, categories {_first(known)}'


def _first(ids: set[Any]) -> str:
    """The smallest ids; some may be text."""
    more = ', ...' if len(ids) > 3 else ''
    return ', '.join(sorted(map(str, ids), key=lambda i: (len(i), i))[:3]) + more


def _of_the_unused(
    parts: Mapping[str, list[Entry]], classes: Sequence[str] | None
) -> Iterator[Problem]:
    """Categories and images that no annotation is of."""
    used = {annotation['category_id'] for annotation in parts['annotations']}
    for category in parts['categories']:
        wanted = classes is None or category['name'] in classes
        if wanted and category['id'] not in used:
            yield NO_INSTANCES, category['name']
    annotated = {annotation['image_id'] for annotation in parts['annotations']}
    for image in parts['images']:
        if image['id'] not in annotated:
            yield NO_ANNOTATIONS, image['file_name']
