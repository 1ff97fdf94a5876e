"""Weights of classes in a loss, which a config keeps beside the number of classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dropblock_mm.runs.config_dicts import dicts_in


def weight_problems(model: Mapping[str, Any]) -> Iterator[str]:
    """Compare the weights of a head's losses with its number of classes.

    Configs of Cityscapes have 19 weights, and whoever changes num_classes alone is told
    by torch, in the first iteration, that "weight tensor should be defined either for
    all or no classes". One weight more is right where the background is a class.

    Args:
        model: The model's config.

    Yields:
        str: A loss whose weights are too many or too few, under its key.
    """
    for prefix, head in dicts_in(model, 'model.'):
        counts = [head.get(key) for key in ('num_classes', 'out_channels')]
        numbers = [count for count in counts if isinstance(count, int)]
        if not isinstance(head.get('num_classes'), int):
            continue
        for name, loss in head.items():
            if not str(name).startswith('loss'):
                continue
            for place, part in dicts_in(loss, f'{prefix}{name}.'):
                weights = part.get('class_weight')
                if isinstance(weights, (list, tuple)) and not _fits(weights, numbers):
                    yield (
                        f'{place}class_weight has {len(weights)} weights: '
                        f'{prefix}num_classes={head["num_classes"]}. Give a weight for '
                        'each class, or take class_weight out.'
                    )


def _fits(weights: list[Any] | tuple[Any, ...], numbers: list[int]) -> bool:
    return any(len(weights) - number in (0, 1) for number in numbers)
