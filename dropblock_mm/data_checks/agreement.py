"""What must agree between data sets, metrics and the model of a config."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dropblock_mm.data_checks.annotations.coco import coco_labels
from dropblock_mm.data_checks.annotations.coco_values import crowd_problems
from dropblock_mm.data_checks.classifiers import classifier_problems
from dropblock_mm.data_checks.entries import DataSetEntry, Inventory, MetricEntry
from dropblock_mm.data_checks.json_files import read_json
from dropblock_mm.data_checks.layouts import Look, layout_of
from dropblock_mm.data_checks.layouts.base import annotation_file_flaws
from dropblock_mm.data_checks.layouts.coco import coco_ids
from dropblock_mm.data_checks.problems import tally
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
    for metric in found.metrics:
        yield from metric_problems(metric, seen, limit)
    heads = dict(_heads(found.model, 'model'))
    for entry, look in seen:
        yield from class_count_problems(heads, entry, entry.classes or look.labels)
    yield from label_problems(seen)
    yield from classifier_problems(found, seen)


def metric_problems(
    metric: MetricEntry, seen: Sequence[tuple[DataSetEntry, Look]], limit: int
) -> Iterator[str]:
    """Look at the annotation file that a metric reads.

    Evaluation would end with 'Results do not correspond to current coco set', or
    without ``iscrowd`` with a KeyError, after the first epoch.
    """
    path = metric.annotations
    if path is None:
        return
    flaws = list(annotation_file_flaws(path, limit))
    yield from flaws
    if flaws or not path.path.endswith('.json') or os.path.getsize(path.path) > limit:
        return
    content = read_json(path.path)
    if not isinstance(content, dict):
        return
    if metric.type == 'CocoMetric':
        for finding in tally(crowd_problems(content)):
            yield path.problem(finding.text, finding.kind.remedy)
    ids = coco_ids(content)
    for entry, look in seen:
        own = entry.annotations
        if own is None or not any(entry is one for one in metric.data_sets):
            continue
        if not os.path.isfile(own.path) or os.path.samefile(own.path, path.path):
            continue
        others = look.image_ids - ids
        if others and ids:
            yield path.problem(
                f'{len(others)} images of {own.key}={own.value!r} are not in it',
                'Give both the same file.',
            )
        labels = coco_labels(content, entry.classes)
        if look.labels and labels and labels != look.labels:
            yield path.problem(
                f'its classes are in the order {_named(labels)}, and those of '
                f'{own.key}={own.value!r} are {_named(look.labels)}',
                'Give both the same file.',
            )


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
    of a single file finds it, and a perfect model gets an AP of 0.
    """
    known = [(entry, look.labels) for entry, look in seen if look.labels]
    for entry, labels in known[1:]:
        first, expected = known[0]
        if not set(labels) & set(expected):  # names of another kind
            continue
        if any(a != b for a, b in zip(labels, expected, strict=False)):
            yield (
                f'{entry.key}: its labels are the classes {_named(labels)}, and those '
                f'of {first.key} are {_named(expected)}. Give both the same '
                'metainfo.classes, and the categories of their files, or their class '
                'folders, in the same order.'
            )


def _named(labels: Sequence[str]) -> str:
    more = ', ...' if len(labels) > 10 else ''
    return f'({", ".join(labels[:10])}{more})'


def _heads(part: Any, key: str) -> Iterator[tuple[str, int]]:
    """The keys of all in a model's config that has a number of classes."""
    if isinstance(part, (list, tuple)):
        part = dict(enumerate(part))
    if isinstance(part, Mapping):
        count = part.get('num_classes')
        if isinstance(count, int) and type_name(part) != _BORDERS:
            yield key, count
        for name, child in part.items():
            yield from _heads(child, f'{key}.{name}')
