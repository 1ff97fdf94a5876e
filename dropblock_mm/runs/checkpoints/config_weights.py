"""Checks the checkpoints and pretrained weights that a config names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from mmengine.config import Config

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.runs.checkpoints.safe_loading import check_checkpoint
from dropblock_mm.runs.type_names import type_name

# The name of MMEngine's initialisation in configs, and of its class.
_PRETRAINED = ('Pretrained', 'PretrainedInit')


def check_checkpoints(cfg: Config, key: str) -> None:
    """Try every local checkpoint that a runner of ``cfg`` will load.

    Args:
        cfg (Config): Complete.
        key (str): Where its ``load_from`` came from, for messages.
    """
    if cfg.get('load_from'):
        check_checkpoint(cfg.load_from, key, resume=bool(cfg.get('resume')))
    for weights_key, weights in pretrained_weights(cfg.to_dict().get('model')):
        check_checkpoint(weights, weights_key)


def check_sources_of_weights(cfg: Config) -> None:
    """Refuse pretrained weights that could not be fetched when training starts.

    Raises:
        ValueError: See :func:`check_torchvision`.
    """
    for key, weights in pretrained_weights(cfg.get('model')):
        check_torchvision(weights, key)


def pretrained_weights(model: Any, key: str = 'model') -> Iterator[tuple[str, str]]:
    """Find the weight files that a model's config names.

    Args:
        model: The config, or any part of it.
        key: Where in the config that part is.

    Yields:
        tuple[str, str]: Config key and file.
    """
    items: Any = ()
    if isinstance(model, Mapping):
        items = model.items()
        for name in ('checkpoint', 'pretrained'):
            is_weights = name == 'pretrained' or type_name(model) in _PRETRAINED
            if is_weights and isinstance(model.get(name), str):
                yield f'{key}.{name}', model[name]
    elif isinstance(model, (list, tuple)):
        items = enumerate(model)
    for name, part in items:
        yield from pretrained_weights(part, f'{key}.{name}')


def check_torchvision(path: str, key: str) -> None:
    """Refuse weights that only torchvision knows the address of, if it cannot say.

    torchvision's compiled part belongs to one build of torch. Beside another, such as
    a torch for the CPU where torchvision is for CUDA, it is left out without a word,
    and the import ends with ``operator torchvision::nms does not exist``.

    Args:
        path: The weights, such as 'torchvision://resnet50'.
        key: The config key they were given under, for the message.

    Raises:
        ValueError: torchvision is needed, and not installed or built for another torch.
    """
    if not path.startswith(('torchvision://', 'modelzoo://')):
        return
    remedy = (
        f'Install the version that belongs to torch {torch.__version__}, from where '
        f'that came from, or give a file: --cfg-options {key}=FILE.'
    )
    if find_spec('torchvision') is None:
        raise RefusedValueError(
            f'{key}={path!r} needs the package torchvision, which is not installed. '
            f'{remedy}'
        )
    try:
        import_module('torchvision')
    except (ImportError, RuntimeError) as error:
        raise RefusedValueError(
            f'{key}={path!r} needs the package torchvision, and the one that is '
            f'installed does not work with torch {torch.__version__}: {error}. {remedy}'
        ) from error
