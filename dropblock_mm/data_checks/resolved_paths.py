"""Where the files of a data set are, by its config.

Paths are joined as mmengine's ``BaseDataset`` joins them, and with mmpretrain's
additions.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mmengine.utils import is_abs

from dropblock_mm.data_checks.entries import DataPath, is_remote
from dropblock_mm.runs.type_names import type_name

# Data sets that make their files, and where they do unless they are told.
_MADE = {'DigitScenes': 'data/digit_scenes', 'DigitImages': 'data/digit_images'}


_LOCAL = ('local', 'localbackend', 'disk', 'harddisk', 'harddiskbackend')


def is_local(reader: Mapping[str, Any]) -> bool:
    """Tell whether a data set, or a step of a pipeline, reads from this disk."""
    given = reader.get('backend_args') or reader.get('file_client_args') or {}
    if not isinstance(given, Mapping):  # which is refused later
        return True
    return str(given.get('backend', 'local')).lower() in _LOCAL


def as_mmpretrain(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Take ImageNet's ``split`` for the paths it stands for, and ~ for the home."""
    split, prefix = config.get('split'), config.get('data_prefix') or ''
    listed = config.get('ann_file') or ''
    changed: dict[str, Any] = {}
    if split:
        prefix = prefix or split
        meta = f'meta/{split}.txt'
        if os.path.isfile(os.path.join(config.get('data_root') or '', meta)):
            listed = listed or meta
        if split == 'test':
            changed['with_label'] = False
    if isinstance(prefix, str):
        prefix = os.path.expanduser(prefix)
    if isinstance(listed, str):
        listed = os.path.expanduser(listed)
    return {**config, **changed, 'data_prefix': prefix, 'ann_file': listed}


def with_named_folder(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Name the folder of images as mmpretrain does where the prefix is text."""
    prefix = config.get('data_prefix')
    if not isinstance(prefix, str):
        return config
    return {**config, 'data_prefix': {'img_path': os.path.expanduser(prefix)}}


def resolve(
    config: Mapping[str, Any], key: str, names: Sequence[str], made: Sequence[str]
) -> DataPath | None:
    """The path under ``names``; None if there is nothing to look at on this disk."""
    value: Any = config
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    root = config.get('data_root') or ''
    if not (isinstance(value, str) and isinstance(root, str) and is_local(config)):
        return None
    if not value and names == ('ann_file',):  # which is not joined to the root
        return None
    alone = is_abs(value) or not root or names == ('data_root',)
    path = value if alone else os.path.join(root, value)
    if not path or is_remote(path) or _is_below(path, made):
        return None
    said = '' if alone else f'{key}.data_root={root!r}'
    return DataPath('.'.join((key, *names)), value, path, said)


def folders_of(
    config: Mapping[str, Any], key: str, layout: str, maps: bool, made: Sequence[str]
) -> dict[str, DataPath]:
    """The folders in ``data_prefix`` that are going to be read.

    mmpretrain has one as a string, its images. CocoDataset derives paths of label maps
    from 'seg', and a config without them may have inherited it all the same.
    """
    prefix = config.get('data_prefix') or {}
    if isinstance(prefix, str):
        named = {'img_path': resolve(config, key, ('data_prefix',), made)}
    else:
        named = {n: resolve(config, key, ('data_prefix', n), made) for n in prefix}
        if layout == 'CocoDataset' and not maps:
            named.pop('seg', None)
    return {name: path for name, path in named.items() if path}


def made_folders(holder: Any) -> Iterator[str]:
    """Folders of data that the config makes by itself when it is built."""
    if isinstance(holder, Mapping):
        for kind, root in _MADE.items():
            if type_name(holder) == kind:
                yield os.path.realpath(holder.get('root', root))
        holder = holder.values()
    if not isinstance(holder, str) and isinstance(holder, Iterable):
        for part in holder:
            yield from made_folders(part)


def _is_below(path: str, folders: Iterable[str]) -> bool:
    real = os.path.realpath(path)
    return any(os.path.commonpath([real, folder]) == folder for folder in folders)
