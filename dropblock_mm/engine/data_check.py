"""Looks at the files that a config names, before training spends time on them.

Every problem is reported under the config key that names the file, all of them in
one message.
"""

from __future__ import annotations

import functools
import json
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mmengine.config import Config

from dropblock_mm.engine.data_paths import (
    DataPath,
    DataSetConfig,
    datasets_of,
    evaluator_paths,
)

# Parsing is certain, but the data set parses again: 448 MB of COCO would cost
# seconds twice. Of larger files only the two ends are read; where that misses
# something, naming_broken_json tells the key later.
PARSED_BYTES = 32 * 2**20
_END_BYTES = 4096
_LISTED = 3


def check_data(cfg: Config, loops: Sequence[str]) -> None:
    """Find missing and broken data files.

    Args:
        cfg (Config): The whole config.
        loops: Which of 'train', 'val' and 'test' are going to run.

    Raises:
        ValueError: If there are any problems.
    """
    config = cfg.to_dict()
    problems = [problem for loop in loops for problem in _of_loop(config, loop)]
    _parse_json.cache_clear()  # training needs the memory
    if problems:
        raise _refusal(problems)


def _refusal(problems: Iterable[str]) -> ValueError:
    lines = list(dict.fromkeys(problems))
    return ValueError(
        '\n  '.join(['the data that the config names cannot be used:', *lines])
        + '\nChange these keys in the config or by --cfg-options KEY=VALUE.'
    )


def _of_loop(config: Mapping[str, Any], loop: str) -> Iterator[str]:
    """The problems of one loop: those of its data sets and its evaluator."""
    for dataset in datasets_of(config, loop):
        yield from _of_dataset(dataset)
    for path in evaluator_paths(config, loop):
        yield from _of_annotations(path)


def _of_dataset(dataset: DataSetConfig) -> Iterator[str]:
    """The problems of one data set; its list of files only if the rest is there."""
    problems: list[str] = []
    annotations = dataset.path('ann_file')
    if annotations:
        problems += _of_annotations(annotations)
        if not problems and dataset.layout == 'CocoDataset':
            problems += _of_coco_file(annotations)
    for folder in dataset.folders():
        problems += _of_folder(folder)
    if not problems and annotations:
        problems += _of_listed_files(dataset, annotations)
    yield from problems


def _of_annotations(annotations: DataPath) -> Iterator[str]:
    path = annotations.path
    if not os.path.exists(path):
        yield annotations.problem('no such file', 'Give the annotation file.')
    elif os.path.isfile(path) and os.path.getsize(path) == 0:
        yield annotations.problem('the file is empty', 'Copy or download it again.')
    elif path.endswith('.json'):
        yield from _of_json(annotations, PARSED_BYTES)


def _of_json(annotations: DataPath, parsed_bytes: int) -> Iterator[str]:
    flaw = json_flaw(annotations.path, parsed_bytes)
    if flaw:
        yield annotations.problem(
            f'not complete JSON, {flaw}', 'Copy or download it again.'
        )


def _of_coco_file(annotations: DataPath) -> Iterator[str]:
    """Valid JSON that is something else, say a list of results."""
    if os.path.getsize(annotations.path) > PARSED_BYTES:
        return
    content = _read_json(annotations.path)
    lists = content if isinstance(content, dict) else {}
    missing = [key for key in ('images', 'categories') if key not in lists]
    if missing:
        yield annotations.problem(
            f'not a COCO annotation file, it holds no {" and no ".join(missing)}',
            'Give the file with the instances.',
        )


def json_flaw(path: str, parsed_bytes: int = PARSED_BYTES) -> str:
    """Tell what is wrong with a JSON file.

    Args:
        path (str): The file.
        parsed_bytes (int): Up to this size it is parsed, above only its ends are
            looked at.

    Returns:
        str: The flaw, or '' if none was found.
    """
    if os.path.getsize(path) <= parsed_bytes:
        try:
            _read_json(path)
        except ValueError as error:  # bad JSON, or bytes that are no text
            return str(error)
        return ''
    with open(path, 'rb') as file:
        head = file.read(_END_BYTES).lstrip()
        file.seek(-_END_BYTES, os.SEEK_END)
        tail = file.read().rstrip()
    if (head[:1], tail[-1:]) in ((b'{', b'}'), (b'[', b']')):
        return ''
    return f'it begins with {head[:1]!r} and ends with {tail[-1:]!r}'


