"""Where DropBlock belongs in a block: one small adapter per kind of block.

An adapter takes a module and returns the module's own places, or None if it is of
another kind. What the module holds inside is asked in turn. An empty list keeps
DropBlock out of the module, with everything in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from torch import nn

from dropblock_mm.injection.module_kinds import (
    COMMUTING_ACTIVATIONS,
    contains_conv,
    contains_norm,
    is_conv,
    is_norm,
    is_other_activation,
    is_sigmoid,
    pools_whole_map,
)
from dropblock_mm.injection.places import Place, is_free

Adapter = Callable[[Any], list[Place] | None]
_AdapterType = TypeVar('_AdapterType', bound=Adapter)

# Attributes with the projection of a skip connection, None for an identity: of ResNet
# in OpenMMLab, timm and torchvision; of many others; of torchvision's RegNet.
_SLOTS = ('downsample', 'shortcut', 'proj')
# Attributes that are true if the block returns its input plus its branch: in mmdet's
# MobileNetV2, EfficientNet and CSP blocks, mmseg's and torchvision's MobileNetV2,
# timm's EfficientNet, mmseg's CGNet.
_SUM_FLAGS = (
    'with_res_shortcut',
    'with_residual',
    'add_identity',
    'use_res_connect',
    'has_skip',
    'skip_connect',
)

_REGISTERED: dict[type[nn.Module], Adapter] = {}


def register_block_adapter(
    block_type: type[nn.Module],
) -> Callable[[_AdapterType], _AdapterType]:
    """Teach injection where DropBlock belongs in a block of yours (decorator).

    The function gets a block of this type and returns its places. It goes before
    the built-in rules. What is inside the block is searched as usual, so ConvModules
    need no mention. An empty list keeps DropBlock out of the block, and None leaves
    it to the built-in rules.

    Args:
        block_type: The class of the block. Derived classes count too.

    Returns:
        Callable: The decorator, which returns the function as it is.

    Raises:
        TypeError: If ``block_type`` is not a subclass of ``torch.nn.Module``.

    Examples:
        >>> from dropblock_mm.injection import Place
        >>> class Block(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.weigh, self.scale = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        ...     def forward(self, x):
        ...         return x + self.scale(self.weigh(x))
        >>> @register_block_adapter(Block)
        ... def places_of_block(block):
        ...     return [Place(block, 'shortcut', 'shortcut', adds_input=True),
        ...             Place(block, 'weigh', after=block.scale)]
        >>> [place.name for place in places_of(Block())]
        ['shortcut', 'weigh']
    """
    if not (isinstance(block_type, type) and issubclass(block_type, nn.Module)):
        raise TypeError(
            f'register_block_adapter({block_type!r}): not a subclass of '
            'torch.nn.Module. Write @register_block_adapter(MyBlock) above the '
            'function that returns the places of a MyBlock.'
        )

    def register(adapter: _AdapterType) -> _AdapterType:
        _REGISTERED[block_type] = adapter
        return adapter

    return register


def places_of(module: nn.Module) -> list[Place] | None:
    """Return a module's own places by the first adapter that knows it, else None."""
    registered = (_REGISTERED.get(kind) for kind in type(module).__mro__)
    for adapter in [*filter(None, registered), *ADAPTERS]:
        places = adapter(module)
        if places is not None:
            return places
    return None


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
    rest = [m for m in unit.children() if m is not unit.conv and m is not norm]
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


def csp_layer(layer: Any) -> list[Place] | None:
    """Place of a CSP layer: its short path, which passes all its blocks by."""
    if not all(hasattr(layer, name) for name in ('main_conv', 'short_conv', 'blocks')):
        return None
    unit = layer.short_conv
    return [
        Place(unit, 'shortcut', 'shortcut', after=place.after)
        for place in conv_module(unit) or []
    ]


def darknet_block(block: Any) -> list[Place] | None:
    """Place of Darknet's residual block, which only its name gives away."""
    if type(block).__name__ != 'ResBlock' or [*block._modules] != ['conv1', 'conv2']:
        return None
    return [Place(block, 'shortcut', 'shortcut', adds_input=True)]


def residual_block(block: Any) -> list[Place] | None:
    """Places of residual blocks: on the skip connection, and after each norm.

    Of ResNet and its kin in OpenMMLab, timm and torchvision, of inverted residuals,
    and of CSP blocks. The norms come before the ReLU, with which DropBlock commutes.
    """
    slot = next((name for name in _SLOTS if _has_slot(block, name)), None)
    if slot is not None:
        return [_shortcut(block, slot), *_norm_places(block)]
    flag = next((name for name in _SUM_FLAGS if hasattr(block, name)), None)
    if flag is None or not contains_conv(block):
        return None  # transformers' feed-forward layers have such flags too
    shortcut = Place(block, 'shortcut', 'shortcut', adds_input=True)
    return [*([shortcut] if getattr(block, flag) else []), *_norm_places(block)] or None


ADAPTERS: tuple[Adapter, ...] = (
    gate,
    conv_module,
    conv_norm_unit,
    conv_norm_sequence,
    split_attention,
    csp_layer,
    darknet_block,
    residual_block,
)


def _has_slot(block: Any, name: str) -> bool:
    """Tell whether a block with conv-norms has a slot for its projection."""
    first = 'f' if name == 'proj' else 'conv1'
    return (
        first in block._modules
        and hasattr(block, name)
        and isinstance(getattr(block, name), nn.Module | None)
        and contains_norm(block)
    )


def _shortcut(block: Any, slot: str) -> Place:
    if not is_free(block, slot):
        return Place(block, 'shortcut', 'shortcut', after=getattr(block, slot))
    if hasattr(block, 'trident_dilations'):
        # It adds a list of inputs, in an expression with no module around it.
        return Place(block, 'shortcut', 'shortcut', branch=block.conv1)
    if _starts_with_norm(block):
        # Its projection gets the normed input, its identity the plain one.
        return Place(block, 'shortcut', 'shortcut', adds_input=True)
    return Place(block, 'shortcut', 'shortcut', slot=slot)


def _starts_with_norm(block: nn.Module) -> bool:
    """Tell whether a block is of the pre-activation kind, which ends in the sum."""
    order = [m for m in block.children() if is_norm(m) or contains_conv(m)]
    return bool(order) and is_norm(order[0])


def _norm_places(block: nn.Module) -> list[Place]:
    return [
        Place(block, _conv_of(block, name), after=norm) for name, norm in _norms(block)
    ]


def _norms(block: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield a block's own norms, with those in lists, such as Res2Net's ``bns``."""
    for name, child in block.named_children():
        if is_norm(child):
            yield name, child
        elif isinstance(child, nn.ModuleList):
            yield from ((f'{name}.{i}', m) for i, m in enumerate(child) if is_norm(m))


def _conv_of(block: nn.Module, norm_name: str) -> str:
    """Name the convolution that a norm follows: 'conv2' for 'bn2'."""
    name = re.sub(r'^[a-z]+(?=\d+$)', 'conv', norm_name)
    return name if name in block._modules else norm_name
