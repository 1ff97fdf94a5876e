"""Images for trained models: of their test data with its truth, or the user's."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose
from PIL import Image

from dropblock_mm.analysis.trained.models import TrainedModel
from dropblock_mm.analysis.trained.truth import Truth
from dropblock_mm.errors import RefusedFileError, RefusedValueError
from dropblock_mm.runs.nested_datasets import innermost
from dropblock_mm.runs.type_names import type_name


@dataclass(frozen=True)
class Example:
    """An image as a model takes it, and what is there.

    Args:
        path: The file.
        item: What the model's pipeline made of it.
        truth: None if it is not known.
    """

    path: str
    item: dict[str, Any]
    truth: Truth | None


def user_pipeline(trained: TrainedModel) -> Compose:
    """Return the test pipeline without what reads annotations.

    Raises:
        RefusedValueError: The config has no test pipeline.
    """
    dataset = next(innermost(trained.cfg.get('test_dataloader') or {}), None)
    steps = (dataset or {}).get('pipeline')
    if not steps:
        raise RefusedValueError(
            f'{trained.files.config}: test_dataloader has no pipeline, so it is not '
            'known how images are prepared. Give another config.'
        )
    trained.look_up_names()
    return Compose([s for s in copy.deepcopy(steps) if not _reads_annotations(s)])


def _reads_annotations(step: Mapping[str, Any]) -> bool:
    kind = type_name(step)
    return kind.startswith('Load') and 'Annotations' in kind


def own_example(pipeline: Compose, path: Path) -> Example:
    """Prepare an image of the user's.

    Raises:
        RefusedFileError: It cannot be read.
        RefusedValueError: The pipeline reads more than an image.
    """
    try:
        with Image.open(path) as image:
            image.verify()
        item = pipeline({'img_path': str(path), 'img_id': 0, 'seg_fields': []})
    except (OSError, SyntaxError) as error:
        raise RefusedFileError(
            f'{str(path)!r} cannot be read as an image: {error}. Give a JPEG or PNG.'
        ) from error
    except KeyError as error:
        raise RefusedValueError(
            f'the test pipeline asks for {error}, which an image alone does not come '
            'with. Look at the test data: leave out --images.'
        ) from error
    return Example(str(path), item, None)


def example_of_test(dataset: Any, index: int, library: str) -> Example:
    """Return an image of a data set, and its largest object or its class.

    Args:
        dataset: As a test loader has it.
        index: Of the image.
        library: Of the model.
    """
    item, info = dataset[index], dataset.get_data_info(index)
    return Example(str(info['img_path']), item, _truth(item, info, library))


def pixels_of(example: Example, library: str) -> np.ndarray | None:
    """Return what a classifier was given of an image, which is often a part of it.

    Args:
        example: The image.
        library: Of the model.

    Returns:
        ByteArray[H, W, 3], in the pipeline's order of colours; None where the pipeline
        hands on no bytes, and for detectors and segmentors, whose maps are for the
        whole image.
    """
    inputs = example.item['inputs']
    whole = library != 'mmpretrain' or getattr(inputs, 'dtype', None) != torch.uint8
    if whole or inputs.dim() != 3 or len(inputs) != 3:
        return None
    return inputs.permute(1, 2, 0).cpu().numpy()


def _truth(item: Any, info: Mapping[str, Any], library: str) -> Truth | None:
    if library == 'mmdet':
        found = [i for i in info.get('instances', ()) if not i.get('ignore_flag')]
        if not found:
            return None
        largest = max(found, key=lambda i: _area(i['bbox']))
        left, top, right, bottom = map(float, largest['bbox'])
        return Truth(int(largest['bbox_label']), (left, top, right, bottom))
    if library == 'mmseg':
        sample = item['data_samples']
        if 'gt_sem_seg' not in sample:
            return None
        labels = sample.gt_sem_seg.data[0].cpu().numpy()
        return largest_class(labels)
    label = info.get('gt_label')
    return None if label is None else Truth(int(np.ravel(label)[0]))


def largest_class(labels: np.ndarray) -> Truth | None:
    """Return the class with the most pixels, the first (background) only if alone.

    Args:
        labels: IntArray[H, W]; 255 is not labelled.
    """
    counts = np.bincount(labels.ravel(), minlength=256)[:255]
    if counts[1:].any():
        counts[0] = 0
    if not counts.any():
        return None
    label = int(counts.argmax())
    return Truth(label, region=labels == label)


def _area(box: Any) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))
