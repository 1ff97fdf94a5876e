"""A model in channels-last memory order, by config."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.registry import MODELS as MMENGINE_MODELS

from dropblock_mm.registry import MODELS


@MODELS.register_module(name='ChannelsLast')
def build_channels_last(
    model: dict[str, Any], data_preprocessor: dict[str, Any] | None = None
) -> Any:
    """Build a model whose weights have the channels innermost, and so its maps.

    In a config it stands around the model::

        model = dict(type='dropblock_mm.ChannelsLast', model=dict(type='FCOS', ...))

    and ``tools/train.py`` puts it there where the config says ``channels_last=True``.
    It computes the same numbers and saves the same checkpoints. Only a start from
    scratch is another one with the same seed: torch fills weights as they lie in
    memory.

    This is not done by a hook: those run after DistributedDataParallel has laid out
    its buckets, and where strides change then, gradients come out wrong without an
    error (torch 2.13 over gloo).

    Args:
        model: Config of the model.
        data_preprocessor: That of the whole config, as mmpretrain's have it, which
            MMEngine hands to the outermost model. The model's own goes before.

    Returns:
        The model that it describes, itself.
    """
    if data_preprocessor is not None:
        model = {'data_preprocessor': data_preprocessor, **model}
    return MMENGINE_MODELS.build(model).to(memory_format=torch.channels_last)