def _read_json(path: str) -> Any:
    status = os.stat(path)
    return _parse_json(path, status.st_mtime_ns, status.st_size)


# The checks of a data set, and of the evaluator beside it, ask for the same file.
@functools.lru_cache(maxsize=1)
def _parse_json(path: str, modified: int, size: int) -> Any:
    with open(path, encoding='utf-8') as file:
        return json.load(file)


def _of_folder(folder: DataPath) -> Iterator[str]:
    if not os.path.isdir(folder.path):
        yield folder.problem('no such folder', 'Give the folder of the files.')
    elif next(os.scandir(folder.path), None) is None:
        yield folder.problem('the folder is empty', 'Give the folder of the files.')


def _of_listed_files(dataset: DataSetConfig, annotations: DataPath) -> Iterator[str]:
    """Files that the annotation file names and that are not there, or broken."""
    if dataset.layout == 'XMLDataset':
        listed = _voc_files(dataset, _read_names(annotations.path))
    elif dataset.layout == 'BaseSegDataset' and os.path.isfile(annotations.path):
        listed = _segmentation_files(dataset, _read_names(annotations.path))
    elif dataset.layout == 'CocoDataset':
        listed = _coco_files(dataset, annotations.path)
    else:
        return
    for what, paths in listed.items():
        missing = [path for path in paths if not os.path.isfile(path)]
        if missing:
            yield annotations.problem(
                f'it names {_count(missing, what)} that are not there',
                'Complete the data set, or correct data_prefix or this file.',
            )
    broken = [path for path in listed.get('XML files', ()) if _is_broken_xml(path)]
    if broken:
        yield annotations.problem(
            f'it names {_count(broken, "XML files")} that are cut short or not XML',
            'Copy or download them again.',
        )


def _count(paths: Sequence[str], what: str) -> str:
    shown = ', '.join(map(repr, paths[:_LISTED]))
    return f'{len(paths)} {what} ({shown}{", ..." if len(paths) > _LISTED else ""})'


def _read_names(path: str) -> list[str]:
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
    """Images that a COCO file names, if it is small enough to be parsed."""
    folder = dataset.path('data_prefix', 'img')
    if folder is None or os.path.getsize(path) > PARSED_BYTES:
        return {}
    names = [image.get('file_name') for image in _read_json(path)['images']]
    paths = [os.path.join(folder.path, name) for name in names if name]
    return {'images': _unless_subset(dataset, paths)}


def _unless_subset(dataset: DataSetConfig, paths: list[str]) -> list[str]:
    """With ``indices`` the images of the others may be left out."""
    return [] if dataset.config.get('indices') is not None else paths


def _is_broken_xml(path: str) -> bool:
    try:
        ElementTree.parse(path)
    except ElementTree.ParseError:
        return True
    except FileNotFoundError:  # reported as missing
        return False
    return False


@contextmanager
def naming_broken_json(cfg: Config, loops: Sequence[str]) -> Iterator[None]:
    """Add the config key to the error of a data set that meets broken JSON.

    Args:
        cfg (Config): The whole config.
        loops: See :func:`check_data`.

    Raises:
        ValueError: Instead of the JSON error, where a file of the config is to blame.
    """
    try:
        yield
    except json.JSONDecodeError as error:
        problems = list(_broken_json(cfg.to_dict(), loops))
        if not problems:
            raise
        raise _refusal(problems) from error


def _broken_json(config: Mapping[str, Any], loops: Sequence[str]) -> Iterator[str]:
    for loop in loops:
        paths = [dataset.path('ann_file') for dataset in datasets_of(config, loop)]
        for path in [*paths, *evaluator_paths(config, loop)]:
            if path and path.path.endswith('.json') and os.path.isfile(path.path):
                yield from _of_json(path, parsed_bytes=os.path.getsize(path.path))
