"""Decode heads of mmseg's kind; nothing to register where mmseg is not installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from dropblock_mm.registry import MODELS

if find_spec('mmseg') is not None:

    @MODELS.register_module(name='RetinaSegHead')
    def build_retina_seg_head(**options: Any) -> Any:
        """Build a ``RetinaSegHead``.

        Not registered itself: mmseg takes seconds to import, and a config of another
        library that names any model of this package should not wait for it.
        """
        from dropblock_mm.models.decode_heads.retina_seg_head import RetinaSegHead

        return RetinaSegHead(**options)
