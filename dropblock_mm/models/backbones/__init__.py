"""Backbones; nothing to register where mmcv is not installed."""

from importlib.util import find_spec

if find_spec('mmcv') is not None:
    from dropblock_mm.models.backbones.amoebanet import AmoebaNet

    __all__ = ['AmoebaNet']
