"""Places of blocks with a skip connection.

Each public function is an adapter: see :mod:`dropblock_mm.injection.adapters.registry`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from torch import nn

from dropblock_mm.injection.adapters.units import (
    contains_conv,
    contains_norm,
    conv_module,
    is_activation,
    is_norm,
)
from dropblock_mm.injection.places import Place, is_free, parts_of

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
    """Places of Darknet's residual block, which only its name gives away."""
    if type(block).__name__ != 'ResBlock' or [*parts_of(block)] != ['conv1', 'conv2']:
        return None
    return [Place(block, 'shortcut', 'shortcut', adds_input=True), _branch(block)]


def residual_block(block: Any) -> list[Place] | None:
    """Places of residual blocks: the skip connection, after each norm, the branch.

    Of ResNet and its kin in OpenMMLab, timm and torchvision, of inverted residuals,
    and of CSP blocks. The norms come before the ReLU, with which DropBlock commutes.
    """
    slot = next((name for name in _SLOTS if _has_slot(block, name)), None)
    if slot is not None:
        return [_shortcut(block, slot), *norm_places(block), _branch(block, slot)]
    flag = next((name for name in _SUM_FLAGS if hasattr(block, name)), None)
    if flag is None or not contains_conv(block):
        return None  # transformers' feed-forward layers have such flags too
    if not getattr(block, flag):
        return norm_places(block) or None
    shortcut = Place(block, 'shortcut', 'shortcut', adds_input=True)
    return [shortcut, *norm_places(block), _branch(block)]


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


def _branch(block: Any, slot: str = '') -> Place:
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
