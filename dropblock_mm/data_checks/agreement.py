"""What must agree between data sets, metrics and the model of a config."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dropblock_mm.data_checks.class_weights import weight_problems
from dropblock_mm.data_checks.classifiers import classifier_problems
from dropblock_mm.data_checks.entries import DataSetEntry, Inventory
from dropblock_mm.data_checks.layouts import Look, layout_of
from dropblock_mm.data_checks.metric_files import metric_problems
from dropblock_mm.data_checks.metric_settings import setting_problems
from dropblock_mm.runs.config_dicts import dicts_in
from dropblock_mm.runs.type_names import type_name

# Of STDC: it predicts two classes of its own, borders and all else.
_BORDERS = 'STDCHead'


def disagreements(found: Inventory, looks: Sequence[Look], limit: int) -> Iterator[str]:
    """Compare the parts of a config with each other.

    Args:
        found: What the config says.
        looks: What was found in each of its data sets.
        limit (int): The size in bytes above which JSON files are not parsed.

    Yields:
        str: Each problem under the key to blame.
    """
    seen = list(zip(found.data_sets, looks, strict=True))
    yield from found.flaws
    for metric in found.metrics:
        yield from setting_problems(metric)
        yield from metric_problems(metric, seen, limit)
        if metric.segm and _has_boxes_alone(found.model):
            yield (
                f'{metric.key}.metric={metric.config["metric"]!r}: the model predicts '
                "no masks, and evaluation ends there. Take 'segm' out."
            )
    yield from _head_flaws(found.model)
    if any(entry.loop == 'train' for entry in found.data_sets):
        yield from weight_problems(found.model)
    heads = dict(_heads(found.model))
    for entry, look in seen:
        yield from class_count_problems(heads, entry, entry.classes or look.labels)
    yield from label_problems(seen)
    yield from reduction_problems(found)
    yield from nothing_to_learn(seen)
    yield from classifier_problems(found, seen)


def nothing_to_learn(seen: Sequence[tuple[DataSetEntry, Look]]) -> Iterator[str]:
    """Refuse training on images alone; beside others they are background."""
    trained = [(e, look.has_objects) for e, look in seen if e.loop == 'train']
    if trained and all(has is False for _, has in trained):
        keys = ', '.join(entry.key for entry, _ in trained)
        yield f'{keys}: no object is annotated. Give annotation files with objects.'


def class_count_problems(
    heads: Mapping[str, int], entry: DataSetEntry, names: Sequence[str] | None
) -> Iterator[str]:
    """Compare the number of classes with the model's.

    mmdet and mmseg do not: the loss fails on the first label that has no output, on a
    GPU with nothing but 'device-side assert triggered'.

    Args:
        heads: The number of outputs of each head, under its key.
        entry: A data set; the heads are those that its layout says.
        names: Of its classes.
    """
    layout = layout_of(entry)
    if not names or not layout.labels_go_to_heads(entry):
        return
    for key, outputs in heads.items():
        if layout.heads.search(key) and outputs < len(names):
            yield (
                f'{key}.num_classes={outputs}: {entry.key} has {len(names)} '
                f'classes ({", ".join(names[:3])}, ...). Set it to {len(names)}, '
                f'or correct {entry.key}.metainfo.classes.'
            )


def label_problems(seen: Sequence[tuple[DataSetEntry, Look]]) -> Iterator[str]:
    """Compare the classes behind the labels of all data sets with the first's.

    Where a label stands for one class in training and another in evaluation, no check
    of a single file finds it, and a perfect model gets an AP of 0. Where training has
    more classes than evaluation, pycocotools has no category for some predictions.
    """
    known = [(entry, look.labels) for entry, look in seen if look.labels]
    for entry, labels in known[1:]:
        first, expected = known[0]
        ours, theirs = _plain(labels), _plain(expected)
        if not set(ours) & set(theirs):  # names of another kind
            continue
        said = f'{_named(labels)}, and those of {first.key} are {_named(expected)}'
        pairs = zip(labels, expected, ours, theirs, strict=False)
        other = next((f'{a}, not {b}' for a, b, x, y in pairs if x != y), '')
        if other:
            yield (
                f'{entry.key}: its labels are the classes {said}. The first that '
                f'differs is {other}. Give both the same metainfo.classes, and the '
                'categories of their files, or their class folders, in the same order.'
            )
        elif 'train' == first.loop != entry.loop and (
            len(ours) < len(theirs)
            or (entry.classes and len(entry.classes) != len(first.classes or ()))
        ):
            yield (
                f'{entry.key}: it has {len(ours)} classes, and training has '
                f'{len(theirs)}: its labels are {said}. Give both the same '
                'metainfo.classes and categories; they need no objects.'
            )


def reduction_problems(found: Inventory) -> Iterator[str]:
    """Compare ``reduce_zero_label`` of data sets that lie in one folder.

    One tool wrote their label maps, and where the one takes 0 for no class and the
    other for the first, each label stands for two classes.
    """
    first: dict[str, DataSetEntry] = {}
    for entry in found.data_sets:
        if entry.root is None or 'reduce_zero_label' not in entry.options:
            continue
        other = first.setdefault(entry.root.path, entry)
        mine, its = (bool(e.options['reduce_zero_label']) for e in (entry, other))
        if mine != its:
            yield (
                f'{entry.key}.reduce_zero_label={mine}: it is {its} in {other.key}, '
                'whose label maps lie in the same data_root, so that a label would '
                'stand for two classes. Set the same in both.'
            )


def _plain(labels: Sequence[str]) -> list[str]:
    """Names as they are compared: some tools write them in capitals."""
    return [str(label).strip().casefold() for label in labels]


def _named(labels: Sequence[str]) -> str:
    more = ', ...' if len(labels) > 10 else ''
    return f'({", ".join(map(str, labels[:10]))}{more})'


def _has_boxes_alone(model: Mapping[str, Any]) -> bool:
    """Whether the heads are of boxes, and no part's name or type tells of more."""
    if not {'bbox_head', 'roi_head'} & model.keys():
        return False
    words = (word for _, part in dicts_in(model) for word in (type_name(part), *part))
    return not any(re.search(r'mask|Ins|Seg|anoptic', str(word)) for word in words)


def _head_flaws(model: Mapping[str, Any]) -> Iterator[str]:
    """Numbers of classes that are none: mmdet compares them with 0, and ends there."""
    for prefix, part in dicts_in(model, 'model.'):
        count = part.get('num_classes')
        if isinstance(count, str):
            yield f'{prefix}num_classes={count!r}: text. Give a number, unquoted.'


def _heads(model: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The keys of all in a model's config that has a number of classes."""
    for prefix, part in dicts_in(model, 'model.'):
        count = part.get('num_classes')
        if isinstance(count, int) and type_name(part) != _BORDERS:
            yield prefix.removesuffix('.'), count
