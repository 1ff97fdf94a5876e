"""Looks for the files of the data sets once these are built, whatever their type.

Annotation files that are too large to be read twice, and types that the layouts does
not know, are served here: the library has read the annotations, and names the files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from dropblock_mm.data_checks.entries import is_remote
from dropblock_mm.data_checks.file_ends import cut_short
from dropblock_mm.data_checks.images import Loader, check_image
from dropblock_mm.data_checks.label_maps import LabelRule, check_label_map
from dropblock_mm.data_checks.loaded_targets import flat_boxes, wrong_labels
from dropblock_mm.data_checks.problems import Problem, tally
from dropblock_mm.data_checks.resolved_paths import is_local
from dropblock_mm.errors import RefusedValueError
from dropblock_mm.programs import typed

_NAMED = 3
_STORAGE = ('backend_args', 'file_client_args')


class _LoadedDataHook(Hook):
    """Ends training before it begins if images or label maps are missing or damaged."""

    def before_train(self, runner: Runner) -> None:
        loaders = {'train_dataloader': runner.train_dataloader}
        if runner.val_loop is not None:
            loaders['val_dataloader'] = runner.val_dataloader
        problems = data_flaws(
            {key: getattr(loader, 'dataset', None) for key, loader in loaders.items()}
        )
        if problems:
            raise RefusedValueError(
                '\n  '.join(['the data cannot be used:', *problems])
                + f'\n{typed("check-dataset")} looks into every file.'
            )


def data_flaws(datasets: Mapping[str, Any]) -> list[str]:
    """Look at data sets that are built for what a training ends with or learns wrongly.

    Args:
        datasets: Each under the key of its loader; what 'train_dataloader' loads is
            also asked for its targets.

    Returns:
        list[str]: What is wrong, each under a key.
    """
    problems = [
        problem
        for key, whole in datasets.items()
        for dataset in innermost(whole)
        for problem in loaded_problems(dataset, key)
    ]
    problems += [
        f'{key}.dataset: its pipeline is empty, and the model gets nothing. Give '
        'the steps that load and pack an image.'
        for key, whole in datasets.items()
        if _has_no_steps(whole)
    ]
    trained = list(innermost(datasets.get('train_dataloader')))
    problems += nothing_to_learn(trained)
    problems += [
        text
        for dataset in trained
        for look in (flat_boxes, wrong_labels)
        for text in look(dataset)
    ]
    return problems


def _has_no_steps(dataset: Any) -> bool:
    """Whether it has a pipeline, and nothing in it; a wrapper may have its own."""
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', None)
    return hasattr(dataset, 'get_data_info') and steps == []


def check_loaded_data(runner: Runner) -> None:
    """Have a runner look for all files before its first iteration.

    An image that is missing, empty or cut short would else end training when its turn
    comes, which may be after an hour. That costs a second or two for all of COCO's,
    where the files are near.

    Args:
        runner (Runner): One that has not begun.
    """
    runner.register_hook(_LoadedDataHook(), priority='HIGHEST')


def innermost(dataset: Any) -> Iterator[Any]:
    """Follow ``dataset`` and ``datasets`` to what holds neither."""
    inner = getattr(dataset, 'datasets', None) or getattr(dataset, 'dataset', None)
    if inner is None:
        yield dataset
        return
    for part in inner if isinstance(inner, (list, tuple)) else [inner]:
        yield from innermost(part)


def loaded_problems(dataset: Any, key: str) -> Iterator[str]:
    """Look for the files of a data set on the local disk.

    Args:
        dataset: A ``BaseDataset``; of others nothing is known.
        key (str): Under which the user finds it.

    Yields:
        str: What is missing, or in the words of the thorough check what is empty or
            cut short, or that nothing is left to train on.
    """
    if not hasattr(dataset, 'get_data_info') or not _reads_here(dataset):
        return
    if len(dataset) == 0:
        yield (
            f'{key}: no image is left of {type(dataset).__name__} '
            f'{getattr(dataset, "ann_file", "")!r}. Its filter_cfg leaves out images '
            'without boxes, and small ones; see whether metainfo.classes are those of '
            'the annotations.'
        )
        return
    sizes = _Sizes()
    files = {path: what for what, path in _files(dataset)}
    found = {path: sizes.of(path) for path in files}
    absent = [path for path, size in found.items() if size is None]
    if absent:
        named = ', '.join(map(repr, absent[:_NAMED]))
        more = ', ...' if len(absent) > _NAMED else ''
        yield (
            f'{key}: {len(absent)} files are missing ({named}{more}). Copy or '
            'download them again, or take them out of the annotations.'
        )
    broken = [path for path, size in found.items() if size == 0]
    broken += cut_short([p for p, size in found.items() if size]) if _speaks() else []
    flaws = (flaw for path in broken for flaw in _flaws(path, files[path])[:1])
    for finding in tally(flaws):
        yield f'{key}: {finding.text}. {finding.kind.remedy}'


def _flaws(path: str, what: str) -> Sequence[Problem]:
    """Say of a file that cannot be decoded what the thorough check says of it."""
    if what == 'img_path':
        return check_image(path, None, Loader()).problems
    return check_label_map(path, None, LabelRule(())).problems


def nothing_to_learn(datasets: Iterable[Any]) -> list[str]:
    """Tell whether no data set of boxes or masks has a target that is not ignored.

    What small annotation files lack was said before; large ones are read here first.
    """
    parts = list(datasets)
    if not parts or any(_has_target(part) is not False for part in parts):
        return []
    named = ', '.join(repr(getattr(part, 'ann_file', '')) for part in parts)
    return [
        f'train_dataloader: no object is left to learn of {named}. They are crowd, '
        'ignored, without an area, outside their image, or of no class of the config: '
        f'{typed("check-dataset")} counts them.'
    ]


def _has_target(dataset: Any) -> bool | None:
    """The first one ends the search; None of data sets that list no instances."""
    if not hasattr(dataset, 'get_data_info') or len(dataset) == 0:
        return None
    for index in range(len(dataset)):
        instances = dataset.get_data_info(index).get('instances')
        if not isinstance(instances, list):
            return None
        if any(not one.get('ignore_flag') for one in instances):
            return True
    return False


def _reads_here(dataset: Any) -> bool:
    """Tell whether images come from this disk; a pipeline may say otherwise."""
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    readers = [s for s in steps if type(s).__name__ == 'LoadImageFromFile']
    return all(
        is_local({name: getattr(reader, name, None) for name in _STORAGE})
        for reader in (dataset, *readers)
    )


def _speaks() -> bool:
    """Launchers start one process per GPU; one of them per machine reads the files."""
    return os.environ.get('LOCAL_RANK', '0') == '0'


def _files(dataset: Any) -> Iterator[tuple[str, str]]:
    """The local images, and label maps of semantic segmentation, with their keys."""
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        # mmdet states a seg_map_path that no step may load; mmseg's is always loaded.
        keys = ('img_path', 'seg_map_path') if 'seg_fields' in info else ('img_path',)
        for key in keys:
            path = info.get(key)
            if isinstance(path, str) and not is_remote(path):
                yield key, path


class _Sizes:
    """Sizes of files; reads whole folders, which is faster than asking for each."""

    def __init__(self) -> None:
        self._folders: dict[str, dict[str, int]] = {}

    def of(self, path: str) -> int | None:
        """Return the bytes in a file, None if it is not there."""
        folder, name = os.path.split(path)
        if folder not in self._folders:
            self._folders[folder] = dict(self._read(folder or '.'))
        return self._folders[folder].get(name)

    @staticmethod
    def _read(folder: str) -> Iterator[tuple[str, int]]:
        if os.path.isdir(folder):
            with os.scandir(folder) as entries:
                for entry in entries:
                    # A link may lead nowhere.
                    if entry.is_file():
                        yield entry.name, entry.stat().st_size
