"""Layers."""

from dropblock_mm.models.layers.drop_block import DropBlock2d

__all__ = ['DropBlock2d']
