"""Units of a convolution and a norm, and residual blocks; what tells them.

What a module is shows in its class and attributes, whichever library it is of.
Functions that return places are adapters: see :mod:`dropblock_mm.injection.walk`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor, nn

from dropblock_mm.injection.places import Place, is_free, parts_of

Adapter = Callable[[Any], list[Place] | None]

# DropBlock commutes with activations for which f(a * x) = a * f(x), a >= 0.
COMMUTING_ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Identity)
_SIGMOIDS = ('Sigmoid', 'Hardsigmoid', 'HSigmoid')
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
# Stochastic depth of OpenMMLab's, timm's and torchvision's blocks. A place before it is
# as good, and some blocks inherit one that they never call.
_STOCHASTIC_DEPTH = ('drop_path', 'stochastic_depth')
# What may come between the last norm and the sum in blocks with a slot: gates.
_GATES = ('se', 'se_layer')
# A block has few modules. What has more is not worth the time, nor the risk that its
# forward does something else beside computing.
_MOST_MODULES = 40
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


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


def is_plain_block(block: nn.Module) -> bool:
    """Tell what is worth tracing: few modules, and those of torch or alike."""
    if isinstance(block, _CONTAINERS) or len([*block.modules()]) > _MOST_MODULES:
        return False
    parts = parts_of(block).values()
    known = all(
        type(part).__module__.startswith('torch.nn.')
        or is_conv(part)
        or is_norm(part)
        or is_activation(part)
        for part in parts
    )
    return known and contains_conv(block) and contains_norm(block)


def asked_of(is_one: Callable[[Any], bool]) -> Callable[[Adapter], Adapter]:
    """Decorate an adapter that is to look at modules of one kind alone.

    Args:
        is_one: Tells them.
    """

    def decorate(adapter: Adapter) -> Adapter:
        @functools.wraps(adapter)
        def asked(module: Any) -> list[Place] | None:
            return adapter(module) if is_one(module) else None

        return asked

    return decorate


def having(*attributes: str) -> Callable[[Any], bool]:
    """Return what tells modules with some attributes."""
    return lambda module: all(hasattr(module, name) for name in attributes)


def called(name: str) -> Callable[[Any], bool]:
    """Return what tells modules by their class's name."""
    return lambda module: type(module).__name__ == name


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


@asked_of(having('conv', 'with_norm', 'order'))
def conv_module(unit: Any) -> list[Place] | None:
    """Place of mmcv's ConvModule: after its norm, or after the whole unit.

    The place after the norm keeps one activation less alive; it is right only
    where the activation comes last and commutes with DropBlock.
    """
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


def residual_block(block: Any) -> list[Place] | None:
    """Places of residual blocks: the skip connection, after each norm, the branch.

    Of ResNet and its kin in OpenMMLab, timm and torchvision, of inverted residuals,
    and of CSP blocks. The norms come before the ReLU, with which DropBlock commutes.
    """
    slot = next((name for name in _SLOTS if _has_slot(block, name)), None)
    if slot is not None:
        return [_shortcut(block, slot), *norm_places(block), branch_place(block, slot)]
    flag = next((name for name in _SUM_FLAGS if hasattr(block, name)), None)
    if flag is None or not contains_conv(block):
        return None  # transformers' feed-forward layers have such flags too
    if not getattr(block, flag):
        return norm_places(block) or None
    shortcut = Place(block, 'shortcut', 'shortcut', adds_input=True)
    return [shortcut, *norm_places(block), branch_place(block)]


def _has_slot(block: Any, name: str) -> bool:
    """Tell whether a block with conv-norms has a slot for its projection."""
    first = 'f' if name == 'proj' else 'conv1'
    return (
        first in parts_of(block)
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
    order = [m for m in parts_of(block).values() if is_norm(m) or contains_conv(m)]
    return bool(order) and is_norm(order[0])


def norm_places(block: nn.Module) -> list[Place]:
    """Return the places after a block's own norms, called by their convolutions."""
    return [
        Place(block, _conv_of(block, name), after=norm) for name, norm in _norms(block)
    ]


def _norms(block: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield a block's own norms, with those in lists, such as Res2Net's ``bns``."""
    for name, child in parts_of(block).items():
        if is_norm(child):
            yield name, child
        elif isinstance(child, nn.ModuleList):
            yield from ((f'{name}.{i}', m) for i, m in enumerate(child) if is_norm(m))


def _conv_of(block: nn.Module, norm_name: str) -> str:
    """Name the convolution that a norm follows: 'conv2' for 'bn2'."""
    name = re.sub(r'^[a-z]+(?=\d+$)', 'conv', norm_name)
    return name if name in parts_of(block) else norm_name


def branch_place(block: Any, slot: str = '') -> Place:
    """Place of the end of the branch: after the last module before the sum."""
    return Place(block, 'branch', 'branch', after=_last_of_branch(block, slot))


def _last_of_branch(block: Any, slot: str) -> nn.Module:
    left_out = (slot, *_STOCHASTIC_DEPTH)
    parts = {name: p for name, p in parts_of(block).items() if name not in left_out}
    plugins = getattr(block, 'after_conv3_plugin_names', None)  # mmdet's and mmseg's
    if plugins:
        return parts[plugins[-1]]
    numbered = {n: p for n, p in parts.items() if is_norm(p) and re.search(r'\d$', n)}
    if slot and numbered and not _starts_with_norm(block):
        # ResNet and its kin. Res2Net has lists of earlier norms behind the last one.
        last = max(numbered, key=_number)
        gates = [name for name in _GATES if name in parts]
        return parts[gates[0] if gates else last]
    return [part for part in parts.values() if not is_activation(part)][-1]


def _number(name: str) -> int:
    return int(re.findall(r'\d+$', name)[0])
