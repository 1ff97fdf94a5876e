"""What can be wrong in a COCO annotation file, as mmdet's ``CocoDataset`` takes it.

That class leaves out boxes without an area, boxes outside their image, and what names
an unknown image or category, and says nothing. It numbers the classes by the order
of the file's categories.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dropblock_mm.data_checks.annotations.boxes import is_box, is_outside, sticks_out
from dropblock_mm.data_checks.annotations.coco_values import (
    WRONG_VALUE,
    has_keys,
    mask_problems,
    repeated,
    shorten,
    wrong_values,
)
from dropblock_mm.data_checks.problems import Problem, error, warning

_KEYS = {
    'images': ('id', 'file_name', 'width', 'height'),
    'annotations': ('id', 'image_id', 'category_id', 'bbox', 'area'),
    'categories': ('id', 'name'),
}
_UNREADABLE = 'The data set cannot be read so. Complete the file.'
INCOMPLETE = {
    part: error(f'{part} that lack one of {", ".join(keys)}', _UNREADABLE)
    for part, keys in _KEYS.items()
}
NOT_A_BOX = error(
    'annotations whose bbox is not four finite numbers',
    'The data set cannot be read, or the loss becomes nan. Correct or remove them.',
)
SAME_ID = {
    part: error(
        f'ids that several {part} have',
        'One takes the place of the others. Give each its own id.',
    )
    for part in _KEYS
}
SAME_NAME = error(
    'names that several categories have',
    'There would be more labels than classes. Merge or rename them.',
)
SAME_FILE = warning(
    'file names that several images have',
    'Each is seen with a part of its boxes only. Merge them.',
)
NO_CLASS_IN_COMMON = error(
    'data set whose categories all are no classes of the config',
    'All boxes would be left out. Set metainfo=dict(classes=(...)) in every data set '
    "of the config, and the model's num_classes.",
)
OTHER_ORDER = error(
    'classes that stand in another place than their category',
    'Labels are numbered by the order of categories in the file. Put the categories of '
    'all files in the order of metainfo.classes; their ids may stay.',
)
MISSING_IN_EVALUATION = error(
    'classes of the config that no category of the file has',
    'Evaluation ends with an IndexError at the first box of such a class. Add the '
    'categories to the file; they need no annotations.',
)
NO_SUCH_CATEGORY_IN_FILE = warning(
    'classes of the config that no category of the file has',
    'Nothing is learned of them here. Correct metainfo.classes if that is not meant.',
)
NOT_A_CLASS = warning(
    'categories of the file that are no class of the config',
    'Their boxes are left out. Add them to metainfo.classes if that is not meant.',
)
UNKNOWN_IMAGE = warning(
    'annotations of an image that the file does not list', 'They are left out.'
)
UNKNOWN_CATEGORY = warning(
    'annotations of a category that the file does not list', 'They are left out.'
)
NO_AREA = warning(
    'boxes without an area, or thinner than a pixel', 'They are left out.'
)
OUTSIDE = warning('boxes outside their image', 'They are left out.')
STICKS_OUT = warning(
    'boxes that stick out of their image by more than a pixel',
    'Resize cuts them off at its border. Many of them suggest sizes that are wrong.',
)
IGNORED = warning('annotations marked to be ignored', 'They are left out.')
CROWD = warning(
    'crowd boxes',
    'They are no targets of training, and no misses in evaluation.',
)
ID_ZERO = warning(
    'annotations with the id 0',
    'pycocotools takes it for no match and counts a box that was found as a wrong '
    'one. Number them from 1.',
)
NO_INSTANCES = warning(
    'categories without instances', 'Nothing is learned of them here; their AP is nan.'
)
NO_ANNOTATIONS = warning(
    'images without annotations',
    'filter_cfg=dict(filter_empty_gt=True) leaves them out, otherwise they are '
    'background.',
)

Entry = Mapping[str, Any]


def coco_problems(
    content: Mapping[str, Any],
    classes: Sequence[str] | None,
    masks: bool = False,
    evaluates: bool = False,
) -> Iterator[Problem]:
    """Look through a COCO annotation file.

    Args:
        content: The file, with 'images' and 'categories'; 'annotations' may be
            missing, as in COCO's test sets.
        classes: Of the config or the data set's class, None if not known.
        masks (bool): Whether the pipeline loads masks.
        evaluates (bool): Whether the data set is evaluated on.

    Yields:
        Problem: Each under an id or a name in the file.
    """
    parts: dict[str, list[Entry]] = {}
    wrong_ids: dict[str, set[Any]] = {}
    for part, keys in _KEYS.items():
        listed = content.get(part) or []
        whole = [entry for entry in listed if has_keys(entry, keys)]
        yield from (
            (INCOMPLETE[part], shorten(entry))
            for entry in listed
            if not has_keys(entry, keys)
        )
        flaws = [(entry, wrong_values(part, entry)) for entry in whole]
        yield from ((WRONG_VALUE, text) for _, texts in flaws for text in texts)
        wrong_ids[part] = {shorten(entry['id']) for entry, texts in flaws if texts}
        parts[part] = [entry for entry, texts in flaws if not texts]
        yield from ((SAME_ID[part], f'id {i}') for i in repeated(parts[part], 'id'))
    parts['annotations'] = [
        annotation
        for annotation in parts['annotations']
        if shorten(annotation['image_id']) not in wrong_ids['images']
        and shorten(annotation['category_id']) not in wrong_ids['categories']
    ]
    yield from ((SAME_FILE, n) for n in repeated(parts['images'], 'file_name'))
    yield from ((SAME_NAME, n) for n in repeated(parts['categories'], 'name'))
    names = [category['name'] for category in parts['categories']]
    yield from _of_classes(names, classes, evaluates)
    if content.get('annotations'):
        yield from _of_annotations(parts, classes if masks else ())
        yield from _of_the_unused(parts, classes)


def coco_labels(
    content: Mapping[str, Any], classes: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the names of classes by their labels: in the order of the categories."""
    listed = content.get('categories') or []
    names = [entry['name'] for entry in listed if has_keys(entry, ('name',))]
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


def _of_annotations(
    parts: Mapping[str, list[Entry]], masked: Sequence[str] | None
) -> Iterator[Problem]:
    """Look at each; of the classes ``masked`` (None: of all) also at its mask."""
    images = {image['id']: image for image in parts['images']}
    categories = {category['id']: category for category in parts['categories']}
    for annotation in parts['annotations']:
        name = f'id {annotation["id"]}'
        if annotation['id'] == 0:
            yield ID_ZERO, f'image {annotation["image_id"]}'
        if annotation['category_id'] not in categories:
            yield UNKNOWN_CATEGORY, f'{name}: category {annotation["category_id"]}'
        if annotation['image_id'] not in images:
            yield UNKNOWN_IMAGE, f'{name}: image {annotation["image_id"]}'
        elif not is_box(annotation['bbox']):
            yield NOT_A_BOX, name
        elif annotation.get('ignore'):
            yield IGNORED, name
        else:
            image = images[annotation['image_id']]
            name = f'{name} in {image["file_name"]}'
            found = list(_of_box(annotation, image, name))
            yield from found
            category = categories.get(annotation['category_id'], {}).get('name')
            is_kept = category and not any(kind in _LEFT_OUT for kind, _ in found)
            if is_kept and (masked is None or category in masked):
                yield from mask_problems(annotation, name)


_LEFT_OUT = (NO_AREA, OUTSIDE)


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
