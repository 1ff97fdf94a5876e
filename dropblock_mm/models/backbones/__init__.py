"""Backbones; one that needs mmpretrain imports it when it is built."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from dropblock_mm.registry import MODELS

if find_spec('mmcv') is not None:
    from dropblock_mm.models.backbones.amoebanet import AmoebaNet

    __all__ = ['AmoebaNet', 'build_tpu_resnet']


@MODELS.register_module(name='TPUResNet')
def build_tpu_resnet(**options: Any) -> Any:
    """Build a :class:`~dropblock_mm.models.backbones.tpu_resnet.TPUResNet`.

    Not registered itself: mmpretrain takes seconds to import, and a config of another
    library that names any model of this package should not wait for it.
    """
    from dropblock_mm.models.backbones.tpu_resnet import TPUResNet

    return TPUResNet(**options)
