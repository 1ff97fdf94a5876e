"""Finds the files that the annotations of a data set name."""

from __future__ import annotations

import os

from dropblock_mm.engine.data_json import PARSED_BYTES, read_json
from dropblock_mm.engine.data_paths import DataSetConfig


def listed_files(
    dataset: DataSetConfig, parsed_bytes: int = PARSED_BYTES
) -> dict[str, list[str]]:
    """Find what the library's data set will look for.

    Args:
        dataset: Of a known layout, else nothing is found. Its ``ann_file`` is there.
        parsed_bytes (int): COCO files above this size are not read.

    Returns:
        dict: Paths by what they are: 'images', 'XML files', 'label maps'. With
        ``indices`` the images of the others may be left out, and none are named.
    """
    annotations = dataset.path('ann_file')
    if annotations is None:
        return {}
    if dataset.layout == 'XMLDataset':
        return _voc_files(dataset, read_names(annotations.path))
    if dataset.layout == 'BaseSegDataset' and os.path.isfile(annotations.path):
        return _segmentation_files(dataset, read_names(annotations.path))
    if (
        dataset.layout == 'CocoDataset'
        and os.path.getsize(annotations.path) <= parsed_bytes
    ):
        return _coco_files(dataset, annotations.path)
    return {}


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
        'images': _unless_subset(
            dataset, [os.path.join(images, f'{name}.jpg') for name in names]
        ),
    }


def _segmentation_files(
    dataset: DataSetConfig, names: list[str]
) -> dict[str, list[str]]:
    """Images and label maps as mmseg's BaseSegDataset looks for them."""
    found = {}
    for what, prefix, suffix in (
        ('images', 'img_path', 'img_suffix'),
        ('label maps', 'seg_map_path', 'seg_map_suffix'),
    ):
        folder = dataset.path('data_prefix', prefix)
        ending = dataset.argument(suffix)
        if folder and isinstance(ending, str):
            paths = [os.path.join(folder.path, name + ending) for name in names]
            found[what] = _unless_subset(dataset, paths)
    return found


def _coco_files(dataset: DataSetConfig, path: str) -> dict[str, list[str]]:
    """Images that a COCO file names."""
    folder = dataset.path('data_prefix', 'img')
    if folder is None:
        return {}
    names = [image.get('file_name') for image in read_json(path)['images']]
    paths = [os.path.join(folder.path, name) for name in names if name]
    return {'images': _unless_subset(dataset, paths)}


def _unless_subset(dataset: DataSetConfig, paths: list[str]) -> list[str]:
    return [] if dataset.config.get('indices') is not None else paths
