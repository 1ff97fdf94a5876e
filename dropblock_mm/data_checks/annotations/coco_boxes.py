"""The annotations of a COCO file, one by one, and what is left of them to learn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dropblock_mm.data_checks.annotations.boxes import is_box, is_outside, sticks_out
from dropblock_mm.data_checks.annotations.coco_kinds import (
    CROWD,
    ID_ZERO,
    IGNORED,
    LITTLE_LEFT,
    NO_AREA,
    NOT_A_BOX,
    NOTHING_LEFT,
    NOTHING_TO_FIND,
    OUTSIDE,
    SMALL_IMAGES,
    STICKS_OUT,
    UNKNOWN_CATEGORY,
    UNKNOWN_IMAGE,
)
from dropblock_mm.data_checks.annotations.masks import (
    IGNORED_MASKS,
    evaluated_mask_problems,
    mask_of,
    mask_problems,
)
from dropblock_mm.data_checks.problems import Kind, Problem

Entry = Mapping[str, Any]

# In training, an object of these kinds is no target.
_LEFT_OUT = (UNKNOWN_CATEGORY, UNKNOWN_IMAGE, IGNORED, NO_AREA, OUTSIDE)
_NO_TARGETS = frozenset((*_LEFT_OUT, CROWD, NOT_A_BOX, *IGNORED_MASKS))
# pycocotools leaves out less.
_NOT_SOUGHT = frozenset((UNKNOWN_CATEGORY, UNKNOWN_IMAGE, CROWD))
_LITTLE = 0.1
_PLAIN = ({int}, {float}, {int, float})


@dataclass(frozen=True)
class Use:
    """What is done with a COCO file.

    Args:
        trains (bool): Whether it is trained on.
        evaluates (bool): Whether it is evaluated on.
        masks (bool): Whether the pipeline loads masks.
        poly2mask (bool): Whether it takes run lengths for masks too.
        segm (bool): Whether a metric evaluates masks.
        min_size (float): Of ``filter_cfg``: smaller images are left out.
    """

    trains: bool = False
    evaluates: bool = False
    masks: bool = False
    poly2mask: bool = True
    segm: bool = False
    min_size: float = 0


def annotation_problems(
    parts: Mapping[str, list[Entry]], classes: Sequence[str] | None, use: Use
) -> Iterator[Problem]:
    """Look at each, and at what is left of all.

    Args:
        parts: The lists of the file, entries with wrong values left out.
        classes: Whose masks are read; None for all.
        use: What is done with the file.
    """
    images = {image['id']: image for image in parts['images']}
    names = {category['id']: category['name'] for category in parts['categories']}
    lost: Counter[Kind] = Counter()
    sought = found = 0
    small: dict[str, None] = {}
    reasons = _NO_TARGETS if use.trains else _NOT_SOUGHT
    for annotation in parts['annotations']:
        category = names.get(annotation['category_id'])
        image = images.get(annotation['image_id'])
        problems = _of_one(annotation, image, category, use, classes)
        yield from problems
        if category is not None and classes is not None and category not in classes:
            continue
        sought += 1
        kinds = [kind for kind, _ in problems if kind in reasons]
        if kinds:
            lost[kinds[0]] += 1
        elif use.min_size and image and _side(image) < use.min_size:
            small[image['file_name']] = None
        else:
            found += 1
    yield from ((SMALL_IMAGES, name) for name in small)
    if use.trains or use.evaluates:
        yield from left_over(sought, found, lost, use.trains)


def left_over(
    sought: int, found: int, lost: Mapping[Kind, int], trains: bool
) -> Iterator[Problem]:
    """Tell whether anything is left of the objects of a data set."""
    told = ', '.join(f'{count} {kind.title}' for kind, count in lost.items())
    told = told or f'of {sought} none of a class of the config'
    if not found:
        yield (NOTHING_LEFT if trains else NOTHING_TO_FIND), told
    elif trains and sought >= 10 and found < _LITTLE * sought:
        yield LITTLE_LEFT, f'{found} of {sought}; {told}'


def _side(image: Entry) -> float:
    return min(image['width'], image['height'])


def _of_one(
    annotation: Entry,
    image: Entry | None,
    category: str | None,
    use: Use,
    classes: Sequence[str] | None,
) -> list[Problem]:
    """Look at an annotation; most have no problem, and that has to be seen fast."""
    masked = use.masks or use.segm
    is_sound = not masked or mask_of(annotation.get('segmentation')).is_sound
    if is_sound and category is not None and _is_plain(annotation, image):
        return []
    name = f'id {annotation["id"]}'
    problems: list[Problem] = []
    if annotation['id'] == 0:
        problems.append((ID_ZERO, f'image {annotation["image_id"]}'))
    if category is None:
        told = f'{name}: category {annotation["category_id"]}'
        problems.append((UNKNOWN_CATEGORY, told))
    if image is None:
        problems.append((UNKNOWN_IMAGE, f'{name}: image {annotation["image_id"]}'))
        return problems
    if not is_box(annotation['bbox']):
        return [*problems, (NOT_A_BOX, name)]
    if annotation.get('ignore'):
        problems.append((IGNORED, name))
        masked = use.segm  # training does not load it
    else:
        problems += _of_box(annotation, image, f'{name} in {image["file_name"]}')
    name = f'{name} in {image["file_name"]}'
    if not masked or category is None or (classes and category not in classes):
        return problems
    if use.masks and not any(kind in _LEFT_OUT for kind, _ in problems):
        problems += mask_problems(annotation, image, name, use.poly2mask)
    if use.segm and not any(kind.is_error for kind, _ in problems):
        problems += evaluated_mask_problems(annotation, image, name)
    return problems


def _is_plain(annotation: Entry, image: Entry | None) -> bool:
    """Whether it plainly has no problem, its mask aside."""
    box = annotation['bbox']
    if image is None or type(box) is not list or len(box) != 4:
        return False
    if {type(value) for value in box} not in _PLAIN:
        return False
    x, y, width, height = box
    return bool(
        width >= 1
        and height >= 1
        and x >= 0
        and y >= 0
        and x + width <= image['width']
        and y + height <= image['height']
        and annotation['area'] > 0
        and annotation['id'] != 0
        and not annotation.get('iscrowd')
        and not annotation.get('ignore')
    )


def _of_box(annotation: Entry, image: Entry, name: str) -> Iterator[Problem]:
    x, y, width, height = annotation['bbox']
    corners = (x, y, x + width, y + height)
    if annotation.get('iscrowd'):
        yield CROWD, name
    if width < 1 or height < 1 or annotation['area'] <= 0:
        yield NO_AREA, name
    elif is_outside(corners, image['width'], image['height']):
        yield OUTSIDE, name
    elif sticks_out(corners, image['width'], image['height']):
        yield STICKS_OUT, name
