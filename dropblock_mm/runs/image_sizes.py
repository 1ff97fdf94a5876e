"""How large the images are that a config trains on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mmengine.config import Config

from dropblock_mm.runs.nested_datasets import outwards
from dropblock_mm.runs.type_names import library_of, type_name

Size = tuple[int, int]


def fixed_image_size(cfg: Config) -> Size | None:
    """Return height and width of what the model sees, if they are always the same."""
    preprocessor = _preprocessor(cfg)
    for part in preprocessor.get('batch_augments') or []:
        if type_name(part) == 'BatchFixedSizePad':
            return _pair(part['size'])
    if preprocessor.get('size'):
        return _pair(preprocessor['size'])
    widths = [
        t['size'] for t in transforms(cfg) if type_name(t) == 'Pad' and 'size' in t
    ]
    if widths:
        return _pair(widths[-1])[::-1]
    # A classifier stacks its images, so whatever sets their size sets it for all.
    return _size_at_the_end(cfg) if library_of(cfg) == 'mmpretrain' else None


def nominal_image_size(cfg: Config) -> Size | None:
    """Return height and width of a large image of those that the model sees.

    Where images keep their aspect ratio, that is a landscape that fills its scale, and
    where a scale is drawn, the largest; padded as the preprocessor pads.

    Returns:
        tuple[int, int] or None: None if no step of the pipeline sets a size.
    """
    fixed = fixed_image_size(cfg)
    if fixed:
        return fixed
    size = _size_at_the_end(cfg)
    if size is None:
        return None
    divisor = _preprocessor(cfg).get('pad_size_divisor') or 1
    height, width = (math.ceil(side / divisor) * divisor for side in size)
    return height, width


def _size_at_the_end(cfg: Config) -> Size | None:
    sizes = [size for step in transforms(cfg) if (size := _size_after(step))]
    return sizes[-1] if sizes else None


def transforms(cfg: Config) -> list[Mapping[str, Any]]:
    """Return the steps that an image of the training set goes through.

    Those of every branch, where there is a choice.
    """
    return [
        step
        for dataset in outwards(
            (cfg.get('train_dataloader') or {}).get('dataset') or {}
        )
        for step in _unfolded(dataset.get('pipeline') or [])
    ]


def _unfolded(steps: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    """Yield steps, and those inside others, such as RandomChoice's lists of them."""
    for step in steps:
        if not isinstance(step, Mapping):
            yield from _unfolded(step)
        elif 'transforms' in step:
            yield from _unfolded(step['transforms'])
        else:
            yield step


def _size_after(step: Mapping[str, Any]) -> Size | None:
    """Return height and width of a large image after a step, if the step sets them."""
    if isinstance(step.get('crop_size'), int | list | tuple):
        crop = _pair(step['crop_size'])
        return crop if min(crop) > 1 else None  # others are shares of the image
    scales = step.get('scales') or step.get('scale')
    if 'Resize' not in type_name(step) or not scales:
        return None
    several = isinstance(scales, list | tuple) and not isinstance(scales[0], int)
    pairs = [_pair(scale) for scale in (scales if several else [scales])]
    width, height = max(pairs, key=math.prod)
    if step.get('keep_ratio'):
        return min(width, height), max(width, height)
    return height, width


def _preprocessor(cfg: Config) -> Mapping[str, Any]:
    return cfg.model.get('data_preprocessor') or {}


def _pair(size: Any) -> Size:
    first, second = (size, size) if isinstance(size, int) else size
    return int(first), int(second)
