"""Modules that OpenMMLab configs can name."""

from dropblock_mm.layers import LAYERS
from dropblock_mm.models.channels_last import build_channels_last
from dropblock_mm.registry import MODELS

# The layers themselves import torch alone.
for _layer in LAYERS.values():
    MODELS.register_module(module=_layer)

__all__ = ['build_channels_last']
