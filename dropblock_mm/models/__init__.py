"""Modules that OpenMMLab configs can name."""

from dropblock_mm.models.channels_last import build_channels_last
from dropblock_mm.models.layers import DropBlock2d

__all__ = ['DropBlock2d', 'build_channels_last']
