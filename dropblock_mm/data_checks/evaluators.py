"""The metrics of an evaluator, and what they cannot be together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dropblock_mm.runs.type_names import type_name

_SEVERAL = 'MultiDatasetsEvaluator'


def has_one_each(evaluator: Any) -> bool:
    """Tell whether each metric is of one part of a ConcatDataset, in their order."""
    return isinstance(evaluator, Mapping) and type_name(evaluator) == _SEVERAL


def metrics_of(evaluator: Any, loop: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Find the metrics of a loop, each with the key under which it stands."""
    key, metrics = f'{loop}_evaluator', evaluator
    if isinstance(evaluator, Mapping) and 'metrics' in evaluator:
        key, metrics = f'{key}.metrics', evaluator['metrics']
    named = [(key, metrics)]
    if isinstance(metrics, (list, tuple)):
        named = [(f'{key}.{i}', metric) for i, metric in enumerate(metrics)]
    yield from ((name, one) for name, one in named if isinstance(one, Mapping))


def evaluator_flaws(
    evaluator: Any, loop: str, loader: Mapping[str, Any]
) -> Iterator[str]:
    """Find what ends evaluation when all results are in, after an epoch.

    Args:
        evaluator: Its config.
        loop: Of which it is.
        loader: The config of the loop's data loader.
    """
    metrics = dict(metrics_of(evaluator, loop))
    if has_one_each(evaluator):
        yield from _of_several(evaluator, loop, loader, len(metrics))
    else:
        yield from _same_names(metrics)


def _of_several(
    evaluator: Mapping[str, Any], loop: str, loader: Mapping[str, Any], metrics: int
) -> Iterator[str]:
    """The evaluator asserts the numbers, or leaves the last metrics out."""
    key = f'{loop}_evaluator'
    dataset = loader.get('dataset')
    parts = dataset.get('datasets') if isinstance(dataset, Mapping) else None
    if not isinstance(parts, (list, tuple)):
        yield (
            f'{key}.type={_SEVERAL!r}: {loop}_dataloader.dataset is no ConcatDataset, '
            'whose parts it evaluates. Set type to Evaluator, or make it one.'
        )
        return
    prefixes = evaluator.get('dataset_prefixes')
    count = len(prefixes) if isinstance(prefixes, Sequence) else 0
    if not len(parts) == count == metrics:
        yield (
            f'{key}: {len(parts)} data sets in {loop}_dataloader.dataset.datasets, '
            f'{count} names in {key}.dataset_prefixes, {metrics} metrics in '
            f'{key}.metrics. Give each data set one of both, in the same order.'
        )
    elif len(set(prefixes or ())) < count:
        yield (
            f'{key}.dataset_prefixes={list(prefixes or ())}: one occurs twice, and so '
            'would the names of its results. Give each data set its own.'
        )


def _same_names(metrics: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Results of two metrics of one type have the same names, but for a prefix."""
    seen: dict[tuple[str, ...], str] = {}
    for key, metric in metrics.items():
        kind = type_name(metric)
        if kind not in _NAMED_BY or metric.get('format_only'):
            continue
        argument = _NAMED_BY[kind]
        named = (kind, repr(metric.get('prefix')), repr(metric.get(argument)))
        if named in seen:
            yield (
                f'{key}: its results have the names of those of {seen[named]}, and '
                "evaluation ends there. Give each its own prefix, prefix='other'."
            )
        seen.setdefault(named, key)


# Metrics whose results always have names in common, and the argument that changes them.
_NAMED_BY = {'CocoMetric': 'metric', 'VOCMetric': '', 'IoUMetric': ''}


def ignored_by_metric(evaluator: Any, loop: str, otherwise: int | None) -> int | None:
    """The label that mmseg's ``IoUMetric`` ignores, where it evaluates."""
    for _, metric in metrics_of(evaluator, loop):
        if type_name(metric) == 'IoUMetric':
            label = metric.get('ignore_index', 255)
            return label if isinstance(label, int) else None
    return otherwise
