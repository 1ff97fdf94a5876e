"""What a config says of data, once it is read: data sets, metrics and their paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
class DataSetEntry:
    """One innermost data set of a config.

    Args:
        loop: That uses it: 'train', 'val' or 'test'.
        key: Where it stands in the config.
        type: As the config names it.
        layout: The class that finds its files: a subclass may look in other places.
        annotation_format: The class that takes its annotations: panoptic ones have
            no boxes.
        config: Its dict.
        options: The arguments of its constructor, by config or else by default.
        annotations: Its ``ann_file``; None if there is none on this disk.
        folders: Those in ``data_prefix`` that are read, under their names there.
        root: Its ``data_root``.
        classes: By config or else by its class; None if not known.
        own_metainfo: What its class says of its classes and their colours.
        loads: What its pipeline loads beside images: 'masks', 'label maps'.
        steps: Arguments of the first step of a pipeline, by its bare type.
    """

    loop: str
    key: str
    type: str
    layout: str = 'object'
    annotation_format: str = 'object'
    config: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    annotations: DataPath | None = None
    folders: Mapping[str, DataPath] = field(default_factory=dict)
    root: DataPath | None = None
    classes: tuple[str, ...] | None = None
    own_metainfo: Mapping[str, Any] = field(default_factory=dict)
    loads: frozenset[str] = frozenset()
    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class MetricEntry:
    """One metric of an evaluator.

    Args:
        key: Where it stands in the config.
        type: As the config names it, without a registry's scope.
        annotations: Its ``ann_file``, None if it has none on this disk.
        data_sets: Those whose results it gets.
        config: Its dict.
    """

    key: str
    type: str
    annotations: DataPath | None
    data_sets: tuple[DataSetEntry, ...]
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Inventory:
    """What a config says of data: data sets, metrics, and the model beside them."""

    data_sets: tuple[DataSetEntry, ...]
    metrics: tuple[MetricEntry, ...]
    model: Mapping[str, Any]


def is_remote(path: str) -> bool:
    """Whether a path belongs to another storage than the local disk."""
    return '://' in path or path.startswith(('s3:', 'petrel:'))
