"""Lets a config train on the digits without making the images first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from mmengine.registry import DATASETS as MMENGINE_DATASETS

from dropblock_mm.datasets.digit_images import make_digit_images
from dropblock_mm.datasets.digit_scenes import make_digit_scenes
from dropblock_mm.registry import DATASETS


@DATASETS.register_module(name='DigitScenes')
def build_on_digit_scenes(
    dataset: dict[str, Any],
    root: str | os.PathLike[str] = 'data/digit_scenes',
    num_train: int = 2000,
    num_val: int = 200,
    image_size: int = 128,
    seed: int = 0,
    pipeline: Sequence[Any] | None = None,
    lazy_init: bool = False,
) -> Any:
    """Make the digit scenes if they are not there, then build a data set on them.

    In a config it stands around a data set of whichever library, as
    ``RepeatDataset`` does::

        dict(
            type='dropblock_mm.DigitScenes',
            root='data/digit_scenes',
            dataset=dict(
                type='CocoDataset',
                data_root='data/digit_scenes',
                ann_file='annotations/instances_train.json',
                ...))

    Args:
        dataset: Config of a data set that reads either layout under ``root``.
        root: See :func:`make_digit_scenes`, like the others.
        num_train: Number of scenes to train on.
        num_val: Number of scenes to evaluate on.
        image_size: Side of the scenes in pixels.
        seed: Decides everything that is random.
        pipeline: Of ``dataset``, for inferencers, which look for it here; it is taken
            where ``dataset`` has none.
        lazy_init: Whether the data set is only asked for its classes; mmdet's
            ``init_detector`` says so.

    Returns:
        The data set that ``dataset`` describes, itself.
    """
    if lazy_init:
        return MMENGINE_DATASETS.build({**dataset, 'lazy_init': True})
    make_digit_scenes(
        root, num_train=num_train, num_val=num_val, image_size=image_size, seed=seed
    )
    if pipeline is not None:
        dataset = {'pipeline': pipeline, **dataset}
    return MMENGINE_DATASETS.build(dataset)


@DATASETS.register_module(name='DigitImages')
def build_on_digit_images(
    dataset: dict[str, Any],
    root: str | os.PathLike[str] = 'data/digit_images',
    num_train: int = 6000,
    num_val: int = 400,
    image_size: int = 32,
    seed: int = 0,
) -> Any:
    """Make the digit images if they are not there, then build a data set on them.

    As :func:`build_on_digit_scenes`, for a classifier::

        dict(
            type='dropblock_mm.DigitImages',
            root='data/digit_images',
            dataset=dict(
                type='CustomDataset',
                data_root='data/digit_images',
                data_prefix='train',
                ...))

    Args:
        dataset: Config of a data set that reads the folders ``train`` or ``val``.
        root: See :func:`make_digit_images`, like the others.
        num_train: Number of images to train on.
        num_val: Number of images to evaluate on.
        image_size: Side of the images in pixels.
        seed: Decides everything that is random.

    Returns:
        The data set that ``dataset`` describes, itself.
    """
    make_digit_images(
        root, num_train=num_train, num_val=num_val, image_size=image_size, seed=seed
    )
    return MMENGINE_DATASETS.build(dataset)
