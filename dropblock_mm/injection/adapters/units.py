"""Places of convolutions with their norms, and what is no place although it has some.

Each function is an adapter: see :mod:`dropblock_mm.injection.adapters.registry`.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from dropblock_mm.injection.adapters.kinds import (
    COMMUTING_ACTIVATIONS,
    contains_norm,
    is_conv,
    is_norm,
    is_other_activation,
    is_sigmoid,
    parts_of,
    pools_whole_map,
)
from dropblock_mm.injection.places import Place


def gate(module: Any) -> list[Place] | None:
    """No places in what only weights a feature map, and is none itself.

    That is squeeze-and-excitation, which pools the whole map and has no norm, and
    whatever ends in a sigmoid.
    """
    if isinstance(module, nn.Sequential):
        last = module[-1] if len(module) else None
    else:
        last = getattr(module, 'activate', None)
    pools = any(map(pools_whole_map, module.children()))
    is_gate = is_sigmoid(last) or (pools and not contains_norm(module))
    return [] if is_gate else None


def stem_of_tokens(stem: Any) -> list[Place] | None:
    """No places in MSCAN's stem, whose output is tokens.

    Its blocks have no place: their norms come first, as in transformers. The stem's two
    units alone would look like DropBlock in the backbone, and hardly be any.
    """
    return [] if type(stem).__name__ == 'StemConv' else None


def conv_module(unit: Any) -> list[Place] | None:
    """Place of mmcv's ConvModule: after its norm, or after the whole unit.

    The place after the norm keeps one activation less alive; it is right only
    where the activation comes last and commutes with DropBlock.
    """
    if not all(hasattr(unit, name) for name in ('conv', 'with_norm', 'order')):
        return None
    if not is_conv(unit.conv):
        return []  # of points, as in PointRend: they have no squares
    activation = getattr(unit, 'activate', None) if unit.with_activation else None
    after_norm = (
        unit.with_norm
        and tuple(unit.order) == ('conv', 'norm', 'act')
        and (activation is None or isinstance(activation, COMMUTING_ACTIVATIONS))
    )
    return [Place(unit, 'conv', after=unit.norm if after_norm else unit)]


def conv_norm_unit(unit: Any) -> list[Place] | None:
    """Place of other libraries' units of a ``conv`` and a ``bn`` or ``norm``."""
    norm: Any = getattr(unit, 'bn', getattr(unit, 'norm', None))
    if not (is_conv(getattr(unit, 'conv', None)) and is_norm(norm)):
        return None
    rest = [m for m in parts_of(unit).values() if m not in (unit.conv, norm)]
    commutes = all(isinstance(m, COMMUTING_ACTIVATIONS) for m in rest)
    return [Place(unit, 'conv', after=norm if commutes else unit)]


def conv_norm_sequence(sequence: Any) -> list[Place] | None:
    """Places of convolutions that a norm follows in a Sequential or ModuleList.

    As in HRNet's fuse layers, ResNetV1c's stem and torchvision's blocks. The
    convolution owns the layer: the Sequential would run it as one module more.
    """
    if not isinstance(sequence, (nn.Sequential, nn.ModuleList)):
        return None
    modules = [*sequence, nn.Identity()]
    return [
        Place(conv, 'conv', after=follows if is_other_activation(follows) else norm)
        for conv, norm, follows in zip(modules, modules[1:], modules[2:], strict=False)
        if is_conv(conv) and is_norm(norm)
    ] or None


def split_attention(unit: Any) -> list[Place] | None:
    """Place of ResNeSt's split attention: its convolution, not its gate."""
    if not (hasattr(unit, 'radix') and hasattr(unit, 'rsoftmax')):
        return None
    norm: Any = getattr(unit, 'norm0', getattr(unit, 'bn0', None))
    return [Place(unit, 'conv', after=norm)] if is_norm(norm) else None
