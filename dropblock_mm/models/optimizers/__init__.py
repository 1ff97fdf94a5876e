"""Optimizers that configs can name."""

from dropblock_mm.models.optimizers.rmsprop_tf import RMSpropTF

__all__ = ['RMSpropTF']
