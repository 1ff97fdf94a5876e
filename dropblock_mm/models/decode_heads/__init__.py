"""Decode heads of mmseg's kind; nothing to register where mmseg is not installed."""

from importlib.util import find_spec

if find_spec('mmseg') is not None:
    from dropblock_mm.models.decode_heads.retina_seg_head import RetinaSegHead

    __all__ = ['RetinaSegHead']
