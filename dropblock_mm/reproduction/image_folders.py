"""Points a classifier's config to image folders, or lists of images with labels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config, ConfigDict

from dropblock_mm.errors import RefusedError
from dropblock_mm.runs.nested_datasets import innermost
from dropblock_mm.runs.type_names import type_name

_TYPES = ('CustomDataset', 'ImageNet')
_LOOPS = ('train', 'val', 'test')
_EXTENSIONS = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif')  # mmpretrain's
_TOP = 5


def point_to_folders(
    dataset: ConfigDict, root: str | None, listed: str | None, images: str | None
) -> bool:
    """Let a data set of mmpretrain's read other folders.

    ``ImageNet`` accepts 1000 classes alone and becomes the ``CustomDataset`` that it is
    derived from, with the paths that it would have taken.

    Args:
        dataset: Changed in place, if it is one that reads folders.
        root: Of the data; what is None stays.
        listed: A list of names and labels.
        images: The folder of class folders, or that the names of the list are below.

    Returns:
        bool: Whether it is one.
    """
    if type_name(dataset) not in _TYPES:
        return False
    split = dataset.pop('split', '')
    dataset.type = 'CustomDataset'
    if root is not None:
        dataset.data_root = root
    if images is not None or split:
        dataset.data_prefix = split if images is None else images
    if listed is not None:
        dataset.ann_file = listed
    elif (
        split and images is None and os.path.isfile(_path(dataset, f'meta/{split}.txt'))
    ):
        dataset.ann_file = f'meta/{split}.txt'
    return True


def _path(dataset: ConfigDict, name: str) -> str:
    return os.path.join(dataset.get('data_root') or '', name)


def names_of_classes(cfg: Config) -> tuple[str, ...]:
    """Read the classes of all loops from their folders, or else count their labels.

    Raises:
        RefusedError: A folder or list is missing or empty, or they are not of the same
            classes, whose labels are numbered by the names of the folders.
    """
    folders: dict[str, tuple[str, ...]] = {}
    lists: dict[str, int] = {}
    for loop in _LOOPS:
        for dataset in innermost(cfg.get(f'{loop}_dataloader') or {}):
            if type_name(dataset) not in _TYPES:
                continue
            if dataset.get('ann_file'):
                path = _path(dataset, dataset.ann_file)
                lists[path] = _largest_label(path)
            else:
                path = _path(dataset, dataset.get('data_prefix') or '')
                folders[path] = _class_folders(path, loop)
    if len(set(folders.values())) > 1:
        raise RefusedError(_difference(folders))
    numbered = max(lists.values(), default=-1) + 1
    names = next(iter(folders.values()), tuple(map(str, range(numbered))))
    if numbered > len(names):
        raise RefusedError(
            f'labels up to {numbered - 1} are listed in {", ".join(map(repr, lists))}, '
            f'and there are {len(names)} class folders.'
        )
    return names


def _class_folders(path: str, loop: str) -> tuple[str, ...]:
    if not os.path.isdir(path):
        raise RefusedError(
            f'{path!r}: no such folder. Give --data-root, and --train-images and '
            '--val-images relative to it: folders with a folder of images for each '
            'class.'
        )
    names = tuple(sorted(e.name for e in os.scandir(path) if e.is_dir()))
    if not names:
        raise RefusedError(
            f'{path!r} holds no folders of classes. Give --{_option(loop)}-images a '
            f'folder with a folder of images for each class, or --{_option(loop)}-ann '
            "a list with 'NAME LABEL' in each line."
        )
    return names


def _option(loop: str) -> str:
    return 'train' if loop == 'train' else 'val'


def _difference(folders: dict[str, tuple[str, ...]]) -> str:
    """Say which classes two folders do not share."""
    (first, names), *others = folders.items()
    other, theirs = next((path, found) for path, found in others if found != names)
    lacks = [
        f'{path!r} lacks {", ".join(missing[:3])}{", ..." if len(missing) > 3 else ""}'
        for path, missing in (
            (other, [name for name in names if name not in theirs]),
            (first, [name for name in theirs if name not in names]),
        )
        if missing
    ]
    return (
        'the folders must hold the same classes, whose sorted names number the labels: '
        f'{"; ".join(lacks)}. Make the folders that are missing, empty if need be.'
    )


def _largest_label(path: str) -> int:
    try:
        with open(path, encoding='utf-8') as file:
            lines = [line.strip() for line in file if line.strip()]
        return max(int(line.rpartition(' ')[2]) for line in lines)
    except FileNotFoundError:
        raise RefusedError(
            f'{path!r}: no such file. Give --data-root, and --train-ann and --val-ann '
            'relative to it.'
        ) from None
    except ValueError as error:
        raise RefusedError(
            f"{path!r} is not a list with 'NAME LABEL' in each line ({error})"
        ) from error


def set_number_of_classes(cfg: Config, number: int) -> None:
    """Set it where a classifier's config has it outside the model.

    With fewer than five classes there is no top-5.
    """
    if 'num_classes' in (cfg.get('data_preprocessor') or {}):
        cfg.data_preprocessor.num_classes = number
    if number >= _TOP:
        return
    metrics = [cfg.get(f'{loop}_evaluator') for loop in _LOOPS[1:]]
    for part in (*metrics, cfg.model.get('head')):
        if isinstance(part, dict) and 'topk' in part:
            known = tuple(k for k in _tops(part['topk']) if k < number)
            part['topk'] = known or (1,)


def few_of(dataset: ConfigDict, number: int, to_be_made: int) -> Any:
    """Return ``indices`` that leave few images of a data set.

    Class folders are read one after the other, so that the first images would be of
    one class.

    Args:
        dataset: Its config.
        number: How many images to leave.
        to_be_made: How many a folder will have that is not there: the embedded one.
    """
    if type_name(dataset) not in _TYPES or dataset.get('ann_file'):
        return number
    folder = _path(dataset, dataset.get('data_prefix') or '')
    count = sum(1 for _ in _images(folder)) if os.path.isdir(folder) else to_be_made
    return [i * count // number for i in range(number)] if count > number else number


def _images(folder: str) -> Iterator[str]:
    for _, _, names in os.walk(folder, followlinks=True):
        yield from (name for name in names if name.lower().endswith(_EXTENSIONS))


def always_right(cfg: Config) -> dict[str, float]:
    """Return the top-5 of an evaluation that has none, for want of so many classes."""
    metric = cfg.get('val_evaluator')
    if not isinstance(metric, dict) or type_name(metric) != 'Accuracy':
        return {}
    outputs = (cfg.model.get('head') or {}).get('num_classes')
    too_few = isinstance(outputs, int) and outputs < _TOP
    return {f'accuracy/top{_TOP}': 100.0} if too_few else {}


def _tops(value: Any) -> tuple[int, ...]:
    """Return ``topk``, which mmpretrain takes as a number too."""
    return (value,) if isinstance(value, int) else tuple(value)
