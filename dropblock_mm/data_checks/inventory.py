"""Reads a config once: its data sets, metrics and heads, with every path resolved.

What comes later looks at the files and asks the config nothing.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mmengine.registry import DATASETS

from dropblock_mm.data_checks.data_settings import wrapper_flaws
from dropblock_mm.data_checks.entries import DataSetEntry, Inventory, MetricEntry
from dropblock_mm.data_checks.evaluators import (
    evaluator_flaws,
    has_one_each,
    ignored_by_metric,
    metrics_of,
)
from dropblock_mm.data_checks.resolved_paths import (
    as_mmpretrain,
    folders_of,
    is_local,
    made_folders,
    resolve,
    with_named_folder,
)
from dropblock_mm.runs.nested_datasets import innermost_with_keys
from dropblock_mm.runs.type_names import bare_name, type_name


def inventory(config: Mapping[str, Any], loops: Iterable[str]) -> Inventory:
    """Resolve what a config says of data.

    Args:
        config: The whole config, as a dict.
        loops: Some of 'train', 'val' and 'test'.

    Returns:
        Inventory: Data sets in the order of the loops, however deep they are wrapped.
    """
    scope = str(config.get('default_scope') or 'mmengine')
    made = tuple(made_folders(config))
    model = config.get('model') or {}
    ignored = _ignored_label(model)
    data_sets: list[DataSetEntry] = []
    metrics: list[MetricEntry] = []
    flaws: list[str] = []
    for loop in loops:
        loader = config.get(f'{loop}_dataloader')
        loader = loader if isinstance(loader, Mapping) else {}
        flaws += wrapper_flaws(loader, f'{loop}_dataloader')
        found = [
            _data_set(loop, key, part, scope, made)
            for key, part in innermost_with_keys(loader, f'{loop}_dataloader')
        ]
        evaluator = config.get(f'{loop}_evaluator')
        no_class = ignored_by_metric(evaluator, loop, ignored)
        found = [replace(entry, ignored=no_class) for entry in found]
        data_sets += found
        metrics += _metrics(evaluator, loop, found, made)
        flaws += evaluator_flaws(evaluator, loop, loader)
    return Inventory(tuple(data_sets), tuple(metrics), model, tuple(flaws))


def _data_set(
    loop: str, key: str, config: Mapping[str, Any], scope: str, made: Sequence[str]
) -> DataSetEntry:
    """Describe an innermost data set."""
    bases = _bases(config.get('type', ''), scope)
    layout = _owner(bases, 'load_data_list')
    defaults = _defaults(bases)
    if layout == 'CustomDataset':
        config = as_mmpretrain(config)
    elif isinstance(defaults.get('data_prefix'), str):  # all of mmpretrain's
        config = with_named_folder(config)
    holders = (vars(base).get('METAINFO') for base in bases)
    own: Mapping[str, Any] = next((held for held in holders if held), {})
    steps, loads = _pipeline(config.get('pipeline') or ())
    remote = frozenset(
        what for what, step in _READERS.items() if not is_local(steps.get(step, {}))
    )
    folders = folders_of(config, key, layout, 'label maps' in loads, made)
    if layout != 'CustomDataset':  # which looks into its folders by itself
        folders = {n: f for n, f in folders.items() if _READ_BY.get(n) not in remote}
    return DataSetEntry(
        loop=loop,
        key=key,
        type=_said(config.get('type')),
        layout=layout,
        annotation_format=_owner(bases, 'parse_data_info'),
        config=config,
        options=defaults | dict(config),
        annotations=resolve(config, key, ('ann_file',), made),
        folders=folders,
        root=resolve(config, key, ('data_root',), made),
        classes=_classes(config, own),
        own_metainfo=own,
        loads=loads,
        remote=remote,
        steps=steps,
    )


# What reads the files, and which files lie in a folder of ``data_prefix``.
_READERS = {'images': 'LoadImageFromFile', 'label maps': 'LoadAnnotations'}
_READ_BY = {
    'img': 'images',
    'img_path': 'images',
    'seg': 'label maps',
    'seg_map_path': 'label maps',
}


def _said(kind: Any) -> str:
    return kind if isinstance(kind, str) else bare_name(kind)


def _bases(kind: Any, scope: str) -> tuple[type, ...]:
    """The classes of a ``type``, none if that is not registered."""
    if not isinstance(kind, str):
        return inspect.getmro(kind) if inspect.isclass(kind) else ()
    found = kind and DATASETS.get(kind if '.' in kind else f'{scope}.{kind}')
    return inspect.getmro(found) if inspect.isclass(found) else ()


def _owner(bases: Sequence[type], method: str) -> str:
    return next((base for base in bases if method in vars(base)), object).__name__


def _defaults(bases: Sequence[type]) -> dict[str, Any]:
    """The defaults of all arguments; those of a derived class count first."""
    found: dict[str, Any] = {}
    for base in reversed(bases):
        if '__init__' in vars(base) and base is not object:
            for name, parameter in inspect.signature(base).parameters.items():
                if parameter.default is not inspect.Parameter.empty:
                    found[name] = parameter.default
    return found


def _classes(
    config: Mapping[str, Any], own: Mapping[str, Any]
) -> tuple[str, ...] | None:
    """The class names, by config or else by the data set's class."""
    given = config.get('metainfo')
    named = given.get('classes') if isinstance(given, Mapping) else None
    named = config.get('classes') if named is None else named
    if isinstance(named, str) and os.path.isfile(named):
        with open(named, encoding='utf-8') as file:
            return tuple(line.strip() for line in file if line.strip())
    named = own.get('classes') if named is None else named
    return None if named is None else tuple(named)


def _pipeline(
    steps: Iterable[Any],
) -> tuple[dict[str, Mapping[str, Any]], frozenset[str]]:
    """The first step of each type, and what is loaded beside images."""
    first: dict[str, Mapping[str, Any]] = {}
    loads = set()
    for step in steps:
        step = step if isinstance(step, Mapping) else {'type': step}
        kind = type_name(step)
        first.setdefault(kind, step)
        panoptic = 'LoadPanopticAnnotations' in kind
        if step.get('with_seg', panoptic):
            loads.add('label maps')
        if step.get('with_mask', False):
            loads.add('masks')
    return first, frozenset(loads)


def _metrics(
    evaluator: Any, loop: str, data_sets: Sequence[DataSetEntry], made: Sequence[str]
) -> Iterator[MetricEntry]:
    """The metrics of a loop, each with the data sets that it is of.

    mmdet's MultiDatasetsEvaluator gives each metric one data set of a ConcatDataset,
    in their order; all others see all data.
    """
    one_each = has_one_each(evaluator)
    for index, (name, metric) in enumerate(metrics_of(evaluator, loop)):
        part = f'{loop}_dataloader.dataset.datasets.{index}'
        own = [d for d in data_sets if f'{d.key}.'.startswith(f'{part}.')]
        yield MetricEntry(
            key=name,
            type=type_name(metric),
            annotations=resolve(metric, name, ('ann_file',), made),
            data_sets=tuple(own if one_each else data_sets),
            config=metric,
        )


def _ignored_label(model: Any) -> int | None:
    """The label that mmseg's losses ignore: the head says, and not the data set."""
    head = model.get('decode_head') if isinstance(model, Mapping) else None
    head = head[0] if isinstance(head, (list, tuple)) and head else head
    if not isinstance(head, Mapping):
        return None
    label = head.get('ignore_index', 255)
    return label if isinstance(label, int) else None
