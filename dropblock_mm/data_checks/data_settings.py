"""What can be wrong with the settings of any data set, its files not looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.fileio.backends import backends

from dropblock_mm.data_checks.entries import DataSetEntry
from dropblock_mm.runs.nested_datasets import wrapped
from dropblock_mm.runs.type_names import type_name


def setting_flaws(entry: DataSetEntry) -> Iterator[str]:
    """Find settings that end training with an error about something else."""
    if not entry.config.get('type'):
        yield f"{entry.key}: it has no type. Name the data set's class."
        return
    for look in (path_flaws, class_flaws, filter_flaws, index_flaws, pipeline_flaws):
        yield from look(entry)


def path_flaws(entry: DataSetEntry) -> Iterator[str]:
    """Paths are joined as text; anything else ends in a TypeError."""
    prefix = entry.config.get('data_prefix')
    named = prefix if isinstance(prefix, Mapping) else {'': prefix}
    given = {f'.data_prefix.{n}' if n else '.data_prefix': v for n, v in named.items()}
    for name in ('data_root', 'ann_file'):
        given[f'.{name}'] = entry.config.get(name)
    is_dict = isinstance(prefix, Mapping) or 'data_prefix' not in entry.config
    if not is_dict and entry.layout != 'CustomDataset':  # whose images lie in one
        given.pop('.data_prefix')
        yield (
            f'{entry.key}.data_prefix={prefix!r}: not a dict. Name the folders in it, '
            "as in dict(img='images/'), or dict(img_path='images') for mmseg."
        )
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            yield f'{entry.key}{name}={value!r}: not a path. Give it as text, once.'
    for name, holder in (('', entry.config), *entry.steps.items()):
        storage = holder.get('backend_args')
        if storage is not None and not isinstance(storage, Mapping):
            where = f"the {name} of {entry.key}'s pipeline" if name else entry.key
            yield (
                f'{where}: backend_args={storage!r} is not a dict. Leave it out for '
                "this disk, or give dict(backend='http'), say."
            )
        elif storage and storage.get('backend', 'local') not in backends:
            yield (
                f'{entry.key}: backend_args={dict(storage)!r}, and MMEngine has no '
                f'such backend. It has {", ".join(sorted(backends))}.'
            )


def class_flaws(entry: DataSetEntry) -> Iterator[str]:
    """A tuple of one that lacks its comma is read letter by letter."""
    given = entry.config.get('metainfo')
    given = given if isinstance(given, Mapping) else {}
    classes = given.get('classes')
    if 'CLASSES' in given and classes is None:
        yield (
            f'{entry.key}.metainfo.CLASSES: that was its name in mmdet 2 and mmseg 0, '
            'and nothing reads it. Name it classes.'
        )
    if isinstance(classes, (list, tuple)):
        twice = [
            str(name) for name in dict.fromkeys(classes) if classes.count(name) > 1
        ]
        if twice:
            yield (
                f'{entry.key}.metainfo.classes: {", ".join(twice)} occurs more than '
                'once. Give each class its own name.'
            )
    if isinstance(classes, str) and not os.path.isfile(classes):
        yield (
            f'{entry.key}.metainfo.classes={classes!r}: neither a file of names nor '
            f'a tuple of them. For one class write ({classes!r},).'
        )


def filter_flaws(entry: DataSetEntry) -> Iterator[str]:
    """Data sets compare sizes with what ``filter_cfg`` says, whatever that is."""
    filters = entry.options.get('filter_cfg')
    if filters is None:
        return
    if not isinstance(filters, Mapping):
        yield (
            f'{entry.key}.filter_cfg={filters!r}: not a dict. Give one, say '
            'dict(filter_empty_gt=True).'
        )
        return
    for name in ('min_size', 'bbox_min_size'):
        size = filters.get(name)
        if size is not None and not isinstance(size, (int, float)):
            yield (
                f'{entry.key}.filter_cfg.{name}={size!r}: not a number. Give the '
                'pixels that a side must have, or leave it out.'
            )


def index_flaws(entry: DataSetEntry) -> Iterator[str]:
    """A number takes so many images, a list those that it names."""
    indices = entry.options.get('indices')
    listed = isinstance(indices, (list, tuple)) and all(type(i) is int for i in indices)
    if indices is None or (indices and (listed or type(indices) is int)):
        return
    yield (
        f'{entry.key}.indices={indices!r}: neither a number of images nor a list of '
        'theirs. Give one, or leave it out.'
    )


def wrapper_flaws(holder: Mapping[str, Any], key: str) -> Iterator[str]:
    """Find wrappers of nothing, and settings that they meet with a bare error."""
    several, times = holder.get('datasets'), holder.get('times', 1)
    share = holder.get('oversample_thr', 0)
    if several is not None and not isinstance(several, (list, tuple)):
        yield f'{key}.datasets: not a list. Give one of data sets.'
    if not isinstance(share, (int, float)) or isinstance(share, bool):
        yield f'{key}.oversample_thr={share!r}: not a number. Give a share of images.'
    # Others may have it for inferencers to read, and leave images to the data set's.
    if type_name(holder) == 'MultiImageMixDataset' and 'pipeline' in holder:
        yield from _mixing_flaws(holder, key)
    if isinstance(several, (list, tuple)) and not several:
        yield f'{key}.datasets=[]: no data set is in it. Give one or more.'
    repeats = 'times' in holder and 'dataset' in holder
    if repeats and (type(times) is not int or times < 1):
        yield f'{key}.times={times!r}: not a whole number from 1. Give how often.'
    for name, part in wrapped(holder):
        yield from wrapper_flaws(part, f'{key}.{name}')


_PACKS = ('PackDetInputs', 'PackSegInputs')
# These take several images, which MultiImageMixDataset alone gives them.
_MIXES = ('Mosaic', 'MixUp', 'CopyPaste', 'RandomMosaic')
_LIBRARIES = ('', 'mmdet', 'mmseg')


def _mixing_flaws(holder: Mapping[str, Any], key: str) -> Iterator[str]:
    """The pipeline of MultiImageMixDataset goes on where the data set's own ends."""
    steps, inner = holder['pipeline'], holder.get('dataset')
    if not isinstance(inner, Mapping) or not isinstance(steps, (list, tuple)):
        return
    for index, step in enumerate(steps):
        if not isinstance(step, Mapping) or not step.get('type'):
            yield f'{key}.pipeline.{index}: it has no type. Name the step.'
    own = inner.get('pipeline')
    last = own[-1] if own and isinstance(own, (list, tuple)) else {}
    if isinstance(last, Mapping) and type_name(last) in _PACKS:
        yield (
            f'{key}.dataset.pipeline: it ends with {type_name(last)}, and '
            f"{key}.pipeline gets no image any more. Move that step to the latter's "
            'end.'
        )


def pipeline_flaws(entry: DataSetEntry) -> Iterator[str]:
    """A pipeline of the libraries' own steps loads annotations, or there are none."""
    steps = list(entry.steps)
    for name in _MIXES:
        kind = entry.steps.get(name, {}).get('type')
        if isinstance(kind, str) and kind.rpartition('.')[0] in _LIBRARIES:
            yield (
                f'{entry.key}.pipeline: {name} takes several images, and a data set '
                'gives it one. Wrap the data set in MultiImageMixDataset, and move '
                f'{name} and what follows it to the pipeline of that.'
            )
    if entry.loop != 'train' or len(steps) < 2 or steps[-1] not in _PACKS:
        return
    loads = [step for step in steps if 'Load' in step]
    if loads == ['LoadImageFromFile']:
        yield (
            f'{entry.key}.pipeline: no step loads annotations, and the loss has '
            "nothing to compare with. Add dict(type='LoadAnnotations', ...) behind "
            'LoadImageFromFile.'
        )
