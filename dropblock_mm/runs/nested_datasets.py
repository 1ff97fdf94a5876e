"""Walks through data sets that wrap others, in a config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def innermost_with_keys(holder: Any, key: str = '') -> Iterator[tuple[str, Any]]:
    """Find the data sets that wrap no other.

    A wrapper holds one under ``dataset``, such as RepeatDataset, or several under
    ``datasets``, such as ConcatDataset.

    Args:
        holder: The config of a data loader or a data set.
        key: Where that stands.

    Yields:
        tuple[str, dict]: Key, 'train_dataloader.dataset.datasets.0', and config.
    """
    for name, part in wrapped(holder):
        place = f'{key}.{name}' if key else name
        yield from list(innermost_with_keys(part, place)) or [(place, part)]


def innermost(holder: Any) -> Iterator[Any]:
    """Find the same data sets without their keys."""
    return (part for _, part in innermost_with_keys(holder))


def outwards(dataset: Mapping[str, Any]) -> list[Any]:
    """List a data set's first innermost one and all that stand around it, in order."""
    inner = next(wrapped(dataset), None)
    return [*(outwards(inner[1]) if inner else []), dataset]


def wrapped(holder: Any) -> Iterator[tuple[str, Any]]:
    """Find the data sets that one holds directly."""
    if isinstance(holder.get('dataset'), Mapping):
        yield 'dataset', holder['dataset']
    several = holder.get('datasets')
    for index, part in enumerate(several if isinstance(several, (list, tuple)) else ()):
        if isinstance(part, Mapping):
            yield f'datasets.{index}', part
