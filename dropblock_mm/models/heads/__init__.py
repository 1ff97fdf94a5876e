"""Heads, each of which imports its library when it is built."""

from __future__ import annotations

from typing import Any

from dropblock_mm.registry import MODELS


@MODELS.register_module(name='AmoebaNetHead')
def build_amoebanet_head(**options: Any) -> Any:
    """Build a :class:`~dropblock_mm.models.heads.amoebanet_head.AmoebaNetHead`.

    Not registered itself: mmpretrain takes seconds to import, and a config of another
    library that names any model of this package should not wait for it.
    """
    from dropblock_mm.models.heads.amoebanet_head import AmoebaNetHead

    return AmoebaNetHead(**options)
