"""What must agree between the parts of a classifier's config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dropblock_mm.data_checks.entries import DataSetEntry, Inventory
from dropblock_mm.data_checks.layouts import Look, layout_of
from dropblock_mm.runs.type_names import type_name


def classifier_problems(
    found: Inventory, seen: Sequence[tuple[DataSetEntry, Look]]
) -> Iterator[str]:
    """Look at head, loss and metrics, and at folders whose names are the labels.

    mmpretrain meets what is wrong with the loss in the first iteration, what is wrong
    with a metric behind the first epoch, and other folders never.

    Args:
        found: What the config says.
        seen: Its data sets, with what was found in each.

    Yields:
        str: Each problem under the key to blame.
    """
    head = found.model.get('head')
    outputs = head.get('num_classes') if isinstance(head, Mapping) else None
    if isinstance(head, Mapping) and isinstance(outputs, int):
        yield from _of_loss(head, outputs)
        for metric in found.metrics:
            if metric.type == 'Accuracy':
                yield from _of_top_k(metric.key, metric.config.get('topk'), outputs)
    yield from _of_folders(seen)


def spare_outputs(
    found: Inventory, seen: Sequence[tuple[DataSetEntry, Look]]
) -> Iterator[str]:
    """Tell of a head with more outputs than there are class folders.

    mmpretrain trains it, and its own configs have the 1000 of ImageNet.

    Args:
        found: What the config says.
        seen: Its data sets, with what was found in each.

    Yields:
        str: That, once for all data sets, under the key of the head.
    """
    head = found.model.get('head')
    outputs = head.get('num_classes') if isinstance(head, Mapping) else None
    for entry, look in seen:
        if not look.labels or not layout_of(entry).folders_are_labels(entry):
            continue
        count = len(look.labels)
        if isinstance(outputs, int) and outputs > count:
            yield (
                f'model.head.num_classes={outputs}: {entry.key} has {count} class '
                f'folders. The other outputs are trained and never right: set it, '
                f'and data_preprocessor.num_classes, to {count} unless they are meant.'
            )
        return


def _of_loss(head: Mapping[str, Any], outputs: int) -> Iterator[str]:
    loss = head.get('loss')
    if not isinstance(loss, Mapping) or type_name(loss) != 'LabelSmoothLoss':
        return
    count = loss.get('num_classes')
    if count is not None and count != outputs:
        yield (
            f'model.head.loss.num_classes={count}: the head has {outputs} outputs '
            f'(model.head.num_classes). Set both to the number of classes.'
        )


def _of_top_k(key: str, top: Any, outputs: int) -> Iterator[str]:
    largest = max(top) if isinstance(top, (list, tuple)) and top else top
    if isinstance(largest, int) and largest > outputs:
        yield (
            f'{key}.topk={top!r}: there is no top-{largest} of {outputs} outputs '
            '(model.head.num_classes). Leave it out.'
        )


def _of_folders(seen: Sequence[tuple[DataSetEntry, Look]]) -> Iterator[str]:
    """Compare folders that are not alike in a way in which other layouts may be."""
    known = [
        (entry, look.labels)
        for entry, look in seen
        if look.labels and layout_of(entry).folders_are_labels(entry)
    ]
    for entry, labels in known[1:]:
        first, expected = known[0]
        unknown = [name for name in labels if name not in expected]
        alike = labels[: len(expected)] == expected
        if unknown and (alike or not set(labels) & set(expected)):
            yield (
                f'{entry.key}: {first.key} has no folder for its classes '
                f'{", ".join(unknown[:3])}{", ..." if len(unknown) > 3 else ""}. '
                'Labels are numbered by the sorted names of the folders: give all '
                'splits the same ones, empty if need be.'
            )
