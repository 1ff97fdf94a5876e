"""Looks at what data sets that are built would have a model learn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_NAMED = 3
# The layouts know theirs: of the one mmdet leaves such boxes out, of the other the
# annotations were judged.
_JUDGED = ('CocoDataset', 'XMLDataset')


def flat_boxes(dataset: Any) -> Iterator[str]:
    """Find boxes to learn that have no area, in data sets of an unknown layout."""
    owners = (b for b in type(dataset).__mro__ if 'load_data_list' in vars(b))
    judged = next(owners, object).__name__ in _JUDGED
    if judged or not hasattr(dataset, 'get_data_info'):
        return
    found = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        instances = info.get('instances')
        for one in instances if isinstance(instances, list) else ():
            box = one.get('bbox')
            is_box = isinstance(box, (list, tuple)) and len(box) == 4
            if is_box and not one.get('ignore_flag') and _is_flat(*box):
                found.append(f'{list(box)} in {info.get("img_path")}')
    if found:
        named = ', '.join(found[:_NAMED])
        yield (
            f'train_dataloader: {len(found)} boxes of {type(dataset).__name__} have no '
            f'area ({named}), and the loss would become infinite. Remove them.'
        )


def _is_flat(left: float, top: float, right: float, bottom: float) -> bool:
    return right <= left or bottom <= top


def wrong_labels(dataset: Any) -> Iterator[str]:
    """Find labels of mmpretrain's ``MultiLabelDataset`` that are no class of it.

    Only the first step would meet them, with an error that names no image.
    """
    bases = [base.__name__ for base in type(dataset).__mro__]
    if 'MultiLabelDataset' not in bases:
        return
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    found = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        given = info.get('gt_label')
        labels = given if isinstance(given, (list, tuple)) else [given]
        if not all(_is_label(label, classes) for label in labels):
            found.append(f'{given!r} of {info.get("img_path")}')
    if found:
        known = f'from 0 to {len(classes) - 1}' if classes else 'from 0'
        yield (
            f'train_dataloader: {len(found)} labels of MultiLabelDataset are none '
            f"({', '.join(found[:_NAMED])}). gt_label is a list of the classes' "
            f'numbers, {known}. Correct them in {getattr(dataset, "ann_file", "")!r}.'
        )


def _is_label(label: Any, classes: Any) -> bool:
    return type(label) is int and label >= 0 and (not classes or label < len(classes))
