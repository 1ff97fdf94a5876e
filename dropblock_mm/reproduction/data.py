"""Points a config to another data set."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from dropblock_mm.datasets import (
    DIGIT_CLASSES,
    make_digit_images,
    make_digit_scenes,
)
from dropblock_mm.errors import RefusedError
from dropblock_mm.reproduction.image_folders import (
    names_of_classes,
    point_to_folders,
    set_number_of_classes,
)
from dropblock_mm.runs.libraries import IMAGE_FOLDERS
from dropblock_mm.runs.nested_datasets import innermost
from dropblock_mm.runs.type_names import library_of, type_name

NUM_SCENES = {'num_train': 8, 'num_val': 8}
NUM_DIGITS = 20  # two of each, in training and in evaluation
LOOPS = ('train', 'val', 'test')


@dataclass(frozen=True)
class Data:
    """Where the data are. What is None stays as the config has it.

    Args:
        root: Folder that the rest is relative to.
        train_ann: COCO file, or list of names, to train on.
        val_ann: The same to evaluate on.
        train_images: Folder of the images to train on; of class folders in it.
        val_images: The same to evaluate on.
        classes: Names of the classes; of COCO files and class folders they are read.
    """

    root: str | None = None
    train_ann: str | None = None
    val_ann: str | None = None
    train_images: str | None = None
    val_images: str | None = None
    classes: tuple[str, ...] | None = None

    def of(self, loop: str) -> tuple[str | None, str | None]:
        """Return annotations and images of a loop."""
        if loop == 'train':
            return self.train_ann, self.train_images
        return self.val_ann, self.val_images


def embedded_data(layout: str, root: str) -> Data:
    """Describe the embedded data set, made or not."""
    if layout == 'coco':
        annotations = 'annotations/instances_{}.json'
        return Data(
            root,
            annotations.format('train'),
            annotations.format('val'),
            'JPEGImages/',
            'JPEGImages/',
            classes=DIGIT_CLASSES,
        )
    if layout == 'folders':
        return Data(root, train_images='train', val_images='val', classes=DIGIT_CLASSES)
    names = 'ImageSets/Segmentation/{}.txt'
    return Data(
        root,
        names.format('train'),
        names.format('val'),
        classes=('background', *DIGIT_CLASSES),
    )


def make_embedded_data(layout: str, root: str) -> None:
    """Make the images of a smoke run, if they are not there."""
    if layout == 'folders':
        make_digit_images(root, num_train=NUM_DIGITS, num_val=NUM_DIGITS)
    else:
        make_digit_scenes(root, **NUM_SCENES)


def use_data(cfg: Config, data: Data) -> None:
    """Let all loops of a config read other data.

    Args:
        cfg: Changed in place: data sets, evaluators, classes and, in the model,
            their number.
        data: What to change.

    Raises:
        RefusedError: A file of annotations is missing or does not fit, or the config
            has no place for what was given.
    """
    if data == Data():
        return
    for loop in LOOPS:
        if f'{loop}_dataloader' in cfg:
            _point(cfg[f'{loop}_dataloader'], data, loop)
    for loop in LOOPS[1:]:
        _point_evaluator(cfg, loop)
    names = data.classes or _names_from_files(cfg) or names_of_classes(cfg)
    if names:
        set_classes(cfg, names)


def _point(loader: Any, data: Data, loop: str) -> None:
    annotations, images = data.of(loop)
    if annotations is not None or type_name(loader.dataset).endswith('Scenes'):
        # One list replaces several; scenes are not to be made where data are given.
        loader.dataset = next(innermost(loader))
    for dataset in innermost(loader):
        if point_to_folders(dataset, data.root, annotations, images):
            continue
        if data.root is not None:
            dataset.data_root = data.root
        if annotations is not None:
            dataset.ann_file = annotations
        if images is not None:
            _set_images(dataset, images, 'train' if loop == 'train' else 'val')


def _set_images(dataset: ConfigDict, folder: str, loop: str) -> None:
    prefix = dataset.get('data_prefix') or {}
    found = [key for key in IMAGE_FOLDERS if key in prefix]
    if not found:
        raise RefusedError(
            f'--{loop}-images {folder!r} does not fit: the data_prefix of this data '
            f'set is {dict(prefix)!r}. Leave the option out.'
        )
    prefix[found[0]] = folder


def _point_evaluator(cfg: Config, loop: str) -> None:
    """Let an evaluator that reads annotations read those of its data set."""
    metrics = cfg.get(f'{loop}_evaluator') or []
    for metric in metrics if isinstance(metrics, (list, tuple)) else [metrics]:
        if 'ann_file' in metric:
            dataset = next(innermost(cfg[f'{loop}_dataloader']))
            metric.ann_file = os.path.join(dataset.data_root or '', dataset.ann_file)


def _names_from_files(cfg: Config) -> tuple[str, ...]:
    """Read the classes of COCO files; they must be the same for all loops."""
    names: dict[str, tuple[str, ...]] = {}
    for loop in LOOPS[:2]:
        for dataset in innermost(cfg[f'{loop}_dataloader']):
            if type_name(dataset) == 'CocoDataset':
                path = os.path.join(dataset.get('data_root') or '', dataset.ann_file)
                names[path] = read_class_names(path)
    if len(set(names.values())) > 1:
        told = '; '.join(f'{path!r}: {", ".join(n)}' for path, n in names.items())
        raise RefusedError(
            'the annotation files must name the same categories in the same order, '
            f'which numbers the classes: {told}'
        )
    return next(iter(names.values()), ())


@lru_cache  # COCO's file takes seconds, and every row and seed asks
def read_class_names(path: str) -> tuple[str, ...]:
    """Read the categories of a COCO file, in the file's order.

    Raises:
        RefusedError: There is no such file, or it holds no categories with names of
            their own.
    """
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8'))
        names = tuple(str(category['name']) for category in content['categories'])
    except FileNotFoundError:
        raise RefusedError(
            f'{path!r}: no such file. Give --data-root, and --train-ann and --val-ann '
            'relative to it.'
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise RefusedError(
            f'{path!r} is not a COCO annotation file ({type(error).__name__}: {error})'
        ) from error
    twice = {name for name in names if names.count(name) > 1}
    if twice or not names:
        what = f'names twice: {", ".join(sorted(twice))}' if twice else 'no categories'
        raise RefusedError(f'the categories of {path!r} cannot be told apart: {what}')
    return names


def set_classes(cfg: Config, names: Sequence[str]) -> None:
    """Set the classes of all data sets, and their number in the model."""
    for loop in LOOPS:
        for dataset in innermost(cfg.get(f'{loop}_dataloader') or {}):
            dataset.metainfo = ConfigDict(classes=tuple(names))
            if library_of(cfg) == 'mmseg':
                # The data set of a benchmark allows only classes of its own.
                dataset.type = 'BaseSegDataset'
    _set_num_classes(cfg.model, len(names))
    set_number_of_classes(cfg, len(names))


def _set_num_classes(part: Any, number: int) -> None:
    if isinstance(part, dict):
        if 'num_classes' in part:
            part['num_classes'] = number
        part = part.values()
    elif not isinstance(part, (list, tuple)):
        return
    for inner in part:
        _set_num_classes(inner, number)
