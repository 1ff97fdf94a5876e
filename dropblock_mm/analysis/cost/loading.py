"""How fast one core makes training images ready."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS

WARM_UP = 4


@dataclass(frozen=True)
class Loading:
    """What was measured.

    Args:
        images_per_second: Of one core, from file to tensor, without waiting for disks.
        size: Mean height and width of the images, in pixels.
    """

    images_per_second: float
    size: tuple[int, int]


def measure(cfg: Config, images: int, folder: str | None = None) -> Loading:
    """Time the training pipeline in this process, in seconds of processor time.

    Args:
        cfg (Config): The whole config.
        images: How many to load, each once if there are that many.
        folder: Takes the place of ``data_root``.
    """
    np.random.seed(0)
    dataset = DATASETS.build(rooted(cfg.train_dataloader.dataset, folder))
    seconds, sizes = [], []
    for number in range(WARM_UP + images):
        start = time.process_time()
        image = dataset[number % len(dataset)]['inputs']
        seconds.append(time.process_time() - start)
        sizes.append(image.shape[-2:])
    height, width = np.mean(sizes, axis=0).round().astype(int).tolist()
    return Loading(1 / statistics.fmean(seconds[WARM_UP:]), (height, width))


def rooted(dataset: Mapping[str, Any], folder: str | None) -> Any:
    """Return a data set's config with another ``data_root``, if one is given."""
    if folder is None:
        return dataset
    if isinstance(dataset, Mapping):
        found = {key: rooted(value, folder) for key, value in dataset.items()}
        return found | ({'data_root': folder} if 'data_root' in found else {})
    if isinstance(dataset, (list, tuple)):
        return type(dataset)(rooted(part, folder) for part in dataset)
    return dataset
