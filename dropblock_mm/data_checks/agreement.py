"""What must agree between the data and other parts of a config."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from dropblock_mm.data_checks.json_files import PARSED_BYTES, read_json
from dropblock_mm.data_checks.paths import DataPath, DataSetConfig, datasets_of

# Of STDC: it predicts two classes of its own, borders and all else.
_BORDERS = 'STDCHead'
# Heads that predict the classes of the data. Those of region proposals do not.
_HEADS = re.compile(r'(^|\.)(bbox|mask|decode|auxiliary)_head(\.\d+)?$')


def class_count_problems(config: Mapping[str, Any], loop: str) -> Iterator[str]:
    """Compare the number of classes with the model's.

    mmdet and mmseg do not: the loss fails on the first label that has no output, on a
    GPU with nothing but 'device-side assert triggered'.
    """
    heads = dict(_heads(config.get('model'), 'model'))
    for dataset in datasets_of(config, loop):
        names = dataset.classes
        for key, outputs in heads.items():
            if names and outputs < len(names) and has_boxes_or_labels(dataset):
                yield (
                    f'{key}.num_classes={outputs}: {dataset.key} has {len(names)} '
                    f'classes ({", ".join(names[:3])}, ...). Set it to {len(names)}, '
                    f'or correct {dataset.key}.metainfo.classes.'
                )


def has_boxes_or_labels(dataset: DataSetConfig) -> bool:
    """Whether its labels go to the heads as they are."""
    formats = ('CocoDataset', 'XMLDataset')
    return dataset.annotation_format in formats or dataset.layout == 'BaseSegDataset'


def _heads(part: Any, key: str) -> Iterator[tuple[str, int]]:
    """The keys of the heads in a model's config, and the number of their classes."""
    if isinstance(part, (list, tuple)):
        part = dict(enumerate(part))
    if isinstance(part, Mapping):
        count = part.get('num_classes')
        of_classes = _HEADS.search(key) and part.get('type') != _BORDERS
        if isinstance(count, int) and of_classes:
            yield key, count
        for name, child in part.items():
            yield from _heads(child, f'{key}.{name}')


def images_of_others(
    config: Mapping[str, Any], loop: str, path: DataPath
) -> Iterator[str]:
    """Find data sets whose images the metric's annotation file does not have.

    Evaluation would end with 'Results do not correspond to current coco set', after
    the first epoch.
    """
    for dataset in datasets_of(config, loop):
        own = dataset.path('ann_file')
        if own is None or dataset.layout != 'CocoDataset':
            continue
        if not os.path.isfile(own.path) or os.path.samefile(own.path, path.path):
            continue
        missing = _image_ids(own.path) - _image_ids(path.path)
        if missing and _image_ids(path.path):
            yield path.problem(
                f'{len(missing)} images of {own.key}={own.value!r} are not in it',
                'Give both the same file.',
            )


def _image_ids(path: str) -> set[Any]:
    """The ids in a COCO file; none where it is too large, or another kind of file."""
    if not path.endswith('.json') or os.path.getsize(path) > PARSED_BYTES:
        return set()
    content = read_json(path)
    images = content.get('images') if isinstance(content, dict) else None
    return {image.get('id') for image in images or [] if isinstance(image, dict)}
