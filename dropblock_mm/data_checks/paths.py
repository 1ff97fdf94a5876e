"""Finds the files and folders of data that a config names."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.registry import DATASETS
from mmengine.utils import is_abs

from dropblock_mm.runs.nested_datasets import innermost_with_keys


@dataclass(frozen=True)
class DataPath:
    """A path in a config.

    Args:
        key: Where it stands, 'train_dataloader.dataset.ann_file'.
        value: As it stands there.
        path: What it means: joined to the data set's ``data_root``.
        root: The ``data_root`` that took part, as 'key=value', or ''.
    """

    key: str
    value: str
    path: str
    root: str = ''

    def problem(self, what: str, remedy: str) -> str:
        """Word a problem with it: key, value, where that led, what to do."""
        joined = f', joined to {self.root}' if self.root else ''
        return f'{self.key}={self.value!r}: {what} ({self.path!r}{joined}). {remedy}'


@dataclass(frozen=True)
class DataSetConfig:
    """One innermost data set of a config and its paths.

    Args:
        key: Where it stands.
        config: Its dict.
        scope: The registry that a bare ``type`` belongs to.
        made: Folders that need not exist yet: building the config fills them.
    """

    key: str
    config: Mapping[str, Any]
    scope: str
    made: tuple[str, ...] = ()

    def path(self, *names: str) -> DataPath | None:
        """The path under ``names``; None if there is nothing to look at."""
        value: Any = self.config
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        root = self.config.get('data_root') or ''
        remote = (self.config.get('backend_args') or {}).get('backend', 'local')
        if not isinstance(value, str) or remote != 'local':
            return None
        alone = is_abs(value) or not root
        path = value if alone else os.path.join(root, value)
        if not path or is_remote(path) or _is_below(path, self.made):
            return None
        said = '' if alone else f'{self.key}.data_root={root!r}'
        return DataPath('.'.join((self.key, *names)), value, path, said)

    def folders(self) -> list[DataPath]:
        """The folders in ``data_prefix`` that are going to be read.

        Some libraries have one as a string. CocoDataset derives paths of label maps
        from 'seg', and a config without them may have inherited it all the same.
        """
        prefix = self.config.get('data_prefix') or {}
        unused = self.layout == 'CocoDataset' and not self.loads_label_maps
        names: list[tuple[str, ...]] = [
            ('data_prefix', name) for name in prefix if not (unused and name == 'seg')
        ]
        if isinstance(prefix, str):
            names = [('data_prefix',)]
        return [path for path in (self.path(*n) for n in names) if path]

    @property
    def trains(self) -> bool:
        """Whether it is trained on."""
        return self.key.startswith('train_')

    @property
    def loads_label_maps(self) -> bool:
        """Whether a step of its pipeline reads segmentation maps."""
        for step in self.config.get('pipeline') or ():
            kind = str(step.get('type') if isinstance(step, Mapping) else step)
            panoptic = 'LoadPanopticAnnotations' in kind
            if isinstance(step, Mapping) and step.get('with_seg', panoptic):
                return True
        return False

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The class names, by config or else by its class; None if not known."""
        given = self.config.get('metainfo')
        named = given.get('classes') if isinstance(given, Mapping) else None
        if isinstance(named, str) and os.path.isfile(named):
            with open(named, encoding='utf-8') as file:
                return tuple(line.strip() for line in file if line.strip())
        if named is None:
            named = self.own_metainfo.get('classes')
        return None if named is None else tuple(named)

    @property
    def own_metainfo(self) -> Mapping[str, Any]:
        """What its class says of its classes and their colours."""
        holders = (vars(base).get('METAINFO') for base in self.bases)
        return next((held for held in holders if held), {})

    @property
    def bases(self) -> tuple[type, ...]:
        """The classes of its ``type``, none if that is not registered."""
        name = self.config.get('type', '')
        qualified = name if '.' in name else f'{self.scope}.{name}'
        found = DATASETS.get(qualified)
        return inspect.getmro(found) if inspect.isclass(found) else ()

    @property
    def layout(self) -> str:
        """The class that finds its files: a subclass may look in other places."""
        return self._owner('load_data_list')

    @property
    def annotation_format(self) -> str:
        """The class that takes its annotations: panoptic ones have no boxes."""
        return self._owner('parse_data_info')

    def _owner(self, method: str) -> str:
        owners = (base for base in self.bases if method in vars(base))
        return next(owners, object).__name__

    def argument(self, name: str) -> Any:
        """The value of an argument, by config or else by default."""
        if name in self.config:
            return self.config[name]
        for base in self.bases:
            if '__init__' in vars(base):
                parameters = inspect.signature(base).parameters
                if name in parameters:
                    return parameters[name].default
        return None


def is_remote(path: str) -> bool:
    """Whether a path belongs to another storage than the local disk."""
    return '://' in path or path.startswith(('s3:', 'petrel:'))


def datasets_of(config: Mapping[str, Any], loop: str) -> Iterator[DataSetConfig]:
    """Find a loop's data sets, however deep they are wrapped.

    Args:
        config: The whole config, as a dict.
        loop: 'train', 'val' or 'test'.

    Yields:
        DataSetConfig: The innermost ones.
    """
    loader = config.get(f'{loop}_dataloader')
    if isinstance(loader, Mapping):
        scope = str(config.get('default_scope') or 'mmengine')
        made = tuple(_made_folders(config))
        for key, dataset in innermost_with_keys(loader, f'{loop}_dataloader'):
            yield DataSetConfig(key, dataset, scope, made)


def evaluator_paths(config: Mapping[str, Any], loop: str) -> Iterator[DataPath]:
    """Find the annotation files that a loop's metrics read."""
    key = f'{loop}_evaluator'
    metrics = config.get(key)
    if isinstance(metrics, Mapping) and 'metrics' in metrics:
        key, metrics = f'{key}.metrics', metrics['metrics']
    named = [(key, metrics)]
    if isinstance(metrics, (list, tuple)):
        named = [(f'{key}.{i}', metric) for i, metric in enumerate(metrics)]
    for name, metric in named:
        if isinstance(metric, Mapping):
            made = tuple(_made_folders(config))
            path = DataSetConfig(name, metric, '', made).path('ann_file')
            if path:
                yield path


def _made_folders(holder: Any) -> Iterator[str]:
    """Folders of data that the config makes by itself when it is built."""
    if isinstance(holder, Mapping):
        if str(holder.get('type')).endswith('DigitScenes'):
            yield os.path.realpath(holder.get('root', 'data/digit_scenes'))
        holder = holder.values()
    if not isinstance(holder, str) and isinstance(holder, Iterable):
        for part in holder:
            yield from _made_folders(part)


def _is_below(path: str, folders: Iterable[str]) -> bool:
    real = os.path.realpath(path)
    return any(os.path.commonpath([real, folder]) == folder for folder in folders)
