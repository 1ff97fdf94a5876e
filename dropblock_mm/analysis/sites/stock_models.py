"""The configs that come with the libraries, and the distinct models among them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from dropblock_mm import resolve_config
from dropblock_mm.runs.cpu_ranks import SYNC_NORMS
from dropblock_mm.runs.type_names import type_name

PACKAGES = ('mmdet', 'mmseg', 'mmpretrain')
# A config of each package that has been there for long, to find the folder by.
_LANDMARKS = {
    'mmdet': 'retinanet/retinanet_r50_fpn_1x_coco.py',
    'mmseg': 'pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    'mmpretrain': 'resnet/resnet50_8xb32_in1k.py',
}
# Where weights are loaded from, some of them when the model is built.
WEIGHTS = ('init_cfg', 'pretrained', 'teacher_ckpt')
# What does not change where sites are: weights, losses, and how a run goes.
_IRRELEVANT = (*WEIGHTS, 'train_cfg', 'test_cfg', 'data_preprocessor')


@dataclass(frozen=True)
class StockConfig:
    """A config of a library's, or why it cannot be read.

    Args:
        package: One of ``PACKAGES``.
        name: Path below the package's configs.
        model: Its ``model``, None if there is none.
        problem: What reading it raised, '' if nothing.
    """

    package: str
    name: str
    model: dict[str, Any] | None
    problem: str = ''


def stock_configs(package: str) -> Iterator[StockConfig]:
    """Yield every config that comes with a package, sorted; reading takes a while.

    Args:
        package: One of ``PACKAGES``.
    """
    folder = Path(resolve_config(f'{package}::{_LANDMARKS[package]}')).parents[1]
    for path in sorted(folder.rglob('*.py')):
        name = path.relative_to(folder).as_posix()
        if not name.startswith('_base_'):
            yield read_config(package, name, path)


def read_config(package: str, name: str, path: str | Path | None = None) -> StockConfig:
    """Read one config; what goes wrong is part of the result."""
    try:
        path = path or resolve_config(f'{package}::{name}')
        model = Config.fromfile(str(path)).get('model')
    except Exception as error:  # broken links among the configs, missing libraries
        return StockConfig(package, name, None, f'{type(error).__name__}: {error}')
    return StockConfig(package, name, None if model is None else model.to_dict())


def backbones_of(config: Any, path: str = '') -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (dotted path, config) of every backbone in a model's config.

    A backbone inside a backbone, as in ICNet, belongs to the outer one.
    """
    children: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(config, Mapping):
        children = iter(config.items())
    elif isinstance(config, Sequence) and not isinstance(config, str):
        children = iter(enumerate(config))
    for name, child in children:
        below = f'{path}.{name}' if path else str(name)
        if name == 'backbone' and isinstance(child, Mapping) and 'type' in child:
            yield below, dict(child)
        else:
            yield from backbones_of(child, below)


def without(config: Any, names: Sequence[str] = _IRRELEVANT) -> Any:
    """Return a config without some of its keys, at any depth; norms for one process.

    Synchronized norms need a process group to run.
    """
    if isinstance(config, Mapping):
        kept = {k: without(v, names) for k, v in config.items() if k not in names}
        if type_name(kept) in SYNC_NORMS:
            kept['type'] = 'BN'
        return kept
    if isinstance(config, (list, tuple)):
        return type(config)(without(child, names) for child in config)
    return config


def key_of(config: Any) -> str:
    """Return text that is the same for equal configs."""
    return json.dumps(config, sort_keys=True, default=str)


def builder(package: str | None, config: Mapping[str, Any]) -> Callable[[], nn.Module]:
    """Return a function that builds a model or backbone, without loading weights.

    Args:
        package: The scope in which its types are looked up, if it has one.
        config: Of the model.
    """
    plain = without(config, WEIGHTS)

    def build() -> nn.Module:
        with DefaultScope.overwrite_default_scope(package):
            return MODELS.build(ConfigDict(plain))

    return build
