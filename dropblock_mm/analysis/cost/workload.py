"""How many images a config trains on."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.runs.type_names import type_name

# Where the data are not there: images of well-known lists, all of them.
COCO_TRAIN = 'instances_train2017.json'
COCO_IMAGES, COCO_WITH_OBJECTS = 118_287, 117_266
IMAGENET_TRAIN = 1_281_167
KNOWN = {
    COCO_TRAIN: COCO_IMAGES,
    'VOC2007/ImageSets/Main/trainval.txt': 5_011,
    'VOC2012/ImageSets/Main/trainval.txt': 11_540,
    'ImageSets/Segmentation/train.txt': 1_464,
    'ImageSets/Segmentation/aug.txt': 9_118,
    'ImageSets/Segmentation/trainaug.txt': 10_582,
}
# mmpretrain's, which read class folders where no list is given.
_FOLDERS = ('CustomDataset', 'ImageNet')


class CostError(RefusedValueError):
    """What the user can mend: a config or a command line that leaves something open."""


@dataclass(frozen=True)
class Workload:
    """A training run.

    Args:
        batch_size: Images in a step of one GPU.
        gpus: Number of GPUs that the config is made for.
        iterations: Number of steps.
        images: Images seen in all, on all GPUs, each as often as it is seen.
    """

    batch_size: int
    gpus: int
    iterations: int
    images: int


def workload(cfg: Config, name: str, num_images: int | None = None) -> Workload:
    """Read a config's run.

    Args:
        cfg (Config): The whole config.
        name (str): The config's name, whose ``8xb2`` tells the number of GPUs.
        num_images (int, optional): Images in an epoch; counted or looked up if None.

    Raises:
        CostError: The number of images is not known.
    """
    batch_size = int(cfg.train_dataloader.batch_size)
    gpus = number_of_gpus(cfg, name)
    loop = cfg.train_cfg
    if 'max_iters' in loop:
        iterations = int(loop['max_iters'])
        return Workload(batch_size, gpus, iterations, iterations * batch_size * gpus)
    in_epoch = num_images or count_images(cfg.train_dataloader.dataset)
    if in_epoch is None:
        raise CostError(
            f'{name}: the number of training images is not known: the annotations that '
            'the config names are not there. Give --num-images, for an epoch.'
        )
    epochs = int(loop['max_epochs'])
    batches = in_epoch / (batch_size * gpus)
    whole = cfg.train_dataloader.get('drop_last') and batches >= 1
    steps = epochs * (math.floor(batches) if whole else math.ceil(batches))
    return Workload(batch_size, gpus, steps, epochs * in_epoch)


def number_of_gpus(cfg: Config, name: str) -> int:
    """Read it from a name such as ``fcn_4xb4-20k``, or from ``auto_scale_lr``."""
    batch_size = int(cfg.train_dataloader.batch_size)
    named = re.search(rf'(?:^|[_-])(\d+)xb{batch_size}(?!\d)', name)
    if named:
        return int(named[1])
    whole = (cfg.get('auto_scale_lr') or {}).get('base_batch_size') or batch_size
    return max(1, int(whole) // batch_size)


def count_images(dataset: Mapping[str, Any]) -> int | None:
    """Count the images of an epoch, through repeated and concatenated data sets.

    Returns:
        int or None: None if a list of images is neither there nor well known.
    """
    if 'times' in dataset:
        inner = count_images(dataset['dataset'])
        return None if inner is None else int(dataset['times']) * inner
    if 'datasets' in dataset:
        counts = [count_images(part) for part in dataset['datasets']]
        return None if None in counts else sum(filter(None, counts))
    if _is_there(dataset):
        return len(DATASETS.build(dataset))
    if 'dataset' in dataset:
        return count_images(dataset['dataset'])
    return _look_up(dataset)


def _is_there(dataset: Mapping[str, Any]) -> bool:
    if 'root' in dataset:  # of DigitScenes, which makes its files
        return True
    root, listed = dataset.get('data_root') or '', dataset.get('ann_file') or ''
    if listed or type_name(dataset) not in _FOLDERS:
        return os.path.isfile(os.path.join(root, listed))
    folder = dataset.get('data_prefix') or dataset.get('split') or ''
    return isinstance(folder, str) and os.path.isdir(os.path.join(root, folder))


def _look_up(dataset: Mapping[str, Any]) -> int | None:
    if type_name(dataset) == 'ImageNet' and dataset.get('split') == 'train':
        return IMAGENET_TRAIN
    listed = str(dataset.get('ann_file'))
    if listed.endswith(COCO_TRAIN):
        empty = not (dataset.get('filter_cfg') or {}).get('filter_empty_gt')
        return COCO_IMAGES if empty else COCO_WITH_OBJECTS
    return next((n for end, n in KNOWN.items() if listed.endswith(end)), None)
