"""Transforms that configs can name; none where mmcv is not installed."""

from importlib.util import find_spec

if find_spec('mmcv') is not None:
    from dropblock_mm.datasets.transforms.color_shift import ColorShift

    __all__ = ['ColorShift']
