"""Finds the files that the annotations of a data set name."""

from __future__ import annotations

import os
from pathlib import Path

from dropblock_mm.data_checks.json_files import PARSED_BYTES, read_json
from dropblock_mm.data_checks.paths import DataSetConfig


def listed_files(
    dataset: DataSetConfig, parsed_bytes: int = PARSED_BYTES
) -> dict[str, list[str]]:
    """Find what the library's data set will look for.

    Args:
        dataset: Of a known layout, else nothing is found. Its ``ann_file`` is there.
        parsed_bytes (int): COCO files above this size are not read.

    Returns:
        dict: Paths by what they are: 'images', 'XML files', 'label maps'.
    """
    annotations = dataset.path('ann_file')
    if dataset.layout == 'BaseSegDataset':
        return _segmentation_files(dataset)
    if annotations is None:
        return {}
    if dataset.layout == 'XMLDataset':
        return _voc_files(dataset, read_names(annotations.path))
    if (
        dataset.layout == 'CocoDataset'
        and os.path.getsize(annotations.path) <= parsed_bytes
    ):
        return _coco_files(dataset, annotations.path)
    return {}


def may_be_absent(dataset: DataSetConfig, what: str) -> bool:
    """Tell whether training can do without some of the files.

    With ``indices`` the images of the others may be left out; XML files are all read.
    """
    return what != 'XML files' and dataset.config.get('indices') is not None


def used(dataset: DataSetConfig, paths: list[str]) -> list[str]:
    """Return those that ``indices`` picks, where its filter leaves none out."""
    indices = dataset.config.get('indices')
    if isinstance(indices, int):
        return paths[:indices] if indices >= 0 else paths[indices:]
    return paths


def read_names(path: str) -> list[str]:
    """Read a list of names, one on a line."""
    with open(path, encoding='utf-8') as file:
        return [line.strip() for line in file if line.strip()]


def _voc_files(dataset: DataSetConfig, names: list[str]) -> dict[str, list[str]]:
    """Images and annotations as mmdet's XMLDataset looks for them."""
    folder = dataset.path('data_prefix', 'sub_data_root')
    root = folder.path if folder else ''
    images = os.path.join(root, dataset.argument('img_subdir'))
    annotations = os.path.join(root, dataset.argument('ann_subdir'))
    return {
        'XML files': [os.path.join(annotations, f'{name}.xml') for name in names],
        'images': [os.path.join(images, f'{name}.jpg') for name in names],
    }


def _segmentation_files(dataset: DataSetConfig) -> dict[str, list[str]]:
    """Images and label maps as mmseg's BaseSegDataset looks for them."""
    names = _segmentation_names(dataset)
    found = {}
    for what, prefix, suffix in (
        ('images', 'img_path', 'img_suffix'),
        ('label maps', 'seg_map_path', 'seg_map_suffix'),
    ):
        folder = dataset.path('data_prefix', prefix)
        ending = dataset.argument(suffix)
        if folder and isinstance(ending, str):
            found[what] = [os.path.join(folder.path, name + ending) for name in names]
    return found


def _segmentation_names(dataset: DataSetConfig) -> list[str]:
    """The names in the list, or else of all images in the folder."""
    annotations = dataset.path('ann_file')
    if annotations and os.path.isfile(annotations.path):
        return read_names(annotations.path)
    folder = dataset.path('data_prefix', 'img_path')
    suffix = dataset.argument('img_suffix')
    if folder is None or not isinstance(suffix, str):
        return []
    found = Path(folder.path).rglob(f'*{suffix}')
    names = (path.relative_to(folder.path).as_posix() for path in found)
    return sorted(name.removesuffix(suffix) for name in names)


def _coco_files(dataset: DataSetConfig, path: str) -> dict[str, list[str]]:
    """Images that a COCO file names."""
    folder = dataset.path('data_prefix', 'img')
    if folder is None:
        return {}
    names = [image.get('file_name') for image in read_json(path)['images']]
    return {'images': [os.path.join(folder.path, name) for name in names if name]}
