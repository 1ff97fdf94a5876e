"""Refuses to compare models whose test data differ."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from dropblock_mm.analysis.trained.models import TrainedModel
from dropblock_mm.errors import RefusedValueError


def check_same_task(models: Sequence[TrainedModel]) -> None:
    """Check that models are of one library: detectors, segmentors or classifiers.

    Raises:
        RefusedValueError: They are not.
    """
    first = models[0]
    for model in models[1:]:
        if model.library != first.library:
            raise RefusedValueError(
                f'{first.name} is a model of {first.library} and {model.name} one of '
                f'{model.library}, which do different things. Compare models of one '
                'task.'
            )


def check_same_data(names: Sequence[str], datasets: Sequence[Any]) -> None:
    """Check that models are tested on the same images, in the same order.

    Args:
        names: Of the models.
        datasets: As their test loaders have them. Only their lengths are compared where
            one of them does not tell the paths of its images.

    Raises:
        RefusedValueError: They differ, or are empty.
    """
    check_same_length(names, datasets)
    if len(datasets) < 2 or not all(hasattr(d, 'get_data_info') for d in datasets):
        return
    for index in range(len(datasets[0])):
        infos = [dataset.get_data_info(index) for dataset in datasets]
        if all('img_path' in info for info in infos):
            check_same_image(names, [str(info['img_path']) for info in infos])


def check_same_length(
    names: Sequence[str], datasets: Sequence[Any], instead: str = ''
) -> None:
    """Check that data sets are of one length, and not empty.

    Args:
        names: Of the models.
        datasets: One for each model.
        instead: What else the user can do, as the end of a sentence.

    Raises:
        RefusedValueError: They are not.
    """
    lengths = [len(dataset) for dataset in datasets]
    if len(set(lengths)) > 1:
        told = ', '.join(f'{n} {k}' for n, k in zip(names, lengths, strict=True))
        raise RefusedValueError(
            f'the models have different test data: {told} images. Compare models that '
            f'were trained on the same data{instead or "."}'
        )
    if 0 in lengths:
        raise RefusedValueError('the test data have no images.')


def check_same_image(
    names: Sequence[str], paths: Sequence[str], instead: str = ''
) -> None:
    """Check that all models have the same image at one place of their test data.

    Args:
        names: Of the models.
        paths: One for each model.
        instead: What else the user can do, as the end of a sentence.

    Raises:
        RefusedValueError: They have not.
    """
    for name, path in zip(names, paths, strict=True):
        if os.path.realpath(path) != os.path.realpath(paths[0]):
            raise RefusedValueError(
                f'the models have different test data: where {names[0]} has '
                f'{paths[0]!r}, {name} has {path!r}. Compare models that were trained '
                f'on the same data{instead or "."}'
            )
