"""Places of blocks that only some networks have: MSCAN, ResNeSt, CSP and Darknet.

Each function is an adapter: see :mod:`dropblock_mm.injection.walk`.
"""

from __future__ import annotations

from typing import Any

from dropblock_mm.injection.adapters.blocks import (
    asked_of,
    branch_place,
    called,
    conv_module,
    having,
    is_norm,
)
from dropblock_mm.injection.places import Place, parts_of


@asked_of(called('StemConv'))
def stem_of_tokens(stem: Any) -> list[Place] | None:
    """No places in MSCAN's stem, whose output is tokens.

    Its blocks have no place: their norms come first, as in transformers. The stem's two
    units alone would look like DropBlock in the backbone, and hardly be any.
    """
    return []


@asked_of(having('radix', 'rsoftmax'))
def split_attention(unit: Any) -> list[Place] | None:
    """Place of ResNeSt's split attention: its convolution, not its gate."""
    norm: Any = getattr(unit, 'norm0', getattr(unit, 'bn0', None))
    return [Place(unit, 'conv', after=norm)] if is_norm(norm) else None


@asked_of(having('main_conv', 'short_conv', 'blocks'))
def csp_layer(layer: Any) -> list[Place] | None:
    """Place of a CSP layer: its short path, which passes all its blocks by."""
    unit = layer.short_conv
    return [
        Place(unit, 'shortcut', 'shortcut', after=place.after)
        for place in conv_module(unit) or []
    ]


@asked_of(called('ResBlock'))
def darknet_block(block: Any) -> list[Place] | None:
    """Places of Darknet's residual block, which only its name gives away."""
    if [*parts_of(block)] != ['conv1', 'conv2']:
        return None
    return [Place(block, 'shortcut', 'shortcut', adds_input=True), branch_place(block)]
