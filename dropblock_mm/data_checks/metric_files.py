"""The annotation file that a metric reads, beside those of the data sets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dropblock_mm.data_checks.annotations.coco import coco_labels, coco_problems
from dropblock_mm.data_checks.annotations.coco_boxes import Use
from dropblock_mm.data_checks.annotations.coco_values import crowd_problems
from dropblock_mm.data_checks.entries import DataPath, DataSetEntry, MetricEntry
from dropblock_mm.data_checks.json_files import read_json
from dropblock_mm.data_checks.layouts import Look
from dropblock_mm.data_checks.layouts.base import annotation_file_flaws
from dropblock_mm.data_checks.layouts.coco import coco_ids
from dropblock_mm.data_checks.problems import tally

Seen = Sequence[tuple[DataSetEntry, Look]]


def metric_problems(metric: MetricEntry, seen: Seen, limit: int) -> Iterator[str]:
    """Look at the annotation file of a metric as it reads it.

    Evaluation would end with 'Results do not correspond to current coco set', or
    without ``iscrowd`` with a KeyError, after the first epoch.

    Args:
        metric: The metric.
        seen: All data sets, and what was found in them.
        limit (int): The size in bytes above which JSON files are not parsed.
    """
    own = [pair for pair in seen if any(pair[0] is one for one in metric.data_sets)]
    yield from _shared_ids(metric, own)
    yield from _without_file(metric)
    path = metric.annotations
    if path is None:
        return
    masks = metric.segm or any('masks' in entry.loads for entry, _ in own)
    flaws = list(annotation_file_flaws(path, limit, masks))
    yield from flaws
    if flaws or not path.path.endswith('.json') or os.path.getsize(path.path) > limit:
        return
    content = read_json(path.path, masks)
    if not isinstance(content, dict):
        return
    if metric.is_coco and not metric.only_writes:
        yield from _of_content(metric, path, content, own)
    yield from _others(path, content, own)


def _of_content(
    metric: MetricEntry, path: DataPath, content: Mapping[str, Any], own: Seen
) -> Iterator[str]:
    """Find what pycocotools does not evaluate; what data sets have in it was said."""
    parts = ('images', 'annotations', 'categories')
    absent = [part for part in parts if not isinstance(content.get(part), list)]
    if absent:
        yield path.problem(
            f'it holds no {" and no ".join(absent)}, and there is nothing to evaluate '
            'on',
            'Give the file with the instances, or set format_only=True.',
        )
        return
    if not content['annotations']:
        yield path.problem(
            'no object is annotated, so every AP would be -1',
            'Give the file with the instances.',
        )
        return
    for finding in tally(crowd_problems(content)):
        yield path.problem(finding.text, finding.kind.remedy)
    said = {
        kind
        for entry, look in own
        if _is_same(entry.annotations, path)
        for kind, _ in look.problems
    }
    classes = next((entry.classes for entry, _ in own), None)
    use = Use(evaluates=True, segm=metric.segm)
    for finding in tally(coco_problems(content, classes, use)):
        if finding.kind.is_error and finding.kind not in said:
            yield path.problem(finding.text, finding.kind.remedy)


def _others(path: DataPath, content: Mapping[str, Any], own: Seen) -> Iterator[str]:
    """Compare the file with those of the data sets whose results the metric gets."""
    ids = coco_ids(content)
    for entry, look in own:
        if entry.annotations is None or _is_same(entry.annotations, path):
            continue
        if not os.path.isfile(entry.annotations.path):
            continue
        named = f'{entry.annotations.key}={entry.annotations.value!r}'
        others = look.image_ids - ids
        if others and ids:
            yield path.problem(
                f'{len(others)} images of {named} are not in it',
                'Give both the same file.',
            )
        labels = coco_labels(content, entry.classes)
        if look.labels and labels and labels != look.labels:
            yield path.problem(
                f'its classes are in the order {_named(labels)}, and those of {named} '
                f'are {_named(look.labels)}',
                'Give both the same file.',
            )


def _shared_ids(metric: MetricEntry, own: Seen) -> Iterator[str]:
    """Find images of two files under one id: a metric tells images by their ids."""
    met: dict[Any, str] = {}
    files: set[str] = set()
    for entry, look in own if metric.is_coco else ():
        file = os.path.realpath(entry.annotations.path) if entry.annotations else ''
        if file in files:
            continue
        files.add(file)
        twice = sum(i in met for i in look.image_ids)
        if twice:
            yield (
                f'{metric.key}: {twice} images of {entry.key} have the ids of other '
                f'images, of {next(iter(met.values()))}, so their results would be '
                'mixed up. Number images through all files, or evaluate each data set '
                "by its own metric, with type='MultiDatasetsEvaluator'."
            )
        met |= dict.fromkeys(look.image_ids, entry.key)


def _without_file(metric: MetricEntry) -> Iterator[str]:
    """Without a file of its own, the metric has to get the objects with each image."""
    if not metric.is_coco or metric.config.get('ann_file'):
        return
    for entry in metric.data_sets:
        pack = entry.steps.get('PackDetInputs')
        if pack is not None and 'instances' not in (pack.get('meta_keys') or ()):
            yield (
                f'{metric.key}.ann_file: {metric.type} has none, and evaluation ends '
                f'with the first image of {entry.key}. Give it the annotation file.'
            )
            return


def _is_same(one: DataPath | None, other: DataPath) -> bool:
    if one is None or not os.path.isfile(one.path):
        return False
    return os.path.samefile(one.path, other.path)


def _named(labels: Sequence[str]) -> str:
    more = ', ...' if len(labels) > 10 else ''
    return f'({", ".join(map(str, labels[:10]))}{more})'
