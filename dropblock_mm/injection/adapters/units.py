"""Convolutions, norms and their kin: what tells them, and the places of their units.

What a module is shows in its class and attributes, whichever library it is of.
Functions that return places are adapters: see
:mod:`dropblock_mm.injection.adapters.registry`.
"""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor, nn

from dropblock_mm.injection.places import Place, parts_of

# DropBlock commutes with activations for which f(a * x) = a * f(x), a >= 0.
COMMUTING_ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Identity)
_SIGMOIDS = ('Sigmoid', 'Hardsigmoid', 'HSigmoid')


def is_conv(module: Any) -> bool:
    """Tell whether a module is a convolution of maps, deformable and the like too."""
    named = (
        isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
        or 'Conv' in type(module).__name__
    )
    weight = getattr(module, 'weight', None) if named else None
    return isinstance(weight, Tensor) and weight.dim() == 4


def is_norm(module: Any) -> bool:
    """Tell whether a module is a norm of feature maps; LayerNorm is one of tokens."""
    named = re.search(r'(Batch|Group|Instance)Norm(?![13]d)|BN', type(module).__name__)
    return named is not None and hasattr(module, 'eps')


def contains_conv(module: nn.Module) -> bool:
    """Tell whether there is a convolution in a module."""
    return any(is_conv(m) for m in module.modules())


def contains_norm(module: nn.Module) -> bool:
    """Tell whether there is a norm of feature maps in a module."""
    return any(is_norm(m) for m in module.modules())


def pools_whole_map(module: nn.Module) -> bool:
    """Tell whether a module is global average pooling."""
    sizes = (1, (1, 1))
    return isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in sizes


def is_sigmoid(module: Any) -> bool:
    """Tell whether a module is a sigmoid of any kind."""
    return type(module).__name__ in _SIGMOIDS


def is_activation(module: nn.Module) -> bool:
    """Tell whether a module is an activation of torch's, timm's or mmcv's."""
    home = type(module).__module__
    return re.search(r'activation|bricks\.h?swish', home) is not None


def is_other_activation(module: nn.Module) -> bool:
    """Tell whether a module is one of torch's activations that do not commute."""
    is_torchs = type(module).__module__ == 'torch.nn.modules.activation'
    return is_torchs and not isinstance(module, COMMUTING_ACTIVATIONS)


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
